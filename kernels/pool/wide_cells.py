"""Pooling of cells of 2 x 2 by 128-bit access, on a GPU: four results to a thread.

Results are those of :mod:`.maximum` and :mod:`.average`. A row of results has a multiple of four;
the two rows of the image that they come from are read by two accesses each. What this gains has
NOT been measured on a GPU.

- ``max_cells_wide``, ``max_cells_backward_wide``; ``average_cells_wide``,
  ``average_cells_backward_wide``.
"""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, int32, uint32, uint64

from ..elementwise.wide import ALIGNMENT, RUN, fetch, put_back, shared_head
from ..engine import Array, kernel
from ..engine.ptx import load4, store4
from ..opspec import GpuKernel

CELLS = 2, 2
PAIRS = 2 * RUN  # items of a row that four cells have
BLOCK = 256
MOST = 1 << 31  # results that are counted in 32 bits


@cuda.jit(device=True)
def corner(width):
    """(first of four results, the row of them, first of their items in x)."""
    first = uint32(uint32(cuda.grid(1)) * uint32(RUN))
    row = uint32(first // width)
    column = uint32(first - uint32(row * width))
    above = uint64(uint64(row) * uint64(4) * uint64(width))
    return first, row, uint64(above + uint64(uint32(2) * column))


@cuda.jit(device=True)
def fetch_pairs(kept, x, at):
    """Eight items into a local array."""
    kept[0], kept[1], kept[2], kept[3] = load4(x, at)
    kept[4], kept[5], kept[6], kept[7] = load4(x, at + uint64(RUN))


@cuda.jit(device=True)
def put_pairs(x, at, kept):
    """The other way round."""
    store4(x, at, kept[0], kept[1], kept[2], kept[3])
    store4(x, at + uint64(RUN), kept[4], kept[5], kept[6], kept[7])


@cuda.jit(device=True)
def better(best, at, v, there):
    """The winner so far, and the next item with its place: the last NaN, or the first maximum."""
    if v > best or v != v:
        return v, there
    return best, at


@kernel
def max_cells_wide(x, y, index, height, width):
    """x (planes 2 height 2 width,), y and index (planes height width,)."""
    first, row, at = corner(width)
    if first < y.size:
        above, below = cuda.local.array(PAIRS, float32), cuda.local.array(PAIRS, float32)
        best, places = cuda.local.array(RUN, float32), cuda.local.array(RUN, int32)
        across = uint32(uint32(2) * width)
        fetch_pairs(above, x, at)
        fetch_pairs(below, x, at + uint64(across))
        # Its place in the plane: that in all of x without the rows of the planes before it.
        before = uint64(uint64(uint32(row - uint32(row % height))) * uint64(2) * uint64(across))
        here = uint32(at - before)
        for j in range(RUN):
            there = uint32(here + uint32(2 * j))
            v, i = above[2 * j], there
            v, i = better(v, i, above[2 * j + 1], uint32(there + uint32(1)))
            there = uint32(there + across)
            v, i = better(v, i, below[2 * j], there)
            v, i = better(v, i, below[2 * j + 1], uint32(there + uint32(1)))
            best[j], places[j] = v, int32(i)
        put_back(y, first, best)
        put_back(index, first, places)


@kernel
def max_cells_backward_wide(dy, index, dx, height, width):
    """dy, index (planes height width,), dx (planes 2 height 2 width,)."""
    first, row, at = corner(width)
    if first < dy.size:
        above, below = cuda.local.array(PAIRS, float32), cuda.local.array(PAIRS, float32)
        g, places = cuda.local.array(RUN, float32), cuda.local.array(RUN, int32)
        across = uint32(uint32(2) * width)
        fetch(g, dy, first)
        fetch(places, index, first)
        before = uint64(uint64(uint32(row - uint32(row % height))) * uint64(2) * uint64(across))
        here = uint32(at - before)
        for j in range(RUN):
            for i in range(2):
                there = uint32(here + uint32(2 * j + i))
                hit = uint32(places[j]) == there
                above[2 * j + i] = g[j] if hit else float32(0.0)
                hit = uint32(places[j]) == uint32(there + across)
                below[2 * j + i] = g[j] if hit else float32(0.0)
        put_pairs(dx, at, above)
        put_pairs(dx, at + uint64(across), below)


@kernel
def average_cells_wide(x, divisor, y, width):
    """x (planes 2 height 2 width,), y (planes height width,)."""
    first, _, at = corner(width)
    if first < y.size:
        above, below = cuda.local.array(PAIRS, float32), cuda.local.array(PAIRS, float32)
        total = cuda.local.array(RUN, float32)
        fetch_pairs(above, x, at)
        fetch_pairs(below, x, at + uint64(uint32(2) * width))
        for j in range(RUN):
            total[j] = float32(0.0) + above[2 * j] + above[2 * j + 1]  # -0 and -0 are 0
            total[j] = (total[j] + below[2 * j] + below[2 * j + 1]) / divisor
        put_back(y, first, total)


@kernel
def average_cells_backward_wide(dy, divisor, dx, width):
    """dy (planes height width,), dx (planes 2 height 2 width,)."""
    first, _, at = corner(width)
    if first < dy.size:
        g, pairs = cuda.local.array(RUN, float32), cuda.local.array(PAIRS, float32)
        fetch(g, dy, first)
        for j in range(RUN):
            share = g[j] / divisor
            pairs[2 * j], pairs[2 * j + 1] = share, share
        put_pairs(dx, at, pairs)
        put_pairs(dx, at + uint64(uint32(2) * width), pairs)


def takes(cells: tuple[int, int] | None, small: Array, large: Array) -> bool:
    """Whether the kernels take contiguous planes of results and of the image, and the cells."""
    if small.device.kind == "cpu" or cells != CELLS or small.shape[2] % RUN:
        return False
    return small.size < MOST and shared_head(small, large) == 0


def begins_aligned(index: Array) -> bool:
    """Whether places on a GPU begin at a multiple of 16 bytes."""
    return bool((index.buffer.pointer + index.offset) % ALIGNMENT == 0)  # type: ignore[attr-defined]


def _line(x: Array) -> Array:
    return x.reshape((x.size,))


def _blocks(small: Array) -> int:
    return -(-small.size // (RUN * BLOCK))


def maximum(x: Array, y: Array, index: Array) -> None:
    """Fill y and index (planes, h, w) from x (planes, 2 h, 2 w)."""
    _, height, width = y.shape
    lines = _line(x), _line(y), _line(index)
    max_cells_wide[_blocks(y), BLOCK](*lines, np.uint32(height), np.uint32(width))


def maximum_backward(dy: Array, index: Array, dx: Array) -> None:
    """Fill dx (planes, 2 h, 2 w) from dy and index (planes, h, w)."""
    _, height, width = dy.shape
    lines = _line(dy), _line(index), _line(dx)
    max_cells_backward_wide[_blocks(dy), BLOCK](*lines, np.uint32(height), np.uint32(width))


def average(x: Array, divisor: float, y: Array) -> None:
    """Fill y (planes, h, w) from x (planes, 2 h, 2 w)."""
    run = average_cells_wide[_blocks(y), BLOCK]
    run(_line(x), np.float32(divisor), _line(y), np.uint32(y.shape[2]))


def average_backward(dy: Array, divisor: float, dx: Array) -> None:
    """Fill dx (planes, 2 h, 2 w) from dy (planes, h, w)."""
    run = average_cells_backward_wide[_blocks(dy), BLOCK]
    run(_line(dy), np.float32(divisor), _line(dx), np.uint32(dy.shape[2]))


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, places, sizes = float32[::1], int32[::1], (uint32, uint32)

    def made(name: str, found: object, signature: object, reads: int, writes: int) -> GpuKernel:
        expects = f"LDG.128 == {reads}", f"STG.128 == {writes}", "LDL == 0"
        return GpuKernel(name, found, signature, expects=expects)  # type: ignore[arg-type]

    average_of = line, float32, line, uint32
    return (
        made("max_pool2d", max_cells_wide, (line, line, places, *sizes), 4, 2),
        made("max_pool2d", max_cells_backward_wide, (line, places, line, *sizes), 2, 4),
        made("avg_pool2d", average_cells_wide, average_of, 4, 1),
        made("avg_pool2d", average_cells_backward_wide, average_of, 1, 4),
    )
