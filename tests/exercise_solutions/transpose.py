"""A solution of exercise 10."""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

TILE, ROWS = 32, 8
PADDED = TILE + 1


@cuda.jit
def transpose(x: Any, out: Any) -> None:
    """x (rows, columns), out (columns, rows), float32."""
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * TILE, cuda.blockIdx.x * TILE
    tile = cuda.shared.array((TILE, PADDED), float32)
    for i in range(ty, TILE, ROWS):
        if row + i < x.shape[0] and column + tx < x.shape[1]:
            tile[i, tx] = x[row + i, column + tx]
    cuda.syncthreads()
    for i in range(ty, TILE, ROWS):
        if column + i < out.shape[0] and row + tx < out.shape[1]:
            out[column + i, row + tx] = tile[tx, i]
