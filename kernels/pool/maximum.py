"""Max pooling and its gradient.

    y[o] = max of x over window o            dx[i] = sum of dy[o] over the windows o won by i

The first of equal elements wins; with NaN in a window the last NaN wins, as in PyTorch. The forward
kernels store the winner, its position in the image: the gradient needs neither x nor y.

Kernels (x has planes, rows, columns; neighbouring threads take neighbouring columns):

- ``max_windows``: any windows, one thread per window and plane. Where windows hang over the edge,
  their last element is read again instead of a test for every element: that changes no maximum.
- ``max_windows_backward``: one thread per element looks at the windows that may hold it, so that
  nothing is added atomically and results repeat bit for bit.
- ``max_cells``, ``max_cells_backward``: windows that tile the image, of a size fixed when compiling
  (2 x 2, the usual one): no tables, and the gradient writes each cell from its window. On a GPU
  :mod:`.wide_cells` has them by 128-bit access.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import float32, float64

from .. import checks
from ..engine import Array, DtypeError, Kernel, empty, kernel
from . import wide_cells
from .launch import COMPILED_CELLS, over, place, planes, require_image, require_result
from .windows import Size, Windows, adaptive, pair, windows

Result = tuple[Array, Array]


@functools.cache
def window_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``max_windows`` and ``max_windows_backward`` for float32 or float64."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def max_windows(
        x: Any, rows: Any, columns: Any, taps: Any, steps: Any, y: Any, index: Any
    ) -> None:
        """x (planes, h, w), rows and columns (4, windows), y and index (planes, oh, ow)."""
        p, oh, ow = place()
        _, height, width = y.shape
        if oh < height and ow < width:
            h0, h1 = rows[0, oh], rows[1, oh]
            w0, w1 = columns[0, ow], columns[1, ow]
            best = real(-math.inf)
            at = h0 * x.shape[2] + w0
            for i in range(taps[0]):
                h = min(h0 + i * steps[0], h1)
                for j in range(taps[1]):
                    w = min(w0 + j * steps[1], w1)
                    v = x[p, h, w]
                    if v > best or v != v:
                        best = v
                        at = h * x.shape[2] + w
            y[p, oh, ow] = best
            index[p, oh, ow] = at

    @kernel
    def max_windows_backward(
        dy: Any, index: Any, rows: Any, columns: Any, most: Any, dx: Any
    ) -> None:
        """dy, index (planes, oh, ow), rows (2, h), columns (2, w), dx (planes, h, w)."""
        p, h, w = place()
        _, height, width = dx.shape
        if h < height and w < width:
            h0, h1 = rows[0, h], rows[1, h]
            w0, w1 = columns[0, w], columns[1, w]
            total = real(0.0)
            for i in range(most[0]):
                for j in range(most[1]):
                    inside = h0 + i <= h1 and w0 + j <= w1
                    if inside and index[p, h0 + i, w0 + j] == h * width + w:
                        total += dy[p, h0 + i, w0 + j]
            dx[p, h, w] = total

    return max_windows, max_windows_backward


@functools.cache
def cell_kernels(dtype: Any, tall: int, wide: int) -> tuple[Kernel, Kernel]:
    """``max_cells`` and its gradient for cells of ``tall`` x ``wide`` elements."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def max_cells(x: Any, y: Any, index: Any) -> None:
        """x (planes, tall h, wide w), y and index (planes, h, w)."""
        p, oh, ow = place()
        _, height, width = y.shape
        if oh < height and ow < width:
            best = x[p, tall * oh, wide * ow]
            at = tall * oh * x.shape[2] + wide * ow
            for i in range(tall):
                for j in range(wide):
                    v = x[p, tall * oh + i, wide * ow + j]
                    if v > best or v != v:
                        best = v
                        at = (tall * oh + i) * x.shape[2] + wide * ow + j
            y[p, oh, ow] = best
            index[p, oh, ow] = at

    @kernel
    def max_cells_backward(dy: Any, index: Any, dx: Any) -> None:
        """dy, index (planes, h, w), dx (planes, tall h, wide w)."""
        p, oh, ow = place()
        _, height, width = dy.shape
        if oh < height and ow < width:
            value = dy[p, oh, ow]
            at = index[p, oh, ow]
            for i in range(tall):
                for j in range(wide):
                    here = (tall * oh + i) * dx.shape[2] + wide * ow + j
                    kept = value if at == here else real(0.0)
                    dx[p, tall * oh + i, wide * ow + j] = kept

    return max_cells, max_cells_backward


