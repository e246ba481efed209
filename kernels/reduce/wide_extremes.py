"""Argmax, and the gradient of maximum and minimum, along rows by 128-bit access, on a GPU.

Results are those of :mod:`.extremes`; where each item goes is told in :mod:`.wide_rows`.

- ``argmax_rows_wide``: a row, or part of a row, is read once. Threads keep a value and its place;
  of two that are equal, or both NaN, the one further left wins, so that the order in which they
  meet is of no account.
- ``argmax_parts_wide``: the parts of a row, by a warp.
- ``share_rows_wide``: counts the items that attain the maximum, then writes the gradient; the
  second pass may find the row in the cache.
"""

from __future__ import annotations

import math

import numpy as np
from numba import cuda, float32, int32, int64, uint32, uint64

from ..elementwise.wide import RUN
from ..engine import Array, empty, kernel
from ..opspec import GpuKernel
from .tree import beats
from .wide import parts_of
from .wide_rows import (
    EVERYONE,
    HELD,
    ITEMS,
    SLOTS,
    WARP,
    hold,
    next_batch,
    own_row,
    release,
    row_kernel,
    row_launch,
    row_sum,
    run_of,
    single_of,
    span_at,
    span_of,
)

LEAST = float32(-math.inf)


@cuda.jit(device=True)
def winner(a, i, b, j):
    """The one of two values with their places that argmax chooses."""
    if beats(b, a) or (j < i and not beats(a, b)):
        return b, j
    return a, i


@cuda.jit(device=True)
def across(best, at, lanes):
    """The winner among the threads of a row that are lanes of one warp."""
    apart = uint32(lanes >> uint32(1))
    while apart > uint32(0):
        other = cuda.shfl_xor_sync(EVERYONE, best, apart)
        there = uint32(cuda.shfl_xor_sync(EVERYONE, int32(at), apart))
        best, at = winner(best, at, other, there)
        apart = uint32(apart >> uint32(1))
    return best, at


@cuda.jit(device=True)
def row_winner(slots, places, best, at):
    """The winner among the threads of a row, for all of them; all threads of a block call it."""
    t, threads = uint32(cuda.threadIdx.x), uint32(cuda.blockDim.x)
    best, at = across(best, at, min(threads, uint32(WARP)))
    if threads > uint32(WARP):
        lane, warp = uint32(t & uint32(31)), uint32(t >> uint32(5))
        if lane == uint32(0):
            slots[warp], places[warp] = best, at
        cuda.syncthreads()
        lane = lane if lane < uint32(threads >> uint32(5)) else uint32(0)
        best, at = across(slots[lane], places[lane], uint32(WARP))
    return best, at


@row_kernel
def argmax_rows_wide(x, values, found, head, rows, n, chunk):
    """x (rows n,), values, found (rows parts,): part p of a row is its items p*chunk onwards."""
    slots, places = cuda.shared.array(SLOTS, float32), cuda.shared.array(SLOTS, uint32)
    kept = cuda.local.array(ITEMS, float32)
    row, own = own_row(rows)
    part = uint32(cuda.blockIdx.y)
    skip = uint32(part * chunk)
    length = uint32(n - skip) if skip < n else uint32(0)
    length = chunk if chunk < length else length
    start = uint64(uint64(own) * uint64(n) + uint64(skip))
    before, runs = span_at(start, length, head)
    single = single_of(before, runs)
    # The first item that a thread has, unless another one beats it; a thread without any has none.
    best, at = LEAST, uint32(before + uint32(RUN) * run_of(0))
    at = at if run_of(0) < runs else length
    first, left, begin = uint64(start + uint64(before)), runs, before
    while left > uint32(0):
        hold(kept, x, first, left, LEAST)
        for k in range(HELD):
            for j in range(RUN):
                if beats(kept[k * RUN + j], best):
                    best = kept[k * RUN + j]
                    at = uint32(begin + uint32(RUN) * run_of(k) + uint32(j))
        begin = uint32(begin + uint32(uint32(ITEMS) * uint32(cuda.blockDim.x)))
        first, left = next_batch(first, left)
    if single < length:
        best, at = winner(best, at, x[start + uint64(single)], single)
    best, at = row_winner(slots, places, best, at)
    if cuda.threadIdx.x == 0 and row < rows:
        to = uint64(uint64(row) * uint64(cuda.gridDim.y) + uint64(part))
        values[to], found[to] = best, int64(uint32(skip + at))


