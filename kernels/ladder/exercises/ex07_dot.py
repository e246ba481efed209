"""Exercise 7, dot: any number of elements in one launch.

Learn:
    The grid need not grow with the data. In a grid-stride loop thread i takes the elements i,
    i + s, i + 2 s and so on, where s is the number of threads in the grid; in each turn the
    elements of a warp lie side by side. Blocks cannot wait for each other; to add up their results
    they use an atomic addition, which nobody can interrupt. Atomics on one address stand in line:
    one for each block is fine, one for each thread is not.

Do:
    Add up the products of this thread, then those of the block, then those of all blocks.

Compute:
    out[0] = x[0] y[0] + x[1] y[1] + ... + x[n - 1] y[n - 1]
    x and y (n,), out (1,), float32. Before the launch, out[0] is 0.

Launch:
    dot[3, 64](x, y, out), whatever n is.

Passes if:
    x and y are read once, side by side, each block does one atomic addition, and a tree adds up the
    block: at most 30 reads of shared memory by a warp for each block.

Hints:
    cuda.gridsize(1) is the number of threads in the grid; cuda.atomic.add(array, index, value).
    The tree of exercise 5 adds up a block.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

BLOCK = 64


@cuda.jit
def dot(x: Any, y: Any, out: Any) -> None:
    """x (n,), y (n,), out (1,), float32."""
    partial = cuda.shared.array(BLOCK, float32)
    t = cuda.threadIdx.x
    ...  # your code: the sum of the products of this thread
    ...  # your code: the sum of the block, in a tree
    ...  # your code: added to out[0]
