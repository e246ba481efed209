"""Convolution on the tensor cores of a GPU: implicit GEMM of factors rounded to tf32 or bfloat16.

The matrix products, the tiles of 128 x 128 items, the tables of taps and the copies to shared
memory are those of :mod:`.tiled` and :mod:`.tiled_weight`. A warp computes 64 x 32 items by
``mma.sync``, as in ``matmul.tensor``. Numbers are rounded on their way from shared memory to the
registers: in memory all are float32, and sums are float32 everywhere.

Error. With u = 2^-11 (tf32) or 2^-8 (bfloat16), the relative error of a factor is at most u, and
that of a product at most (2 + u) u. To this comes the error of a sum in float32.

Source: NVIDIA, CUTLASS documentation, "Implicit GEMM convolution"; PTX ISA, "mma".
"""

from __future__ import annotations

import functools

from numba import cuda, float32, uint32

from ..engine import Kernel, kernel
from ..engine.ptx import Layout, cp_async_commit, cp_async_wait, multiply_warp, store2
from ..matmul.sgemm import DEPTH, RUN, THREADS, WIDTH
from ..matmul.tensor import (
    ACROSS,
    ALONG,
    COLUMNS,
    ROWS,
    WARP_COLUMNS,
    WARP_ROWS,
    pair_items,
)
from .tiled import GROUPS, copy_pixels, note_starts, pixel_of_thread, tile_of_block, windows_of
from .tiled_weight import channels_of, copy_channels, step_of_thread, weight_grad_kernel

FACTORS = tuple(ALONG)  # formats to which factors can be rounded


@cuda.jit(device=True)
def clear(total):
    """Begin all sums of a lane at zero."""
    for i in range(ROWS):
        for j in range(COLUMNS):
            for e in range(4):
                total[i, j, e] = float32(0.0)


@cuda.jit(device=True)
def corner():
    """The first item of a warp in its tile: (row, column)."""
    warp = uint32(uint32(cuda.threadIdx.x) >> uint32(5))
    row = uint32((warp >> uint32(2)) * uint32(WARP_ROWS))
    return row, uint32((warp & uint32(3)) * uint32(WARP_COLUMNS))


@cuda.jit(device=True)
def lane_of():
    """The number of a thread in its warp."""
    return uint32(uint32(cuda.threadIdx.x) & uint32(31))


@cuda.jit(device=True)
def first_of_lane(row, column):
    """The first item of a lane, if that of its warp is (row, column)."""
    lane = lane_of()
    row = uint32(row + (lane >> uint32(2)))
    return row, uint32(column + uint32((lane & uint32(3)) * uint32(2)))


@cuda.jit(device=True)
def put_pixels(y, first, starts, total, b, row, column, row0, size, m):
    """The items of a lane: of every eighth pixel two channels of every eight, if y has them."""
    row, column = first_of_lane(row, column)
    for j in range(COLUMNS):
        channel = uint32(column + uint32(8 * j))
        if channel < m:
            b0, b1 = b[channel], b[uint32(channel + uint32(1))]
            for i in range(ROWS):
                for e in range(0, 4, 2):
                    below = uint32(row + uint32(16 * i + 4 * e))
                    if uint32(row0 + below) < size:
                        at = uint32(first + uint32(starts[below] + channel))
                        store2(y, at, total[i, j, e] + b0, total[i, j, e + 1] + b1)


@cuda.jit(device=True)
def put_rows(y, first, total, row, column, m, k):
    """The items of a lane in rows of k items, m of them, from number ``first`` on."""
    row, column = first_of_lane(row, column)
    for i in range(ROWS):
        for e in range(0, 4, 2):
            own = uint32(row + uint32(16 * i + 4 * e))
            if own < m:
                at = uint32(uint32(first + own) * k)
                for j in range(COLUMNS):
                    place = uint32(column + uint32(8 * j))
                    if place < k:
                        store2(y, uint32(at + place), total[i, j, e], total[i, j, e + 1])