@kernel
def argmax_parts_wide(values, found, out, rows, parts):
    """values, found (rows parts,), out (rows,): a row of 32 threads for each row."""
    row, own = own_row(rows)
    best, at = LEAST, uint32(parts)
    part, start = uint32(cuda.threadIdx.x), uint64(uint64(own) * uint64(parts))
    while part < parts:
        best, at = winner(best, at, values[start + uint64(part)], part)
        part = uint32(part + uint32(WARP))
    best, at = across(best, at, uint32(WARP))
    if cuda.threadIdx.x == 0 and row < rows:
        out[row] = found[start + uint64(at)]


@row_kernel
def share_rows_wide(dy, x, y, dx, head, rows, n):
    """dy, y (rows,), x, dx (rows n,)."""
    slots, kept = cuda.shared.array(SLOTS, float32), cuda.local.array(ITEMS, float32)
    row, own = own_row(rows)
    start, before, runs = span_of(own, n, head)
    single, top, count = single_of(before, runs), y[own], float32(0.0)
    last = x[start + single] if single < n else float32(0.0)
    if single < n and (last == top or (last != last and top != top)):
        count = float32(1.0)
    first, left = uint64(start + uint64(before)), runs
    while left > uint32(0):
        hold(kept, x, first, left, float32(0.0))
        for k in range(HELD):
            if run_of(k) < left:
                for j in range(RUN):
                    v = kept[k * RUN + j]
                    if v == top or (v != v and top != top):
                        count += float32(1.0)
        first, left = next_batch(first, left)
    share = dy[own] / row_sum(slots, 0, count)
    if row < rows:
        first, left = uint64(start + uint64(before)), runs
        while left > uint32(0):
            hold(kept, x, first, left, float32(0.0))
            for j in range(ITEMS):
                v = kept[j]
                kept[j] = share if v == top or (v != v and top != top) else float32(0.0)
            release(dx, first, left, kept)
            first, left = next_batch(first, left)
        if single < n:
            hit = last == top or (last != last and top != top)
            dx[start + single] = share if hit else float32(0.0)


def argmax_rows(x: Array, out: Array, head: int) -> None:
    """The places of the maxima of x (rows, n), whose ``row_head`` is ``head``, into out (rows,)."""
    rows, n = x.shape
    parts = parts_of(rows, n)
    chunk = -(-n // parts)
    values = empty((rows * parts,), x.dtype, x.device)
    found = empty((rows * parts,), np.int64, x.device) if parts > 1 else out
    blocks, block = row_launch(rows, chunk)
    numbers = np.uint32(head), np.uint32(rows), np.uint32(n), np.uint32(chunk)
    argmax_rows_wide[(blocks, parts), block](x.reshape((x.size,)), values, found, *numbers)
    if parts > 1:
        choose_parts(values, found, out, parts)


def choose_parts(values: Array, found: Array, out: Array, parts: int) -> None:
    """Of the winners of parts (rows parts,) and their places, those of whole rows: out (rows,)."""
    rows, together = out.size, WARP // 4
    run = argmax_parts_wide[-(-rows // together), (WARP, together)]
    run(values, found, out, np.uint32(rows), np.uint32(parts))


def share_rows(dy: Array, x: Array, y: Array, dx: Array, head: int) -> None:
    """The gradient dx (rows, n) of the maxima y (rows,) of x, aligned like it, from dy (rows,)."""
    rows, n = x.shape
    lines = dy, x.reshape((x.size,)), y, dx.reshape((x.size,))
    numbers = np.uint32(head), np.uint32(rows), np.uint32(n)
    share_rows_wide[row_launch(rows, n)](*lines, *numbers)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, places, loads = float32[::1], int64[::1], f"LDG.128 >= {HELD}"
    places_of = (line, line, places, *(uint32,) * 4)
    shares = (line, line, line, line, *(uint32,) * 3)
    writes = f"STG.128 == {HELD}"
    return (
        GpuKernel("argmax", argmax_rows_wide, places_of, expects=(loads, "LDL == 0")),
        GpuKernel("argmax", argmax_parts_wide, (line, places, places, uint32, uint32)),
        GpuKernel("extreme", share_rows_wide, shares, expects=(loads, writes, "LDL == 0")),
    )
