"""Matrix product on Hopper GPUs (sm_90a): TMA copies the tiles, ``wgmma`` multiplies them.

What is new over :mod:`..tensor`, which computes the same with the tensor cores' older instruction:

1. *warps have roles*. One thread of the first four warps, the producer, starts copies by the TMA,
   each a whole tile of a or b; two groups of four warps, the consumers, multiply. A block computes
   128 x 256 items, a consumer 64 x 256 of them, 128 sums to a thread;
2. four pairs of tiles lie in shared memory. Two barriers stand between the roles for each pair:
   *full* ends a phase when all bytes of both tiles have come, *empty* when every warp of the
   consumers is done with them. The tiles of c follow each other without a pause: while the
   consumers store one, the producer fills the tiles of the next;
3. the kernel is *persistent*: a block for each multiprocessor, which takes every so many-th tile of
   c, in the order of :mod:`..order`;
4. a and b are read as they are, with their rows along q, and beyond their edges the TMA fills in
   zeros. What lies beyond the edge of c is not stored.

The producer gives registers away and the consumers take them (``setmaxnreg``): 40 and twice 232 are
three times 168, what 384 threads have at first. An assembler that links separate units, as
nvJitLink does with PTX, says that it ignores this; the kernel therefore needs no more than 168.

Source of the scheme: NVIDIA, CUTLASS documentation, "Efficient GEMM in CUDA", section "Warp
Specialization"; PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions".
"""

from __future__ import annotations

import functools

from numba import cuda, float32, int32, uint16, uint32, uint64

from ...engine import Kernel, kernel
from ...engine.ptx.barriers import (
    fence_async,
    fence_mbarrier_init,
    fewer_registers,
    mbarrier_arrive,
    mbarrier_expect,
    mbarrier_init,
    mbarrier_wait,
    more_registers,
    tensor_map_acquire,
    tma_load_2d,
)
from ...engine.ptx.wgmma import ROW_BYTES, descriptor, wgmma, wgmma_wait, wgmma_wait_for
from ..order import place_of
from .epilogue import HELD, WARP_ITEMS, WARP_ROWS, make_put

ROWS, COLUMNS = 128, 256  # of c to a block
GROUP = 128  # threads of four warps
GROUP_BITS = 7
THREADS = 3 * GROUP
WARPS = GROUP // 32  # of a group
CONSUMER_WARPS = 2 * WARPS
SUMS = COLUMNS // 2  # of a thread
STAGES, STAGE_BITS = 4, 2  # pairs of tiles
BARRIERS = 2 * STAGES  # full ones, then empty ones
BYTES = (ROWS + COLUMNS) * ROW_BYTES  # of a pair
SHARED = STAGES * BYTES  # dynamic shared memory
ITEM_BYTES = {"tf32": 4, "bf16": 2, "f16": 2}
ALL_LANES = 0xFFFFFFFF
FEW, MANY = 40, 232  # registers of the producer and of a consumer

wait_for_sums = wgmma_wait(COLUMNS, 0)


def depth_of(kind: str) -> int:
    """Steps q that a pair of tiles holds: rows of 128 bytes."""
    return ROW_BYTES // ITEM_BYTES[kind]


@cuda.jit(device=True)
def only_slice(row, m):
    """(slice, tile row of its matrix) of a tile row of c, where there is one slice only."""
    return uint32(0), row


