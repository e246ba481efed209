"""Average pooling and its gradient.

    y[o] = (sum of x over window o) / c[o]
    dx[i] = sum of dy[o] / c[o] over the windows o around i

The divisor c is the number of elements of the window, with or without the padding in it, or a
number of the caller's.

Kernels (x has planes, rows, columns; neighbouring threads take neighbouring columns):

- ``average_windows``: any windows, one thread per window and plane.
- ``average_windows_backward``: one thread per element adds up the windows around it: nothing is
  added atomically, so results repeat bit for bit.
- ``average_cells``, ``average_cells_backward``: windows that tile the image, of a size fixed when
  compiling (2 x 2, the usual one): no tables, and the gradient writes each cell from its window.

The mean of whole planes (global pooling) is that of ``reduce``.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import float32, float64

from .. import checks
from ..elementwise import scale
from ..engine import ArgumentError, Array, Kernel, empty, kernel
from ..reduce import mean
from . import wide_cells
from .launch import COMPILED_CELLS, over, place, planes, require_image, require_result
from .windows import Size, Windows, adaptive, pair, windows

# Rows of ``Axis.table`` that hold the number of elements of a window.
PADDED, INSIDE = 2, 3


@functools.cache
def window_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``average_windows`` and ``average_windows_backward`` for float32 or float64."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def average_windows(
        x: Any, rows: Any, columns: Any, taps: Any, sizes: Any, divisor: Any, y: Any
    ) -> None:
        """x (planes, h, w), rows and columns (4, windows), y (planes, oh, ow).

        The number of elements is in row ``sizes`` of the tables, unless ``divisor`` is not 0.
        """
        p, oh, ow = place()
        _, height, width = y.shape
        if oh < height and ow < width:
            h0, h1 = rows[0, oh], rows[1, oh]
            w0, w1 = columns[0, ow], columns[1, ow]
            size = real(rows[sizes, oh] * columns[sizes, ow])
            if divisor != real(0.0):
                size = divisor
            total = real(0.0)
            for i in range(taps[0]):
                for j in range(taps[1]):
                    if h0 + i <= h1 and w0 + j <= w1:
                        total += x[p, h0 + i, w0 + j]
            y[p, oh, ow] = total / size

    @kernel
    def average_windows_backward(
        dy: Any,
        row_owners: Any,
        column_owners: Any,
        rows: Any,
        columns: Any,
        most: Any,
        sizes: Any,
        divisor: Any,
        dx: Any,
    ) -> None:
        """dy (planes, oh, ow), owners (2, h) and (2, w), tables (4, oh) and (4, ow), dx."""
        p, h, w = place()
        _, height, width = dx.shape
        if h < height and w < width:
            h0, h1 = row_owners[0, h], row_owners[1, h]
            w0, w1 = column_owners[0, w], column_owners[1, w]
            total = real(0.0)
            for i in range(most[0]):
                for j in range(most[1]):
                    if h0 + i <= h1 and w0 + j <= w1:
                        size = real(rows[sizes, h0 + i] * columns[sizes, w0 + j])
                        if divisor != real(0.0):
                            size = divisor
                        total += dy[p, h0 + i, w0 + j] / size
            dx[p, h, w] = total

    return average_windows, average_windows_backward


@functools.cache
def cell_kernels(dtype: Any, tall: int, wide: int) -> tuple[Kernel, Kernel]:
    """``average_cells`` and its gradient for cells of ``tall`` x ``wide`` elements."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def average_cells(x: Any, divisor: Any, y: Any) -> None:
        """x (planes, tall h, wide w), y (planes, h, w)."""
        p, oh, ow = place()
        _, height, width = y.shape
        if oh < height and ow < width:
            total = real(0.0)
            for i in range(tall):
                for j in range(wide):
                    total += x[p, tall * oh + i, wide * ow + j]
            y[p, oh, ow] = total / divisor

    @kernel
    def average_cells_backward(dy: Any, divisor: Any, dx: Any) -> None:
        """dy (planes, h, w), dx (planes, tall h, wide w)."""
        p, oh, ow = place()
        _, height, width = dy.shape
        if oh < height and ow < width:
            share = dy[p, oh, ow] / divisor
            for i in range(tall):
                for j in range(wide):
                    dx[p, tall * oh + i, wide * ow + j] = share

    return average_cells, average_cells_backward


def avg_pool2d(
    x: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    op: str = "avg_pool2d",
) -> Array:
    """The mean of each window: a new array (..., oh, ow).

    Args:
        x: (..., h, w), any strides; float32 or float64.
        kernel_size, stride, padding: an integer, or one for rows and one for columns; the stride is
            that of the kernel if None.
        ceil_mode: windows may hang over the end.
        count_include_pad: divide by the size of the window with the padding (of zeros) in it.
        divisor_override: divide by this instead.
        op: the name of the op in errors.

    Raises:
        DtypeError: x is not a float array.
        ShapeError: x has fewer than two axes, or no window fits.
        ArgumentError: an option is not in its range.
    """
    checks.require_float(op, "x", x)
    found = _plan(op, x.shape, kernel_size, stride, padding, ceil_mode)
    sizes, divisor = _divisor(op, count_include_pad, divisor_override)
    return _forward(x, found, sizes, divisor)


