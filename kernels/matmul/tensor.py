"""Matrix product of float32 matrices by tensor cores, rounded to tf32 or bfloat16, on a GPU.

The scheme is that of :mod:`.sgemm`: a block computes 128 x 128 items and copies the next pair of
tiles, or the next few, by ``cp.async`` while it multiplies the present one. What differs:

1. a warp computes 64 x 32 items by ``mma.sync``, 4 x 4 blocks of 16 x 8 items;
2. tiles keep the order of their matrix: rows along q are read by ``ldmatrix`` (tf32) or two
   numbers at a time, and nothing has to be turned;
3. numbers are rounded on their way from shared memory to the registers. Sums are float32.

One term has a relative error of up to 2^-10 (tf32) or 2^-7 (bfloat16), each factor half of it.

Source: NVIDIA, CUTLASS documentation, "Efficient GEMM in CUDA"; PTX ISA, "mma".
"""

from __future__ import annotations

import functools

from numba import cuda, float32, uint32

from ..activations.functions import value_function
from ..elementwise.functions import identity
from ..engine import Kernel, kernel
from ..engine.ptx import (
    Layout,
    cp_async4,
    cp_async16,
    cp_async_commit,
    cp_async_wait,
    multiply_warp,
)
from .sgemm import DEPTH, RUN, THREADS, WIDTH
from .stages import items_of_shared

ALONG = {"tf32": 20, "bf16": 24}  # numbers to a row of a tile whose rows run along q
ACROSS = {"tf32": WIDTH + 8, "bf16": WIDTH + 4}  # and of one with a row for each q
WARP_ROWS, WARP_COLUMNS = 64, 32
ROWS, COLUMNS = WARP_ROWS // 16, WARP_COLUMNS // 8  # blocks of 16 x 8 items to a warp


