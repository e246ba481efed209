"""Exercise 9, matmul: tiles of both factors.

Learn:
    Each number of a is needed by every column of b, and each of b by every row of a. A block of
    16 x 16 threads computes a tile of c. It goes along k in steps of 16: the threads load a tile of
    a and a tile of b, one number each, wait, multiply them, and wait again before the next tiles
    overwrite them. A number loaded once is then used 16 times.

Do:
    Write the loop over the tiles, with zeros where a tile hangs over the edge.

Compute:
    c[i, j] = a[i, 0] b[0, j] + ... + a[i, k - 1] b[k - 1, j]
    a (m, k), b (k, n), c (m, n), float32.

Launch:
    matmul[(gx, gy), (16, 16)](a, b, c) with gx = n / 16 and gy = m / 16, rounded up.

Passes if:
    global memory is read 2 m n k / 16 times at most, in rows, and no two lanes meet in a bank.

Hints:
    A thread outside c still loads for the others and comes to every barrier.
    Which index of a tile should threadIdx.x be, so that a warp loads rows?
    kernels/ladder/matmul/step3_shared.py is a solution: read it afterwards.
"""

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
        ...  # your code: load both tiles from column (of a) and row (of b) start on
        ...  # your code: add up the products of this step
    ...  # your code: store total, if c has an element for this thread
