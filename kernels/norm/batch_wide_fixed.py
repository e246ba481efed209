"""Gradients of batch normalisation with given statistics by 128-bit access, on a GPU.

As of a layer in evaluation, or one that is frozen. Formulas of :mod:`.batch`: where mean and
variance are constants, ``dx = weight / sqrt(var + eps) dy`` needs no sum, so that dy and x are read
once: the launch that adds up dw and db, in parts that ``reduce`` adds up, writes dx as well.

- ``batch_fixed_wide``: x (n, c, l) with l > 1, with parts as in :mod:`.batch_wide`.
- ``column_fixed_wide``: x (n, c), as in :mod:`.batch_columns_wide`.

dx has the bits of the scalar kernels. Results repeat bit for bit.
"""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, types, uint32, uint64

from ..elementwise.wide import RUN, fetch, put_back
from ..elementwise.wide_columns import rows_of
from ..engine import Array, empty, kernel
from ..opspec import GpuKernel
from ..reduce import sum
from ..reduce.wide_rows import (
    HELD,
    ITEMS,
    SLOTS,
    hold,
    next_batch,
    release,
    row_kernel,
    run_of,
    single_of,
    span_of,
)
from . import batch_columns_wide
from .batch_columns_wide import TABLE, THREADS, add_up, column_of, line, place
from .batch_wide import block_total, chunk_of, images_of
from .sums import COLUMNS, ROWS


@row_kernel
def batch_fixed_wide(dy, x, weight, stats, sums, dx, head, n, c, length, chunk):
    """dy, x, dx (n c length,); weight (c,); stats (3, c); sums (2, parts, c): of dy h, of dy."""
    slots = cuda.shared.array(SLOTS, float32)
    g, kept = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
    channel, part = uint32(cuda.blockIdx.x), uint32(cuda.blockIdx.y)
    i, stop = images_of(chunk, n)
    mean, rest, inverse = stats[0, channel], stats[1, channel], stats[2, channel]
    scale, plain, weighted = inverse * weight[channel], float32(0.0), float32(0.0)
    while i < stop:
        start, before, left = span_of(uint32(i * c + channel), length, head)
        single, first = single_of(before, left), uint64(start + uint64(before))
        if single < length:
            at = uint64(start + uint64(single))
            plain += dy[at]
            weighted += dy[at] * (((x[at] - mean) - rest) * inverse)
            dx[at] = dy[at] * scale
        while left > uint32(0):
            hold(g, dy, first, left, float32(0.0))
            hold(kept, x, first, left, float32(0.0))
            for k in range(HELD):
                if run_of(k) < left:
                    for j in range(k * RUN, k * RUN + RUN):
                        plain += g[j]
                        weighted += g[j] * (((kept[j] - mean) - rest) * inverse)
                        g[j] *= scale
            release(dx, first, left, g)
            first, left = next_batch(first, left)
        i = uint32(i + uint32(ROWS))
    weighted = block_total(slots, 0, weighted)
    plain = block_total(slots, 1, plain)
    if cuda.threadIdx.x == 0 and cuda.threadIdx.y == 0:
        sums[0, part, channel], sums[1, part, channel] = weighted, plain


@kernel(launch_bounds=THREADS)
def column_fixed_wide(dy, x, weight, stats, sums, dx, n, c, chunk):
    """dy, x, dx (n c,); weight (c,); stats (3 c,); sums (2 parts c,): of dy h, and of dy."""
    table = cuda.shared.array(TABLE, float32)
    x4, g = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    mean, rest = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    inverse, scale = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    plain, weighted = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    column = column_of()
    i, stop = rows_of(chunk, n)
    for j in range(RUN):
        plain[j], weighted[j] = float32(0.0), float32(0.0)
    if column < c:
        fetch(mean, stats, column)
        fetch(rest, stats, place(1, c, column))
        fetch(inverse, stats, place(2, c, column))
        fetch(scale, weight, column)
        for j in range(RUN):
            scale[j] *= inverse[j]
        while i < stop:
            at = place(i, c, column)
            fetch(g, dy, at)
            fetch(x4, x, at)
            for j in range(RUN):
                plain[j] += g[j]
                weighted[j] += g[j] * (((x4[j] - mean[j]) - rest[j]) * inverse[j])
                g[j] *= scale[j]
            put_back(dx, at, g)
            i = uint32(i + uint32(ROWS))
    add_up(table, weighted)
    add_up(table, plain)
    if cuda.threadIdx.y == 0 and column < c:
        put_back(sums, place(cuda.blockIdx.y, c, column), weighted)
        put_back(sums, place(uint32(cuda.blockIdx.y + cuda.gridDim.y), c, column), plain)


def backward(
    dy: Array, x: Array, weight: Array, stats: Array, dx: Array, head: int
) -> tuple[Array, Array]:
    """Fill dx, all (n, c, l) and aligned alike; dw and db."""
    n, c, length = x.shape
    chunk = chunk_of(n, c, length)
    sums = empty((2, -(-n // chunk), c), x.dtype, x.device)
    numbers = (np.uint32(v) for v in (head, n, c, length, chunk))
    run = batch_fixed_wide[(c, sums.shape[1]), (COLUMNS, ROWS)]
    run(line(dy), line(x), weight, stats, sums, line(dx), *numbers)
    return _total(sums)


def backward_columns(
    dy: Array, x: Array, weight: Array, stats: Array, dx: Array
) -> tuple[Array, Array]:
    """Fill dx, all (n, c) that ``batch_columns_wide.takes``; dw and db."""
    n, c = x.shape
    chunk = batch_columns_wide.chunk_of(n, c)
    sums = empty((2, -(-n // chunk), c), x.dtype, x.device)
    run = column_fixed_wide[(batch_columns_wide.tiles_of(c), sums.shape[1]), (COLUMNS, ROWS)]
    given = line(dy), line(x), weight, line(stats), line(sums), line(dx)
    run(*given, np.uint32(n), np.uint32(c), np.uint32(chunk))
    return _total(sums)


def _total(sums: Array) -> tuple[Array, Array]:
    """The two sums (c,) of parts (2, parts, c)."""
    total = sum(sums, 1) if sums.shape[1] > 1 else sums.reshape((2, sums.shape[2]))
    return total[0], total[1]


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    items, table, cube = (types.Array(float32, axes, "C") for axes in (1, 2, 3))
    rows = (items, items, items, table, cube, items, *(uint32,) * 5)
    columns = (*(items,) * 6, *(uint32,) * 3)
    of_rows = f"LDG.128 >= {2 * HELD}", f"STG.128 == {HELD}", "LDL == 0"
    of_columns = "LDG.128 >= 6", "STG.128 >= 3", "LDL == 0"
    return (
        GpuKernel("batch_norm", batch_fixed_wide, rows, expects=of_rows),
        GpuKernel("batch_norm", column_fixed_wide, columns, expects=of_columns),
    )
