"""Copies of transposed arrays by 128-bit access on a GPU: tiles of 32 x 32 items, turned in fours.

    y[b, r, c] = x[b, c, r]

A thread reads four items of each of four neighbouring rows of x, and has a square of 4 x 4: its
columns are runs of four in rows of y. It puts these into the tile in shared memory by one access
each. The tile is then written along the rows of y, again four items at a time: global and shared
memory are touched by 128-bit access only, 32 items of a row by eight neighbouring threads.

Run g of row r of the tile lies at place ``g ^ (r / 4)`` of the eight in the row. Eight neighbouring
threads write runs of one g in rows 4 t + j, and read all runs of one row: either way their places
differ, and they touch every bank once.

It takes float32 where sizes of rows are multiples of four, at addresses of a multiple of 16 bytes.
That it is faster than a thread for each item has not been measured on a GPU.
"""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, uint32, uint64

from ..engine import Array, kernel
from ..engine.ptx import store4
from ..opspec import GpuKernel
from .wide import RUN, fetch, put_back, shared_head

TILE = 32
AREA = TILE * TILE
RUNS = TILE // RUN  # in a row of the tile; a block has RUNS x RUNS threads
THREADS = RUNS * RUNS
MOST = 1 << 31  # planes, rows and columns that are counted in 32 bits


@cuda.jit(device=True)
def place_in_tile(row, run):
    """The first item of a run of four in a row of the tile."""
    turned = uint32(uint32(run) ^ uint32(uint32(row) >> uint32(2)))
    return uint32(uint32(row) * uint32(TILE) + turned * uint32(RUN))


@kernel(launch_bounds=THREADS)
def transpose_wide(x, y, planes, columns, rows, pitch):
    """x (planes columns rows,), y (planes rows pitch,), of whose rows ``columns`` are written."""
    tile = cuda.shared.array(AREA, float32)
    a, b = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    c, d = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    tx, ty = uint32(cuda.threadIdx.x), uint32(cuda.threadIdx.y)
    row0 = uint32(uint32(cuda.blockIdx.y) * uint32(TILE))
    column0 = uint32(uint32(cuda.blockIdx.x) * uint32(TILE))
    row, column = uint32(row0 + tx * uint32(RUN)), uint32(column0 + ty * uint32(RUN))
    target = uint32(column0 + tx * uint32(RUN))
    plane = uint32(cuda.blockIdx.z)
    while plane < planes:
        if row < rows and column < columns:
            at = uint64(uint64(plane) * uint64(columns) + uint64(column))
            at, step = uint64(at * uint64(rows) + uint64(row)), uint64(rows)
            fetch(a, x, at)
            fetch(b, x, at + step)
            fetch(c, x, at + uint64(2) * step)
            fetch(d, x, at + uint64(3) * step)
            for j in range(RUN):
                to = place_in_tile(uint32(tx * uint32(RUN) + uint32(j)), ty)
                store4(tile, to, a[j], b[j], c[j], d[j])
        cuda.syncthreads()
        for k in range(RUN):
            own = uint32(ty + uint32(k * RUNS))
            if uint32(row0 + own) < rows and target < columns:
                fetch(a, tile, place_in_tile(own, tx))
                at = uint64(uint64(plane) * uint64(rows) + uint64(uint32(row0 + own)))
                put_back(y, uint64(at * uint64(pitch) + uint64(target)), a)
        cuda.syncthreads()
        plane = uint32(plane + uint32(cuda.gridDim.z))


def takes(x: Array, y: Array) -> bool:
    """Whether :func:`transpose` can take contiguous x (b, c, r) and y (b, r, c or more)."""
    sizes = *x.shape, y.shape[2]
    if x.device.kind == "cpu" or not 0 < min(sizes) <= max(sizes) < MOST:
        return False
    return not any(size % RUN for size in sizes[1:]) and shared_head(x, y) == 0


def transpose(x: Array, y: Array, most_planes: int) -> None:
    """``y[b, r, c] = x[b, c, r]`` for arrays that :func:`takes` tells of.

    Args:
        most_planes: blocks of a grid along the planes.
    """
    planes, columns, rows = x.shape
    grid = (-(-columns // TILE), -(-rows // TILE), min(planes, most_planes))
    numbers = (np.uint32(v) for v in (*x.shape, y.shape[2]))
    lines = x.reshape((x.size,)), y.reshape((y.size,))
    transpose_wide[grid, (RUNS, RUNS)](*lines, *numbers)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernel with argument types, and the accesses that its machine code is to hold."""
    line = float32[::1]
    expects = "LDG.128 == 4", "STS.128 == 4", "LDS.128", "STG.128", "LDL == 0"
    return (GpuKernel("copy", transpose_wide, (line, line, *(uint32,) * 4), expects=expects),)
