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
    row_kernel,
    row_sum,
    run_of,
    single_of,
    span_at,
)
from .kernels import BLOCK

MOST = 1 << 31  # items of a part that are counted in 32 bits


@functools.cache
def each_kernel(f: Any) -> Kernel:
    """``each_wide`` of a device function f. Arguments: p, t, loss (n,); head; s; not used."""
    each_wide = make_wide(f, 2, 1)
    each_wide.__name__ = each_wide.__qualname__ = "each_wide"
    return kernel(each_wide)


@functools.cache
def total_kernel(f: Any) -> Kernel:
    """``total_wide`` of f."""

    def total_wide(p, t, s, sums, head, chunk, divisor):
        """p, t (n,), sums (parts,): block b adds items b*chunk onwards."""
        slots = cuda.shared.array(SLOTS, float32)
        a, b = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
        start = uint64(uint64(cuda.blockIdx.x) * uint64(chunk))
        n = uint64(p.size)
        left_over = uint64(n - start) if start < n else uint64(0)
        length = uint32(min(uint64(chunk), left_over))
        before, runs = span_at(start, length, head)
        single = single_of(before, runs)
        acc = float32(0.0)
        if single < length:
            acc = f(p[start + uint64(single)], t[start + uint64(single)], s)
        first, left = uint64(start + uint64(before)), runs
        while left > uint32(0):
            hold(a, p, first, left, float32(0.0))
            hold(b, t, first, left, float32(0.0))
            for k in range(HELD):
                if run_of(k) < left:
                    for j in range(k * RUN, k * RUN + RUN):
                        acc += f(a[j], b[j], s)
            first, left = next_batch(first, left)
        acc = row_sum(slots, 0, acc)
        if cuda.threadIdx.x == 0:
            sums[cuda.blockIdx.x] = acc / divisor

    return row_kernel(total_wide)


@functools.cache
def gradient_kernel(slope: Any, each: bool) -> Kernel:
    """``gradient_wide`` of a device function; ``each``: dloss has an item for each of p."""

    def gradient_wide(dloss, p, t, s, dp, head, scale):
        """dloss (n,) or (1,); p, t, dp (n,)."""
        i, whole = place_of(p.size, head)
        if whole:
            a, b = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
            d = cuda.local.array(RUN, float32)
            fetch(a, p, i)
            fetch(b, t, i)
            if each:
                fetch(d, dloss, i)
            for j in range(RUN):
                a[j] = slope(a[j], b[j], s) * ((d[j] if each else dloss[0]) * scale)
            put_back(dp, i, a)
        elif i < uint64(p.size):
            dp[i] = slope(p[i], t[i], s) * (dloss[i if each else uint64(0)] * scale)

    return kernel(gradient_wide)


def head_of(*lines: Array) -> int | None:
    """``shared_head`` on a GPU, None on a CPU and for lines that are too long."""
    first = lines[0]
    return None if first.device.kind == "cpu" or first.size >= MOST else shared_head(*lines)


def _blocks(n: int, head: int) -> int:
    return -(-threads_of(n, head) // BLOCK)


def each(f: Any, p: Array, t: Array, s: Any, loss: Array, head: int) -> None:
    """The loss of each item."""
    numbers = np.uint32(head), s, np.float32(0.0)
    each_kernel(f)[_blocks(p.size, head), BLOCK](p, t, loss, *numbers)


def total(f: Any, p: Array, t: Array, s: Any, sums: Array, divisor: Any, head: int) -> None:
    """The sums of as many parts as ``sums`` has items, divided."""
    chunk = np.uint32(-(-p.size // sums.size))
    total_kernel(f)[sums.size, BLOCK](p, t, s, sums, np.uint32(head), chunk, divisor)


def gradient(
    slope: Any, arrays: tuple[Array, ...], s: Any, dp: Array, each: bool, scale: Any, head: int
) -> None:
    """The gradient of each item; of (dloss, p, t), the first has one for each if ``each``."""
    dloss, p, t = arrays
    run = gradient_kernel(slope, each)[_blocks(p.size, head), BLOCK]
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
