"""A solution of exercise 9."""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

TILE = 16


@cuda.jit
def matmul(a: Any, b: Any, c: Any) -> None:
    """a (m, k), b (k, n), c (m, n), float32."""
    a_tile = cuda.shared.array((TILE, TILE), float32)
    b_tile = cuda.shared.array((TILE, TILE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    column = cuda.blockIdx.x * TILE + tx
    row = cuda.blockIdx.y * TILE + ty
    total = float32(0)
    for start in range(0, a.shape[1], TILE):
        inside = row < a.shape[0] and start + tx < a.shape[1]
        a_tile[ty, tx] = a[row, start + tx] if inside else float32(0)
        inside = start + ty < b.shape[0] and column < b.shape[1]
        b_tile[ty, tx] = b[start + ty, column] if inside else float32(0)
        cuda.syncthreads()
        for q in range(TILE):
            total += a_tile[ty, q] * b_tile[q, tx]
        cuda.syncthreads()
    if row < c.shape[0] and column < c.shape[1]:
        c[row, column] = total
