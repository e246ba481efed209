"""Combining the items of each column of a table by 128-bit access, on a GPU.

A block of ``reduce_columns_wide`` has a window of ``WINDOW`` columns: ``COLUMNS`` threads along
them, four columns to each, and ``ROWS`` along the axis that is reduced, which meet in shared
memory. Where the columns are no multiple of four, or the table begins anywhere, rows begin anywhere
too: ``shift`` items lie before the first multiple of 16 bytes. But the rows of a thread are ROWS
apart, so that all of them begin alike. Its four columns begin at one multiple of 16 bytes; those
that the window has before the first, and those behind the last, are the four of the last thread::

    columns   0 1 2 | 3 4 5 6 | 7 8 9 10 | ... | 123 124 125 126 | 127        shift = 3
    thread     31   |    0    |    1     | ... |       30        |  31

Few columns would leave most of a GPU idle: the reduced axis is cut into parts, which a second
launch combines. How it is cut has not been measured on a GPU; it depends on the shape only, so
results repeat bit for bit.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, types, uint32, uint64

from ..engine import Array, Kernel, empty, kernel
from ..opspec import GpuKernel
from .wide import RUN, fetch, put_back, shared_head

# A part is worth a second launch when it holds at least this many rows; there are enough parts for
# so many blocks.
COLUMN_PART, MANY_BLOCKS = 64, 1024
LEAST_COLUMNS, LEAST_ROWS = 32, 16  # fewer would leave most threads of a block idle
COLUMNS, ROWS, TABLE = 32, 8, 1024  # threads of a block, and the items that they have
WINDOW = COLUMNS * RUN
STEPS = 4  # rows that a thread reads at a time
MOST = 1 << 31  # rows and columns that are counted in 32 bits


@cuda.jit(device=True)
def window_of(tiles, inner):
    """(index of the outer axis, first column, columns) of the window of a block."""
    outer = uint32(uint32(cuda.blockIdx.x) // tiles)
    base = uint32(uint32(uint32(cuda.blockIdx.x) - uint32(outer * tiles)) * uint32(WINDOW))
    left = uint32(inner - base)
    return outer, base, (left if left < uint32(WINDOW) else uint32(WINDOW))


@cuda.jit(device=True)
def rows_of(chunk, n):
    """(first row of a thread, the one after the last) of the part of its block."""
    first = uint32(uint32(cuda.blockIdx.y) * chunk)
    stop = uint32(first + chunk)
    return uint32(first + uint32(cuda.threadIdx.y)), (stop if stop < n else uint32(n))


@cuda.jit(device=True)
def place_of(outer, n, k, inner, column):
    """Where item ``k`` of a column is."""
    return uint64((uint64(outer) * uint64(n) + uint64(k)) * uint64(inner) + uint64(column))


@cuda.jit(device=True)
def first_of(start, head):
    """The first column of a thread in its window, whose row begins at ``start``."""
    shift = uint32(uint32(head - uint32(start)) & uint32(RUN - 1))
    return uint32(shift + uint32(cuda.threadIdx.x) * uint32(RUN))


@cuda.jit(device=True)
def column_of(first, j):
    """The ``j``-th column of a thread."""
    return uint32(uint32(first + uint32(j)) & uint32(WINDOW - 1))


@cuda.jit(device=True)
def fetch_columns(kept, x, start, first, left, nothing):
    """The four columns of a thread in the row from ``start`` on; ``nothing`` for those beyond."""
    if uint32(first + uint32(RUN)) <= left:
        fetch(kept, x, start + uint64(first))
    else:
        for j in range(RUN):
            column = column_of(first, j)
            kept[j] = x[start + uint64(column)] if column < left else nothing


@cuda.jit(device=True)
def put_back_columns(target, start, first, left, kept):
    """The other way round."""
    if uint32(first + uint32(RUN)) <= left:
        put_back(target, start + uint64(first), kept)
    else:
        for j in range(RUN):
            column = column_of(first, j)
            if column < left:
                target[start + uint64(column)] = kept[j]


@cuda.jit(device=True)
def spread(table, first, kept):
    """Four items of a thread into its row of a table (ROWS WINDOW,) in shared memory."""
    row = uint32(uint32(cuda.threadIdx.y) * uint32(WINDOW))
    for j in range(RUN):
        table[uint32(row + column_of(first, j))] = kept[j]


@cuda.jit(device=True)
def own_column():
    """The column of the window for a thread that combines the rows of such a table."""
    return uint32(uint32(cuda.threadIdx.y) * uint32(COLUMNS) + uint32(cuda.threadIdx.x))


@functools.cache
def columns_kernel(combine: Any, identity: float) -> Kernel:
    """``reduce_columns_wide`` for a device function of two items and what changes nothing."""
    nothing = float32(identity)

    def reduce_columns_wide(x, out, head, n, inner, chunk, tiles, divisor):
        """x (outer n inner,), out (outer parts inner,); ``tiles`` blocks span inner."""
        table = cuda.shared.array(TABLE, float32)
        acc = cuda.local.array(RUN, float32)
        a, b = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
        c, d = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
        outer, base, left = window_of(tiles, inner)
        k, stop = rows_of(chunk, n)
        at, step = place_of(outer, n, k, inner, base), uint64(uint64(ROWS) * uint64(inner))
        first = first_of(at, head)
        for j in range(RUN):
            acc[j] = nothing
        while uint32(k + uint32((STEPS - 1) * ROWS)) < stop:
            fetch_columns(a, x, at, first, left, nothing)
            fetch_columns(b, x, at + step, first, left, nothing)
            fetch_columns(c, x, at + uint64(2) * step, first, left, nothing)
            fetch_columns(d, x, at + uint64(3) * step, first, left, nothing)
            for j in range(RUN):
                acc[j] = combine(acc[j], combine(combine(a[j], b[j]), combine(c[j], d[j])))
            k, at = uint32(k + uint32(STEPS * ROWS)), uint64(at + uint64(STEPS) * step)
        while k < stop:
            fetch_columns(a, x, at, first, left, nothing)
            for j in range(RUN):
                acc[j] = combine(acc[j], a[j])
            k, at = uint32(k + uint32(ROWS)), uint64(at + step)
        spread(table, first, acc)
        cuda.syncthreads()
        column = own_column()
        if column < left:
            total = table[column]
            for i in range(1, ROWS):
                total = combine(total, table[uint32(column + uint32(i * WINDOW))])
            to = place_of(outer, cuda.gridDim.y, cuda.blockIdx.y, inner, base)
            out[to + uint64(column)] = total / divisor

    return kernel(reduce_columns_wide, launch_bounds=COLUMNS * ROWS)


def takes_columns(x: Array) -> bool:
    """Whether :func:`reduce_columns` can and should reduce x (outer, n, inner) over n."""
    outer, n, inner = x.shape
    if x.device.kind == "cpu" or max(outer, n, inner) >= MOST:
        return False
    return inner >= LEAST_COLUMNS and n >= LEAST_ROWS and shared_head(x) is not None


def reduce_columns(made: Kernel, x: Array, divisor: Any) -> Array:
    """Reduce x (outer, n, inner) that :func:`takes_columns` to (outer, inner).

    Args:
        made: of :func:`columns_kernel`.
        divisor: what the results are divided by, float32.
    """
    outer, n, inner = x.shape
    parts = column_parts(outer, n, inner)
    if parts > 1:
        x = _columns(made, x, parts, np.float32(1.0))
    return _columns(made, x, 1, divisor).reshape((outer, inner))


def column_parts(outer: int, n: int, inner: int) -> int:
    """Parts that the n rows of each table are cut into."""
    wanted = -(-MANY_BLOCKS // (outer * tiles_of(inner)))
    return max(min(n // COLUMN_PART, wanted), 1)


def tiles_of(inner: int) -> int:
    """Blocks that span the columns."""
    return -(-inner // WINDOW)


def _columns(made: Kernel, x: Array, parts: int, divisor: Any) -> Array:
    outer, n, inner = x.shape
    out = empty((outer, parts, inner), x.dtype, x.device)
    tiles, head = tiles_of(inner), shared_head(x)
    assert head is not None
    made[(outer * tiles, parts), (COLUMNS, ROWS)](
        x.reshape((x.size,)),
        out.reshape((out.size,)),
        *(np.uint32(v) for v in (head, n, inner, -(-n // parts), tiles)),
        divisor,
    )
    return out


def gpu_kernel(name: str, made: Kernel) -> GpuKernel:
    """A kernel of :func:`columns_kernel` with the accesses that its machine code is to hold."""
    line = types.Array(types.float32, 1, "C")
    signature = (line, line, *(uint32,) * 5, float32)
    return GpuKernel(name, made, signature, expects=(f"LDG.128 >= {STEPS + 1}", "LDL == 0"))
