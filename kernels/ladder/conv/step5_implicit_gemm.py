"""Step 5, implicit matrix product: the convolution as w (F, C K K) times patches (C K K, n h w).

What changed:
    The patches are a matrix with a column for each pixel of y and a row for each (c, u, v). It is
    never written: its number in row (c, u, v) and column (image, i, j) is ``x[image, c, i + u - p,
    j + v - p]``, and the tile of it that a block needs is read from x straight into shared memory.
    The rest is the matrix product with a square register tile: 64 filters x 64 pixels per block,
    4 x 4 items per thread.

Why:
    The halo tile shares the pixels of one channel; the product shares in both directions, filters
    and pixels, in the proportion that a register tile wants: 8 reads of shared memory for 16
    multiply-adds. And it does not care how large the image, the filter or their number is: a block
    takes 64 pixels wherever they lie, over the edge of a row or an image.

Lens, at 1 x 16 x 64 x 3 x 16 x 64:
    For 32 multiply-adds: 0.155 sectors of global memory, 0.547 wavefronts of shared memory
    (step 4: 0.152 and 1.15).

On a GPU:
    How libraries compute convolutions. The price are the divisions that find (c, u, v) and
    (image, i, j) for each number loaded; those of a column are made once per thread, as a thread
    always loads the same column.
"""

from __future__ import annotations

import functools
from typing import Any

from numba import cuda, float32

from ...engine import Array, Kernel, kernel
from ..step import Step, blocks
from .types import IMAGES

TILE = 64  # filters and pixels of a block
DEPTH = 16  # rows of the patch matrix in shared memory at a time
SIDE = 16  # the block has 16 x 16 threads
ITEMS = TILE // SIDE
PITCH = TILE + 1  # so that the threads that store a column of the tile meet different banks


@functools.cache
def make(size: int) -> Kernel:
    """The kernel for filters of (size, size)."""
    SIZE, PAD, AREA = size, size // 2, size * size

    @kernel
    def conv_implicit_gemm(x: Any, w: Any, y: Any) -> None:
        """x (n, C, h, wd), w (F, C K K), y (n, F, h, wd), float32."""
        w_tile = cuda.shared.array((DEPTH, PITCH), float32)
        x_tile = cuda.shared.array((DEPTH, TILE), float32)
        total = cuda.local.array((ITEMS, ITEMS), float32)
        patch = cuda.local.array(ITEMS, float32)
        tx = cuda.threadIdx.x
        ty = cuda.threadIdx.y
        tid = ty * SIDE + tx
        filters, depth = w.shape
        rows, columns = y.shape[2], y.shape[3]
        area = rows * columns
        pixels = x.shape[0] * area
        pixel0, f0 = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
        # The column of the patch matrix that this thread loads.
        column = tid % TILE
        image, place = (pixel0 + column) // area, (pixel0 + column) % area
        i, j = place // columns - PAD, place % columns - PAD
        for a in range(ITEMS):
            for b in range(ITEMS):
                total[a, b] = float32(0.0)
        for q0 in range(0, depth, DEPTH):
            for s in range(tid, TILE * DEPTH, SIDE * SIDE):
                f, q = f0 + s // DEPTH, q0 + s % DEPTH
                w_tile[s % DEPTH, s // DEPTH] = (
                    w[f, q] if f < filters and q < depth else float32(0.0)
                )
                q = q0 + s // TILE
                r, t = i + q // SIZE % SIZE, j + q % SIZE
                inside = r >= 0 and r < rows and t >= 0 and t < columns
                inside = inside and q < depth and pixel0 + column < pixels
                x_tile[s // TILE, column] = x[image, q // AREA, r, t] if inside else float32(0.0)
            cuda.syncthreads()
            for q in range(DEPTH):
                for b in range(ITEMS):
                    patch[b] = x_tile[q, b * SIDE + tx]
                for a in range(ITEMS):
                    weight = w_tile[q, a * SIDE + ty]
                    for b in range(ITEMS):
                        total[a, b] += weight * patch[b]
            cuda.syncthreads()
        for b in range(ITEMS):
            p = pixel0 + b * SIDE + tx
            for a in range(ITEMS):
                f = f0 + a * SIDE + ty
                if p < pixels and f < filters:
                    y[p // area, f, p % area // columns, p % area % columns] = total[a, b]

    return conv_implicit_gemm


def launch(x: Array, w: Array, y: Array) -> None:
    """y = x * w."""
    n, filters, rows, columns = y.shape
    grid = (blocks(n * rows * columns, TILE), blocks(filters, TILE))
    flat = w.reshape((filters, w.size // filters))
    make(w.shape[2])[grid, (SIDE, SIDE)](x, flat, y)


STEP = Step(
    "implicit product",
    "a matrix product over patches never written",
    make(3),
    launch,
    (IMAGES, float32[:, ::1], IMAGES),
)
