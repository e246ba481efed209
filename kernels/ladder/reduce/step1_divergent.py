"""Step 1, divergent tree: a block adds up 256 numbers in shared memory.

What it does:
    A block loads 256 numbers. In round d = 1, 2, 4, ... every thread whose number is a multiple of
    2 d adds its neighbour's value, d away, to its own; after 8 rounds thread 0 holds the sum. The
    sums of all blocks are numbers again: the kernel runs until one is left.

Why it is slow:
    In round 1 every second thread works, in round 2 every fourth: in every warp some threads work
    and the others wait for them, because a warp executes one instruction for all. And ``tid % (2
    d)`` is a division.

Lens, at 1048576:
    For 32 numbers: 4.14 sectors of global memory, 18.8 wavefronts of shared memory.

    In two thirds of its branches a warp parts.

On a GPU:
    All warps stay busy to the last round with fewer and fewer working threads.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

from ...engine import Array, empty, kernel
from ..step import Step, blocks
from .types import SIGNATURE

BLOCK = 256


@kernel
def reduce_divergent(x: Any, out: Any) -> None:
    """x (n,), out (blocks,), float32."""
    tree = cuda.shared.array(BLOCK, float32)
    tid = cuda.threadIdx.x
    i = cuda.grid(1)
    tree[tid] = x[i] if i < x.size else float32(0.0)
    cuda.syncthreads()
    d = 1
    while d < BLOCK:
        if tid % (2 * d) == 0:
            tree[tid] += tree[tid + d]
        cuda.syncthreads()
        d *= 2
    if tid == 0:
        out[cuda.blockIdx.x] = tree[0]


def launch(x: Array, out: Array) -> None:
    """out[0] = the sum of x."""
    while x.size > BLOCK:
        partial = empty(blocks(x.size, BLOCK), x.dtype, x.device)
        reduce_divergent[partial.size, BLOCK](x, partial)
        x = partial
    reduce_divergent[1, BLOCK](x, out)


STEP = Step("divergent", "a tree in shared memory", reduce_divergent, launch, SIGNATURE)
