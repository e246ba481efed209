"""Exercise 2, map2d: one thread for each element of a matrix.

Learn:
    Blocks and grids have an x and a y. Threads are numbered along x first: those of a warp differ
    in threadIdx.x. An array is stored row by row: elements of one row are neighbours. So x has to
    run along a row; the other way round gives the same result, with eight times the traffic.

Do:
    Work out row and column of the thread's element, and compute it.

Compute:
    out[r, c] = x[r, c] + v[c]
    x and out (rows, columns), v (columns,), all float32.

Launch:
    add_row[(gx, gy), (bx, by)](x, v, out) with columns = gx bx and rows = gy by: one thread for
    each element. Compare the order of a grid (x first) with that of a shape (rows first).

Passes if:
    x and v are read once by each thread, and a warp's elements lie side by side.

Hints:
    cuda.grid(2) gives two numbers: which is which?
    kernels/ladder/matmul/step1_naive.py and step2_coalesced.py differ in this only.
"""

from __future__ import annotations

from typing import Any

from numba import cuda


@cuda.jit
def add_row(x: Any, v: Any, out: Any) -> None:
    """x (rows, columns), v (columns,), out (rows, columns), float32."""
    ...  # your code: row and column of this thread, then its element of out
