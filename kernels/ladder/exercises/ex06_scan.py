"""Exercise 6, scan: all running totals at once.

Learn:
    A running total seems to need the one before it. It does not: let each thread add the element
    that stands 1 to its left, then 2, 4, 8, ... After seven steps it holds the sum of all elements
    up to its own (Hillis and Steele, "Data Parallel Algorithms", 1986). In each step a thread reads
    an element that another thread is about to overwrite: one barrier is not enough.

Do:
    Compute the running totals of each block, its own element included.

Compute:
    out[i] = x[128 b] + ... + x[i], where b is the block of i
    x and out (n,), float32.

Launch:
    block_scan[blocks, 128](x, out) with blocks = n / 128, rounded up.

Passes if:
    each number is read from global memory once, and no thread does the work of all: at most 64
    reads of shared memory by a warp for each block.

Hints:
    Read into a register, wait, write, wait. All threads of the block come to both barriers.
    Thread t has an element at its left at a distance d if t >= d.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

BLOCK = 128


@cuda.jit
def block_scan(x: Any, out: Any) -> None:
    """x (n,), out (n,), float32."""
    total = cuda.shared.array(BLOCK, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    ...  # your code: total[t] is the number of this thread
    distance = 1
    while distance < BLOCK:
        ...  # your code: add the element at this distance, before anybody overwrites it
        distance *= 2
    ...  # your code: store it, if out has an element for this thread