def avg_pool2d_backward(
    dy: Array,
    shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    op: str = "avg_pool2d_backward",
) -> Array:
    """Gradient of :func:`avg_pool2d`.

    Args:
        dy: gradient of the result, in its shape.
        shape: that of x.
        kernel_size and the rest: as given to the forward launcher.

    Raises:
        DtypeError, ShapeError: dy does not fit.
    """
    found = _plan(op, shape, kernel_size, stride, padding, ceil_mode)
    sizes, divisor = _divisor(op, count_include_pad, divisor_override)
    return _backward(op, dy, shape, found, sizes, divisor)


def adaptive_avg_pool2d(x: Array, output_size: Size, *, op: str = "adaptive_avg_pool2d") -> Array:
    """The mean of each of ``output_size`` windows that share the image.

    Args:
        x: (..., h, w), any strides; float32 or float64.
        output_size: rows and columns of the result, an integer or two.

    Returns, Raises: as :func:`avg_pool2d`.
    """
    checks.require_float(op, "x", x)
    size = require_image(op, "x", x.shape)
    count = pair(op, "output_size", output_size, 0)
    found = adaptive(op, size, count)
    if count == (1, 1):
        return mean(x, (-2, -1), keepdims=True)
    return _forward(x, found, INSIDE, 0)


def adaptive_avg_pool2d_backward(
    dy: Array, shape: tuple[int, ...], op: str = "adaptive_avg_pool2d_backward"
) -> Array:
    """Gradient of :func:`adaptive_avg_pool2d`; arguments as :func:`avg_pool2d_backward`."""
    checks.require_float(op, "dy", dy)
    size = require_image(op, "shape", shape)
    found = adaptive(op, size, require_image(op, "dy", dy.shape))
    if found.size == (1, 1):
        require_result(op, dy, shape, found)
        return scale(dy.broadcast_to(shape), 1.0 / (size[0] * size[1]))
    return _backward(op, dy, shape, found, INSIDE, 0)


def _plan(
    op: str, shape: tuple[int, ...], kernel: Any, stride: Any, padding: Any, up: bool
) -> Windows:
    size = require_image(op, "x", shape)
    checks.require_option(op, "ceil_mode", up, (False, True))
    k = pair(op, "kernel_size", kernel, 1)
    s = k if stride is None else pair(op, "stride", stride, 1)
    return windows(op, size, k, s, pair(op, "padding", padding, 0), (1, 1), up)


def _divisor(op: str, include: bool, override: int | None) -> tuple[int, float]:
    """The row of the tables with the sizes of the windows, and the divisor instead of them or 0."""
    checks.require_option(op, "count_include_pad", include, (False, True))
    if override is not None:
        checks.require_number(op, "divisor_override", override)
        if override == 0:
            raise ArgumentError(f"{op}: divisor_override: 0 given, expected another number")
    return PADDED if include else INSIDE, override or 0


def _forward(x: Array, found: Windows, sizes: int, divisor: float) -> Array:
    y = empty((*x.shape[:-2], *found.size), x.dtype, x.device)
    if y.size:
        flat, flat_y = planes(x), planes(y)
        grid, block = over(flat_y.shape)
        real = x.dtype.type
        if wide_cells.takes(found.cells, flat_y, flat):
            wide_cells.average(flat, divisor or math.prod(wide_cells.CELLS), flat_y)
        elif found.cells in COMPILED_CELLS:
            average_cells, _ = cell_kernels(x.dtype, *found.cells)
            average_cells[grid, block](flat, real(divisor or math.prod(found.cells)), flat_y)
        else:
            rows, columns = found.rows, found.columns
            average_windows, _ = window_kernels(x.dtype)
            average_windows[grid, block](
                flat,
                rows.on(x.device)[0],
                columns.on(x.device)[0],
                (rows.taps, columns.taps),
                np.int64(sizes),
                real(divisor),
                flat_y,
            )
    return y


def _backward(
    op: str, dy: Array, shape: tuple[int, ...], found: Windows, sizes: int, divisor: float
) -> Array:
    require_result(op, dy, shape, found)
    dx = empty(shape, dy.dtype, dy.device)
    if dx.size:
        flat, flat_dx = planes(dy), planes(dx)
        real = dy.dtype.type
        if wide_cells.takes(found.cells, flat, flat_dx):
            wide_cells.average_backward(flat, divisor or math.prod(wide_cells.CELLS), flat_dx)
        elif found.cells in COMPILED_CELLS:
            _, average_cells_backward = cell_kernels(dy.dtype, *found.cells)
            grid, block = over(flat.shape)
            scalar = real(divisor or math.prod(found.cells))
            average_cells_backward[grid, block](flat, scalar, flat_dx)
        else:
            rows, row_owners = found.rows.on(dy.device)
            columns, column_owners = found.columns.on(dy.device)
            _, average_windows_backward = window_kernels(dy.dtype)
            grid, block = over(flat_dx.shape)
            average_windows_backward[grid, block](
                flat,
                row_owners,
                column_owners,
                rows,
                columns,
                (found.rows.most_owners, found.columns.most_owners),
                np.int64(sizes),
                real(divisor),
                flat_dx,
            )
    return dx
