"""Matrix transposes: naive, through a tile, through a padded tile with fewer threads."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32

from .entry import Entry, Launch, ceil_div, uniform

TILE = 32
PADDED = 33  # one column more, so that a column of the tile spreads over all banks
ROWS = 8


@cuda.jit
def transpose_naive(a, out):
    """Reads rows, writes columns."""
    col, row = cuda.grid(2)
    if row < a.shape[0] and col < a.shape[1]:
        out[col, row] = a[row, col]


@cuda.jit
def transpose_tiled(a, out):
    """A 16x16 tile in shared memory, so that reads and writes both run along rows."""
    tile = cuda.shared.array((16, 16), float32)
    x, y = cuda.grid(2)
    if y < a.shape[0] and x < a.shape[1]:
        tile[cuda.threadIdx.y, cuda.threadIdx.x] = a[y, x]
    cuda.syncthreads()
    x = cuda.blockIdx.y * 16 + cuda.threadIdx.x
    y = cuda.blockIdx.x * 16 + cuda.threadIdx.y
    if y < out.shape[0] and x < out.shape[1]:
        out[y, x] = tile[cuda.threadIdx.x, cuda.threadIdx.y]


@cuda.jit
def transpose_padded(a, out):
    """A padded 32x32 tile, four rows a thread."""
    tile = cuda.shared.array((TILE, PADDED), float32)
    x = cuda.blockIdx.x * TILE + cuda.threadIdx.x
    y = cuda.blockIdx.y * TILE + cuda.threadIdx.y
    for j in range(0, TILE, ROWS):
        if y + j < a.shape[0] and x < a.shape[1]:
            tile[cuda.threadIdx.y + j, cuda.threadIdx.x] = a[y + j, x]
    cuda.syncthreads()
    x = cuda.blockIdx.y * TILE + cuda.threadIdx.x
    y = cuda.blockIdx.x * TILE + cuda.threadIdx.y
    for j in range(0, TILE, ROWS):
        if y + j < out.shape[0] and x < out.shape[1]:
            out[y + j, x] = tile[cuda.threadIdx.x, cuda.threadIdx.y + j]


def make(tile, rows):
    def launch(shape, rng):
        grid = (ceil_div(shape[1], tile), ceil_div(shape[0], tile))
        args = (uniform(rng, *shape), np.zeros(shape[::-1], np.float32))
        return Launch(grid, (tile, rows), args)

    return launch


def transposed(a, out):
    return np.ascontiguousarray(a.T)


ODD, LARGE = ((1, 1), (45, 67), (128, 96)), (2048, 2048)
ENTRIES = [
    Entry(transpose_naive, make(16, 16), transposed, (20, 30), ODD, LARGE),
    Entry(transpose_tiled, make(16, 16), transposed, (20, 30), ODD, LARGE),
    Entry(transpose_padded, make(TILE, ROWS), transposed, (20, 30), ODD, LARGE),
]
