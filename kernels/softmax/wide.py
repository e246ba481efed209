"""Softmax by 128-bit access, on a GPU: rows held in registers, so that memory is read once.

The formulas are those of :mod:`.plain`; where each item goes is told in ``reduce.wide_rows``.

- ``softmax_wide``, ``log_softmax_wide``, ``softmax_backward_wide``, ``log_softmax_backward_wide``:
  rows of up to ``LONGEST`` items.
- ``softmax_long_wide`` and so on: longer rows, which are read twice. The first time a thread keeps
  the largest item m so far and the sum of exp(x - m), which it scales down when it meets a larger
  one (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).

NaN is not looked for: it makes the sum NaN, and that every item of the row.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, types, uint32

from ..engine import Array, Kernel
from ..opspec import GpuKernel
from ..reduce.wide_rows import (
    HELD,
    ITEMS,
    LONGEST,
    SLOTS,
    hold,
    larger_number,
    next_batch,
    own_row,
    release,
    row_kernel,
    row_launch,
    row_max,
    row_sum,
    single_of,
    span_of,
)

LEAST = float32(-math.inf)


@cuda.jit(device=True)
def add_exponentials(kept, m, s):
    """(m, s) with the items of a local array, for m the largest and s = sum exp(x - m)."""
    top = kept[0]
    for j in range(1, ITEMS):
        top = larger_number(top, kept[j])
    if top > m:
        s *= math.exp(m - top)
        m = top
    least = m if m > LEAST else float32(0.0)  # of a row that begins with -inf: no inf - inf
    for j in range(ITEMS):
        s += math.exp(kept[j] - least)
    return m, s


@cuda.jit(device=True)
def row_exponentials(kept, slots, x, start, c, before, runs):
    """(m, s) of a row, in one pass over memory."""
    m, s = LEAST, float32(0.0)
    first, left = start + before, runs
    while left > uint32(0):
        hold(kept, x, first, left, LEAST)
        m, s = add_exponentials(kept, m, s)
        first, left = next_batch(first, left)
    single = single_of(before, runs)
    last = x[start + single] if single < c else LEAST
    top = row_max(slots, 0, larger_number(m, last))
    # Nothing but -inf so far: s is 0 or NaN.
    s = s * math.exp(m - top) + math.exp(last - top)
    return top, row_sum(slots, 1, s)


@functools.cache
def forward_kernels(log: bool) -> tuple[Kernel, Kernel]:
    """The kernel for rows that are held, and for longer ones; of log-softmax if ``log``.

    Arguments: x, y (rows c,); head; rows; c.
    """

    @cuda.jit(device=True)
    def finish(x, m, r):
        return (x - m) - r if log else math.exp(x - m) * r

    def held(x, y, head, rows, c):
        slots, kept = cuda.shared.array(SLOTS, float32), cuda.local.array(ITEMS, float32)
        row, own = own_row(rows)
        start, before, runs = span_of(own, c, head)
        single = single_of(before, runs)
        hold(kept, x, start + before, runs, LEAST)
        last = x[start + single] if single < c else LEAST
        m = last
        for j in range(ITEMS):
            m = larger_number(m, kept[j])
        m = row_max(slots, 0, m)
        last -= m
        e = math.exp(last)
        s, last = e, last if log else e
        for j in range(ITEMS):
            shifted = kept[j] - m
            e = math.exp(shifted)
            s += e
            kept[j] = shifted if log else e
        s = row_sum(slots, 1, s)
        r = math.log(s) if log else float32(1.0) / s
        for j in range(ITEMS):
            kept[j] = kept[j] - r if log else kept[j] * r
        if row < rows:
            release(y, start + before, runs, kept)
            if single < c:
                y[start + single] = last - r if log else last * r

    def long(x, y, head, rows, c):
        slots, kept = cuda.shared.array(SLOTS, float32), cuda.local.array(ITEMS, float32)
        _, own = own_row(rows)
        start, before, runs = span_of(own, c, head)
        m, s = row_exponentials(kept, slots, x, start, c, before, runs)
        r = math.log(s) if log else float32(1.0) / s
        first, left = start + before, runs
        while left > uint32(0):
            hold(kept, x, first, left, LEAST)
            for j in range(ITEMS):
                kept[j] = finish(kept[j], m, r)
            release(y, first, left, kept)
            first, left = next_batch(first, left)
        single = single_of(before, runs)
        if single < c:
            y[start + single] = finish(x[start + single], m, r)

    return _named("log_softmax" if log else "softmax", held, long)


@functools.cache
def backward_kernels(log: bool) -> tuple[Kernel, Kernel]:
    """The same of the gradients. Arguments: dy, y, dx (rows c,); head; rows; c."""

    @cuda.jit(device=True)
    def term(dy, y):
        return dy if log else dy * y

    @cuda.jit(device=True)
    def finish(dy, y, s):
        return dy - math.exp(y) * s if log else y * (dy - s)

    def held(dy, y, dx, head, rows, c):
        slots = cuda.shared.array(SLOTS, float32)
        left, right = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
        row, own = own_row(rows)
        start, before, runs = span_of(own, c, head)
        single = single_of(before, runs)
        hold(left, dy, start + before, runs, float32(0.0))
        hold(right, y, start + before, runs, float32(0.0))
        s = float32(0.0)
        for j in range(ITEMS):
            s += term(left[j], right[j])
        if single < c:
            s += term(dy[start + single], y[start + single])
        s = row_sum(slots, 0, s)
        for j in range(ITEMS):
            left[j] = finish(left[j], right[j], s)
        if row < rows:
            release(dx, start + before, runs, left)
            if single < c:
                dx[start + single] = finish(dy[start + single], y[start + single], s)

    def long(dy, y, dx, head, rows, c):
        slots = cuda.shared.array(SLOTS, float32)
        left, right = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
        _, own = own_row(rows)
        start, before, runs = span_of(own, c, head)
        single, s = single_of(before, runs), float32(0.0)
        first, more = start + before, runs
        while more > uint32(0):
            hold(left, dy, first, more, float32(0.0))
            hold(right, y, first, more, float32(0.0))
            for j in range(ITEMS):
                s += term(left[j], right[j])
            first, more = next_batch(first, more)
        if single < c:
            s += term(dy[start + single], y[start + single])
        s = row_sum(slots, 0, s)
        first, more = start + before, runs
        while more > uint32(0):
            hold(left, dy, first, more, float32(0.0))
            hold(right, y, first, more, float32(0.0))
            for j in range(ITEMS):
                left[j] = finish(left[j], right[j], s)
            release(dx, first, more, left)
            first, more = next_batch(first, more)
        if single < c:
            dx[start + single] = finish(dy[start + single], y[start + single], s)

    return _named("log_softmax_backward" if log else "softmax_backward", held, long)


def _named(name: str, *functions: Any) -> tuple[Kernel, Kernel]:
    for function, kind in zip(functions, ("", "_long")):
        function.__name__ = function.__qualname__ = f"{name}{kind}_wide"
    held, long = map(row_kernel, functions)
    return held, long


def launch(kernels: tuple[Kernel, Kernel], head: int, *tables: Array) -> None:
    """Run the kernel that fits the length of the rows on tables (rows, c) aligned alike."""
    rows, c = tables[0].shape
    lines = (t.reshape((rows * c,)) for t in tables)
    numbers = np.uint32(head), np.uint32(rows), np.uint32(c)
    kernels[c > LONGEST][row_launch(rows, c)](*lines, *numbers)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, numbers = types.Array(types.float32, 1, "C"), (types.uint32,) * 3
    found = []
    for name, makers, arrays, loads in (
        ("softmax", forward_kernels, 2, 1),
        ("softmax_backward", backward_kernels, 3, 2),
    ):
        for log in (False, True):
            for made in makers(log):
                expects = (f"LDG.128 >= {HELD * loads}", f"STG.128 == {HELD}", "LDL == 0")
                signature = (*[line] * arrays, *numbers)
                found.append(GpuKernel(name, made, signature, expects=expects))
    return tuple(found)
