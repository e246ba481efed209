"""Gradients of batch normalisation by 128-bit access, on a GPU, with several blocks to a channel.

- ``batch_sums_wide``: the sums that are dw and db, in parts that ``reduce`` adds up.
- ``batch_slopes_wide``: dx.

Formulas of :mod:`.batch`; parts as in :mod:`.batch_wide`.
"""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, types, uint32, uint64

from ..elementwise.wide import RUN
from ..engine import Array, empty
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


@row_kernel
def batch_sums_wide(dy, x, stats, sums, head, n, c, length, chunk):
    """dy, x (n c length,); stats (3, c); sums (2, parts, c): of dy h, and of dy."""
    slots = cuda.shared.array(SLOTS, float32)
    g, kept = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
    channel, part = uint32(cuda.blockIdx.x), uint32(cuda.blockIdx.y)
    i, stop = images_of(chunk, n)
    mean, rest, inverse = stats[0, channel], stats[1, channel], stats[2, channel]
    plain, weighted = float32(0.0), float32(0.0)
    while i < stop:
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


def backward(
    dy: Array, x: Array, weight: Array, stats: Array, dx: Array, head: int
) -> tuple[Array, Array]:
    """Fill dx, all (n, c, l); dw and db."""
    n, c, length = x.shape
    chunk = chunk_of(n, c, length)
    sums = empty((2, -(-n // chunk), c), x.dtype, x.device)
    lines = dy.reshape((x.size,)), x.reshape((x.size,))
    where = np.uint32(head), np.uint32(n), np.uint32(c), np.uint32(length), np.uint32(chunk)
    batch_sums_wide[(c, sums.shape[1]), (COLUMNS, ROWS)](*lines, stats, sums, *where)
    total = sum(sums, 1)
    rows = np.uint32(head), np.uint32(n * c), np.uint32(c), np.uint32(length)
    batch_slopes_wide[row_launch(n * c, length)](
        *lines, weight, stats, total, np.float32(n * length), dx.reshape((x.size,)), *rows
    )
    return total[0], total[1]


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, table, cube = (types.Array(float32, axes, "C") for axes in (1, 2, 3))
    sums = (line, line, table, cube, *(uint32,) * 5)
    slopes = (line, line, line, table, table, float32, line, *(uint32,) * 4)
    read, write = f"LDG.128 >= {2 * HELD}", f"STG.128 == {HELD}"
    return (
        GpuKernel("batch_norm", batch_sums_wide, sums, expects=(read, "LDL == 0")),
        GpuKernel("batch_norm", batch_slopes_wide, slopes, expects=(read, write, "LDL == 0")),
    )
