"""Losses without weights by 128-bit access, for float32 on a GPU; formulas of :mod:`.kernels`.

- ``each_wide``: four items to a thread: a map of :mod:`..elementwise.wide`.
- ``total_wide``: each block adds up one part, which is read once; where each item goes is told in
  ``reduce.wide_rows``.
- ``gradient_wide``: four items to a thread; with a gradient of the loss for each item, or one.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, uint32, uint64

from ..elementwise.wide import RUN, fetch, make_wide, place_of, put_back, shared_head, threads_of
from ..engine import Array, Kernel, kernel
from ..opspec import GpuKernel
from ..reduce.wide_rows import (
    HELD,
    ITEMS,
    SLOTS,
    hold,
    next_batch,
    place,
    row_kernel,
    row_sum,
    run_of,
    single_of,
    span_at,
)
from .kernels import BLOCK

MOST = 1 << 31  # items of a part that are counted in 32 bits


# -- what losses with and without weights share ----------------------------------------------------
# A loss, or its slope, is given to the two functions below as two device functions:
#   one(p, t, i, given)        its value for item i of p and t,
#   four(a, b, at, i, given)   that of items i to i + 3: a and b hold p and t from ``at`` on, and a
#                              holds the values then.
# ``given`` is all else that it needs.


def part_sum(one: Any, four: Any) -> Any:
    """A device function of (slots, p, t, given, head, chunk): the sum over the part of a block.

    Block b adds up the values of the items b*chunk to (b + 1)*chunk, which it reads once; ``slots``
    is shared memory of SLOTS numbers.
    """

    @cuda.jit(device=True)
    def summed(slots, p, t, given, head, chunk):
        a, b = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
        start = uint64(uint64(cuda.blockIdx.x) * uint64(chunk))
        n = uint64(p.size)
        left_over = uint64(n - start) if start < n else uint64(0)
        length = uint32(min(uint64(chunk), left_over))
        before, runs = span_at(start, length, head)
        single = single_of(before, runs)
        acc = float32(0.0)
        if single < length:
            acc = one(p, t, uint64(start + uint64(single)), given)
        first, left = uint64(start + uint64(before)), runs
        while left > uint32(0):
            hold(a, p, first, left, float32(0.0))
            hold(b, t, first, left, float32(0.0))
            for k in range(HELD):
                if run_of(k) < left:
                    four(a, b, k * RUN, place(first, run_of(k)), given)
                    for j in range(k * RUN, k * RUN + RUN):
                        acc += a[j]
            first, left = next_batch(first, left)
        return row_sum(slots, 0, acc)

    return summed


def gradient_map(one: Any, four: Any, each: bool) -> Any:
    """A device function of (dloss, p, t, given, dp, head, scale): dp = slope * dloss * scale.

    Args:
        one, four: of the slope.
        each: dloss has an item for each of p; else one for all.
    """

    @cuda.jit(device=True)
    def mapped(dloss, p, t, given, dp, head, scale):
        i, whole = place_of(p.size, head)
        if whole:
            a, b = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
            d = cuda.local.array(RUN, float32)
            fetch(a, p, i)
            fetch(b, t, i)
            if each:
                fetch(d, dloss, i)
            four(a, b, 0, i, given)
            for j in range(RUN):
                a[j] = a[j] * ((d[j] if each else dloss[0]) * scale)
            put_back(dp, i, a)
        elif i < uint64(p.size):
            dp[i] = one(p, t, i, given) * (dloss[i if each else uint64(0)] * scale)

    return mapped


# -- without weights -------------------------------------------------------------------------------
def _with_number(f: Any) -> tuple[Any, Any]:
    """``one`` and ``four`` of f, which takes the same number for all items."""

    @cuda.jit(device=True)
    def one(p, t, i, s):
        return f(p[i], t[i], s)

    @cuda.jit(device=True)
    def four(a, b, at, i, s):
        for j in range(at, at + RUN):
            a[j] = f(a[j], b[j], s)

    return one, four


@functools.cache
def each_kernel(f: Any) -> Kernel:
    """``each_wide`` of a device function f. Arguments: p, t, loss (n,); head; s; not used."""
    each_wide = make_wide(f, 2, 1)
    each_wide.__name__ = each_wide.__qualname__ = "each_wide"
    return kernel(each_wide)


@functools.cache
def total_kernel(f: Any) -> Kernel:
    """``total_wide`` of f."""
    summed = part_sum(*_with_number(f))

    @row_kernel
    def total_wide(p, t, s, sums, head, chunk, divisor):
        """p, t (n,), sums (parts,): block b adds items b*chunk onwards."""
        slots = cuda.shared.array(SLOTS, float32)
        acc = summed(slots, p, t, s, head, chunk)
        if cuda.threadIdx.x == 0:
            sums[cuda.blockIdx.x] = acc / divisor

    return total_wide


@functools.cache
def gradient_kernel(slope: Any, each: bool) -> Kernel:
    """``gradient_wide`` of a device function; ``each``: dloss has an item for each of p."""
    mapped = gradient_map(*_with_number(slope), each)

    @kernel
    def gradient_wide(dloss, p, t, s, dp, head, scale):
        """dloss (n,) or (1,); p, t, dp (n,)."""
        mapped(dloss, p, t, s, dp, head, scale)

    return gradient_wide


def head_of(*lines: Array) -> int | None:
    """``shared_head`` on a GPU, None on a CPU and for lines that are too long."""
    first = lines[0]
    return None if first.device.kind == "cpu" or first.size >= MOST else shared_head(*lines)


def blocks_of(n: int, head: int) -> int:
    """Blocks of a map of n items: a thread for each run of four and for each other item."""
    return -(-threads_of(n, head) // BLOCK)


def each(f: Any, p: Array, t: Array, s: Any, loss: Array, head: int) -> None:
    """The loss of each item."""
    numbers = np.uint32(head), s, np.float32(0.0)
    each_kernel(f)[blocks_of(p.size, head), BLOCK](p, t, loss, *numbers)


def total(f: Any, p: Array, t: Array, s: Any, sums: Array, divisor: Any, head: int) -> None:
    """The sums of as many parts as ``sums`` has items, divided."""
    chunk = np.uint32(-(-p.size // sums.size))
    total_kernel(f)[sums.size, BLOCK](p, t, s, sums, np.uint32(head), chunk, divisor)


def gradient(
    slope: Any, arrays: tuple[Array, ...], s: Any, dp: Array, each: bool, scale: Any, head: int
) -> None:
    """The gradient of each item; of (dloss, p, t), the first has one for each if ``each``."""
    dloss, p, t = arrays
    run = gradient_kernel(slope, each)[blocks_of(p.size, head), BLOCK]
    run(dloss, p, t, s, dp, np.uint32(head), scale)


def gpu_kernels(losses: Any) -> tuple[GpuKernel, ...]:
    """The kernels of some losses, with the accesses that their machine code is to hold."""
    line, found = float32[::1], []
    of_total = (line, line, float32, line, uint32, uint32, float32)
    of_slope = (line, line, line, float32, line, uint32, float32)
    sums = (f"LDG.128 >= {2 * HELD}", "LDL == 0")
    write = ("STG.128 >= 1", "LDL == 0")
    one, both, three = (("LDG.128", *write), ("LDG.128 == 2", *write), ("LDG.128 == 3", *write))
    for loss in losses:
        found.append(GpuKernel(loss.name, total_kernel(loss.value), of_total, expects=sums))
        for slope in filter(None, (loss.slope, loss.target_slope)):
            made = gradient_kernel(slope, False)  # a slope may need one of the two arrays only
            found.append(GpuKernel(f"{loss.name}_backward", made, of_slope, expects=one))
    first = losses[0]
    of_each = (line, line, line, uint32, float32, float32)
    found.append(GpuKernel(first.name, each_kernel(first.value), of_each, expects=both))
    made = gradient_kernel(first.slope, True)
    found.append(GpuKernel(f"{first.name}_backward", made, of_slope, expects=three))
    return tuple(found)
