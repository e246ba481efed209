"""Step 5, register tile in two dimensions: a thread computes 8 x 8 items.

What changed:
    The block's tile is 128 x 128; 256 threads, each with a square of 64 sums.

Why:
    For one step of k a thread reads 8 numbers of a and 8 of b into registers and does 64
    multiply-adds with them: 16 reads of shared memory for 64 multiply-adds, a quarter of a read
    each. A square gives the most products for what is read.

    A thread's items are not side by side but 16 apart, in both directions: in ``b_tile[q, j * 16 +
    tx]`` neighbouring threads read neighbouring banks. 8 side by side would be a stride of 8
    numbers: 16 threads in 4 banks.

Lens, at 128 x 128 x 128:
    For 32 multiply-adds: 0.0938 sectors of global memory, 0.289 wavefronts of shared memory
    (step 4: 0.156 and 1.16).

On a GPU:
    Bound by arithmetic for the first time. 64 sums, 16 operands and the addresses need about 128
    registers: fewer warps fit on a multiprocessor, which matters less as each has more to do.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

from ...engine import Array, kernel
from ..step import Step, blocks
from .types import SIGNATURE

TILE = 128  # rows and columns of the block's tile of c
DEPTH = 8  # steps of k in shared memory at a time
SIDE = 16  # the block has 16 x 16 threads
ITEMS = TILE // SIDE  # items per thread and direction
# Rows longer by one: the 8 threads that store a column of a_tile meet 8 different banks.
PITCH = TILE + 1


@kernel
def matmul_register_square(a: Any, b: Any, c: Any) -> None:
    """a (m, k), b (k, n), c (m, n), all float32."""
    a_tile = cuda.shared.array((DEPTH, PITCH), float32)
    b_tile = cuda.shared.array((DEPTH, TILE), float32)
    total = cuda.local.array((ITEMS, ITEMS), float32)
    x = cuda.local.array(ITEMS, float32)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    tid = ty * SIDE + tx
    row0 = cuda.blockIdx.y * TILE
    column0 = cuda.blockIdx.x * TILE
    m, n = c.shape
    k = a.shape[1]
    for i in range(ITEMS):
        for j in range(ITEMS):
            total[i, j] = float32(0.0)
    for k0 in range(0, k, DEPTH):
        for s in range(tid, TILE * DEPTH, SIDE * SIDE):
            i, q = s // DEPTH, s % DEPTH
            inside = row0 + i < m and k0 + q < k
            a_tile[q, i] = a[row0 + i, k0 + q] if inside else float32(0.0)
            q, j = s // TILE, s % TILE
            inside = k0 + q < k and column0 + j < n
            b_tile[q, j] = b[k0 + q, column0 + j] if inside else float32(0.0)
        cuda.syncthreads()
        for q in range(DEPTH):
            for i in range(ITEMS):
                x[i] = a_tile[q, i * SIDE + ty]
            for j in range(ITEMS):
                y = b_tile[q, j * SIDE + tx]
                for i in range(ITEMS):
                    total[i, j] += x[i] * y
        cuda.syncthreads()
    for i in range(ITEMS):
        for j in range(ITEMS):
            row, column = row0 + i * SIDE + ty, column0 + j * SIDE + tx
            if row < m and column < n:
                c[row, column] = total[i, j]


def launch(a: Array, b: Array, c: Array) -> None:
    """c = a b."""
    m, n = c.shape
    matmul_register_square[(blocks(n, TILE), blocks(m, TILE)), (SIDE, SIDE)](a, b, c)


STEP = Step("register square", "8 x 8 items per thread", matmul_register_square, launch, SIGNATURE)
