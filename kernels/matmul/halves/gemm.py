"""Matrix product of float16 or bfloat16 matrices by tensor cores; on GPUs from sm_80 on, and CPUs.

The scheme is that of :mod:`..tensor`, whose matrices are float32: a block computes 128 x 128 items
and copies tiles by ``cp.async`` while it multiplies earlier ones. What differs:

1. numbers go as they are from memory to the registers: 16-byte copies of eight, ``ldmatrix``,
   which transposes on the way where a matrix has a row for each q, and ``mma.sync``;
2. four warps compute 64 x 64 items each. With half of that a warp would read 3 KB of shared memory
   for 32,768 multiply-adds, 24 clocks; a multiprocessor of compute capability 9.0 takes 16 of them
   at its peak and 26 at what others have reached by this instruction. So it is 4 KB for 65,536;
3. tiles have no padding. Their 16-byte units change places (see ``engine.ptx.halves``), since with
   rows of 64 bytes no padding lets both copies and ``ldmatrix`` meet every bank once;
4. tiles of c are numbered as :mod:`..order` says, and leave as :mod:`.epilogue` says.

Source: NVIDIA, CUTLASS documentation, "Efficient GEMM in CUDA"; PTX ISA, "mma", "ldmatrix".
"""

from __future__ import annotations

import functools
from typing import Any

from numba import cuda, float32, uint16, uint32

from ...engine import Kernel, kernel
from ...engine.ptx import (
    HalfTile,
    cp_async16_halves,
    cp_async_commit,
    cp_async_wait,
    multiply_halves,
    place_in_tile,
)
from ..order import place_of
from .epilogue import WARP_ITEMS, make_store

WIDTH = 128  # rows and columns of c to a block
DEPTH = 32  # steps q that a pair of tiles holds
THREADS = 128
WARP = 64  # rows and columns of c to a warp
ROWS, COLUMNS = WARP // 16, WARP // 8  # blocks of 16 x 8 items to a warp
SUMS = 4 * ROWS * COLUMNS  # of a thread
UNIT = 8  # numbers in 16 bytes
TILE = WIDTH * DEPTH
PAIR_BYTES = 2 * 2 * TILE  # of shared memory that a pair of tiles takes


@cuda.jit(device=True)
def copy_one(tile, at, source, index, inside):
    """One number, when no more than that can be copied at a time; at once, as ``cp.async`` is for
    four bytes and more."""
    tile[at] = source[index] if inside else uint16(0)


