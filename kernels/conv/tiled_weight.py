"""Gradient of the weights by the wide tiles of the matrix product: implicit GEMM for a GPU.

With the channels of a pixel as neighbours (NHWC) and pixels ``j`` of dy as steps of the sum, the
gradient is the product ``dw[m, k] = sum over j of dy[j, m] a[j, k]``, where ``a[j, k]`` with
``k = t C + c`` is the item of x that tap t meets from pixel j, or 0: the matrix of :mod:`.tiled`.

Both factors have a row for each step, as the tiles of ``matmul.sgemm`` have, so only the copies are
new. A thread copies one pixel of 16: twice four channels of dy, and four channels of two taps, the
same all the time. One comparison tells whether there is such a pixel. The pixels move on by 16 from
tile to tile: that is a number of images, rows and columns, found before the loop, which is added to
row, column and place; where a row or an image ends, so much is taken off again. No thread divides
in the loop.

The sum runs over all pixels of all images, usually many more than there are weights: a slice of
the pixels to each z of the grid, which ``matmul.split`` adds in order. Results repeat bit for bit.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32, uint32

from ..engine import Kernel, kernel
from ..engine.ptx import cp_async16, cp_async_commit, cp_async_wait, store4
from ..matmul.sgemm import (
    COLUMN_STEP,
    DEPTH,
    ITEMS,
    PITCH,
    ROW_STEP,
    RUN,
    THREADS,
    WARP_COLUMNS,
    WARP_ROWS,
    WIDTH,
    multiply,
)
from .tiled import ROW_BITS, clear

ASIDE = WIDTH // 2  # between the two groups of four columns that a thread copies


@cuda.jit(device=True)
def pixel_of(pixel, p, q, hx, wx, c, u, v):
    """Of a pixel of dy: the number in x of the first item of its window; row and column of that.

    As if windows began in the image: ``tap_of`` takes off what they begin before it.
    """
    column, rest = uint32(pixel % q), uint32(pixel // q)
    row, n = uint32(uint32(rest % p) * u), uint32(rest // p)
    column = uint32(column * v)
    return uint32(uint32(uint32(n * hx + row) * wx + column) * c), row, column


@cuda.jit(device=True)
def tap_of(taps, column, wx, c, top, left):
    """What the tap and channel of a column add to place, row and column; modulo 2**32."""
    at = uint32(column >> uint32(1))
    distance, tap = taps[at], taps[at + uint32(1)]
    i, j = uint32((tap >> uint32(ROW_BITS)) - top), uint32((tap & uint32(0xFFFF)) - left)
    return uint32(distance - uint32(uint32(top * wx + left) * c)), i, j


@cuda.jit(device=True)
def taps_of(taps, column, wx, c, top, left):
    """Those of both groups of four columns that a thread copies; ``column`` is the first."""
    near = tap_of(taps, column, wx, c, top, left)
    return near, tap_of(taps, uint32(column + uint32(ASIDE)), wx, c, top, left)


@cuda.jit(device=True)
def moved(base, i, j, step, di, dj, rows, columns, u, line, image):
    """Place, row and column of the pixel 16 further on; the rows and columns are those of x.

    Args:
        di, dj: how many rows and columns that is; one row more taps ``j`` passes ``columns``.
        step, line: how far that is in x: within a row, and from one row to the next.
        image: what to add taps an image ends.
    """
    j = uint32(j + dj)
    ends = j >= columns
    i = uint32(i + di + (u if ends else uint32(0)))
    last = i >= rows
    base = uint32(base + (line if ends else step) + (image if last else uint32(0)))
    # Of a number and one that is less, that is the smaller, unless it is below zero.
    return base, min(i, uint32(i - rows)), min(j, uint32(j - columns))


@cuda.jit(device=True)
def copy_item(tile, place, x, base, i, j, tap, inside, hx, wx):
    """Four channels of the pixel that a tap meets, of the window that begins at (i, j)."""
    distance, down, right = tap
    inside = inside & (uint32(i + down) < hx) & (uint32(j + right) < wx)
    cp_async16(tile, place, x, uint32(base + distance), inside)


@cuda.jit(device=True)
def copy_items(tile, place, x, base, i, j, both, inside, hx, wx):
    """Of two taps."""
    copy_item(tile, place, x, base, i, j, both[0], inside, hx, wx)
    copy_item(tile, place + uint32(ASIDE), x, base, i, j, both[1], inside, hx, wx)


@cuda.jit(device=True)
def channels_of(first, m):
    """The first of four of m channels, and how far the other four are that a thread copies.

    Beyond the last, the last are read again: what they add belongs to items that nobody stores.
    """
    last = uint32(m - uint32(RUN))
    channel = min(first, last)
    return channel, uint32(min(uint32(first + uint32(ASIDE)), last) - channel)


@cuda.jit(device=True)
def copy_channels(tile, place, dy, at, aside, inside):
    """Two groups of four channels of one step."""
    cp_async16(tile, place, dy, at, inside)
    cp_async16(tile, place + uint32(ASIDE), dy, uint32(at + aside), inside)


@cuda.jit(device=True)
def step_of_thread():
    """What a thread copies of a tile: (step, first column)."""
    t = uint32(cuda.threadIdx.x)
    return uint32(t >> uint32(4)), uint32(uint32(t & uint32(15)) * uint32(RUN))


def weight_grad_kernel(
    name: str, pitch: int, sums: tuple[int, ...], clear: Any, corner: Any, multiply: Any, put: Any
) -> Kernel:
    """The kernel, for one way to multiply tiles.

    Args:
        name: of the kernel.
        pitch: numbers from one step of a tile to the next.
        sums: shape of the sums of a thread, a local array.
        clear: device function of (sums): makes them 0.
        corner: device function of (): row and column of the tile from which ``multiply`` counts.
        multiply: device function of (sums, tiles, at, bt): adds the product of the two tiles that
            begin at ``at`` and ``bt``, counted from the corner.
        put: device function of (y, first, sums, row, column, m, k): stores them in the matrix
            (m, k) that begins with row ``first`` of y; the corner is its item (row, column).
    """
    TILE = DEPTH * pitch
    BOTH = 2 * TILE  # one pair of tiles is multiplied while the other is filled
    SHARED = 2 * BOTH

    def weight_grad(
        dy, x, taps, y, size, m, k, steps, hx, wx, c, p, q, u, v, top, left, step, di, dj, line,
        image,
    ):  # fmt: skip
        # dy: (size, M), x: (N, hx, wx, c), taps: (K / 4 and more, 2), as in tiled; y: (slices, M,
        # K). dy has p x q pixels to an image. Grid: (tiles along K, tiles along M, slices).
        tiles = cuda.shared.array(SHARED, float32, 16)
        total = cuda.local.array(sums, float32)
        row0 = uint32(uint32(cuda.blockIdx.y) * uint32(WIDTH))
        column0 = uint32(uint32(cuda.blockIdx.x) * uint32(WIDTH))
        q0 = uint32(uint32(cuda.blockIdx.z) * steps)
        rest = uint32(min(uint32(q0 + steps), size) - q0)
        step_of, column = step_of_thread()
        both = taps_of(taps, uint32(column0 + column), wx, c, top, left)
        pixel = uint32(q0 + step_of)
        base, i, j = pixel_of(pixel, p, q, hx, wx, c, u, v)
        rows, columns = uint32(p * u), uint32(q * v)
        channel, aside = channels_of(uint32(row0 + column), m)
        at, further = uint32(pixel * m + channel), uint32(m * uint32(DEPTH))
        place = uint32(step_of * uint32(pitch) + column)
        clear(total)
        copy_channels(tiles, place, dy, at, aside, step_of < rest)
        copy_items(tiles, place + uint32(BOTH), x, base, i, j, both, step_of < rest, hx, wx)
        cp_async_commit()
        row, column = corner()
        now = uint32(0)
        while rest > uint32(0):
            cp_async_wait(0)
            cuda.syncthreads()
            rest, at = uint32(rest - min(rest, uint32(DEPTH))), uint32(at + further)
            base, i, j = moved(base, i, j, step, di, dj, rows, columns, u, line, image)
            other = uint32(uint32(TILE) - now)
            to = uint32(place + other)
            copy_channels(tiles, to, dy, at, aside, step_of < rest)
            copy_items(tiles, to + uint32(BOTH), x, base, i, j, both, step_of < rest, hx, wx)
            cp_async_commit()
            multiply(total, tiles, now + row, uint32(BOTH) + now + column)
            now = other
        cp_async_wait(0)
        first = uint32(uint32(cuda.blockIdx.z) * m)
        put(y, first, total, uint32(row0 + row), uint32(column0 + column), m, k)

    weight_grad.__name__ = weight_grad.__qualname__ = name
    return kernel(launch_bounds=(THREADS, 2))(weight_grad)


# -- in float32 ------------------------------------------------------------------------------------
@cuda.jit(device=True)
def corner():
    """The first item of a thread."""
    t = uint32(cuda.threadIdx.x)
    lane, warp = uint32(t & uint32(31)), uint32(t >> uint32(5))
    row = uint32((warp >> uint32(1)) * uint32(WARP_ROWS) + (lane >> uint32(3)) * uint32(RUN))
    column = uint32((warp & uint32(1)) * uint32(WARP_COLUMNS) + (lane & uint32(7)) * uint32(RUN))
    return row, column


@cuda.jit(device=True)
def multiply_tiles(total, tiles, at, bt):
    """Add the product of two tiles."""
    multiply(total, tiles, at, tiles, bt)


@cuda.jit(device=True)
def put_row(y, at, total, r, column, k):
    """The eight items of a thread in one row: two runs of four, if the row has so many."""
    for s in range(0, ITEMS, RUN):
        place = uint32(column + uint32(s // RUN * COLUMN_STEP))
        if place < k:
            x0, x1, x2, x3 = total[r, s], total[r, s + 1], total[r, s + 2], total[r, s + 3]
            store4(y, uint32(at + place), x0, x1, x2, x3)


@cuda.jit(device=True)
def put_rows(y, first, total, row, column, m, k):
    """All items of a thread."""
    for r in range(ITEMS):
        own = uint32(row + uint32(r // RUN * ROW_STEP + r % RUN))
        if own < m:
            put_row(y, uint32(uint32(first + own) * k), total, r, column, k)


weight_grad_tiled = weight_grad_kernel(
    "weight_grad_tiled", PITCH, (ITEMS, ITEMS), clear, corner, multiply_tiles, put_rows
)
