"""Losses with weights by 128-bit access, for float32 on a GPU; formulas of :mod:`.kernels`.

Weights w of the items and numbers q of their own repeat as in ``elementwise.wide_broadcast``: no
array as large as the prediction is written for them.

- ``weighted_each_wide``, ``weighted_total_wide``, ``weighted_gradient_wide``: as in :mod:`.wide`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, uint32, uint64

from ..elementwise import copy
from ..elementwise.wide import RUN, fetch, place_of, put_back, threads_of
from ..elementwise.wide_broadcast import fetch_repeated, item_of, operand
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


@functools.cache
def each_kernel(f: Any) -> Kernel:
    """``weighted_each_wide`` of a device function f."""

    @kernel
    def weighted_each_wide(p, t, w, q, loss, head, wp, wr, wa, qp, qr, qa):
        """p, t, loss (n,), w (wp,), q (qp,); period, repeat, alike of both."""
        i, whole = place_of(p.size, head)
        if whole:
            a, b = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
            u, v = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
            fetch(a, p, i)
            fetch(b, t, i)
            fetch_repeated(u, w, i, wp, wr, wa)
            fetch_repeated(v, q, i, qp, qr, qa)
            for j in range(RUN):
                a[j] = u[j] * f(a[j], b[j], v[j])
            put_back(loss, i, a)
        elif i < uint64(p.size):
            loss[i] = w[item_of(i, wp, wr)] * f(p[i], t[i], q[item_of(i, qp, qr)])

    return weighted_each_wide


@functools.cache
def total_kernel(f: Any) -> Kernel:
    """``weighted_total_wide`` of f."""

    @row_kernel
    def weighted_total_wide(p, t, w, q, sums, head, chunk, divisor, wp, wr, wa, qp, qr, qa):
        """p, t (n,), w (wp,), q (qp,), sums (parts,): block b adds items b*chunk onwards."""
        slots = cuda.shared.array(SLOTS, float32)
        a, b = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
        u, v = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
        start = uint64(uint64(cuda.blockIdx.x) * uint64(chunk))
        n = uint64(p.size)
        left_over = uint64(n - start) if start < n else uint64(0)
        length = uint32(min(uint64(chunk), left_over))
        before, runs = span_at(start, length, head)
        single = single_of(before, runs)
        acc = float32(0.0)
        if single < length:
            i = uint64(start + uint64(single))
            acc = w[item_of(i, wp, wr)] * f(p[i], t[i], q[item_of(i, qp, qr)])
        first, left = uint64(start + uint64(before)), runs
        while left > uint32(0):
            hold(a, p, first, left, float32(0.0))
            hold(b, t, first, left, float32(0.0))
            for k in range(HELD):
                if run_of(k) < left:
                    i = place(first, run_of(k))
                    fetch_repeated(u, w, i, wp, wr, wa)
                    fetch_repeated(v, q, i, qp, qr, qa)
                    for j in range(RUN):
                        acc += u[j] * f(a[k * RUN + j], b[k * RUN + j], v[j])
            first, left = next_batch(first, left)
        acc = row_sum(slots, 0, acc)
        if cuda.threadIdx.x == 0:
            sums[cuda.blockIdx.x] = acc / divisor

    return weighted_total_wide


@functools.cache
def gradient_kernel(slope: Any, each: bool) -> Kernel:
    """``weighted_gradient_wide``; ``each``: dloss has an item for each of p."""

    @kernel
    def weighted_gradient_wide(dloss, p, t, w, q, dp, head, scale, wp, wr, wa, qp, qr, qa):
        """dloss (n,) or (1,); p, t, dp (n,), w (wp,), q (qp,)."""
        i, whole = place_of(p.size, head)
        if whole:
            a, b = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
            u, v = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
            d = cuda.local.array(RUN, float32)
            fetch(a, p, i)
            fetch(b, t, i)
            fetch_repeated(u, w, i, wp, wr, wa)
            fetch_repeated(v, q, i, qp, qr, qa)
            if each:
                fetch(d, dloss, i)
            for j in range(RUN):
                rate = (d[j] if each else dloss[0]) * scale
                a[j] = u[j] * slope(a[j], b[j], v[j]) * rate
            put_back(dp, i, a)
        elif i < uint64(p.size):
            rate = dloss[i if each else uint64(0)] * scale
            dp[i] = w[item_of(i, wp, wr)] * slope(p[i], t[i], q[item_of(i, qp, qr)]) * rate

    return weighted_gradient_wide


class Weights:
    """Weights as the kernels take them.

    Args:
        weights: w and q; each broadcasts to the shape of ``pred``.
        pred: the prediction, contiguous.
        head: ``shared_head`` of it.
    """

    def __init__(self, weights: tuple[Array, ...], pred: Array, head: int) -> None:
        given = [_operand(w, pred, head) for w in weights]
        self.lines = tuple(line for line, *_ in given)
        self.numbers = tuple(n for _, *numbers in given for n in numbers)


def _operand(w: Array, pred: Array, head: int) -> Any:
    found = operand(w, pred, head)
    return operand(copy(w.broadcast_to(pred.shape)), pred, head) if found is None else found


def each(f: Any, pair: tuple[Array, Array], w: Weights, loss: Array, head: int) -> None:
    """The loss of each item of (p, t)."""
    run = each_kernel(f)[-(-threads_of(loss.size, head) // BLOCK), BLOCK]
    run(*pair, *w.lines, loss, np.uint32(head), *w.numbers)


def total(
    f: Any, pair: tuple[Array, Array], w: Weights, sums: Array, divisor: Any, head: int
) -> None:
    """The sums of as many parts as ``sums`` has items, divided."""
    chunk = np.uint32(-(-pair[0].size // sums.size))
    run = total_kernel(f)[sums.size, BLOCK]
    run(*pair, *w.lines, sums, np.uint32(head), chunk, divisor, *w.numbers)


def gradient(
    slope: Any, arrays: tuple[Array, ...], w: Weights, dp: Array, each: bool, scale: Any, head: int
) -> None:
    """The gradient of each item; of (dloss, p, t), the first has one for each if ``each``."""
    run = gradient_kernel(slope, each)[-(-threads_of(dp.size, head) // BLOCK), BLOCK]
    run(*arrays, *w.lines, dp, np.uint32(head), scale, *w.numbers)


def gpu_kernels(losses: Any) -> tuple[GpuKernel, ...]:
    """The kernels of some losses, with the accesses that their machine code is to hold."""
    line, found = float32[::1], []
    numbers = (uint32,) * 6
    of_each = (*(line,) * 5, uint32, *numbers)
    of_total = (*(line,) * 5, uint32, uint32, float32, *numbers)
    of_slope = (*(line,) * 6, uint32, float32, *numbers)
    write, sums = ("STG.128 == 1", "LDL == 0"), (f"LDG.128 >= {2 * HELD}", "LDL == 0")
    for loss in losses:
        made = each_kernel(loss.value)  # q is not read where the loss takes no number
        found.append(GpuKernel(loss.name, made, of_each, expects=("LDG.128 >= 3", *write)))
        found.append(GpuKernel(loss.name, total_kernel(loss.value), of_total, expects=sums))
        for slope in filter(None, (loss.slope, loss.target_slope)):
            for each in (False, True):
                made = gradient_kernel(slope, each)
                expects = f"LDG.128 >= {2 + each}", *write
                found.append(GpuKernel(f"{loss.name}_backward", made, of_slope, expects=expects))
    return tuple(found)