def make_copy(along: bool, wide: bool) -> Any:
    """The function that copies one tile, for rows along q or across it.

    Returns:
        A device function of (tile, at, source, first, size, q0, k, stop): the tile that begins with
        row or column ``first`` of ``size`` and step ``q0`` of ``k``, zeros from ``stop`` on.
    """
    LENGTH = DEPTH if along else WIDTH
    STEP = UNIT if wide else 1
    LANES = LENGTH // STEP  # threads to a row of the tile
    EACH = THREADS // LANES  # rows at a time
    TURNS = TILE // LENGTH // EACH
    copy = cp_async16_halves if wide else copy_one
    place = place_in_tile(LENGTH)

    @cuda.jit(device=True)
    def copy_along(tile, at, source, first, size, q0, k, stop):
        t = uint32(cuda.threadIdx.x)
        q = uint32(uint32(t % uint32(LANES)) * uint32(STEP))
        x = uint32(t // uint32(LANES))
        step = uint32(q0 + q)
        for i in range(TURNS):
            further = uint32(x + uint32(i * EACH))
            row = min(uint32(first + further), uint32(size - uint32(1)))
            copy(tile, at + place(further, q), source, row * k + step, step < stop)

    @cuda.jit(device=True)
    def copy_across(tile, at, source, first, size, q0, k, stop):
        t = uint32(cuda.threadIdx.x)
        x = uint32(uint32(t % uint32(LANES)) * uint32(STEP))
        q = uint32(t // uint32(LANES))
        column = min(uint32(first + x), uint32(size - uint32(STEP)))
        for i in range(TURNS):
            further = uint32(q + uint32(i * EACH))
            step = uint32(q0 + further)
            copy(tile, at + place(further, x), source, step * size + column, step < stop)

    return copy_along if along else copy_across


@functools.cache
def make_half_gemm(
    kind: str,
    along_a: bool,
    along_b: bool,
    wide: bool,
    wide_c: bool,
    activation: str | None,
    stages: int = 2,
    split: bool = False,
) -> Kernel:
    """The kernel ``c = activation(a b + bias)`` for one storage order.

    Args:
        kind: ``"f16"`` or ``"bf16"``.
        along_a: a is (m, k). Otherwise (k, m).
        along_b: b is (n, k). Otherwise (k, n).
        wide: a and b begin at a multiple of 16 bytes and have rows of a multiple of eight numbers.
        wide_c: c begins at a multiple of 16 bytes and n is a multiple of four.
        activation: name known to ``activations.functions.value_function``, or None.
        stages: pairs of tiles in shared memory, 2 or more; see :mod:`..stages`.
        split: each z of the grid sums a slice of the steps q, and c holds a matrix for each, to
            which :mod:`..split` adds bias and activation.

    Returns:
        A kernel of (a, b, bias, c, m, n, k, rows, columns, strip, steps): the items of the matrices
        in a row, a and b as the uint16 of their bits, bias and c float32; as uint32 the sizes, the
        tile rows and tile columns of c, how many tile rows make a strip, and the steps of a slice,
        a multiple of ``DEPTH`` and of no matter unless split. For blocks of ``THREADS``, one for
        each tile of c and slice, with ``stages * PAIR_BYTES`` bytes of dynamic shared memory.
    """
    copy_a, copy_b = make_copy(along_a, wide), make_copy(along_b, wide)
    of_a, of_b = (HalfTile(along, DEPTH if along else WIDTH) for along in (along_a, along_b))
    A_STEP, B_STEP = (DEPTH if along else 1 for along in (along_a, along_b))
    B_FIRST = stages * TILE
    LAST = B_FIRST - TILE
    AHEAD, YOUNGER = stages - 1, stages - 2
    multiply = multiply_halves(kind, ROWS, COLUMNS, DEPTH, of_a, of_b)
    store = make_store(wide_c, activation, split)

    @kernel(launch_bounds=(THREADS, 2))
    def half_gemm(a, b, bias, c, m, n, k, rows, columns, strip, steps):
        tiles = cuda.shared.array(0, uint16, 128)
        held = cuda.shared.array(0, float32, 128)  # the same memory, when the tiles are done with
        total = cuda.local.array(SUMS, float32)
        at_row, at_column = place_of(uint32(cuda.blockIdx.x), rows, columns, strip)
        row0, column0 = uint32(at_row * uint32(WIDTH)), uint32(at_column * uint32(WIDTH))
        t = uint32(cuda.threadIdx.x)
        lane, warp = uint32(t & uint32(31)), uint32(t >> uint32(5))
        row = uint32((warp >> uint32(1)) * uint32(WARP))
        column = uint32((warp & uint32(1)) * uint32(WARP))
        for i in range(SUMS):
            total[i] = float32(0.0)
        q0, stop, above = uint32(0), k, uint32(0)
        if split:
            part = uint32(cuda.blockIdx.z)
            q0, above = uint32(part * steps), uint32(part * m)
            stop = min(uint32(q0 + steps), k)
        end = uint32(stop + uint32(AHEAD * DEPTH))
        for s in range(AHEAD):
            copy_a(tiles, uint32(s * TILE), a, row0, m, q0, k, stop)
            copy_b(tiles, uint32(B_FIRST + s * TILE), b, column0, n, q0, k, stop)
            cp_async_commit()
            q0 = uint32(q0 + uint32(DEPTH))
        now, free = uint32(0), uint32(LAST)
        while q0 < end:
            cp_async_wait(YOUNGER)
            cuda.syncthreads()
            copy_a(tiles, free, a, row0, m, q0, k, stop)
            copy_b(tiles, uint32(uint32(B_FIRST) + free), b, column0, n, q0, k, stop)
            cp_async_commit()
            q0 = uint32(q0 + uint32(DEPTH))
            at = uint32(now + row * uint32(A_STEP))
            bt = uint32(uint32(B_FIRST) + now + column * uint32(B_STEP))
            multiply(total, tiles, at, tiles, bt, lane)
            free = now
            now = uint32(0) if now == uint32(LAST) else uint32(now + uint32(TILE))
        cp_async_wait(0)
        cuda.syncthreads()
        own = uint32(warp * uint32(WARP_ITEMS))
        row, column = uint32(row0 + row), uint32(column0 + column)
        store(total, held, own, bias, c, above, row, column, m, n)

    return half_gemm
