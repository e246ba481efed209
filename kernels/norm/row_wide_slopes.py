"""Gradients of layer, group and root-mean-square normalisation by 128-bit access, on a GPU.

Formulas of :mod:`.rows`; where each item goes is told in ``reduce.wide_rows``.

- ``layer_norm_backward_wide``, ``rms_norm_backward_wide``: dx of rows of up to ``LONGEST`` items,
  held in registers: memory is read once.
- ``layer_norm_backward_long_wide``, ``rms_norm_backward_long_wide``: longer rows, read twice.
- ``group_norm_backward_wide``, ``group_norm_backward_long_wide``: dx of rows that are channels.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, types, uint32

from ..elementwise.wide import RUN
from ..engine import Array, Kernel
from ..opspec import GpuKernel
from ..reduce.wide_rows import (
    HELD,
    ITEMS,
    LONGEST,
    SLOTS,
    hold,
    next_batch,
    own_row,
    release,
    row_launch,
    row_sum,
    run_of,
    single_of,
    span_of,
)
from .row_wide import EACH, beside, first_channel, named, place_of


@cuda.jit(device=True)
def normalise(x, left, mean, rest, inverse):
    """Normalise what a thread holds."""
    for k in range(HELD):
        if run_of(k) < left:
            for j in range(RUN):
                x[k * RUN + j] = ((x[k * RUN + j] - mean) - rest) * inverse


@functools.cache
def weighed(each: bool) -> Any:
    """A device function that multiplies what a thread holds by the weights, see ``beside``."""
    weights = beside(each)

    @cuda.jit(device=True)
    def weigh(dy, left, weight, at, alike, channel, inner):
        """``at`` is the item of a row where its run 0 begins."""
        for k in range(HELD):
            run, i = run_of(k), k * RUN
            if run < left:
                j = uint32(at + uint32(RUN) * run)
                a, b, c, d = weights(weight, j, alike, channel, inner)
                dy[i], dy[i + 1], dy[i + 2], dy[i + 3] = (
                    dy[i] * a,
                    dy[i + 1] * b,
                    dy[i + 2] * c,
                    dy[i + 3] * d,
                )

    return weigh


@cuda.jit(device=True)
def add_terms(g, hat, plain, weighted):
    """(sum of g, sum of g hat), added to the two, over what a thread holds."""
    for j in range(ITEMS):
        plain += g[j]
        weighted += g[j] * hat[j]
    return plain, weighted


@cuda.jit(device=True)
def slope(g, hat, plain, weighted, inverse):
    """dx of an item, from the means of g and of g hat over its row."""
    return ((g - plain) - hat * weighted) * inverse


@cuda.jit(device=True)
def finish(g, hat, plain, weighted, inverse):
    """The same for what a thread holds, in place of g."""
    for j in range(ITEMS):
        g[j] = slope(g[j], hat[j], plain, weighted, inverse)


@functools.cache
def backward_kernels(centred: bool, each: bool = True) -> tuple[Kernel, ...]:
    """The kernel for rows that are held, and for longer ones; mean 0 unless ``centred``.

    Arguments: dy, x (rows c,); weight (c,), or unless ``each`` one for each channel;
    stats (3, rows); dx (rows c,); head; place, the head of weight; groups, rows until the weights
    repeat; inner, items of a channel; rows; c.
    """
    weigh = weighed(each)

    @cuda.jit(device=True)
    def single_terms(dy, x, weight, start, single, c, mean, rest, inverse, channel, inner):
        """(dy weight, normalised x) of the item outside the runs that a thread has, or zeros."""
        g, hat = float32(0.0), float32(0.0)
        if single < c:
            k = single if each else uint32(channel + uint32(single // inner))
            g = dy[start + single] * weight[k]
            hat = ((x[start + single] - mean) - rest) * inverse
        return g, hat

    def held(dy, x, weight, stats, dx, head, place, groups, inner, rows, c):
        slots = cuda.shared.array(SLOTS, float32)
        g, hat = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
        row, own = own_row(rows)
        start, before, runs = span_of(own, c, head)
        single, count = single_of(before, runs), float32(c)
        channel = uint32(0) if each else first_channel(own, groups, inner, c)
        mean, rest, inverse = stats[0, own], stats[1, own], stats[2, own]
        hold(g, dy, start + before, runs, float32(0.0))
        hold(hat, x, start + before, runs, float32(0.0))
        normalise(hat, runs, mean, rest, inverse)
        weigh(g, runs, weight, before, before == place, channel, inner)
        last, at_last = single_terms(
            dy, x, weight, start, single, c, mean, rest, inverse, channel, inner
        )
        plain, weighted = add_terms(g, hat, last, last * at_last)
        weighted = row_sum(slots, 0, weighted) / count
        plain = row_sum(slots, 1, plain) / count if centred else float32(0.0)
        finish(g, hat, plain, weighted, inverse)
        if row < rows:
            release(dx, start + before, runs, g)
            if single < c:
                dx[start + single] = slope(last, at_last, plain, weighted, inverse)

    def long(dy, x, weight, stats, dx, head, place, groups, inner, rows, c):
        slots = cuda.shared.array(SLOTS, float32)
        g, hat = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
        _, own = own_row(rows)
        start, before, runs = span_of(own, c, head)
        single, count = single_of(before, runs), float32(c)
        channel = uint32(0) if each else first_channel(own, groups, inner, c)
        mean, rest, inverse = stats[0, own], stats[1, own], stats[2, own]
        last, at_last = single_terms(
            dy, x, weight, start, single, c, mean, rest, inverse, channel, inner
        )
        plain, weighted = last, last * at_last
        first, left = start + before, runs
        while left > uint32(0):
            hold(g, dy, first, left, float32(0.0))
            hold(hat, x, first, left, float32(0.0))
            normalise(hat, left, mean, rest, inverse)
            weigh(g, left, weight, uint32(first - start), before == place, channel, inner)
            plain, weighted = add_terms(g, hat, plain, weighted)
            first, left = next_batch(first, left)
        weighted = row_sum(slots, 0, weighted) / count
        plain = row_sum(slots, 1, plain) / count if centred else float32(0.0)
        first, left = start + before, runs
        while left > uint32(0):
            hold(g, dy, first, left, float32(0.0))
            hold(hat, x, first, left, float32(0.0))
            normalise(hat, left, mean, rest, inverse)
            weigh(g, left, weight, uint32(first - start), before == place, channel, inner)
            finish(g, hat, plain, weighted, inverse)
            release(dx, first, left, g)
            first, left = next_batch(first, left)
        if single < c:
            dx[start + single] = slope(last, at_last, plain, weighted, inverse)

    return named(centred, each, "_backward", held, long)


def backward(
    dy: Array,
    x: Array,
    weight: Array,
    stats: Array,
    dx: Array,
    centred: bool,
    channels: tuple[int, int],
    head: int,
) -> None:
    """The gradient dx (rows, c) of dy and x, all aligned alike; ``channels`` as of ``forward``."""
    rows, c = x.shape
    size = (rows * c,)
    backward_kernels(centred, channels == EACH)[c > LONGEST][row_launch(rows, c)](
        dy.reshape(size),
        x.reshape(size),
        weight,
        stats,
        dx.reshape(size),
        np.uint32(head),
        place_of(weight),
        *map(np.uint32, channels),
        np.uint32(rows),
        np.uint32(c),
    )


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, table = types.Array(types.float32, 1, "C"), types.Array(types.float32, 2, "C")
    found = []
    signature = (line, line, line, table, line, *(uint32,) * 6)
    for centred, each in ((False, True), (True, True), (True, False)):
        reads = f"LDG.128 >= {3 * HELD if each else 2 * HELD}"
        for made in backward_kernels(centred, each):
            expects = reads, f"STG.128 == {HELD}", "LDL == 0"
            found.append(GpuKernel("normalise_backward", made, signature, expects=expects))
    return tuple(found)