@functools.cache
def make_correlate(kind: str) -> Kernel:
    """``tiled.correlate_tiled`` with factors rounded to ``"tf32"`` or ``"bf16"``."""
    A_PITCH, B_PITCH = ALONG[kind], ACROSS[kind]
    A_TILE, B_TILE = pair_items(kind, True, False)
    B_FIRST = 2 * A_TILE
    SHARED = B_FIRST + 2 * B_TILE
    multiply = multiply_warp(kind, ROWS, COLUMNS, DEPTH, Layout(A_PITCH, 1), Layout(1, B_PITCH))

    @kernel(launch_bounds=(THREADS, 2))
    def correlate_tensor(
        x, w, b, taps, y, size, m, k, steps, hx, wx, c, p, q, u, v, top, left, plane, image, line,
        item,
    ):  # fmt: skip
        tiles = cuda.shared.array(SHARED, float32, 16)
        starts = cuda.shared.array(WIDTH, uint32)
        total = cuda.local.array((ROWS, COLUMNS, 4), float32)
        row0, column0 = tile_of_block(m)
        q0 = uint32(uint32(cuda.blockIdx.y) * steps)
        rest = uint32(min(uint32(q0 + steps), k) - q0)
        pixel, group = pixel_of_thread()
        place = uint32(pixel * uint32(A_PITCH) + group * uint32(RUN))
        windows = windows_of(uint32(row0 + pixel), size, p, q, hx, wx, c, u, v, top, left)
        note_starts(starts, row0, p, q, image, line, item)
        clear(total)
        step_of, beside = step_of_thread()
        channel, aside = channels_of(uint32(column0 + beside), m)
        wt, further = uint32(uint32(q0 + step_of) * m + channel), uint32(m * uint32(DEPTH))
        beside = uint32(uint32(B_FIRST) + step_of * uint32(B_PITCH) + beside)
        at = uint32(uint32(q0 >> uint32(1)) + uint32(2) * group)
        tap = taps[at], taps[at + uint32(1)]
        copy_pixels(tiles, place, A_PITCH, x, windows, tap, hx, wx)
        copy_channels(tiles, beside, w, wt, aside, step_of < rest)
        cp_async_commit()
        row, column = corner()
        at, now = uint32(at + uint32(2 * GROUPS)), uint32(0)
        tap = taps[at], taps[at + uint32(1)]
        while rest > uint32(0):
            cp_async_wait(0)
            cuda.syncthreads()
            rest, wt = uint32(rest - min(rest, uint32(DEPTH))), uint32(wt + further)
            other = uint32(uint32(1) - now)
            to = uint32(other * uint32(A_TILE) + place)
            copy_pixels(tiles, to, A_PITCH, x, windows, tap, hx, wx)
            to = uint32(other * uint32(B_TILE) + beside)
            copy_channels(tiles, to, w, wt, aside, step_of < rest)
            cp_async_commit()
            at = uint32(at + uint32(2 * GROUPS))
            tap = taps[at], taps[at + uint32(1)]
            from_a = uint32(now * uint32(A_TILE) + row * uint32(A_PITCH))
            from_b = uint32(uint32(B_FIRST) + now * uint32(B_TILE) + column)
            multiply(total, tiles, from_a, tiles, from_b, lane_of())
            now = other
        cp_async_wait(0)
        cuda.syncthreads()
        first = uint32(uint32(cuda.blockIdx.y) * plane)
        put_pixels(y, first, starts, total, b, row, column0 + column, row0, size, m)

    return correlate_tensor


@functools.cache
def make_weight_grad(kind: str) -> Kernel:
    """``tiled_weight.weight_grad_tiled`` with factors rounded to ``"tf32"`` or ``"bf16"``."""
    PITCH = ACROSS[kind]
    product = multiply_warp(kind, ROWS, COLUMNS, DEPTH, Layout(1, PITCH), Layout(1, PITCH))

    @cuda.jit(device=True)
    def multiply(total, tiles, at, bt):
        product(total, tiles, at, tiles, bt, lane_of())

    return weight_grad_kernel(
        "weight_grad_tensor", PITCH, (ROWS, COLUMNS, 4), clear, corner, multiply, put_rows
    )
