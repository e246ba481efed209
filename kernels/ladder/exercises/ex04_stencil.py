"""Exercise 4, stencil: read each number once, then share it.

Learn:
    Each number is needed by seven threads. Read by each of them from global memory, it is fetched
    seven times. Instead the block loads what it needs into shared memory, which all its threads
    see: its own 64 numbers and three more on either side, the halo. A barrier, cuda.syncthreads(),
    lets all of them wait until the tile is complete; every thread of the block must come to it.

Do:
    Fill the tile, zeros where there is no number; wait; add up seven neighbours.

Compute:
    out[i] = x[i - 3] + x[i - 2] + ... + x[i + 3], where numbers outside x count as 0
    x and out (n,), float32.

Launch:
    box_sum[blocks, 64](x, out) with blocks = n / 64, rounded up.

Passes if:
    each block reads 64 + 6 numbers from global memory, no more.

Hints:
    tile[j] holds x[first - 3 + j]. Six threads have a second number to load; which, is up to you.
    kernels/ladder/conv/step3_halo.py does it in two dimensions.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

BLOCK, RADIUS = 64, 3
SPAN = BLOCK + 2 * RADIUS


@cuda.jit
def box_sum(x: Any, out: Any) -> None:
    """x (n,), out (n,), float32."""
    tile = cuda.shared.array(SPAN, float32)
    t = cuda.threadIdx.x
    first = cuda.blockIdx.x * BLOCK
    ...  # your code: fill tile, wait for all threads of the block
    ...  # your code: the sum of seven elements of tile, if out has an element for this thread
