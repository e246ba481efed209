"""Step 2, sequential addresses: the threads that work stand side by side.

What changed:
    The tree is folded in half: in each round the first ``half`` threads add the value ``half``
    away.

Why:
    Whole warps stop working instead of half of each: with 256 threads the second round has 4 warps
    idle, the third 6. Neighbouring threads read neighbouring banks in every round, and there is no
    division.

Lens, at 1048576:
    For 32 numbers: 4.14 sectors of global memory, 5.65 wavefronts of shared memory (step 1:
    4.14 and 18.8).

On a GPU:
    Divergence is left only in the last five rounds, within one warp. But the first thing every
    thread does is to read one number, and half of them never add anything.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

from ...engine import Array, empty, kernel
from ..step import Step, blocks
from .types import SIGNATURE

BLOCK = 256


@kernel
def reduce_sequential(x: Any, out: Any) -> None:
    """x (n,), out (blocks,), float32."""
    tree = cuda.shared.array(BLOCK, float32)
    tid = cuda.threadIdx.x
    i = cuda.grid(1)
    tree[tid] = x[i] if i < x.size else float32(0.0)
    cuda.syncthreads()
    half = BLOCK // 2
    while half > 0:
        if tid < half:
            tree[tid] += tree[tid + half]
        cuda.syncthreads()
        half //= 2
    if tid == 0:
        out[cuda.blockIdx.x] = tree[0]


def launch(x: Array, out: Array) -> None:
    """out[0] = the sum of x."""
    while x.size > BLOCK:
        partial = empty(blocks(x.size, BLOCK), x.dtype, x.device)
        reduce_sequential[partial.size, BLOCK](x, partial)
        x = partial
    reduce_sequential[1, BLOCK](x, out)


STEP = Step("sequential", "whole warps stop working", reduce_sequential, launch, SIGNATURE)
