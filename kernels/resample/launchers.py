"""Launchers of resampling."""

from __future__ import annotations

import math
from typing import Any

from .. import checks
from ..engine import ArgumentError, Array, ShapeError, empty
from ..pool.launch import over, planes, require_image
from ..pool.windows import Pair, pair
from .axes import Axis, Scales, axis_of
from .kernels import linear_kernels, nearest_kernels

MODES = ("nearest", "nearest-exact", "bilinear")


def resample(
    x: Array,
    size: Any,
    mode: str = "nearest",
    align_corners: bool = False,
    scale: Scales = (None, None),
) -> Array:
    """Resample images to another size.

    Args:
        x: (..., h, w), any strides; float32 or float64.
        size: height and width of the result, an integer or two, at least 1.
        mode: ``"nearest"``, ``"nearest-exact"`` or ``"bilinear"``.
        align_corners: for bilinear: the corner elements of both images lie on each other.
        scale: the factors by which coordinates grow, where they are not ``size`` over (h, w).

    Returns:
        A new array (..., *size).

    Raises:
        DtypeError: x is not a float array.
        ShapeError: x has fewer than two axes, or one of them is empty.
        ArgumentError: an option is not in its range.
    """
    checks.require_float("resample", "x", x)
    rows, columns = _axes("resample", x.shape, size, mode, align_corners, scale)
    y = empty((*x.shape[:-2], rows.size, columns.size), x.dtype, x.device)
    if y.size:
        at_rows, row_weights, _ = rows.on(x.device, x.dtype)
        at_columns, column_weights, _ = columns.on(x.device, x.dtype)
        flat, out = planes(x), planes(y)
        grid, block = over(out.shape)
        if mode == "bilinear":
            linear, _ = linear_kernels(x.dtype)
            linear[grid, block](flat, at_rows, at_columns, row_weights, column_weights, out)
        else:
            nearest, _ = nearest_kernels(x.dtype)
            nearest[grid, block](flat, at_rows, at_columns, out)
    return y


def resample_backward(
    dy: Array,
    shape: tuple[int, ...],
    mode: str = "nearest",
    align_corners: bool = False,
    scale: Scales = (None, None),
) -> Array:
    """Gradient of :func:`resample`.

    Args:
        dy: gradient of the result, in its shape.
        shape: that of x.
        mode, align_corners, scale: as given to the forward launcher.

    Raises:
        DtypeError, ShapeError: dy does not fit.
        ArgumentError: an option is not in its range.
    """
    op = "resample_backward"
    checks.require_float(op, "dy", dy)
    size = require_image(op, "dy", dy.shape)
    rows, columns = _axes(op, shape, size, mode, align_corners, scale)
    checks.require_shape(op, "dy", dy, (*shape[:-2], *size))
    dx = empty(shape, dy.dtype, dy.device)
    if dx.size:
        at_rows, row_weights, row_owners = rows.on(dy.device, dy.dtype)
        at_columns, column_weights, column_owners = columns.on(dy.device, dy.dtype)
        most = (rows.most, columns.most)
        flat, out = planes(dy), planes(dx)
        grid, block = over(out.shape)
        if mode == "bilinear":
            tables = (at_rows, at_columns, row_weights, column_weights, row_owners, column_owners)
            _, linear_backward = linear_kernels(dy.dtype)
            linear_backward[grid, block](flat, *tables, most, out)
        else:
            _, nearest_backward = nearest_kernels(dy.dtype)
            nearest_backward[grid, block](flat, row_owners, column_owners, most, out)
    return dx


def _axes(
    op: str, shape: tuple[int, ...], size: Any, mode: str, align: bool, scale: Scales
) -> tuple[Axis, Axis]:
    """The tables of both axes, after checking the arguments."""
    given: Pair = require_image(op, "x", shape)
    checks.require_option(op, "mode", mode, MODES)
    checks.require_option(op, "align_corners", align, (False, True))
    if align and mode != "bilinear":
        raise ArgumentError(f"{op}: align_corners: True given with mode {mode!r}, expected False")
    for factor in scale:
        if factor is not None:
            checks.require_between(op, "scale", factor, 0.0, math.inf, below=True)
            if factor == 0:
                raise ArgumentError(f"{op}: scale: 0 given, expected a positive number")
    wanted = pair(op, "size", size, 1)
    if 0 in given:
        raise ShapeError(f"{op}: x: shape {shape} given, expected axes that are not empty")
    rows, columns = (
        axis_of(n, m, mode, align, factor) for n, m, factor in zip(given, wanted, scale)
    )
    return rows, columns
