"""Argmax, and the gradient of maximum and minimum, along columns by 128-bit access, on a GPU.

Results are those of :mod:`.extremes`; which thread has which columns is told in
:mod:`..elementwise.wide_columns`.

- ``argmax_columns_wide``: a column, or part of a column, is read once. Threads keep a value and its
  place; of two that are equal, or both NaN, the one further up wins, so that the order in which
  they meet is of no account. ``wide_extremes.argmax_parts_wide`` chooses among the parts.
- ``share_columns_wide``: counts the items that attain the maximum, then writes the gradient; the
  second pass may find them in the cache.
"""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, int32, int64, uint32, uint64

from ..elementwise.wide import RUN, shared_head
from ..elementwise.wide_columns import (
    COLUMNS,
    ROWS,
    STEPS,
    TABLE,
    WINDOW,
    column_of,
    column_parts,
    fetch_columns,
    first_of,
    own_column,
    place_of,
    put_back_columns,
    rows_of,
    spread,
    tiles_of,
    window_of,
)
from ..engine import Array, empty, kernel
from ..opspec import GpuKernel
from .tree import beats
from .wide_extremes import LEAST, choose_parts, winner

THREADS = COLUMNS * ROWS


@cuda.jit(device=True)
def challenge(best, at, kept, k):
    """Four items of row ``k``, below those that ``best`` has come from."""
    for j in range(RUN):
        if beats(kept[j], best[j]):
            best[j], at[j] = kept[j], k


@cuda.jit(device=True)
def attains(v, top):
    """Whether an item is the maximum of its column."""
    return v == top or (v != v and top != top)


@kernel(launch_bounds=THREADS)
def argmax_columns_wide(x, values, found, head, n, inner, chunk, tiles):
    """x (outer n inner,), values, found (outer inner parts,): rows p*chunk onwards are part p."""
    table, places = cuda.shared.array(TABLE, float32), cuda.shared.array(TABLE, uint32)
    best, at = cuda.local.array(RUN, float32), cuda.local.array(RUN, uint32)
    a, b = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    c, d = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    outer, base, left = window_of(tiles, inner)
    k, stop = rows_of(chunk, n)
    start, step = place_of(outer, n, k, inner, base), uint64(uint64(ROWS) * uint64(inner))
    first = first_of(start, head)
    # The first row of a thread, unless another one beats it; beyond the part if it has none.
    for j in range(RUN):
        best[j], at[j] = LEAST, k
    while uint32(k + uint32((STEPS - 1) * ROWS)) < stop:
        fetch_columns(a, x, start, first, left, LEAST)
        fetch_columns(b, x, start + step, first, left, LEAST)
        fetch_columns(c, x, start + uint64(2) * step, first, left, LEAST)
        fetch_columns(d, x, start + uint64(3) * step, first, left, LEAST)
        challenge(best, at, a, k)
        challenge(best, at, b, uint32(k + uint32(ROWS)))
        challenge(best, at, c, uint32(k + uint32(2 * ROWS)))
        challenge(best, at, d, uint32(k + uint32(3 * ROWS)))
        k, start = uint32(k + uint32(STEPS * ROWS)), uint64(start + uint64(STEPS) * step)
    while k < stop:
        fetch_columns(a, x, start, first, left, LEAST)
        challenge(best, at, a, k)
        k, start = uint32(k + uint32(ROWS)), uint64(start + step)
    spread(table, first, best)
    spread(places, first, at)
    cuda.syncthreads()
    column = own_column()
    if column < left:
        most, row = table[column], places[column]
        for i in range(1, ROWS):
            other = uint32(column + uint32(i * WINDOW))
            most, row = winner(most, row, table[other], places[other])
        many, own = uint64(cuda.gridDim.y), place_of(outer, 1, 0, inner, base)
        to = uint64((own + uint64(column)) * many + uint64(cuda.blockIdx.y))
        values[to], found[to] = most, int64(row)


@kernel(launch_bounds=THREADS)
def share_columns_wide(dy, x, y, dx, head, n, inner, tiles):
    """dy, y (outer inner,), x, dx (outer n inner,)."""
    table = cuda.shared.array(TABLE, int32)
    count = cuda.local.array(RUN, int32)
    v, top = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    share = cuda.local.array(RUN, float32)
    outer, base, left = window_of(tiles, inner)
    k, own = uint32(cuda.threadIdx.y), place_of(outer, 1, 0, inner, base)
    start, step = place_of(outer, n, k, inner, base), uint64(uint64(ROWS) * uint64(inner))
    first, at = first_of(start, head), start
    for j in range(RUN):
        column = column_of(first, j)
        count[j], top[j] = int32(0), y[own + uint64(column if column < left else uint32(0))]
    while k < n:
        fetch_columns(v, x, at, first, left, float32(0.0))
        for j in range(RUN):
            if attains(v[j], top[j]):
                count[j] += int32(1)
        k, at = uint32(k + uint32(ROWS)), uint64(at + step)
    spread(table, first, count)
    cuda.syncthreads()
    for j in range(RUN):
        column = column_of(first, j)
        count[j] = table[column]
        for i in range(1, ROWS):
            count[j] += table[uint32(column + uint32(i * WINDOW))]
        if column < left:
            share[j] = dy[own + uint64(column)] / float32(count[j])
    k, at = uint32(cuda.threadIdx.y), start
    while k < n:
        fetch_columns(v, x, at, first, left, float32(0.0))
        for j in range(RUN):
            v[j] = share[j] if attains(v[j], top[j]) else float32(0.0)
        put_back_columns(dx, at, first, left, v)
        k, at = uint32(k + uint32(ROWS)), uint64(at + step)


def argmax_columns(x: Array, out: Array) -> None:
    """The places of the maxima of x (outer, n, inner), over n, into out (outer, inner).

    Args:
        x: one that ``takes_columns`` tells of.
    """
    outer, n, inner = x.shape
    tiles, head = tiles_of(inner), shared_head(x)
    assert head is not None
    chunk = -(-n // column_parts(outer, n, inner))
    parts = -(-n // chunk)
    values = empty((outer * inner * parts,), x.dtype, x.device)
    line = out.reshape((out.size,))
    found = empty(values.shape, np.int64, x.device) if parts > 1 else line
    numbers = (np.uint32(v) for v in (head, n, inner, chunk, tiles))
    run = argmax_columns_wide[(outer * tiles, parts), (COLUMNS, ROWS)]
    run(x.reshape((x.size,)), values, found, *numbers)
    if parts > 1:
        choose_parts(values, found, line, parts)


def share_columns(dy: Array, x: Array, y: Array, dx: Array, head: int) -> None:
    """The gradient dx (outer, n, inner) of the maxima y (outer, inner) of x, from dy like y.

    Args:
        head: ``shared_head`` of x and dx.
    """
    outer, n, inner = x.shape
    tiles = tiles_of(inner)
    lines = (a.reshape((a.size,)) for a in (dy, x, y, dx))
    numbers = (np.uint32(v) for v in (head, n, inner, tiles))
    share_columns_wide[outer * tiles, (COLUMNS, ROWS)](*lines, *numbers)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, places = float32[::1], int64[::1]
    places_of = (line, line, places, *(uint32,) * 5)
    shares = (line, line, line, line, *(uint32,) * 4)
    loads = f"LDG.128 >= {STEPS + 1}", "LDL == 0"
    both = "LDG.128 >= 2", "STG.128 >= 1", "LDL == 0"
    return (
        GpuKernel("argmax", argmax_columns_wide, places_of, expects=loads),
        GpuKernel("extreme", share_columns_wide, shares, expects=both),
    )
