"""Matrix product in float32 for large matrices on a GPU: wide tiles, copied while it computes.

What is new over :func:`~nnlite.kernels.matmul.kernels.make_matmul`, which is the kernel to read
first:

1. a block of 256 threads computes 128 x 128 items and a thread 8 x 8 of them: 64 multiply-adds
   for 16 numbers read from shared memory, in four accesses of 128 bits;
2. the 8 x 8 items are 2 x 2 groups of 4 x 4, placed so that a warp reads 4 + 8 different groups in
   each step and no two of them in the same banks (32 x 64 items to a warp);
3. both tiles lie in shared memory with one row for each step q. While one pair of tiles is
   multiplied, the next pair, or the next two, is copied by ``cp.async``, which needs no registers
   and no waiting. Every turn begins one group of copies, beyond the last step of zeros: so the pair
   of a turn has come when at most ``stages - 2`` younger groups are under way, for any k;
4. addresses are 32-bit numbers of elements, and beyond the edge of a or b rows are read twice or
   taken as zero, whichever is cheaper: what they add belongs to items of c that nobody stores;
5. before the activation, half of a thread's sums at a time go to the tiles, which are free by then:
   64 sums and an activation are more than the registers hold.

Source of the scheme: Volkov, Demmel, "Benchmarking GPUs to Tune Dense Linear Algebra", SC 2008;
NVIDIA, CUTLASS documentation, "Efficient GEMM in CUDA".
"""

from __future__ import annotations

import functools
from typing import Any

from numba import cuda, float32, uint32

from ..activations.functions import value_function
from ..elementwise.functions import identity
from ..engine import Kernel, kernel
from ..engine.ptx import (
    cp_async4,
    cp_async16,
    cp_async_commit,
    cp_async_wait,
    load4,
    multiply_columns,
    store4,
)
from .stages import items_of_shared

WIDTH = 128  # rows and columns of c to a block
DEPTH = 16  # steps q that a pair of tiles holds
THREADS = 256
ITEMS = 8  # rows and columns of c to a thread
RUN = 4  # of which so many lie side by side: 128 bits
PITCH = WIDTH + RUN  # rows of a tile; by 4 longer, so that 8 rows x 4 columns meet all 32 banks
TILE = DEPTH * PITCH
PAIR_BYTES = 2 * TILE * 4  # of shared memory that a pair of tiles takes

WARP_ROWS, WARP_COLUMNS = 32, 64
ROW_STEP, COLUMN_STEP = 16, 32  # between the two groups of a thread

multiply = multiply_columns(DEPTH, ITEMS, ITEMS, ROW_STEP, COLUMN_STEP, PITCH)


@cuda.jit(device=True)
def copy_row(tile, place, source, row, last, length, step, k):
    """Two steps, eight apart, of one row of a matrix whose rows run along q."""
    start = uint32(min(row, last) * length + step)
    cp_async4(tile, place, source, start, step < k)
    cp_async4(
        tile, place + uint32(8 * PITCH), source, start + uint32(8), uint32(step + uint32(8)) < k
    )


@cuda.jit(device=True)
def copy_turned(tile, at, source, first, size, length, q0, k):
    """A tile of a matrix whose rows run along q: (size, k), stored with ``length`` to a row."""
    t = uint32(cuda.threadIdx.x)
    step = uint32(q0 + (t & uint32(7)))
    x = uint32(t >> uint32(3))
    row, last = uint32(first + x), uint32(size - uint32(1))
    place = at + (t & uint32(7)) * uint32(PITCH) + x
    copy_row(tile, place, source, row, last, length, step, k)
    copy_row(tile, place + uint32(32), source, uint32(row + uint32(32)), last, length, step, k)
    copy_row(tile, place + uint32(64), source, uint32(row + uint32(64)), last, length, step, k)
    copy_row(tile, place + uint32(96), source, uint32(row + uint32(96)), last, length, step, k)