@cuda.jit(device=True)
def slice_of(row, m):
    """The same where c holds a matrix of m rows for each slice, one below the other."""
    height = uint32(uint32(m + uint32(ROWS - 1)) // uint32(ROWS))
    part = uint32(row // height)
    return part, uint32(row - uint32(part * height))


def make_produce(kind: str, split: bool):
    """The producer: a device function of (tiles, bars, maps, m, steps, rows, columns, strip)."""
    DEPTH = depth_of(kind)
    A_TILE = ROWS * DEPTH
    STAGE = A_TILE + COLUMNS * DEPTH
    part_of = slice_of if split else only_slice

    @cuda.jit(device=True)
    def produce(tiles, bars, maps, m, steps, rows, columns, strip):
        tensor_map_acquire(maps, 0)
        tensor_map_acquire(maps, 1)
        count, tile = uint32(0), uint32(cuda.blockIdx.x)
        while tile < uint32(rows * columns):
            at_row, column = place_of(tile, rows, columns, strip)
            part, row = part_of(at_row, m)
            y, x = int32(row * uint32(ROWS)), int32(column * uint32(COLUMNS))
            q, end = int32(uint32(part * steps) * uint32(DEPTH)), uint32(count + steps)
            while count != end:
                s = uint32(count & uint32(STAGES - 1))
                at = uint32(s * uint32(STAGE))
                odd = uint32((count >> uint32(STAGE_BITS)) & uint32(1))
                mbarrier_wait(bars, uint32(STAGES) + s, odd ^ uint32(1))
                mbarrier_expect(bars, s, BYTES)
                tma_load_2d(tiles, at, maps, 0, q, y, bars, s)
                tma_load_2d(tiles, at + uint32(A_TILE), maps, 1, q, x, bars, s)
                q = int32(q + int32(DEPTH))
                count = uint32(count + uint32(1))
            tile = uint32(tile + uint32(cuda.gridDim.x))

    return produce


def make_multiply(kind: str):
    """All steps of one tile: a device function of (total, a, b, bars, count, steps, leads).

    a and b are the descriptors of the consumer's part of the first tiles; ``count`` is the number
    of pairs used before, and ``leads`` whether the thread speaks for its warp.
    """
    UNITS = BYTES // 16
    multiply = wgmma(kind, COLUMNS)

    @cuda.jit(device=True)
    def multiply_tile(total, a, b, bars, count, steps, leads):
        for i in range(SUMS):
            total[i] = float32(0.0)
        step = uint32(0)
        while step < steps:
            s = uint32(count & uint32(STAGES - 1))
            mbarrier_wait(bars, s, (count >> uint32(STAGE_BITS)) & uint32(1))
            further = uint64(s * uint32(UNITS))
            multiply(total, a + further, b + further, int32(1))
            wgmma_wait_for(1)  # of the step before
            if leads and step > uint32(0):
                done = uint32(uint32(count - uint32(1)) & uint32(STAGES - 1))
                mbarrier_arrive(bars, uint32(STAGES) + done)
            count = uint32(count + uint32(1))
            step = uint32(step + uint32(1))
        wait_for_sums(total)
        if leads:
            done = uint32(uint32(count - uint32(1)) & uint32(STAGES - 1))
            mbarrier_arrive(bars, uint32(STAGES) + done)

    return multiply_tile


def make_consume(kind: str, wide: bool, activation: str | None, split: bool):
    """A consumer: a device function of (tiles, bars, held, group, bias, c, and the sizes)."""
    A_TILE = ROWS * depth_of(kind)
    PART = A_TILE // 2
    multiply_tile = make_multiply(kind)
    put = make_put(wide, activation, split)
    part_of = slice_of if split else only_slice

    @cuda.jit(device=True)
    def consume(tiles, bars, held, group, bias, c, m, n, steps, rows, columns, strip):
        total = cuda.local.array(SUMS, float32)
        part = uint32(group - uint32(1))
        a = descriptor(tiles, uint32(part * uint32(PART)))
        b = descriptor(tiles, uint32(A_TILE))
        t = uint32(cuda.threadIdx.x)
        leads = uint32(t & uint32(31)) == uint32(0)
        warp = uint32(uint32(t >> uint32(5)) - uint32(WARPS))
        own = uint32(warp * uint32(WARP_ITEMS))
        count, tile = uint32(0), uint32(cuda.blockIdx.x)
        while tile < uint32(rows * columns):
            multiply_tile(total, a, b, bars, count, steps, leads)
            count = uint32(count + steps)
            at_row, at_column = place_of(tile, rows, columns, strip)
            part, at_row = part_of(at_row, m)
            above = uint32(part * m)
            row = uint32(at_row * uint32(ROWS) + warp * uint32(WARP_ROWS))
            column = uint32(at_column * uint32(COLUMNS))
            put(total, 0, held, own, bias, c, above, row, column, m, n)
            put(total, 4, held, own, bias, c, above, row, column, m, n)
            put(total, 8, held, own, bias, c, above, row, column, m, n)
            put(total, 12, held, own, bias, c, above, row, column, m, n)
            put(total, 16, held, own, bias, c, above, row, column, m, n)
            put(total, 20, held, own, bias, c, above, row, column, m, n)
            put(total, 24, held, own, bias, c, above, row, column, m, n)
            put(total, 28, held, own, bias, c, above, row, column, m, n)
            tile = uint32(tile + uint32(cuda.gridDim.x))

    return consume


@functools.cache
def make_hopper_gemm(kind: str, wide: bool, activation: str | None, split: bool = False) -> Kernel:
    """The kernel ``c = activation(a b + bias)`` for a (m, k) and b stored as (n, k).

    Args:
        kind: ``"tf32"`` (a and b of float32, rounded by the TMA), ``"bf16"`` or ``"f16"``.
        wide: c begins at a multiple of 16 bytes and n is a multiple of four.
        activation: name known to ``activations.functions.value_function``, or None.
        split: c holds a matrix for each slice of the steps, to which ``..split`` adds bias and
            activation. Beyond the last step of all a slice is filled up by zeros of the TMA.

    Returns:
        A kernel of (maps, bias, c, m, n, steps, rows, columns, strip): the tensor maps of a, whose
        boxes have 128 rows, and of b, 256 rows, both of 128 bytes with a swizzle of 128 bytes; bias
        (n,) and the items of c in a row, float32; as uint32 the sizes of a matrix in c, the least
        number of steps of 128 bytes that hold k or a slice, at least 1, the tile rows of all
        slices and tile columns of c and how many tile rows make a strip. For blocks of ``THREADS``
        with ``SHARED`` bytes of dynamic shared memory and a grid of any length.
    """
    item = float32 if kind == "tf32" else uint16
    produce = make_produce(kind, split)
    consume = make_consume(kind, wide, activation, split)

    @kernel(launch_bounds=(THREADS, 1))
    def hopper_gemm(maps, bias, c, m, n, steps, rows, columns, strip):
        tiles = cuda.shared.array(0, item, 1024)
        bars = cuda.shared.array(BARRIERS, uint64, 8)
        held = cuda.shared.array(HELD, float32, 16)
        t = uint32(cuda.threadIdx.x)
        if t == uint32(0):
            for s in range(STAGES):
                mbarrier_init(bars, s, 1)
                mbarrier_init(bars, STAGES + s, CONSUMER_WARPS)
            fence_mbarrier_init()
            fence_async()  # the TMA's proxy is another one: it is to see the barriers as made here
        cuda.syncthreads()
        # By a shuffle, so that the assembler knows it to be the same in all lanes of a warp.
        group = uint32(cuda.shfl_sync(ALL_LANES, int32(t >> uint32(GROUP_BITS)), 0))
        if group == uint32(0):
            fewer_registers(FEW)
            if t == uint32(0):
                produce(tiles, bars, maps, m, steps, rows, columns, strip)
        else:
            more_registers(MANY)
            consume(tiles, bars, held, group, bias, c, m, n, steps, rows, columns, strip)

    return hopper_gemm
