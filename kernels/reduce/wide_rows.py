"""Rows of a table by 128-bit access, on a GPU: which thread has which items; sums by shuffles.

A row of c float32 items begins where the one before it ends, so at any multiple of 4 bytes. Up to
three items lie before its first multiple of 16 bytes; then come runs of four, each one access; then
up to three that are left. Of T threads that share the row, thread t takes the runs t, t + T,
t + 2T, ... and at most one of the other items::

    items     0 1 2 | 3 4 5 6 | 7 8 9 10 | 11 12          before = 3, runs = 2
    thread    0 1 2 |    0    |    1     |  3  4

Arrays that are aligned alike (``shared_head``) are so in every row, whatever c is. A row of at most
``LONGEST`` items is held in registers, ``HELD`` runs to a thread: it is read once. Threads of a row
are lanes of one warp, or all threads of a block, which meet in shared memory. The order of
additions depends on c and on the alignment only.

How many threads a row gets follows from counting instructions and bytes; nobody has measured it.
"""

from __future__ import annotations

import math
from typing import Any

from numba import cuda, float32, uint32, uint64

from ..elementwise.wide import RUN, shared_head
from ..engine import Array, kernel
from ..engine.ptx import load4, store4
from .tree import add

HELD = 4  # runs that a thread holds ...
ITEMS = HELD * RUN  # ... of so many numbers, and as many again for a gradient
WARP, LANES_OF_ROW = 32, (8, 16, 32)
BLOCK = 256  # threads of a block in which each row has its lanes of a warp
MOST_THREADS = 512  # of a row: leaves each 128 registers
LONGEST = ITEMS * MOST_THREADS
WARPS, SLOTS = 16, 32  # of a block, at most; room for two sums over a row that follow each other
MOST = 1 << 31  # rows, and items of a row, that are counted in 32 bits
EVERYONE = 0xFFFFFFFF


def row_head(shape: tuple[int, int], *tables: Array) -> int | None:
    """``shared_head`` of contiguous tables (rows, c), for the kernels of this kind.

    Returns:
        Items before the first multiple of 16 bytes, or None if these kernels cannot take the
        tables: on a CPU, empty, of another dtype than float32, not aligned alike, or too large.
    """
    if tables[0].device.kind == "cpu" or not 0 < min(shape) <= max(shape) < MOST:
        return None
    return shared_head(*tables)


def row_threads(c: int) -> int:
    """Threads for a row of ``c`` items: lanes of a warp, or whole warps; enough for LONGEST."""
    runs = c // RUN
    for lanes in LANES_OF_ROW:
        if runs <= lanes:
            return lanes
    return min(WARP * -(-runs // (HELD * WARP)), MOST_THREADS)


def row_launch(rows: int, c: int) -> tuple[int, tuple[int, int]]:
    """Grid and block, (threads of a row, rows of a block), for ``rows`` rows of ``c`` items."""
    threads = row_threads(c)
    together = max(BLOCK // threads, 1) if threads <= WARP else 1
    return -(-rows // together), (threads, together)


@cuda.jit(device=True)
def own_row(rows):
    """(row, the row to look at) of a thread.

    Threads beyond the last row look at it too, so that all lanes take part in shuffles, but must
    not write: ``row`` tells.
    """
    row = uint32(cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y)
    return row, (row if row < rows else uint32(rows - uint32(1)))


@cuda.jit(device=True)
def span_at(start, c, head):
    """(items before the first run, runs) of ``c`` items from ``start`` on; ``head`` of them all."""
    before = uint32(uint32(head - uint32(start)) & uint32(3))
    before = before if before < c else uint32(c)
    return before, uint32(uint32(c - before) >> uint32(2))


@cuda.jit(device=True)
def span_of(row, c, head):
    """(first item of a row, items before its first run, runs); ``head`` as of ``row_head``."""
    start = uint64(uint64(row) * uint64(c))
    before, runs = span_at(start, c, head)
    return start, before, runs


@cuda.jit(device=True)
def single_of(before, runs):
    """The item outside the runs that a thread has; the length of the row or more if none."""
    t = uint32(cuda.threadIdx.x)
    return t if t < before else uint32(t + uint32(RUN) * runs)


@cuda.jit(device=True)
def run_of(k):
    """The ``k``-th run of a thread."""
    return uint32(uint32(cuda.threadIdx.x) + uint32(k) * uint32(cuda.blockDim.x))


@cuda.jit(device=True)
def place(first, run):
    """The first item of a run; ``first`` is that of run 0."""
    return uint64(uint64(first) + uint64(RUN) * uint64(run))


@cuda.jit(device=True)
def hold(kept, source, first, runs, nothing):
    """The runs of a thread, ``HELD`` at most, into a local array; ``nothing`` where it has none."""
    for k in range(HELD):
        run, at = run_of(k), k * RUN
        if run < runs:
            a, b, c, d = load4(source, place(first, run))
            kept[at], kept[at + 1], kept[at + 2], kept[at + 3] = a, b, c, d
        else:
            kept[at], kept[at + 1], kept[at + 2], kept[at + 3] = nothing, nothing, nothing, nothing


@cuda.jit(device=True)
def release(target, first, runs, kept):
    """The other way round."""
    for k in range(HELD):
        run, at = run_of(k), k * RUN
        if run < runs:
            store4(
                target,
                place(first, run),
                kept[at],
                kept[at + 1],
                kept[at + 2],
                kept[at + 3],
            )


@cuda.jit(device=True)
def next_batch(first, runs):
    """(first, runs) of a row without the runs that all threads together hold at a time."""
    batch = uint32(uint32(HELD) * uint32(cuda.blockDim.x))
    left = uint32(runs - batch) if runs > batch else uint32(0)
    return place(first, batch), left


@cuda.jit(device=True)
def larger_number(a: Any, b: Any) -> Any:
    """Larger of two numbers, the other one if one is NaN: a single instruction."""
    return max(a, b)


def row_combine(combine: Any, nothing: float) -> Any:
    """A device function ``combined(slots, call, value)`` over the threads of a row.

    Args:
        combine: of two values; commutative, so that all threads get the same bits.
        nothing: the value that changes none.

    ``slots`` is shared memory of SLOTS items; calls that follow each other have ``call`` 0, 1, 0,
    ... so that one does not overwrite what slow warps still read. blockDim.x is a power of two up
    to 32, or a multiple of 32 with one row to a block. All threads of the block call it.
    """

    @cuda.jit(device=True)
    def across(value, lanes):
        apart = uint32(lanes >> uint32(1))
        while apart > uint32(0):
            value = combine(value, cuda.shfl_xor_sync(EVERYONE, value, apart))
            apart = uint32(apart >> uint32(1))
        return value

    @cuda.jit(device=True)
    def combined(slots, call, value):
        t, threads = uint32(cuda.threadIdx.x), uint32(cuda.blockDim.x)
        value = across(value, min(threads, uint32(WARP)))
        if threads > uint32(WARP):
            lane, first = uint32(t & uint32(31)), uint32(uint32(WARPS) * uint32(call))
            if lane == uint32(0):
                slots[uint32(first + uint32(t >> uint32(5)))] = value
            cuda.syncthreads()
            value = float32(nothing)
            if lane < uint32(threads >> uint32(5)):
                value = slots[uint32(first + lane)]
            value = across(value, uint32(WARP))
        return value

    return combined


row_kernel = kernel(launch_bounds=MOST_THREADS)
row_sum = row_combine(add, 0.0)
row_max = row_combine(larger_number, -math.inf)
