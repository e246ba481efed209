"""Correlation by the wide tiles of the matrix product: implicit GEMM for a GPU.

The kernel of :mod:`.gemm` gathers from images as they lie. For many channels there is a better
order. With the channels of a pixel as neighbours (NHWC) and weights with a row for each tap and
channel, the correlation is the product ``y[j, m] = sum over k of a[j, k] w[k, m]`` of

* ``a[j, k]``: for pixel ``j`` of y and step ``k = t C + c`` the item of x that tap t meets, or 0;
* ``w[k, m]``: the weights, (T C, M).

It is computed like the product of ``matmul.sgemm``: a block of 256 threads has 128 pixels and 128
channels, a thread 8 x 8 of them; while one pair of tiles is multiplied, the next is copied by
``cp.async``, four channels at a time. What differs is tile a:

1. its rows run along the steps, as in x, and ``multiply_rows`` takes them as they are;
2. a thread copies four channels of two pixels, the same pixels all the time. Where they are, and
   what each group of four steps adds to that, is found before the loop: ``taps`` holds, for each
   group, the distance in x and the place of its tap. No thread divides in the loop;
3. pixels outside of the image, steps beyond the last and pixels beyond the last are zeros by the
   operand of ``cp.async`` that says how much is read.

Groups of steps may be given in slices, one to each z of the grid: to keep more multiprocessors
busy, when ``matmul.split`` adds the slices in order; or because the slices are products of their
own, the 16 of :mod:`.winograd`.

Source: Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014, section 3; NVIDIA,
CUTLASS documentation, "Implicit GEMM convolution".
"""

from __future__ import annotations

from numba import cuda, float32, uint32

from ..engine import kernel
from ..engine.ptx import (
    cp_async16,
    cp_async_commit,
    cp_async_wait,
    multiply_rows,
    store4,
)
from ..matmul.sgemm import COLUMN_STEP, DEPTH, ITEMS, PITCH, RUN, THREADS, TILE, WIDTH, copy_wide

GROUPS = DEPTH // RUN  # of four steps, in a tile
ROW_STEP = 4  # between the rows of a thread
ROW_PITCH = DEPTH + RUN  # of tile a; 5 * 4 numbers: four rows side by side meet different banks
ROW_TILE = WIDTH * ROW_PITCH
WIDE_TILES = 2 * ROW_TILE  # where the tiles of w begin
SHARED = WIDE_TILES + 2 * TILE
FURTHER = THREADS // GROUPS  # rows between the two that a thread copies
WARP_ROWS, WARP_COLUMNS = 32, 64

# A tap has its row and column in one number. No window has OUTSIDE in its image, if that and what
# is padded above it have at most FARTHEST rows; a window that begins at NOWHERE has no tap in it.
ROW_BITS = 16
FARTHEST = 1 << 15
OUTSIDE = FARTHEST << ROW_BITS
NOWHERE = 1 << 30

multiply = multiply_rows(DEPTH, ITEMS, ITEMS, ROW_STEP, COLUMN_STEP, ROW_PITCH, PITCH)


