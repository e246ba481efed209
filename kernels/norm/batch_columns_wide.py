"""Batch normalisation of (n, c) by 128-bit access, on a GPU: four channels to a thread.

Formulas of :mod:`.batch` and, for the parts that a channel is cut into, of :mod:`.batch_wide`. A
block has ``COLUMNS`` threads along the channels and ``ROWS`` along n, which meet in shared memory.

- ``column_parts_wide``: mean, its rounding error and mean square of some rows, for
  ``batch_wide.batch_combine_wide``; the second pass may find them in the cache.
- ``column_apply_wide``: the normalised items.
- ``column_sums_wide``, ``column_slopes_wide``: the gradients; with given statistics they are those
  of :mod:`.batch_wide_fixed`.

The channels are a multiple of four, and all arrays begin at multiples of 16 bytes. Parts depend on
the shape only and are added up in a fixed order: results repeat bit for bit. Sizes of parts have
not been measured on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda, float32, uint32, uint64

from ..elementwise.wide import RUN, fetch, put_back, shared_head
from ..elementwise.wide_columns import (
    COLUMN_PART,
    LEAST_COLUMNS,
    LEAST_ROWS,
    MANY_BLOCKS,
    MOST,
    rows_of,
)
from ..engine import Array, empty, kernel
from ..opspec import GpuKernel
from ..reduce import sum
from .batch_wide import combine
from .sums import COLUMNS, ROWS

TABLE = COLUMNS * ROWS * RUN  # a number of each item of a block
THREADS = COLUMNS * ROWS


@cuda.jit(device=True)
def column_of():
    """The first of the four channels of a thread."""
    return uint32((cuda.blockIdx.x * uint32(COLUMNS) + cuda.threadIdx.x) * uint32(RUN))


@cuda.jit(device=True)
def place(row, c, column):
    """Where the item of a row and a channel is."""
    return uint64(uint64(row) * uint64(c) + uint64(column))


@cuda.jit(device=True)
def add_up(table, kept):
    """The four numbers of a thread, summed over the threads with the same channels; for all."""
    first = uint32(cuda.threadIdx.x * uint32(RUN))
    put_back(table, uint32(first + cuda.threadIdx.y * uint32(COLUMNS * RUN)), kept)
    cuda.syncthreads()
    other = cuda.local.array(RUN, float32)
    fetch(kept, table, first)
    for i in range(1, ROWS):
        fetch(other, table, uint32(first + uint32(i * COLUMNS * RUN)))
        for j in range(RUN):
            kept[j] += other[j]
    cuda.syncthreads()


@kernel(launch_bounds=THREADS)
def column_parts_wide(x, parts, n, c, chunk):
    """x (n c,), parts (3 parts c,)."""
    table = cuda.shared.array(TABLE, float32)
    x4, mean = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    rest, square = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    column = column_of()
    begin, stop = rows_of(chunk, n)
    count = float32(uint32(stop - uint32(uint32(cuda.blockIdx.y) * chunk)))
    for j in range(RUN):
        mean[j], rest[j], square[j] = float32(0.0), float32(0.0), float32(0.0)
    i = begin if column < c else stop
    while i < stop:
        fetch(x4, x, place(i, c, column))
        for j in range(RUN):
            mean[j] += x4[j]
        i = uint32(i + uint32(ROWS))
    add_up(table, mean)
    for j in range(RUN):
        mean[j] /= count
    i = begin if column < c else stop
    while i < stop:
        fetch(x4, x, place(i, c, column))
        for j in range(RUN):
            d = x4[j] - mean[j]
            rest[j] += d
            square[j] += d * d
        i = uint32(i + uint32(ROWS))
    add_up(table, rest)
    add_up(table, square)
    if cuda.threadIdx.y == 0 and column < c:
        for j in range(RUN):
            rest[j], square[j] = rest[j] / count, square[j] / count
        many = uint32(cuda.gridDim.y)
        put_back(parts, place(cuda.blockIdx.y, c, column), mean)
        put_back(parts, place(uint32(cuda.blockIdx.y + many), c, column), rest)
        put_back(parts, place(uint32(cuda.blockIdx.y + many + many), c, column), square)


@kernel(launch_bounds=THREADS)
def column_apply_wide(x, weight, bias, stats, y, n, c):
    """x, y (n c,); weight, bias (c,); stats (3 c,)."""
    x4, mean = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    rest, scale = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    shift = cuda.local.array(RUN, float32)
    column = column_of()
    if column < c:
        fetch(mean, stats, column)
        fetch(rest, stats, place(1, c, column))
        fetch(scale, stats, place(2, c, column))
        fetch(x4, weight, column)
        fetch(shift, bias, column)
        for j in range(RUN):
            scale[j] *= x4[j]
        i = uint32(cuda.blockIdx.y * uint32(ROWS) + cuda.threadIdx.y)
        while i < n:
            at = place(i, c, column)
            fetch(x4, x, at)
            for j in range(RUN):
                x4[j] = ((x4[j] - mean[j]) - rest[j]) * scale[j] + shift[j]
            put_back(y, at, x4)
            i = uint32(i + uint32(cuda.gridDim.y * uint32(ROWS)))


@kernel(launch_bounds=THREADS)
def column_sums_wide(dy, x, stats, sums, n, c, chunk):
    """dy, x (n c,); stats (3 c,); sums (2 parts c,): of dy h, and of dy."""
    table = cuda.shared.array(TABLE, float32)
    x4, g = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    mean, rest = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    inverse = cuda.local.array(RUN, float32)
    plain, weighted = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    column = column_of()
    i, stop = rows_of(chunk, n)
    for j in range(RUN):
        plain[j], weighted[j] = float32(0.0), float32(0.0)
    if column < c:
        fetch(mean, stats, column)
        fetch(rest, stats, place(1, c, column))
        fetch(inverse, stats, place(2, c, column))
        while i < stop:
            at = place(i, c, column)
            fetch(g, dy, at)
            fetch(x4, x, at)
            for j in range(RUN):
                plain[j] += g[j]
                weighted[j] += g[j] * (((x4[j] - mean[j]) - rest[j]) * inverse[j])
            i = uint32(i + uint32(ROWS))
    add_up(table, weighted)
    add_up(table, plain)
    if cuda.threadIdx.y == 0 and column < c:
        put_back(sums, place(cuda.blockIdx.y, c, column), weighted)
        put_back(sums, place(uint32(cuda.blockIdx.y + cuda.gridDim.y), c, column), plain)


@kernel(launch_bounds=THREADS)
def column_slopes_wide(dy, x, weight, stats, sums, count, dx, n, c):
    """dy, x, dx (n c,); weight (c,); stats (3 c,); sums (2 c,)."""
    x4, g = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    mean, rest = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    inverse, scale = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    plain, weighted = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    column = column_of()
    if column < c:
        fetch(mean, stats, column)
        fetch(rest, stats, place(1, c, column))
        fetch(inverse, stats, place(2, c, column))
        fetch(scale, weight, column)
        fetch(weighted, sums, column)
        fetch(plain, sums, place(1, c, column))
        for j in range(RUN):
            scale[j] *= inverse[j]
            plain[j], weighted[j] = plain[j] / count, weighted[j] / count
        i = uint32(cuda.blockIdx.y * uint32(ROWS) + cuda.threadIdx.y)
        while i < n:
            at = place(i, c, column)
            fetch(g, dy, at)
            fetch(x4, x, at)
            for j in range(RUN):
                hat = ((x4[j] - mean[j]) - rest[j]) * inverse[j]
                g[j] = ((g[j] - plain[j]) - hat * weighted[j]) * scale[j]
            put_back(dx, at, g)
            i = uint32(i + uint32(cuda.gridDim.y * uint32(ROWS)))


def takes(x: Array, *arrays: Array) -> bool:
    """Whether the kernels can and should take a contiguous x (n, c) and the other arrays."""
    n, c = x.shape
    if x.device.kind == "cpu" or c % RUN or not LEAST_COLUMNS <= c < MOST:
        return False
    return LEAST_ROWS <= n < MOST and shared_head(x, *arrays) == 0


def line(x: Array) -> Array:
    """All items of an array, in a line."""
    return x.reshape((x.size,))


def tiles_of(c: int) -> int:
    """Blocks that span the channels."""
    return -(-c // (COLUMNS * RUN))


def chunk_of(n: int, c: int) -> int:
    """Rows of a part."""
    parts = max(min(n // COLUMN_PART, -(-MANY_BLOCKS // tiles_of(c))), 1)
    return -(-n // parts)


def _whole(n: int, c: int) -> tuple[int, int]:
    """A grid for all items, whose blocks take some rows each."""
    return tiles_of(c), max(min(-(-n // ROWS), -(-MANY_BLOCKS // tiles_of(c))), 1)


def forward(
    x: Array,
    affine: tuple[Array, Array],
    numbers: list[Any],
    kept: tuple[Array, Array],
    y: Array,
    stats: Array,
) -> None:
    """Normalise x (n, c) into y, and fill stats (3, c); arguments as of ``batch_wide.forward``."""
    n, c = x.shape
    chunk = chunk_of(n, c)
    parts = empty((3, -(-n // chunk), c), x.dtype, x.device)
    run = column_parts_wide[(tiles_of(c), parts.shape[1]), (COLUMNS, ROWS)]
    run(line(x), line(parts), np.uint32(n), np.uint32(c), np.uint32(chunk))
    combine(parts, n, 1, chunk, numbers, kept, stats)
    apply(x, affine, stats, y)


def apply(x: Array, affine: tuple[Array, Array], stats: Array, y: Array) -> None:
    """Normalise x (n, c) into y by stats (3, c)."""
    n, c = x.shape
    run = column_apply_wide[_whole(n, c), (COLUMNS, ROWS)]
    run(line(x), *affine, line(stats), line(y), np.uint32(n), np.uint32(c))


def backward(dy: Array, x: Array, weight: Array, stats: Array, dx: Array) -> tuple[Array, Array]:
    """Fill dx, all (n, c); dw and db."""
    n, c = x.shape
    chunk, lines = chunk_of(n, c), (line(dy), line(x))
    sums = empty((2, -(-n // chunk), c), x.dtype, x.device)
    run = column_sums_wide[(tiles_of(c), sums.shape[1]), (COLUMNS, ROWS)]
    run(*lines, line(stats), line(sums), np.uint32(n), np.uint32(c), np.uint32(chunk))
    total = sum(sums, 1) if sums.shape[1] > 1 else sums.reshape((2, c))
    given = weight, line(stats), line(total), np.float32(n), line(dx)
    column_slopes_wide[_whole(n, c), (COLUMNS, ROWS)](*lines, *given, np.uint32(n), np.uint32(c))
    return total[0], total[1]


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    items = float32[::1]
    both = uint32, uint32
    return (
        GpuKernel(
            "batch_norm",
            column_parts_wide,
            (items, items, *both, uint32),
            expects=("LDG.128 >= 2", "STG.128 == 3", "LDL == 0"),
        ),
        GpuKernel(
            "batch_norm",
            column_apply_wide,
            (items,) * 5 + both,
            expects=("LDG.128 >= 6", "STG.128 >= 1", "LDL == 0"),
        ),
        GpuKernel(
            "batch_norm",
            column_sums_wide,
            (items,) * 4 + (*both, uint32),
            expects=("LDG.128 >= 5", "STG.128 == 2", "LDL == 0"),
        ),
        GpuKernel(
            "batch_norm",
            column_slopes_wide,
            ((items,) * 5 + (float32, items, *both)),
            expects=("LDG.128 >= 8", "STG.128 >= 1", "LDL == 0"),
        ),
    )
