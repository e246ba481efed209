"""Step 5, one launch: the block that finishes last adds up the sums of all blocks.

What changed:
    Each block writes its sum, makes it visible to all with ``threadfence``, and counts itself with
    an atomic addition. The block that finds it is the last adds up the sums of all blocks, in
    their order, and sets the counter back to 0 for the next launch.

Why:
    A launch costs microseconds, in which the memory could have moved megabytes. Adding the sums
    with atomics would need one launch too, but in an order that changes from run to run, and with
    it the last bits of the result.

    The fence is what makes it right: without it the last block could see the counter but not yet
    the sum of a block that counted itself.

Lens, at 1048576:
    For 32 numbers: 4.07 sectors of global memory, 0.562 wavefronts of shared memory (step 4:
    4.04 and 0.282).

    The flag that tells a block it is the last goes through shared memory.

On a GPU:
    For arrays of a few megabytes the second launch was a large part of the time. What remains is
    the bandwidth of one pass over the data.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32, int32

from ...engine import Array, empty, kernel, zeros
from ..step import Step, blocks
from .step4_shuffle import ALL, BLOCK, GRID, WARPS, warp_sum
from .types import VECTOR


@kernel
def reduce_single_launch(x: Any, partial: Any, counter: Any, out: Any) -> None:
    """x (n,), partial (blocks,), counter (1,) int32 holding 0, out (1,)."""
    of_warp = cuda.shared.array(WARPS, float32)
    is_last = cuda.shared.array(1, int32)
    tid = cuda.threadIdx.x
    total = float32(0.0)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        total += x[i]
    total = warp_sum(total)
    if tid % 32 == 0:
        of_warp[tid // 32] = total
    cuda.syncthreads()
    if tid < 32:
        total = warp_sum(of_warp[tid] if tid < WARPS else float32(0.0))
        if tid == 0:
            partial[cuda.blockIdx.x] = total
            cuda.threadfence()
            is_last[0] = cuda.atomic.add(counter, 0, int32(1)) == cuda.gridDim.x - 1
    cuda.syncthreads()
    # One warp is enough for a thousand sums, and needs no barrier.
    if is_last[0] and tid < 32:
        total = float32(0.0)
        for i in range(tid, partial.size, 32):
            total += partial[i]
        cuda.syncwarp(ALL)
        total = warp_sum(total)
        if tid == 0:
            out[0] = total
            counter[0] = int32(0)


def launch(x: Array, out: Array) -> None:
    """out[0] = the sum of x."""
    partial = empty(min(GRID, blocks(x.size, BLOCK)), x.dtype, x.device)
    counter = zeros(1, "int32", x.device)
    reduce_single_launch[partial.size, BLOCK](x, partial, counter, out)


STEP = Step(
    "single launch",
    "the last block finishes the work",
    reduce_single_launch,
    launch,
    (VECTOR, VECTOR, int32[::1], VECTOR),
)