def make_copy(kind: str, along: bool, wide: bool):
    """The function that copies one tile, for rows along q or across it.

    Returns:
        A device function of (tile, at, source, first, size, q0, k, stop): the tile that begins with
        row or column ``first`` of ``size`` and step ``q0`` of ``k``, zeros from ``stop`` on.
    """
    PITCH = ALONG[kind] if along else ACROSS[kind]
    STEP = RUN if wide else 1
    TURNS = WIDTH * DEPTH // (STEP * THREADS)
    ACROSS_LANES = (DEPTH if along else WIDTH) // STEP
    copy = cp_async16 if wide else cp_async4

    @cuda.jit(device=True)
    def copy_along(tile, at, source, first, size, q0, k, stop):
        t = uint32(cuda.threadIdx.x)
        q = uint32(uint32(t % uint32(ACROSS_LANES)) * uint32(STEP))
        x = uint32(t // uint32(ACROSS_LANES))
        step = uint32(q0 + q)
        place = at + x * uint32(PITCH) + q
        for i in range(TURNS):
            further = uint32(i * (THREADS // ACROSS_LANES))
            row = min(uint32(first + x + further), uint32(size - uint32(1)))
            copy(tile, place + further * uint32(PITCH), source, row * k + step, step < stop)

    @cuda.jit(device=True)
    def copy_across(tile, at, source, first, size, q0, k, stop):
        t = uint32(cuda.threadIdx.x)
        x = uint32(uint32(t % uint32(ACROSS_LANES)) * uint32(STEP))
        q = uint32(t // uint32(ACROSS_LANES))
        column = min(uint32(first + x), uint32(size - uint32(STEP)))
        place = at + q * uint32(PITCH) + x
        for i in range(TURNS):
            further = uint32(i * (THREADS // ACROSS_LANES))
            step = uint32(q0 + q + further)
            start = step * size + column
            copy(tile, place + further * uint32(PITCH), source, start, step < stop)

    return copy_along if along else copy_across


def pair_items(kind: str, along_a: bool, along_b: bool) -> tuple[int, int]:
    """Numbers, of four bytes, of shared memory that a tile of a and one of b take."""
    along, across = WIDTH * ALONG[kind], DEPTH * ACROSS[kind]
    return along if along_a else across, along if along_b else across


@functools.cache
def make_tensor_gemm(
    kind: str,
    along_a: bool,
    along_b: bool,
    wide: bool,
    activation: str | None,
    stages: int = 2,
    split: bool = False,
) -> Kernel:
    """The kernel ``c = activation(a b + bias)`` for one storage order.

    Args:
        kind: ``"tf32"`` or ``"bf16"``, to which a and b are rounded.
        along_a: a is (m, k). Otherwise (k, m).
        along_b: b is (n, k). Otherwise (k, n).
        wide: a and b begin at a multiple of 16 bytes and have rows of a multiple of four numbers.
        activation: name known to ``activations.functions.value_function``, or None.
        stages: pairs of tiles in shared memory, 2 or more; see :mod:`.stages`.
        split: as for ``make_sgemm``.

    Returns:
        A kernel of (a, b, bias, c, m, n, k, steps), to be launched like that of ``make_sgemm``; a
        pair of tiles has ``pair_items``.
    """
    copy_a, copy_b = make_copy(kind, along_a, wide), make_copy(kind, along_b, wide)
    ALONG_PITCH, ACROSS_PITCH = ALONG[kind], ACROSS[kind]
    along, across = Layout(ALONG_PITCH, 1), Layout(1, ACROSS_PITCH)
    a_layout, b_layout = along if along_a else across, along if along_b else across
    A_STEP, B_STEP = a_layout.x_step, b_layout.x_step
    A_TILE, B_TILE = pair_items(kind, along_a, along_b)
    B_FIRST = stages * A_TILE
    SHARED = items_of_shared(B_FIRST + stages * B_TILE)
    AHEAD, YOUNGER, LAST = stages - 1, stages - 2, stages - 1
    multiply = multiply_warp(kind, ROWS, COLUMNS, DEPTH, a_layout, b_layout)
    finish = identity if activation is None else value_function(activation, float32)

    @kernel(launch_bounds=(THREADS, 2))
    def tensor_gemm(a, b, bias, c, m, n, k, steps):
        tiles = cuda.shared.array(SHARED, float32, 16)
        total = cuda.local.array((ROWS, COLUMNS, 4), float32)
        part = uint32(cuda.blockIdx.z)
        q0, stop, above = uint32(0), k, uint32(0)
        first = uint32(part * uint32(cuda.gridDim.y))
        if split:
            q0, above, first = uint32(part * steps), uint32(part * m), uint32(0)
            stop = min(uint32(q0 + steps), k)
        end = uint32(stop + uint32(AHEAD * DEPTH))
        row0 = uint32(uint32(first + uint32(cuda.blockIdx.y)) * uint32(WIDTH))
        column0 = uint32(uint32(cuda.blockIdx.x) * uint32(WIDTH))
        t = uint32(cuda.threadIdx.x)
        lane, warp = uint32(t & uint32(31)), uint32(t >> uint32(5))
        row = uint32((warp >> uint32(2)) * uint32(WARP_ROWS))
        column = uint32((warp & uint32(3)) * uint32(WARP_COLUMNS))
        for i in range(ROWS):
            for j in range(COLUMNS):
                for e in range(4):
                    total[i, j, e] = float32(0.0)
        for s in range(AHEAD):
            copy_a(tiles, uint32(s * A_TILE), a, row0, m, q0, k, stop)
            copy_b(tiles, uint32(B_FIRST + s * B_TILE), b, column0, n, q0, k, stop)
            cp_async_commit()
            q0 = uint32(q0 + uint32(DEPTH))
        now, free = uint32(0), uint32(LAST)
        while q0 < end:
            cp_async_wait(YOUNGER)
            cuda.syncthreads()
            copy_a(tiles, uint32(free * uint32(A_TILE)), a, row0, m, q0, k, stop)
            copy_b(tiles, uint32(B_FIRST) + free * uint32(B_TILE), b, column0, n, q0, k, stop)
            cp_async_commit()
            q0 = uint32(q0 + uint32(DEPTH))
            at = uint32(now * uint32(A_TILE) + row * uint32(A_STEP))
            bt = uint32(uint32(B_FIRST) + now * uint32(B_TILE) + column * uint32(B_STEP))
            multiply(total, tiles, at, tiles, bt, lane)
            free = now
            now = uint32(0) if now == uint32(LAST) else uint32(now + uint32(1))
        at_row = uint32(row0 + row + (lane >> uint32(2)))
        at_column = uint32(column0 + column + uint32((lane & uint32(3)) * uint32(2)))
        for i in range(ROWS):
            for j in range(COLUMNS):
                for e in range(4):
                    r = uint32(at_row + uint32(16 * i + 8 * (e // 2)))
                    s = uint32(at_column + uint32(8 * j + e % 2))
                    if r < m and s < n:
                        x = total[i, j, e] if split else finish(total[i, j, e] + bias[s])
                        c[uint32(uint32(above + r) * n + s)] = x

    return tensor_gemm
