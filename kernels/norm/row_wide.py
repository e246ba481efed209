"""Layer, group and root-mean-square normalisation by 128-bit access, on a GPU; formulas of
:mod:`.rows`.

- ``layer_norm_wide``, ``rms_norm_wide``: rows of up to ``LONGEST`` items, held in registers: memory
  is read once. Where each item goes is told in ``reduce.wide_rows``.
- ``layer_norm_long_wide``, ``rms_norm_long_wide``: longer rows, which are read three times, or
  twice, one pass after the other, so that the later ones may find them in the cache.
- ``group_norm_wide``, ``group_norm_long_wide``: rows that are channels of an image, with a weight
  for each channel.

Mean and variance are those of :mod:`.sums`, in two passes over the registers. Weight and bias are
read four at a time where they are aligned like the row; those of channels, one for four items that
lie in one channel.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, types, uint32

from ..elementwise.wide import RUN, shared_head
from ..engine import Array, Kernel
from ..engine.ptx import load4
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
    row_kernel,
    row_launch,
    row_sum,
    run_of,
    single_of,
    span_of,
)
from .sums import residual

APART = 4  # weight and bias are not aligned alike
EACH = 1, 1  # every row has the same weights, one for each item
variance_of = residual(float32)


@cuda.jit(device=True)
def of_elements(vector, j, alike, channel, inner):
    """Items j to j + 3 of a vector; by one access if it is ``alike`` aligned."""
    if alike:
        return load4(vector, j)
    one, two, three = uint32(j + uint32(1)), uint32(j + uint32(2)), uint32(j + uint32(3))
    return vector[j], vector[one], vector[two], vector[three]


@cuda.jit(device=True)
def of_channels(vector, j, alike, channel, inner):
    """The same where each ``inner`` items of a row are a channel, and ``channel`` is the first."""
    k = uint32(j // inner)
    a, left = vector[channel + k], uint32(uint32(uint32(k + uint32(1)) * inner) - j)
    if left >= uint32(RUN):
        return a, a, a, a
    one, two = uint32(uint32(j + uint32(1)) // inner), uint32(uint32(j + uint32(2)) // inner)
    three = uint32(uint32(j + uint32(3)) // inner)
    return a, vector[channel + one], vector[channel + two], vector[channel + three]


@functools.cache
def beside(each: bool) -> Any:
    """The one of them for a weight of ``each`` element of a row, or of each channel."""
    return of_elements if each else of_channels


@cuda.jit(device=True)
def first_channel(row, groups, inner, c):
    """The first channel of a row of c items, of ``groups`` rows to an image."""
    return uint32(uint32(row % groups) * uint32(c // inner))


@cuda.jit(device=True)
def total(kept, value):
    """Sum of the items of a local array, and of a number."""
    for j in range(ITEMS):
        value += kept[j]
    return value


@cuda.jit(device=True)
def deviations(kept, left, mean, rest, square):
    """(sum of x - mean, sum of its square), added to the two, over what a thread holds."""
    for k in range(HELD):
        if run_of(k) < left:
            for j in range(RUN):
                d = kept[RUN * k + j] - mean
                rest += d
                square += d * d
    return rest, square


@functools.cache
def affine(each: bool) -> Any:
    """A device function that normalises what a thread holds; options as of :func:`beside`."""
    weights = beside(each)

    @cuda.jit(device=True)
    def normalised(kept, left, mean, rest, inverse, weight, bias, at, alike, channel, inner):
        """``at`` is the item of a row where its run 0 begins."""
        for k in range(HELD):
            run, i = run_of(k), k * RUN
            if run < left:
                j = uint32(at + uint32(RUN) * run)
                w0, w1, w2, w3 = weights(weight, j, alike, channel, inner)
                b0, b1, b2, b3 = weights(bias, j, alike, channel, inner)
                kept[i] = ((kept[i] - mean) - rest) * inverse * w0 + b0
                kept[i + 1] = ((kept[i + 1] - mean) - rest) * inverse * w1 + b1
                kept[i + 2] = ((kept[i + 2] - mean) - rest) * inverse * w2 + b2
                kept[i + 3] = ((kept[i + 3] - mean) - rest) * inverse * w3 + b3

    return normalised


@cuda.jit(device=True)
def remember(stats, row, mean, rest, inverse):
    """Write what the gradient takes, by one thread of the row."""
    if cuda.threadIdx.x == 0:
        stats[0, row], stats[1, row], stats[2, row] = mean, rest, inverse


@functools.cache
def forward_kernels(centred: bool, each: bool = True) -> tuple[Kernel, ...]:
    """The kernel for rows that are held, and for longer ones; mean 0 unless ``centred``.

    Arguments: x (rows c,); weight, bias (c,), or unless ``each`` one for each channel; eps;
    y (rows c,); stats (3, rows); head; place, the head of weight and bias or APART; groups, rows
    until the weights repeat; inner, items of a channel; rows; c.
    """
    scaled = affine(each)

    def held(x, weight, bias, eps, y, stats, head, place, groups, inner, rows, c):
        slots, kept = cuda.shared.array(SLOTS, float32), cuda.local.array(ITEMS, float32)
        row, own = own_row(rows)
        start, before, runs = span_of(own, c, head)
        single, count = single_of(before, runs), float32(c)
        channel = uint32(0) if each else first_channel(own, groups, inner, c)
        hold(kept, x, start + before, runs, float32(0.0))
        last = x[start + single] if single < c else float32(0.0)
        mean, rest, square = float32(0.0), float32(0.0), float32(0.0)
        if centred:
            mean = row_sum(slots, 1, total(kept, last)) / count
        if single < c:
            rest = last - mean
            square = rest * rest
        rest, square = deviations(kept, runs, mean, rest, square)
        square = row_sum(slots, 0, square) / count
        rest = row_sum(slots, 1, rest) / count if centred else float32(0.0)
        inverse = float32(1.0) / math.sqrt(variance_of(square, rest) + eps)
        if row < rows:
            alike = before == place
            scaled(kept, runs, mean, rest, inverse, weight, bias, before, alike, channel, inner)
            release(y, start + before, runs, kept)
            if single < c:
                k = single if each else uint32(channel + uint32(single // inner))
                y[start + single] = ((last - mean) - rest) * inverse * weight[k] + bias[k]
            remember(stats, row, mean, rest, inverse)

    def long(x, weight, bias, eps, y, stats, head, place, groups, inner, rows, c):
        slots, kept = cuda.shared.array(SLOTS, float32), cuda.local.array(ITEMS, float32)
        _, own = own_row(rows)
        start, before, runs = span_of(own, c, head)
        single, count = single_of(before, runs), float32(c)
        channel = uint32(0) if each else first_channel(own, groups, inner, c)
        last = x[start + single] if single < c else float32(0.0)
        mean, rest, square = float32(0.0), float32(0.0), float32(0.0)
        if centred:
            mean, first, left = last, start + before, runs
            while left > uint32(0):
                hold(kept, x, first, left, float32(0.0))
                mean = total(kept, mean)
                first, left = next_batch(first, left)
            mean = row_sum(slots, 1, mean) / count
        if single < c:
            rest = last - mean
            square = rest * rest
        first, left = start + before, runs
        while left > uint32(0):
            hold(kept, x, first, left, float32(0.0))
            rest, square = deviations(kept, left, mean, rest, square)
            first, left = next_batch(first, left)
        square = row_sum(slots, 0, square) / count
        rest = row_sum(slots, 1, rest) / count if centred else float32(0.0)
        inverse = float32(1.0) / math.sqrt(variance_of(square, rest) + eps)
        first, left = start + before, runs
        while left > uint32(0):
            hold(kept, x, first, left, float32(0.0))
            at = uint32(first - start)
            alike = before == place
            scaled(kept, left, mean, rest, inverse, weight, bias, at, alike, channel, inner)
            release(y, first, left, kept)
            first, left = next_batch(first, left)
        if single < c:
            k = single if each else uint32(channel + uint32(single // inner))
            y[start + single] = ((last - mean) - rest) * inverse * weight[k] + bias[k]
        remember(stats, own, mean, rest, inverse)

    return named(centred, each, "", held, long)


def named(centred: bool, each: bool, kind: str, *functions: Any) -> tuple[Kernel, ...]:
    """Kernels of a norm for rows that are held, and for longer ones."""
    norm = ("layer" if each else "group") if centred else "rms"
    for function, length in zip(functions, ("", "_long")):
        name = f"{norm}_norm{kind}{length}_wide"
        function.__name__ = function.__qualname__ = name
    return tuple(map(row_kernel, functions))


def place_of(*vectors: Array) -> np.uint32:
    """Where weight and bias are aligned, for the kernels."""
    place = shared_head(*vectors)
    return np.uint32(APART if place is None else place)


def forward(
    x: Array,
    vectors: tuple[Array, Array],
    eps: Any,
    y: Array,
    stats: Array,
    centred: bool,
    channels: tuple[int, int],
    head: int,
) -> None:
    """Normalise x (rows, c) into y, aligned like it, and stats (3, rows).

    Args:
        vectors: weight and bias.
        channels: rows until they repeat, and items of a row that share one.
    """
    rows, c = x.shape
    size = (rows * c,)
    forward_kernels(centred, channels == EACH)[c > LONGEST][row_launch(rows, c)](
        x.reshape(size),
        *vectors,
        np.float32(eps),
        y.reshape(size),
        stats,
        np.uint32(head),
        place_of(*vectors),
        *map(np.uint32, channels),
        np.uint32(rows),
        np.uint32(c),
    )


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, table = types.Array(types.float32, 1, "C"), types.Array(types.float32, 2, "C")
    signature = (line, line, line, float32, line, table, *(uint32,) * 6)
    found = []
    for centred, each in ((False, True), (True, True), (True, False)):
        reads = f"LDG.128 >= {3 * HELD if each else HELD}"
        for made in forward_kernels(centred, each):
            expects = reads, f"STG.128 == {HELD}", "LDL == 0"
            found.append(GpuKernel("normalise", made, signature, expects=expects))
    return tuple(found)
