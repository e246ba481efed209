"""Exercise 8, conv1d: a tile longer than the block.

Learn:
    A block of 32 threads that slides a filter of up to 33 weights over its numbers needs up to 64
    of them: more than it has threads. The threads load them together, in a loop with the stride of
    the block, and the weights likewise. In the main loop all lanes of a warp want the same weight
    at once, which shared memory serves in one turn (a broadcast); the numbers of neighbouring
    threads lie in neighbouring banks, which takes one turn, too.

Do:
    Load both tiles, zeros beyond the end of x; wait; slide the filter.

Compute:
    out[i] = w[0] x[i] + w[1] x[i + 1] + ... + w[k - 1] x[i + k - 1],
    where numbers beyond the end of x count as 0
    x (n,), w (k,) with 1 <= k <= 33, out (n,), float32.

Launch:
    conv1d[blocks, 32](x, w, out) with blocks = n / 32, rounded up.

Passes if:
    each block reads the k weights and 32 + k - 1 numbers from global memory once, no more, and no
    two lanes meet in a bank.

Hints:
    range(t, length, BLOCK) is the loop of thread t. The tile's length depends on w.size, but the
    size of a shared array is a constant: take the largest.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

BLOCK, WIDEST = 32, 33
SPAN = BLOCK + WIDEST - 1


@cuda.jit
def conv1d(x: Any, w: Any, out: Any) -> None:
    """x (n,), w (k,), out (n,), float32."""
    tile = cuda.shared.array(SPAN, float32)
    weights = cuda.shared.array(WIDEST, float32)
    t = cuda.threadIdx.x
    first = cuda.blockIdx.x * BLOCK
    ...  # your code: load tile and weights, wait
    ...  # your code: the sum of this thread, stored if out has an element for it
