"""Exercise 10, transpose: rows in, rows out, and no bank twice.

Learn:
    Reading rows and writing columns spreads each write of a warp over 32 places in memory. A tile
    in shared memory mends that: it is filled row by row and emptied column by column, so that both
    arrays are touched in rows. But shared memory has 32 banks, word j in bank j modulo 32. In a
    tile of 32 columns a whole column lies in one bank, and a warp that reads it waits 32 turns.

Do:
    Choose the shape of the tile, fill it, wait, empty it.

Compute:
    out[j, i] = x[i, j]
    x (rows, columns), out (columns, rows), float32.

Launch:
    transpose[(gx, gy), (32, 8)](x, out) with gx = columns / 32 and gy = rows / 32, rounded up. A
    block has 8 rows of threads for a tile of 32: each thread moves 4 elements.

Passes if:
    every read and write of global memory is a whole row of a tile, and every access to shared
    memory takes one turn.

Hints:
    range(ty, TILE, ROWS) is the loop over the rows of a thread.
    In the second half threadIdx.x runs along a row of out: that is a column of x.
    One column more than needed moves each row of the tile on by one bank. The size of a shared
    array is a number, or the name of one that is defined outside the kernel.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

TILE, ROWS = 32, 8


@cuda.jit
def transpose(x: Any, out: Any) -> None:
    """x (rows, columns), out (columns, rows), float32."""
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * TILE, cuda.blockIdx.x * TILE
    ...  # your code: a tile of shared memory, float32
    ...  # your code: fill it with the part of x from row and column on, wait
    ...  # your code: empty it into out