def max_pool2d(
    x: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    *,
    op: str = "max_pool2d",
) -> Result:
    """The largest element of each window, and where it is.

    Args:
        x: (..., h, w), any strides; float32 or float64.
        kernel_size, stride, padding, dilation: an integer, or one for rows and one for columns;
            the stride is that of the kernel if None. Padding never wins.
        ceil_mode: windows may hang over the end.
        op: the name of the op in errors.

    Returns:
        y (..., oh, ow), and int32 (..., oh, ow): ``row * w + column`` of each winner.

    Raises:
        DtypeError: x is not a float array.
        ShapeError: x has fewer than two axes, or no window fits.
        ArgumentError: an option is not in its range.
    """
    checks.require_float(op, "x", x)
    found = _plan(op, x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    return _forward(x, found)


def max_pool2d_backward(
    dy: Array,
    index: Array,
    shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    *,
    op: str = "max_pool2d_backward",
) -> Array:
    """Gradient of :func:`max_pool2d`.

    Args:
        dy: gradient of the result, in its shape.
        index: the winners that the forward launcher returned.
        shape: that of x.
        kernel_size, stride, padding, dilation, ceil_mode: as given to the forward launcher.

    Raises:
        DtypeError, ShapeError, DeviceError: dy or index does not fit.
    """
    found = _plan(op, shape, kernel_size, stride, padding, dilation, ceil_mode)
    return _backward(op, dy, index, shape, found)


def adaptive_max_pool2d(x: Array, output_size: Size, *, op: str = "adaptive_max_pool2d") -> Result:
    """The largest element of each of ``output_size`` windows that share the image, and its place.

    Args:
        x: (..., h, w), any strides; float32 or float64.
        output_size: rows and columns of the result, an integer or two.

    Returns, Raises: as :func:`max_pool2d`.
    """
    checks.require_float(op, "x", x)
    size = require_image(op, "x", x.shape)
    return _forward(x, adaptive(op, size, pair(op, "output_size", output_size, 0)))


def adaptive_max_pool2d_backward(
    dy: Array, index: Array, shape: tuple[int, ...], op: str = "adaptive_max_pool2d_backward"
) -> Array:
    """Gradient of :func:`adaptive_max_pool2d`; arguments as :func:`max_pool2d_backward`."""
    checks.require_float(op, "dy", dy)
    size = require_image(op, "shape", shape)
    return _backward(op, dy, index, shape, adaptive(op, size, require_image(op, "dy", dy.shape)))


def _plan(
    op: str, shape: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any, up: bool
) -> Windows:
    size = require_image(op, "x", shape)
    checks.require_option(op, "ceil_mode", up, (False, True))
    k = pair(op, "kernel_size", kernel, 1)
    s = k if stride is None else pair(op, "stride", stride, 1)
    p = pair(op, "padding", padding, 0)
    return windows(op, size, k, s, p, pair(op, "dilation", dilation, 1), up)


def _forward(x: Array, found: Windows) -> Result:
    shape = (*x.shape[:-2], *found.size)
    y, index = empty(shape, x.dtype, x.device), empty(shape, np.int32, x.device)
    if y.size:
        flat, flat_y, flat_index = planes(x), planes(y), planes(index)
        grid, block = over(flat_y.shape)
        if wide_cells.takes(found.cells, flat_y, flat) and wide_cells.begins_aligned(flat_index):
            wide_cells.maximum(flat, flat_y, flat_index)
        elif found.cells in COMPILED_CELLS:
            max_cells, _ = cell_kernels(x.dtype, *found.cells)
            max_cells[grid, block](flat, flat_y, flat_index)
        else:
            rows, columns = found.rows, found.columns
            max_windows, _ = window_kernels(x.dtype)
            max_windows[grid, block](
                flat,
                rows.on(x.device)[0],
                columns.on(x.device)[0],
                (rows.taps, columns.taps),
                (rows.step, columns.step),
                flat_y,
                flat_index,
            )
    return y, index


def _backward(op: str, dy: Array, index: Array, shape: tuple[int, ...], found: Windows) -> Array:
    require_result(op, dy, shape, found)
    checks.require_array(op, "index", index)
    if index.dtype != checks.INT32:
        raise DtypeError(f"{op}: index: dtype {index.dtype} given, expected int32")
    checks.same_device(op, dy=dy, index=index)
    checks.require_shape(op, "index", index, dy.shape)
    dx = empty(shape, dy.dtype, dy.device)
    if dx.size:
        flat, flat_index, flat_dx = planes(dy), planes(index), planes(dx)
        if wide_cells.takes(found.cells, flat, flat_dx) and wide_cells.begins_aligned(flat_index):
            wide_cells.maximum_backward(flat, flat_index, flat_dx)
        elif found.cells in COMPILED_CELLS:
            _, max_cells_backward = cell_kernels(dy.dtype, *found.cells)
            grid, block = over(flat.shape)
            max_cells_backward[grid, block](flat, flat_index, flat_dx)
        else:
            rows, columns = found.rows, found.columns
            _, max_windows_backward = window_kernels(dy.dtype)
            grid, block = over(flat_dx.shape)
            max_windows_backward[grid, block](
                flat,
                flat_index,
                rows.on(dy.device)[1],
                columns.on(dy.device)[1],
                (rows.most_owners, columns.most_owners),
                flat_dx,
            )
    return dx
