"""Exercise 5, reduction: 128 numbers to one in seven steps.

Learn:
    One thread that looks at 128 numbers takes 128 steps, while 127 others wait. A tree takes seven:
    in the first, thread t takes the larger of elements t and t + 64, in the next of t and t + 32,
    and so on. A step reads what the step before wrote: a barrier stands between the two. Threads
    beyond the end take part with the identity of the operation, which changes nothing.

Do:
    Reduce each block to its largest number, and store it.

Compute:
    out[b] = the largest of x[128 b], ..., x[128 b + 127], as far as there are so many
    x (n,), out (blocks,), float32. Before the launch, out holds anything.

Launch:
    block_max[blocks, 128](x, out) with blocks = n / 128, rounded up.

Passes if:
    each number is read once, each block stores one number, and whole warps drop out of the tree as
    it gets narrow: at most 20 reads of shared memory by a warp for each block.

Hints:
    Which number is not larger than any other? It is not 0. (math.inf can be used in a kernel.)
    Halving the distance keeps the busy threads side by side; doubling it scatters them.
    kernels/ladder/reduce/ starts with a tree that scatters them.
"""

from __future__ import annotations

import math
from typing import Any

from numba import cuda, float32

BLOCK = 128


@cuda.jit
def block_max(x: Any, out: Any) -> None:
    """x (n,), out (blocks,), float32."""
    best = cuda.shared.array(BLOCK, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    ...  # your code: best[t] is the number of this thread, or the identity
    distance = BLOCK // 2
    while distance > 0:
        ...  # your code: one step of the tree
        distance //= 2
    ...  # your code: one thread stores the result of the block
