"""Convolution on the tensor cores of a GPU: implicit GEMM of factors rounded to tf32 or bfloat16.

The matrix products are those of :mod:`.tiled` and :mod:`.tiled_weight`, and so are the tiles of 128
x 128 items, the tables, and what each thread copies while it computes. A warp multiplies 64 x 32
items by ``mma.sync``, as in ``matmul.tensor``, which rounds numbers on their way from shared memory
to the registers: images, weights and sums stay float32 in memory, and sums in registers.

Error. With u = 2^-11 (tf32) or 2^-8 (bfloat16), a factor is rounded by at most u of its size and a
term of the sum by (2 + u) u. What the sum adds to that is as ever.

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
from .tiled import FURTHER, GROUPS, copy_pixel, start_of, window_of
from .tiled_weight import (
    ASIDE,
    channels_of,
    copy_channels,
    copy_items,
    moved,
    pixel_of,
    tap_of,
)

FACTORS = tuple(ALONG)  # the numbers that they can be rounded to


@cuda.jit(device=True)
def clear(total):
    """Sums of nothing."""
    for i in range(ROWS):
        for j in range(COLUMNS):
            for e in range(4):
                total[i, j, e] = float32(0.0)


@cuda.jit(device=True)
def put_pixels(y, first, starts, total, b, column, row, row0, size, m):
    """The items of a lane: of every eighth pixel two channels of every eight, if y has them."""
    lane = uint32(uint32(cuda.threadIdx.x) & uint32(31))
    row = uint32(row + (lane >> uint32(2)))
    column = uint32(column + uint32((lane & uint32(3)) * uint32(2)))
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
def put_rows(y, first, total, column, row, m, k):
    """The items of a lane in rows of k items, m of them, from number ``first`` on."""
    lane = uint32(uint32(cuda.threadIdx.x) & uint32(31))
    row = uint32(row + (lane >> uint32(2)))
    column = uint32(column + uint32((lane & uint32(3)) * uint32(2)))
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
    B_FIRST, FURTHER_ON = 2 * A_TILE, FURTHER * A_PITCH
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
        across = uint32(uint32(m + uint32(WIDTH - 1)) // uint32(WIDTH))
        row0 = uint32(uint32(uint32(cuda.blockIdx.x) // across) * uint32(WIDTH))
        column0 = uint32(uint32(uint32(cuda.blockIdx.x) % across) * uint32(WIDTH))
        q0 = uint32(uint32(cuda.blockIdx.y) * steps)
        rest = uint32(min(uint32(q0 + steps), k) - q0)
        t = uint32(cuda.threadIdx.x)
        # The group of steps of x that it copies. t & 3 would do, but see tiled.
        group = uint32((t ^ (t >> uint32(2))) & uint32(3))
        place = uint32((t >> uint32(2)) * uint32(A_PITCH) + group * uint32(RUN))
        pixel = uint32(row0 + (t >> uint32(2)))
        near = window_of(pixel, size, p, q, hx, wx, c, u, v, top, left)
        pixel = uint32(pixel + uint32(FURTHER))
        far = window_of(pixel, size, p, q, hx, wx, c, u, v, top, left)
        if t < uint32(WIDTH):
            starts[t] = start_of(uint32(row0 + t), p, q, image, line, item)
        clear(total)
        step_of, beside = uint32(t >> uint32(4)), uint32(uint32(t & uint32(15)) * uint32(RUN))
        channel, aside = channels_of(uint32(column0 + beside), m)
        wt, further = uint32(uint32(q0 + step_of) * m + channel), uint32(m * uint32(DEPTH))
        beside = uint32(uint32(B_FIRST) + step_of * uint32(B_PITCH) + beside)
        at = uint32(uint32(q0 >> uint32(1)) + uint32(2) * group)
        distance, tap = taps[at], taps[at + uint32(1)]
        copy_pixel(tiles, place, x, near, distance, tap, hx, wx)
        copy_pixel(tiles, place + uint32(FURTHER_ON), x, far, distance, tap, hx, wx)
        copy_channels(tiles, beside, w, wt, aside, step_of < rest)
        cp_async_commit()
        lane, warp = uint32(t & uint32(31)), uint32(t >> uint32(5))
        row = uint32((warp >> uint32(2)) * uint32(WARP_ROWS))
        column = uint32((warp & uint32(3)) * uint32(WARP_COLUMNS))
        at, now = uint32(at + uint32(2 * GROUPS)), uint32(0)
        distance, tap = taps[at], taps[at + uint32(1)]
        while rest > uint32(0):
            cp_async_wait(0)
            cuda.syncthreads()
            rest, wt = uint32(rest - min(rest, uint32(DEPTH))), uint32(wt + further)
            other = uint32(uint32(1) - now)
            to = uint32(other * uint32(A_TILE) + place)
            copy_pixel(tiles, to, x, near, distance, tap, hx, wx)
            copy_pixel(tiles, to + uint32(FURTHER_ON), x, far, distance, tap, hx, wx)
            to = uint32(other * uint32(B_TILE) + beside)
            copy_channels(tiles, to, w, wt, aside, step_of < rest)
            cp_async_commit()
            at = uint32(at + uint32(2 * GROUPS))
            distance, tap = taps[at], taps[at + uint32(1)]
            from_a = uint32(now * uint32(A_TILE) + row * uint32(A_PITCH))
            from_b = uint32(uint32(B_FIRST) + now * uint32(B_TILE) + column)
            multiply(total, tiles, from_a, tiles, from_b, lane)
            now = other
        cp_async_wait(0)
        cuda.syncthreads()
        first = uint32(uint32(cuda.blockIdx.y) * plane)
        put_pixels(y, first, starts, total, b, column0 + column, row, row0, size, m)

    return correlate_tensor


@functools.cache
def make_weight_grad(kind: str) -> Kernel:
    """``tiled_weight.weight_grad_tiled`` with factors rounded to ``"tf32"`` or ``"bf16"``."""
    PITCH = ACROSS[kind]
    TILE = pair_items(kind, False, False)[0]
    BOTH = 2 * TILE  # the tiles of one factor
    SHARED = 2 * BOTH
    multiply = multiply_warp(kind, ROWS, COLUMNS, DEPTH, Layout(1, PITCH), Layout(1, PITCH))

    @kernel(launch_bounds=(THREADS, 2))
    def weight_grad_tensor(
        dy, x, taps, y, size, m, k, steps, hx, wx, c, p, q, u, v, top, left, step, di, dj, line,
        image,
    ):  # fmt: skip
        tiles = cuda.shared.array(SHARED, float32, 16)
        total = cuda.local.array((ROWS, COLUMNS, 4), float32)
        row0 = uint32(uint32(cuda.blockIdx.y) * uint32(WIDTH))
        column0 = uint32(uint32(cuda.blockIdx.x) * uint32(WIDTH))
        q0 = uint32(uint32(cuda.blockIdx.z) * steps)
        rest = uint32(min(uint32(q0 + steps), size) - q0)
        t = uint32(cuda.threadIdx.x)
        step_of = uint32(t >> uint32(4))
        column = uint32(uint32(t & uint32(15)) * uint32(RUN))
        tap0 = tap_of(taps, uint32(column0 + column), wx, c, top, left)
        tap1 = tap_of(taps, uint32(column0 + column + uint32(ASIDE)), wx, c, top, left)
        pixel = uint32(q0 + step_of)
        base, i, j = pixel_of(pixel, p, q, hx, wx, c, u, v)
        rows, columns = uint32(p * u), uint32(q * v)
        channel, aside = channels_of(uint32(row0 + column), m)
        at, further = uint32(pixel * m + channel), uint32(m * uint32(DEPTH))
        place = uint32(step_of * uint32(PITCH) + column)
        clear(total)
        copy_channels(tiles, place, dy, at, aside, step_of < rest)
        copy_items(tiles, place + uint32(BOTH), x, base, i, j, tap0, tap1, step_of < rest, hx, wx)
        cp_async_commit()
        lane, warp = uint32(t & uint32(31)), uint32(t >> uint32(5))
        row = uint32((warp >> uint32(2)) * uint32(WARP_ROWS))
        column = uint32((warp & uint32(3)) * uint32(WARP_COLUMNS))
        now = uint32(0)
        while rest > uint32(0):
            cp_async_wait(0)
            cuda.syncthreads()
            rest, at = uint32(rest - min(rest, uint32(DEPTH))), uint32(at + further)
            base, i, j = moved(base, i, j, step, di, dj, rows, columns, u, line, image)
            other = uint32(uint32(TILE) - now)
            to = uint32(place + other)
            copy_channels(tiles, to, dy, at, aside, step_of < rest)
            to = uint32(to + uint32(BOTH))
            copy_items(tiles, to, x, base, i, j, tap0, tap1, step_of < rest, hx, wx)
            cp_async_commit()
            multiply(total, tiles, now + row, tiles, uint32(BOTH) + now + column, lane)
            now = other
        cp_async_wait(0)
        first = uint32(uint32(cuda.blockIdx.z) * m)
        put_rows(y, first, total, column0 + column, row0 + row, m, k)

    return weight_grad_tensor