@cuda.jit(device=True)
def window_of(pixel, size, rows, columns, high, wide, c, u, v, top, left):
    """Where the window of a pixel of y begins: number of the item in x, row and column.

    All three modulo 2**32: a window may begin before the image.
    """
    q, rest = uint32(pixel % columns), uint32(pixel // columns)
    p, n = uint32(rest % rows), uint32(rest // rows)
    i, j = uint32(p * u - top), uint32(q * v - left)
    base = uint32(uint32(uint32(n * high + i) * wide + j) * c)
    return base, i if pixel < size else uint32(NOWHERE), j


@cuda.jit(device=True)
def windows_of(pixel, size, rows, columns, high, wide, c, u, v, top, left):
    """The windows of the two pixels that a thread copies; ``pixel`` is the first."""
    near = window_of(pixel, size, rows, columns, high, wide, c, u, v, top, left)
    pixel = uint32(pixel + uint32(FURTHER))
    return near, window_of(pixel, size, rows, columns, high, wide, c, u, v, top, left)


@cuda.jit(device=True)
def note_starts(starts, row0, rows, columns, image, line, item):
    """Where the channels of each pixel of the tile begin in y, for the end of the kernel."""
    t = uint32(cuda.threadIdx.x)
    if t < uint32(WIDTH):
        pixel = uint32(row0 + t)
        q, rest = uint32(pixel % columns), uint32(pixel // columns)
        p, n = uint32(rest % rows), uint32(rest // rows)
        starts[t] = uint32(n * image + p * line + q * item)


@cuda.jit(device=True)
def tile_of_block(m):
    """(first pixel, first channel) of the tile that a block computes, for ``m`` channels."""
    across = uint32(uint32(m + uint32(WIDTH - 1)) // uint32(WIDTH))
    row0 = uint32(uint32(uint32(cuda.blockIdx.x) // across) * uint32(WIDTH))
    column0 = uint32(uint32(uint32(cuda.blockIdx.x) % across) * uint32(WIDTH))
    return row0, column0


@cuda.jit(device=True)
def pixel_of_thread():
    """What a thread copies of a tile of x: (first of its two pixels, group of four steps)."""
    t = uint32(cuda.threadIdx.x)
    # t & 3 would do for the group; plain Numba 0.68 vectorises that wrongly.
    return uint32(t >> uint32(2)), uint32((t ^ (t >> uint32(2))) & uint32(3))


@cuda.jit(device=True)
def copy_pixel(tile, place, x, window, tap, high, wide):
    """Four channels of the pixel that a tap meets; ``tap`` is a row of ``taps``."""
    base, i, j = window
    distance, where = tap
    row = uint32(i + (where >> uint32(ROW_BITS)))
    column = uint32(j + (where & uint32(0xFFFF)))
    cp_async16(tile, place, x, uint32(base + distance), row < high and column < wide)


@cuda.jit(device=True)
def copy_pixels(tile, place, pitch, x, windows, tap, high, wide):
    """Those of the two windows of a thread, to rows of ``pitch`` numbers."""
    copy_pixel(tile, place, x, windows[0], tap, high, wide)
    copy_pixel(tile, place + uint32(FURTHER * pitch), x, windows[1], tap, high, wide)


@cuda.jit(device=True)
def clear(total):
    """Begin all sums of a thread at zero."""
    for i in range(ITEMS):
        for j in range(ITEMS):
            total[i, j] = float32(0.0)


@cuda.jit(device=True)
def put_pixel(y, at, total, i, bias, column, m):
    """The eight channels of a thread for one pixel: two runs of four, if y has so many."""
    for j in range(0, ITEMS, RUN):
        channel = uint32(column + uint32(j // RUN * COLUMN_STEP))
        if channel < m:
            x0 = total[i, j] + bias[channel]
            x1 = total[i, j + 1] + bias[uint32(channel + uint32(1))]
            x2 = total[i, j + 2] + bias[uint32(channel + uint32(2))]
            x3 = total[i, j + 3] + bias[uint32(channel + uint32(3))]
            store4(y, uint32(at + channel), x0, x1, x2, x3)


@kernel(launch_bounds=(THREADS, 2))
def correlate_tiled(
    x, w, b, taps, y, size, m, k, steps, hx, wx, c, p, q, u, v, top, left, plane, image, line, item
):
    # x: (N, hx, wx, c), w: (K, M), b: (M,), taps: (K / 4 and more, 2); pixel (n, i, j) of slice z
    # of y, which has p x q of them, begins at z plane + n image + i line + j item.
    # Grid: (tiles of 128 pixels times tiles of 128 channels, slices).
    tiles = cuda.shared.array(SHARED, float32, 16)
    starts = cuda.shared.array(WIDTH, uint32)
    total = cuda.local.array((ITEMS, ITEMS), float32)
    row0, column0 = tile_of_block(m)
    q0 = uint32(uint32(cuda.blockIdx.y) * steps)
    k = min(uint32(q0 + steps), k)
    pixel, group = pixel_of_thread()
    place = uint32(pixel * uint32(ROW_PITCH) + group * uint32(RUN))
    windows = windows_of(uint32(row0 + pixel), size, p, q, hx, wx, c, u, v, top, left)
    note_starts(starts, row0, p, q, image, line, item)
    clear(total)
    at = uint32(uint32(q0 >> uint32(1)) + uint32(2) * group)
    tap = taps[at], taps[at + uint32(1)]
    copy_pixels(tiles, place, ROW_PITCH, x, windows, tap, hx, wx)
    copy_wide(tiles, uint32(WIDE_TILES), w, column0, m, m, q0, k)
    cp_async_commit()
    t = uint32(cuda.threadIdx.x)
    lane, warp = uint32(t & uint32(31)), uint32(t >> uint32(5))
    row = uint32((warp >> uint32(1)) * uint32(WARP_ROWS) + (lane >> uint32(3)))
    column = uint32((warp & uint32(1)) * uint32(WARP_COLUMNS) + (lane & uint32(7)) * uint32(RUN))
    at, now = uint32(at + uint32(2 * GROUPS)), uint32(0)
    tap = taps[at], taps[at + uint32(1)]
    while q0 < k:
        cp_async_wait(0)
        cuda.syncthreads()
        q0 = uint32(q0 + uint32(DEPTH))
        other = uint32(uint32(1) - now)
        to = uint32(other * uint32(ROW_TILE) + place)
        copy_pixels(tiles, to, ROW_PITCH, x, windows, tap, hx, wx)
        copy_wide(tiles, uint32(WIDE_TILES) + other * uint32(TILE), w, column0, m, m, q0, k)
        cp_async_commit()
        at = uint32(at + uint32(2 * GROUPS))
        tap = taps[at], taps[at + uint32(1)]
        from_a = now * uint32(ROW_TILE) + row * uint32(ROW_PITCH)
        multiply(total, tiles, from_a, tiles, uint32(WIDE_TILES) + now * uint32(TILE) + column)
        now = other
    cp_async_wait(0)
    cuda.syncthreads()
    for i in range(ITEMS):
        own = uint32(row + uint32(ROW_STEP * i))
        if uint32(row0 + own) < size:
            at = uint32(uint32(cuda.blockIdx.y) * plane + starts[own])
            put_pixel(y, at, total, i, b, uint32(column0 + column), m)