@cuda.jit(device=True)
def copy_wide(tile, at, source, first, size, length, q0, k):
    """A tile of a matrix with a row for each q: (k, size), size and length multiples of 4."""
    t = uint32(cuda.threadIdx.x)
    q = uint32(t >> uint32(5))
    x = uint32((t & uint32(31)) * uint32(RUN))
    column = min(uint32(first + x), uint32(size - uint32(RUN)))
    place = at + q * uint32(PITCH) + x
    near = uint32(q0 + q)
    far = uint32(near + uint32(8))
    cp_async16(tile, place, source, uint32(near * length + column), near < k)
    place = place + uint32(8 * PITCH)
    cp_async16(tile, place, source, uint32(far * length + column), far < k)


@cuda.jit(device=True)
def copy_narrow(tile, at, source, first, size, length, q0, k):
    """:func:`copy_wide` for any size and length, one number at a time.

    A warp copies to two rows, four apart: 16 banks each, none of them twice.
    """
    t = uint32(cuda.threadIdx.x)
    h = uint32(t >> uint32(4))
    q = uint32((h & uint32(8)) + (h & uint32(6)) // uint32(2) + (h & uint32(1)) * uint32(4))
    step = uint32(q0 + q)
    column = uint32(first + (t & uint32(15)))
    place = at + q * uint32(PITCH) + (t & uint32(15))
    start = uint32(step * length + column)
    for i in range(8):
        inside = step < k and uint32(column + uint32(16 * i)) < size
        cp_async4(tile, place + uint32(16 * i), source, start + uint32(16 * i), inside)


@cuda.jit(device=True)
def put_wide(c, at, left, x0, x1, x2, x3):
    """Four items of a row; there are always four left."""
    store4(c, at, x0, x1, x2, x3)


@cuda.jit(device=True)
def put_narrow(c, at, left, x0, x1, x2, x3):
    """As many of four items as are left of the row, at any address."""
    c[at] = x0
    if left > 1:
        c[at + uint32(1)] = x1
    if left > 2:
        c[at + uint32(2)] = x2
    if left > 3:
        c[at + uint32(3)] = x3


def make_complete(wide: bool, activation: str | None, split: bool) -> Any:
    """The function that stores four sums, with bias and activation, or as the part of a slice."""
    put = put_wide if wide else put_narrow
    finish = identity if activation is None else value_function(activation, float32)

    @cuda.jit(device=True)
    def complete(sums, slot, bias, c, row, at, m, n):
        x0, x1, x2, x3 = load4(sums, slot)
        last = uint32(n - uint32(1))
        x0 = finish(x0 + bias[at])
        x1 = finish(x1 + bias[min(uint32(at + uint32(1)), last)])
        x2 = finish(x2 + bias[min(uint32(at + uint32(2)), last)])
        x3 = finish(x3 + bias[min(uint32(at + uint32(3)), last)])
        put(c, uint32(row * n + at), n - at, x0, x1, x2, x3)

    @cuda.jit(device=True)
    def complete_part(sums, slot, bias, c, row, at, m, n):
        x0, x1, x2, x3 = load4(sums, slot)
        below = uint32(uint32(cuda.blockIdx.z) * m + row)
        put(c, uint32(below * n + at), n - at, x0, x1, x2, x3)

    return complete_part if split else complete


@functools.cache
def make_sgemm(
    turned_a: bool,
    turned_b: bool,
    wide: bool,
    activation: str | None,
    split: bool = False,
    stages: int = 2,
) -> Kernel:
    """The kernel ``c = activation(a b + bias)`` for one storage order; float32.

    Args:
        turned_a: the rows of a run along q: a is (m, k). Otherwise (k, m).
        turned_b: the rows of b run along q: b is (n, k). Otherwise (k, n).
        wide: c and the matrices that are not turned begin at a multiple of 16 bytes and have rows
            of a multiple of four numbers.
        activation: name known to ``activations.functions.value_function``, or None.
        split: each z of the grid sums a slice of the steps q, and c holds a matrix for each, to
            which :mod:`.split` adds bias and activation.
        stages: pairs of tiles in shared memory, 2 or more; see :mod:`.stages`.

    Returns:
        A kernel of (a, b, bias, c, m, n, k, steps): the items of the matrices in a row, and uint32
        sizes; steps are those of a slice, a multiple of ``DEPTH``, and of no matter unless split.
        For blocks of 256 and a grid of (tiles along n, y, z) with y z tiles along m, or y tiles
        and z slices. Stages of ``PAIR_BYTES`` each beyond 48 KiB in all are brought by the launch.
    """
    B_FIRST = stages * TILE
    LAST = B_FIRST - TILE
    SHARED = items_of_shared(2 * B_FIRST)
    AHEAD = stages - 1
    YOUNGER = stages - 2
    copy_straight = copy_wide if wide else copy_narrow
    copy_a = copy_turned if turned_a else copy_straight
    copy_b = copy_turned if turned_b else copy_straight
    complete = make_complete(wide, activation, split)

    @kernel(launch_bounds=(THREADS, 2))
    def sgemm(a, b, bias, c, m, n, k, steps):
        tiles = cuda.shared.array(SHARED, float32, 16)
        total = cuda.local.array((ITEMS, ITEMS), float32)
        part = uint32(cuda.blockIdx.z)
        length_a = k if turned_a else m
        length_b = k if turned_b else n
        q0, first = uint32(0), uint32(part * uint32(cuda.gridDim.y))
        if split:
            q0, first = uint32(part * steps), uint32(0)
            k = min(uint32(q0 + steps), k)
        end = uint32(k + uint32(AHEAD * DEPTH))
        row0 = uint32(uint32(first + uint32(cuda.blockIdx.y)) * uint32(WIDTH))
        column0 = uint32(uint32(cuda.blockIdx.x) * uint32(WIDTH))
        t = uint32(cuda.threadIdx.x)
        lane, warp = uint32(t & uint32(31)), uint32(t >> uint32(5))
        row = uint32((warp >> uint32(1)) * uint32(WARP_ROWS) + (lane >> uint32(3)) * uint32(RUN))
        column = uint32(
            (warp & uint32(1)) * uint32(WARP_COLUMNS) + (lane & uint32(7)) * uint32(RUN)
        )
        for i in range(ITEMS):
            for j in range(ITEMS):
                total[i, j] = float32(0.0)
        for s in range(AHEAD):
            copy_a(tiles, uint32(s * TILE), a, row0, m, length_a, q0, k)
            copy_b(tiles, uint32(B_FIRST + s * TILE), b, column0, n, length_b, q0, k)
            cp_async_commit()
            q0 = uint32(q0 + uint32(DEPTH))
        now, free = uint32(0), uint32(LAST)
        while q0 < end:
            cp_async_wait(YOUNGER)
            cuda.syncthreads()
            copy_a(tiles, free, a, row0, m, length_a, q0, k)
            copy_b(tiles, uint32(B_FIRST) + free, b, column0, n, length_b, q0, k)
            cp_async_commit()
            q0 = uint32(q0 + uint32(DEPTH))
            multiply(total, tiles, now + row, tiles, uint32(B_FIRST) + now + column)
            free = now
            now = uint32(0) if now == uint32(LAST) else uint32(now + uint32(TILE))
        cp_async_wait(0)
        cuda.syncthreads()
        for _ in range(ITEMS // RUN):
            for g in range(2 * RUN):
                i, j = g // 2, RUN * (g % 2)
                slot = uint32(g * RUN * THREADS) + t * uint32(RUN)
                store4(tiles, slot, total[i, j], total[i, j + 1], total[i, j + 2], total[i, j + 3])
            g = uint32(0)
            while g < uint32(2 * RUN):
                at_row = uint32(row0 + row + (g >> uint32(1)))
                at = uint32(column0 + column + (g & uint32(1)) * uint32(COLUMN_STEP))
                slot = uint32(g * uint32(RUN * THREADS)) + t * uint32(RUN)
                if at_row < m and at < n:
                    complete(tiles, slot, bias, c, at_row, at, m, n)
                g = uint32(g + uint32(1))
            row = uint32(row + uint32(ROW_STEP))
            for i in range(RUN):
                for j in range(ITEMS):
                    total[i, j] = total[RUN + i, j]

    return sgemm
