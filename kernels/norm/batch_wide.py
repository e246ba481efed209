"""Batch normalisation by 128-bit access, on a GPU, with several blocks to a channel.

Formulas of :mod:`.batch`, for x (n, c, l) with l > 1. A row, the l items of a channel of an image,
begins anywhere; where each item goes is told in ``reduce.wide_rows``.

- ``batch_parts_wide``: mean m_p, its rounding error r_p and the mean square s_p of x - m_p over
  some images, in two passes, the second of which may find them in the cache.
- ``batch_combine_wide``: a thread to a channel puts the parts together, about their mean m::

      rest = sum n_p (d + r_p) / n,   square = sum n_p (s_p + 2 d r_p + d^2) / n,   d = m_p - m

- ``batch_apply_wide``: the normalised items.

The gradients are in :mod:`.batch_wide_slopes`, with given statistics in :mod:`.batch_wide_fixed`.

Parts depend on the shape only and are added up in a fixed order: results repeat bit for bit. From
which size on three launches are faster than one of :mod:`.batch_kernels` has not been measured.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda, float32, types, uint32, uint64

from ..engine import Array, empty, kernel
from ..opspec import GpuKernel
from ..reduce.wide_rows import (
    HELD,
    ITEMS,
    SLOTS,
    hold,
    next_batch,
    own_row,
    release,
    row_kernel,
    row_launch,
    row_sum,
    single_of,
    span_of,
)
from .row_wide import deviations
from .row_wide import total as add_items
from .sums import COLUMNS, ROWS, residual

# Items of a channel from which on it is split, items of a part at least, and blocks to aim for.
SPLIT, PART, MANY_BLOCKS = 8192, 4096, 1024
variance_of = residual(float32)
THREADS = 128  # of ``batch_combine_wide``


@cuda.jit(device=True)
def block_total(slots, call, value):
    """Sum over a (COLUMNS, ROWS) block, for all threads; calls have numbers of their own."""
    value = row_sum(slots, 0, value)
    first = uint32(uint32(call) * uint32(ROWS))
    if cuda.threadIdx.x == 0:
        slots[uint32(first + uint32(cuda.threadIdx.y))] = value
    cuda.syncthreads()
    value = slots[first]
    for i in range(1, ROWS):
        value += slots[uint32(first + uint32(i))]
    return value


@cuda.jit(device=True)
def images_of(chunk, n):
    """(first image of a thread, the one after the last) of the part of its block."""
    first = uint32(uint32(cuda.blockIdx.y) * chunk)
    stop = uint32(first + chunk)
    return uint32(first + uint32(cuda.threadIdx.y)), (stop if stop < n else uint32(n))


@row_kernel
def batch_parts_wide(x, parts, head, n, c, length, chunk):
    """x (n c length,), parts (3, parts, c): m_p, r_p and s_p."""
    slots, kept = cuda.shared.array(SLOTS, float32), cuda.local.array(ITEMS, float32)
    channel, part = uint32(cuda.blockIdx.x), uint32(cuda.blockIdx.y)
    begin, stop = images_of(chunk, n)
    count = float32(uint32(stop - uint32(part * chunk))) * float32(length)
    mean, i = float32(0.0), begin
    while i < stop:
        start, before, left = span_of(uint32(i * c + channel), length, head)
        single, first = single_of(before, left), uint64(start + uint64(before))
        if single < length:
            mean += x[start + uint64(single)]
        while left > uint32(0):
            hold(kept, x, first, left, float32(0.0))
            mean = add_items(kept, mean)
            first, left = next_batch(first, left)
        i = uint32(i + uint32(ROWS))
    mean = block_total(slots, 0, mean) / count
    rest, square, i = float32(0.0), float32(0.0), begin
    while i < stop:
        start, before, left = span_of(uint32(i * c + channel), length, head)
        single, first = single_of(before, left), uint64(start + uint64(before))
        if single < length:
            d = x[start + uint64(single)] - mean
            rest += d
            square += d * d
        while left > uint32(0):
            hold(kept, x, first, left, float32(0.0))
            rest, square = deviations(kept, left, mean, rest, square)
            first, left = next_batch(first, left)
        i = uint32(i + uint32(ROWS))
    rest = block_total(slots, 1, rest) / count
    square = block_total(slots, 2, square) / count
    if cuda.threadIdx.x == 0 and cuda.threadIdx.y == 0:
        parts[0, part, channel], parts[1, part, channel] = mean, rest
        parts[2, part, channel] = square


@kernel
def batch_combine_wide(parts, n, length, chunk, eps, momentum, means, variances, stats):
    """parts (3, parts, c); stats (3, c); means, variances (c,), not changed if momentum < 0."""
    channel = uint32(cuda.grid(1))
    if channel < parts.shape[2]:
        many, count = uint32(parts.shape[1]), float32(n) * float32(length)
        mean, p = float32(0.0), uint32(0)
        while p < many:
            share = float32(min(chunk, uint32(n - p * chunk))) * float32(length) / count
            mean += share * (parts[0, p, channel] + parts[1, p, channel])
            p = uint32(p + uint32(1))
        rest, square, p = float32(0.0), float32(0.0), uint32(0)
        while p < many:
            share = float32(min(chunk, uint32(n - p * chunk))) * float32(length) / count
            d, r = parts[0, p, channel] - mean, parts[1, p, channel]
            rest += share * (d + r)
            square += share * (parts[2, p, channel] + d * (d + float32(2.0) * r))
            p = uint32(p + uint32(1))
        var = variance_of(square, rest)
        stats[0, channel], stats[1, channel] = mean, rest
        stats[2, channel] = float32(1.0) / math.sqrt(var + eps)
        if momentum >= float32(0.0):
            old = float32(1.0) - momentum
            unbiased = var * (count / (count - float32(1.0)))
            means[channel] = old * means[channel] + momentum * (mean + rest)
            variances[channel] = old * variances[channel] + momentum * unbiased


@row_kernel
def batch_apply_wide(x, weight, bias, stats, y, head, rows, c, length):
    """x, y (n c length,); weight, bias (c,); stats (3, c); rows = n c."""
    kept = cuda.local.array(ITEMS, float32)
    row, own = own_row(rows)
    start, before, left = span_of(own, length, head)
    single, first = single_of(before, left), uint64(start + uint64(before))
    channel = uint32(own % c)
    mean, rest = stats[0, channel], stats[1, channel]
    scale, shift = stats[2, channel] * weight[channel], bias[channel]
    if row < rows:
        if single < length:
            at = uint64(start + uint64(single))
            y[at] = ((x[at] - mean) - rest) * scale + shift
        while left > uint32(0):
            hold(kept, x, first, left, float32(0.0))
            for j in range(ITEMS):
                kept[j] = ((kept[j] - mean) - rest) * scale + shift
            release(y, first, left, kept)
            first, left = next_batch(first, left)


def splits(n: int, length: int) -> bool:
    """Whether a channel has enough items for several blocks."""
    return length > 1 and n * length >= SPLIT


def chunk_of(n: int, c: int, length: int) -> int:
    """Images of a part."""
    parts = max(min(n * length // PART, n, -(-MANY_BLOCKS // c)), 1)
    return -(-n // parts)


def forward(
    x: Array,
    affine: tuple[Array, Array],
    numbers: list[Any],
    kept: tuple[Array, Array],
    y: Array,
    stats: Array,
    head: int,
) -> None:
    """Normalise x (n, c, l) into y, and fill stats (3, c).

    Args:
        affine: weight and bias (c,).
        numbers: eps and momentum.
        kept: the running statistics.
    """
    n, c, length = x.shape
    chunk = chunk_of(n, c, length)
    parts = empty((3, -(-n // chunk), c), x.dtype, x.device)
    line = x.reshape((x.size,))
    where = np.uint32(head), np.uint32(n), np.uint32(c), np.uint32(length), np.uint32(chunk)
    batch_parts_wide[(c, parts.shape[1]), (COLUMNS, ROWS)](line, parts, *where)
    combine(parts, n, length, chunk, numbers, kept, stats)
    apply(x, affine, stats, y, head)


def combine(
    parts: Array,
    n: int,
    length: int,
    chunk: int,
    numbers: list[Any],
    kept: tuple[Array, Array],
    stats: Array,
) -> None:
    """Fill stats (3, c) from parts (3, parts, c) of ``chunk`` images; the rest as above."""
    c = parts.shape[2]
    sizes = np.uint32(n), np.uint32(length), np.uint32(chunk)
    batch_combine_wide[-(-c // THREADS), THREADS](parts, *sizes, *numbers, *kept, stats)


def apply(x: Array, affine: tuple[Array, Array], stats: Array, y: Array, head: int) -> None:
    """Normalise x (n, c, l) into y by stats (3, c)."""
    n, c, length = x.shape
    rows = np.uint32(head), np.uint32(n * c), np.uint32(c), np.uint32(length)
    lines = x.reshape((x.size,)), *affine, stats, y.reshape((x.size,))
    batch_apply_wide[row_launch(n * c, length)](*lines, *rows)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, table, cube = (types.Array(float32, axes, "C") for axes in (1, 2, 3))
    numbers = (uint32, uint32, uint32)
    combine = (cube, *numbers, float32, float32, line, line, table)
    apply = (line, line, line, table, line, uint32, *numbers)
    read, write = f"LDG.128 >= {HELD}", f"STG.128 == {HELD}"
    parts = (line, cube, uint32, uint32, *numbers)
    return (
        GpuKernel("batch_norm", batch_parts_wide, parts, expects=(read, "LDL == 0")),
        GpuKernel("batch_norm", batch_combine_wide, combine),
        GpuKernel("batch_norm", batch_apply_wide, apply, expects=(read, write, "LDL == 0")),
    )
