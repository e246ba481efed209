"""Copies of transposed arrays through shared memory.

    y[b, r, c] = x[b, c, r]          x and y contiguous

A thread that writes neighbouring items of y reads items of x that lie a whole row apart, and the
other way round: one of the two is not coalesced. A block therefore reads a square tile along the
rows of x, turns it in shared memory, and writes it along the rows of y (Ruetsch, Micikevicius,
"Optimizing Matrix Transpose in CUDA", 2009). Rows of the tile are longer by one item, so that a
column of it touches every bank once.

Every permutation of axes that moves one group of neighbouring axes behind another is such a
transposition of a (b, c, r) view: matrices, images from channels first to channels last, and back.

Float32 on a GPU takes the kernel of :mod:`.wide_transposing` where it can.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from numba import cuda, float32, float64, int64, types

from ..engine import Array, Kernel, empty, kernel, layout
from . import wide_transposing

TILE = 32
ROWS = 8  # a thread moves TILE / ROWS items
PADDED = TILE + 1
MAX_GRID = 65535
# With fewer rows or columns most of a tile would be empty.
LEAST = 16


@functools.cache
def transpose_kernel(real: Any) -> Kernel:
    """The kernel for one dtype of numba."""

    @kernel
    def transpose(x, y):  # x: (planes, columns, rows), y: (planes, rows, columns or more)
        tile = cuda.shared.array((TILE, PADDED), real)
        tx = cuda.threadIdx.x
        ty = cuda.threadIdx.y
        row0 = cuda.blockIdx.y * TILE
        column0 = cuda.blockIdx.x * TILE
        planes, columns, rows = x.shape
        for plane in range(cuda.blockIdx.z, planes, cuda.gridDim.z):
            for k in range(0, TILE, ROWS):
                if column0 + ty + k < columns and row0 + tx < rows:
                    tile[ty + k, tx] = x[plane, column0 + ty + k, row0 + tx]
            cuda.syncthreads()
            for k in range(0, TILE, ROWS):
                if row0 + ty + k < rows and column0 + tx < columns:
                    y[plane, row0 + ty + k, column0 + tx] = tile[tx, ty + k]
            cuda.syncthreads()

    return transpose


KERNELS = {
    "float32": transpose_kernel(float32),
    "float64": transpose_kernel(float64),
    "int64": transpose_kernel(int64),
}


def transpose_planes(x: Array, y: Array) -> None:
    """``y[b, r, c] = x[b, c, r]``.

    Args:
        x: (b, c, r), contiguous; float32, float64 or int64.
        y: (b, r, c) or longer rows, of which the rest stays as it is; contiguous.
    """
    rows = x.shape[2]
    most = TILE * MAX_GRID
    if rows > most:  # more than a grid has blocks for
        for i in range(0, rows, most):
            _launch(x[:, :, i : i + most], y[:, i : i + most])
    elif wide_transposing.takes(x, y):
        wide_transposing.transpose(x, y, MAX_GRID)
    else:
        _launch(x, y)


def _launch(x: Array, y: Array) -> None:
    planes, columns, rows = x.shape
    grid = (-(-columns // TILE), -(-rows // TILE), min(planes, MAX_GRID))
    KERNELS[x.dtype.name][grid, (TILE, ROWS)](x, y)


def transposed_copy(x: Array) -> Array | None:
    """A contiguous copy of ``x`` if it is a transposed contiguous array of some size, else None."""
    strides, itemsize = x.strides, x.dtype.itemsize
    if x.dtype.name not in KERNELS or len(x.shape) < 2 or strides[-1] == itemsize:
        return None
    found = _groups(x.shape, strides, itemsize)
    if found is None:
        return None
    planes, rows, columns, order = found
    if min(rows, columns) < LEAST or rows > TILE * MAX_GRID:
        return None
    y = empty(x.shape, x.dtype, x.device)
    source = x.transpose(*order).reshape((planes, columns, rows))
    transpose_planes(source, y.reshape((planes, rows, columns)))
    return y


@functools.lru_cache(maxsize=1024)
def _groups(
    shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int
) -> tuple[int, int, int, tuple[int, ...]] | None:
    """(planes, rows, columns, order of the axes in memory) of a transposed contiguous array."""
    rank = len(shape)
    if 0 in shape:
        return None
    for i in range(rank - 1):
        for j in range(i + 1, rank):
            order = (*range(i), *range(j, rank), *range(i, j))
            moved = tuple(shape[a] for a in order), tuple(strides[a] for a in order)
            if layout.is_contiguous(*moved, itemsize):
                sizes = (math.prod(part) for part in (shape[:i], shape[i:j], shape[j:]))
                return (*sizes, order)  # type: ignore[return-value]
    return None


def signatures() -> tuple[Any, ...]:
    """Kernels with argument types for the compile gate."""
    dtypes = (types.float32, types.float64, types.int64)
    blocks = [types.Array(t, 3, "C") for t in dtypes]
    return tuple((k, (b, b)) for k, b in zip(KERNELS.values(), blocks))
