"""Gradients of batch normalisation by 128-bit access, on a GPU, with several blocks to a channel.

- ``batch_sums_wide``: the sums that are dw and db, in parts that ``reduce`` adds up.
- ``channel_sums_wide``: the same for group normalisation, where each image has statistics.
- ``batch_slopes_wide``: dx.

Formulas of :mod:`.batch`; parts as in :mod:`.batch_wide`.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import cuda, float32, types, uint32, uint64

from ..elementwise.wide import RUN
from ..engine import Array, Kernel, empty
from ..opspec import GpuKernel
from ..reduce import sum
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
    run_of,
    single_of,
    span_of,
)
from .batch_wide import block_total, chunk_of, images_of
from .sums import COLUMNS, ROWS


@functools.cache
def sums_kernel(images: bool) -> Kernel:
    """``batch_sums_wide``; or ``channel_sums_wide``, of statistics of each of the ``images``.

    Arguments: dy, x (n c length,); stats (3, c) or (3, n groups); sums (2, parts, c): of dy h, and
    of dy; head; n; c; length; chunk, images of a part; groups of channels.
    """

    def sums_wide(dy, x, stats, sums, head, n, c, length, chunk, groups):
        slots = cuda.shared.array(SLOTS, float32)
        g, kept = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
        channel, part = uint32(cuda.blockIdx.x), uint32(cuda.blockIdx.y)
        i, stop = images_of(chunk, n)
        own = uint32(channel // uint32(c // groups)) if images else channel
        group = own
        mean, rest, inverse = stats[0, own], stats[1, own], stats[2, own]
        plain, weighted = float32(0.0), float32(0.0)
        while i < stop:
            if images:
                own = uint32(i * groups + group)
                mean, rest, inverse = stats[0, own], stats[1, own], stats[2, own]
            start, before, left = span_of(uint32(i * c + channel), length, head)
            single, first = single_of(before, left), uint64(start + uint64(before))
            if single < length:
                at = uint64(start + uint64(single))
                plain += dy[at]
                weighted += dy[at] * (((x[at] - mean) - rest) * inverse)
            while left > uint32(0):
                hold(g, dy, first, left, float32(0.0))
                hold(kept, x, first, left, float32(0.0))
                for k in range(HELD):
                    if run_of(k) < left:
                        for j in range(k * RUN, k * RUN + RUN):
                            plain += g[j]
                            weighted += g[j] * (((kept[j] - mean) - rest) * inverse)
                first, left = next_batch(first, left)
            i = uint32(i + uint32(ROWS))
        weighted = block_total(slots, 0, weighted)
        plain = block_total(slots, 1, plain)
        if cuda.threadIdx.x == 0 and cuda.threadIdx.y == 0:
            sums[0, part, channel], sums[1, part, channel] = weighted, plain

    sums_wide.__name__ = f"{'channel' if images else 'batch'}_sums_wide"
    sums_wide.__qualname__ = sums_wide.__name__
    return row_kernel(sums_wide)


@row_kernel
def batch_slopes_wide(dy, x, weight, stats, sums, count, dx, head, rows, c, length):
    """dy, x, dx (n c length,); weight (c,); stats (3, c); sums (2, c); rows = n c."""
    g, kept = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
    row, own = own_row(rows)
    start, before, left = span_of(own, length, head)
    single, first = single_of(before, left), uint64(start + uint64(before))
    channel = uint32(own % c)
    mean, rest, inverse = stats[0, channel], stats[1, channel], stats[2, channel]
    weighted, plain = sums[0, channel] / count, sums[1, channel] / count
    scale = inverse * weight[channel]
    if row < rows:
        if single < length:
            at = uint64(start + uint64(single))
            hat = ((x[at] - mean) - rest) * inverse
            dx[at] = ((dy[at] - plain) - hat * weighted) * scale
        while left > uint32(0):
            hold(g, dy, first, left, float32(0.0))
            hold(kept, x, first, left, float32(0.0))
            for j in range(ITEMS):
                hat = ((kept[j] - mean) - rest) * inverse
                g[j] = ((g[j] - plain) - hat * weighted) * scale
            release(dx, first, left, g)
            first, left = next_batch(first, left)


def channel_sums(dy: Array, x: Array, stats: Array, groups: int, head: int) -> Array:
    """dw and db (2, c), of dy and x (n, c, l) aligned alike.

    Args:
        groups: of channels, each of which has statistics for each image; 0: one for all images.
    """
    n, c, length = x.shape
    chunk = chunk_of(n, c, length)
    sums = empty((2, -(-n // chunk), c), x.dtype, x.device)
    lines = dy.reshape((x.size,)), x.reshape((x.size,))
    where = np.uint32(head), np.uint32(n), np.uint32(c), np.uint32(length), np.uint32(chunk)
    launch = sums_kernel(groups > 0)[(c, sums.shape[1]), (COLUMNS, ROWS)]
    launch(*lines, stats, sums, *where, np.uint32(groups))
    return sum(sums, 1) if sums.shape[1] > 1 else sums.reshape((2, c))


def backward(
    dy: Array, x: Array, weight: Array, stats: Array, dx: Array, head: int
) -> tuple[Array, Array]:
    """Fill dx, all (n, c, l); dw and db."""
    n, c, length = x.shape
    total = channel_sums(dy, x, stats, 0, head)
    lines = dy.reshape((x.size,)), x.reshape((x.size,))
    rows = np.uint32(head), np.uint32(n * c), np.uint32(c), np.uint32(length)
    batch_slopes_wide[row_launch(n * c, length)](
        *lines, weight, stats, total, np.float32(n * length), dx.reshape((x.size,)), *rows
    )
    return total[0], total[1]


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, table, cube = (types.Array(float32, axes, "C") for axes in (1, 2, 3))
    sums = (line, line, table, cube, *(uint32,) * 6)
    slopes = (line, line, line, table, table, float32, line, *(uint32,) * 4)
    read, write = f"LDG.128 >= {2 * HELD}", f"STG.128 == {HELD}"
    by_batch, by_image = sums_kernel(False), sums_kernel(True)
    return (
        GpuKernel("batch_norm", by_batch, sums, expects=(read, "LDL == 0")),
        GpuKernel("group_norm", by_image, sums, expects=(read, "LDL == 0")),
        GpuKernel("batch_norm", batch_slopes_wide, slopes, expects=(read, write, "LDL == 0")),
    )
