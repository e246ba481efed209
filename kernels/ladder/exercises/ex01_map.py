"""Exercise 1, map: one thread for each number.

Learn:
    A kernel says what one thread does. The launch says how many there are: a grid of blocks of
    threads. Each thread finds its piece of work by its numbers: cuda.threadIdx.x within the block,
    cuda.blockIdx.x of the block, and cuda.blockDim.x threads in each block. 32 threads in a row are
    a warp and ask for memory together: neighbours should want neighbouring numbers.

Do:
    Work out the number i of the thread in the whole grid, and compute out[i].

Compute:
    out[i] = a x[i] + y[i]
    a is a float32; x, y and out (n,) are float32 arrays.

Launch:
    saxpy[blocks, threads](a, x, y, out) with n = blocks * threads: one thread for each number.

Passes if:
    each number of x and y is read once, and a warp's numbers lie side by side.

Hints:
    cuda.grid(1) is short for the number of the thread; write it out once to see what it is.
    Numba's documentation, "Writing CUDA Kernels", section "Thread positioning".
"""

from __future__ import annotations

from typing import Any

from numba import cuda


@cuda.jit
def saxpy(a: Any, x: Any, y: Any, out: Any) -> None:
    """a, x (n,), y (n,), out (n,), float32."""
    ...  # your code: the number of this thread, then its element of out
