"""Step 1, naive: one thread computes one item of c = a b.

What it does:
    Thread (x, y) of a block of 32 x 8 takes row ``blockIdx.x * 32 + x`` and column
    ``blockIdx.y * 8 + y`` and walks along k.

Why it is slow:
    The 32 threads of a warp differ in x, so they stand in 32 different *rows*. At each step they
    read ``a[row, q]`` for 32 rows: addresses k numbers apart, each in a 32-byte sector of its own,
    of which 4 bytes are used. The write of c is scattered in the same way.

Lens, at 128 x 128 x 128:
    For 32 multiply-adds: 33.2 sectors of global memory, 0 wavefronts of shared memory.

On a GPU:
    Bound by memory traffic of which seven eighths are thrown away.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

from ...engine import Array, kernel
from ..step import Step, blocks
from .types import SIGNATURE

BLOCK = (32, 8)


@kernel
def matmul_naive(a: Any, b: Any, c: Any) -> None:
    """a (m, k), b (k, n), c (m, n), all float32."""
    row = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    column = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
    m, n = c.shape
    if row < m and column < n:
        total = float32(0.0)
        for q in range(a.shape[1]):
            total += a[row, q] * b[q, column]
        c[row, column] = total


def launch(a: Array, b: Array, c: Array) -> None:
    """c = a b."""
    m, n = c.shape
    matmul_naive[(blocks(m, BLOCK[0]), blocks(n, BLOCK[1])), BLOCK](a, b, c)


STEP = Step(
    "naive", "one thread per item; a warp stands in 32 rows", matmul_naive, launch, SIGNATURE
)
