"""Step 1, naive: one thread computes one item of the convolution.

What it does:
    y[n, f, i, j] = sum over c, u, v of x[n, c, i + u - p, j + v - p] w[f, c, u, v], with a square
    kernel of K x K, p = K // 2, and zeros outside the image: y is as large as x. ``threadIdx.x``
    runs along j, so a warp reads neighbours (the lesson of the matrix product is taken).

Why it is slow:
    Each thread reads C K K numbers of the image and as many weights from global memory, with a
    test of the edges at every one. Neighbouring threads read nearly the same pixels.

Lens, at 1 x 16 x 64 x 3 x 16 x 64:
    For 32 multiply-adds: 5.14 sectors of global memory, 0 wavefronts of shared memory.

On a GPU:
    The caches catch most of the repeated reads; the instructions that make addresses and test edges
    remain: several for each multiply-add.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

from ...engine import Array, kernel
from ..step import Step, blocks
from .types import SIGNATURE

BLOCK = (32, 8)


@kernel
def conv_naive(x: Any, w: Any, y: Any) -> None:
    """x (n, C, h, wd), w (F, C, K, K), y (n, F, h, wd), float32; blockIdx.z = n F."""
    j = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    i = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
    filters, channels, size, _ = w.shape
    image = cuda.blockIdx.z // filters
    f = cuda.blockIdx.z % filters
    rows, columns = y.shape[2], y.shape[3]
    pad = size // 2
    if i < rows and j < columns:
        total = float32(0.0)
        for c in range(channels):
            for u in range(size):
                for v in range(size):
                    r, s = i + u - pad, j + v - pad
                    if r >= 0 and r < rows and s >= 0 and s < columns:
                        total += x[image, c, r, s] * w[f, c, u, v]
        y[image, f, i, j] = total


def launch(x: Array, w: Array, y: Array) -> None:
    """y = x * w."""
    n, filters, rows, columns = y.shape
    grid = (blocks(columns, BLOCK[0]), blocks(rows, BLOCK[1]), n * filters)
    conv_naive[grid, BLOCK](x, w, y)


STEP = Step("naive", "one thread per item", conv_naive, launch, SIGNATURE)
