"""Batch normalisation: launchers.

    y = (x - mean) / sqrt(var + eps) * weight + bias

In training, mean and (biased) variance of each channel over the batch; the running statistics move
towards them, with the unbiased variance: ``r <- (1 - momentum) r + momentum s``. Otherwise mean and
variance are given. With h = (x - mean) / sqrt(var + eps) and N elements per channel,

    db = sum dy,   dw = sum dy h,   dx = weight / sqrt(var + eps) (dy - db / N - h dw / N)

and without the last two terms where mean and variance are given.

Source: Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
Internal Covariate Shift", ICML 2015, algorithms 1 and 2.
"""

from __future__ import annotations

import math

import numpy as np

from .. import checks
from ..elementwise import copy
from ..engine import Array, Device, ShapeError, cached_constant, empty, full
from ..reduce.wide_rows import row_head
from . import batch_columns_wide, batch_wide, batch_wide_fixed, batch_wide_slopes
from .batch_kernels import backward_kernels, inference_kernels, train_kernels
from .sums import COLUMNS, ROWS

BLOCK = (COLUMNS, ROWS)
MAX_GRID_Y = 65535
# Threads of a row in inference: a warp for a short one, else eight.
WARP, LONG, SHORT_ROW = 32, 256, 128

Gradients = tuple[Array, Array, Array]


def batch_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    momentum: float = 0.1,
) -> tuple[Array, Array]:
    """Normalise each channel by its mean and variance over the batch.

    Args:
        x: (n, c, ...), any strides; float32 or float64.
        weight, bias: (c,), dtype and device of x; 1 and 0 if None.
        eps: added to the variance, >= 0.
        running_mean, running_var: (c,), updated in place; both or neither.
        momentum: weight of the batch in the running statistics, in [0, 1].

    Returns:
        y like x, and (3, c) for :func:`batch_norm_backward`: mean, its rounding error,
        ``1 / sqrt(var + eps)``.

    Raises:
        DtypeError, ShapeError, DeviceError: the arrays do not fit each other, or there are fewer
            than two elements per channel.
        ArgumentError: eps or momentum is not in its range.
    """
    op = "batch_norm"
    channels = _check(op, x, weight=weight, bias=bias, eps=eps)
    checks.require_between(op, "momentum", momentum, 0.0, 1.0)
    if running_mean is not None or running_var is not None:
        _check(op, x, running_mean=running_mean, running_var=running_var)
    count = x.size // channels if channels else 0
    if count < 2:
        raise ShapeError(
            f"{op}: x: shape {x.shape} given, expected at least two elements per channel"
        )
    x = x if x.is_contiguous else copy(x)
    y, stats = empty(x.shape, x.dtype, x.device), empty((3, channels), x.dtype, x.device)
    real = x.dtype.type
    kept = stats[0], stats[1]
    if running_mean is not None and running_var is not None:
        kept = running_mean, running_var
    arguments = (
        vector(weight, 1, channels, x),
        vector(bias, 0, channels, x),
        real(count),
        real(eps),
        real(-1 if running_mean is None else momentum),
        *kept,
    )
    by_row, by_column = train_kernels(x.dtype)
    view = _table(x)
    w, b, _, *numbers = arguments[:5]
    head = _head(view, _table(y))
    if _wide_columns(view, _table(y), w, b):
        batch_columns_wide.forward(view, (w, b), numbers, kept, _table(y), stats)
    elif head is not None:
        batch_wide.forward(view, (w, b), numbers, kept, _table(y), stats, head)
    elif len(view.shape) == 2:
        by_column[-(-channels // WARP), WARP](view, *arguments, _table(y), stats)
    else:
        by_row[channels, BLOCK](view, *arguments, _table(y), stats)
    return y, stats


def batch_norm_backward(
    dy: Array, x: Array, weight: Array | None, stats: Array, batch: bool = True
) -> Gradients:
    """Gradient of :func:`batch_norm`.

    Args:
        dy: gradient of the result, in its shape.
        x, weight: as given to the forward launcher.
        stats: what it returned.
        batch: False: the statistics are constants, from :func:`batch_norm_constants`.

    Returns:
        dx like x, and dw and db (c,).

    Raises:
        DtypeError, ShapeError, DeviceError: the arrays do not fit each other.
    """
    op = "batch_norm_backward"
    channels = _check(op, x, weight=weight)
    checks.require_like(op, "dy", dy, "x", x)
    checks.require_shape(op, "dy", dy, x.shape)
    checks.require_like(op, "stats", stats, "x", x)
    checks.require_shape(op, "stats", stats, (3, channels))
    x, dy = (a if a.is_contiguous else copy(a) for a in (x, dy))
    dx = empty(x.shape, x.dtype, x.device)
    dw, db = empty((channels,), x.dtype, x.device), empty((channels,), x.dtype, x.device)
    if channels == 0:
        return dx, dw, db
    if x.size == 0:
        return dx, full(dw.shape, 0, x.dtype, x.device), full(db.shape, 0, x.dtype, x.device)
    by_row, by_column = backward_kernels(x.dtype, batch)
    count = x.dtype.type(x.size // channels)
    view, w = _table(x), vector(weight, 1, channels, x)
    tables = _table(dy), view, w, stats, _table(dx)
    if _wide_columns(view, tables[0], tables[-1], w, stats):
        by_columns = batch_columns_wide.backward if batch else batch_wide_fixed.backward_columns
        return dx, *by_columns(*tables)
    head = _head(tables[0], view, tables[-1])
    if head is not None:
        by_rows = batch_wide_slopes.backward if batch else batch_wide_fixed.backward
        return dx, *by_rows(*tables, head)
    arguments = (*tables[:4], count, tables[-1])
    if len(view.shape) == 2:
        by_column[-(-channels // WARP), WARP](*arguments, dw, db)
    else:
        by_row[channels, BLOCK](*arguments, dw, db)
    return dx, dw, db


def batch_norm_inference(
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """Normalise each channel by a given mean and variance: ``x scale + shift``.

    Args:
        x: (n, c, ...), any strides; float32 or float64.
        mean, var: (c,), dtype and device of x.
        weight, bias, eps: as :func:`batch_norm`.

    Raises:
        DtypeError, ShapeError, DeviceError: the arrays do not fit each other.
        ArgumentError: eps is not in its range.
    """
    op = "batch_norm_inference"
    channels = _check(op, x, mean=mean, var=var, weight=weight, bias=bias, eps=eps)
    x = x if x.is_contiguous else copy(x)
    y = empty(x.shape, x.dtype, x.device)
    if x.size:
        by_row, by_column, _ = inference_kernels(x.dtype)
        view, out = _table(x), _table(y)
        columns = len(view.shape) == 2
        affine = vector(weight, 1, channels, x), vector(bias, 0, channels, x)
        head = None if columns else row_head((view.shape[0] * channels, view.shape[2]), view, out)
        if head is not None:
            batch_wide.apply(view, affine, batch_norm_constants(mean, var, eps), out, head)
            return y
        if _wide_columns(view, out, *affine):
            batch_columns_wide.apply(view, affine, batch_norm_constants(mean, var, eps), out)
            return y
        shape = view.shape if columns else (view.shape[0] * channels, view.shape[2])
        rows, width = shape
        grid: int | tuple[int, int] = rows
        block: int | tuple[int, int] = WARP if width <= SHORT_ROW else LONG
        if columns:
            grid, block = (-(-width // COLUMNS), min(-(-rows // ROWS), MAX_GRID_Y)), BLOCK
        (by_column if columns else by_row)[grid, block](
            view.reshape(shape),
            vector(mean, 0, channels, x),
            vector(var, 1, channels, x),
            *affine,
            x.dtype.type(eps),
            np.int64(channels),
            out.reshape(shape),
        )
    return y


def batch_norm_constants(mean: Array, var: Array, eps: float = 1e-5) -> Array:
    """``stats`` of given mean and variance (c,), for the gradient of the inference."""
    op = "batch_norm_constants"
    checks.require_float(op, "mean", mean)
    checks.require_ndim(op, "mean", mean, 1)
    checks.require_like(op, "var", var, "mean", mean)
    checks.require_shape(op, "var", var, mean.shape)
    (channels,) = mean.shape
    stats = empty((3, channels), mean.dtype, mean.device)
    if channels:
        _, _, constants = inference_kernels(mean.dtype)
        mean, var = (a if a.is_contiguous else copy(a) for a in (mean, var))
        constants[-(-channels // WARP), WARP](mean, var, mean.dtype.type(eps), stats)
    return stats


def _check(op: str, x: Array, eps: float = 0.0, **vectors: Array | None) -> int:
    """Number of channels, after checking that x has them and the vectors one item for each."""
    checks.require_float(op, "x", x)
    if len(x.shape) < 2:
        raise ShapeError(f"{op}: x: shape {x.shape} given, expected (n, c, ...)")
    channels = x.shape[1]
    for name, v in vectors.items():
        if v is None and name in ("weight", "bias"):
            continue
        checks.require_like(op, name, v, "x", x)
        assert v is not None
        checks.require_shape(op, name, v, (channels,))
        if name.startswith("running_") and not v.is_contiguous:
            raise ShapeError(f"{op}: {name}: strides {v.strides} given, expected contiguous")
    checks.require_between(op, "eps", eps, 0.0, math.inf, below=True)
    return channels


def _table(x: Array) -> Array:
    """A contiguous (n, c, ...) as (n, c), or as (n, c, l) where l is not 1."""
    n, c = x.shape[:2]
    inner = math.prod(x.shape[2:])
    return x.reshape((n, c)) if inner == 1 else x.reshape((n, c, inner))


def _head(*tables: Array) -> int | None:
    """``row_head`` of tables (n, c, l), if several blocks are to share a channel."""
    shape = tables[0].shape
    if len(shape) == 2 or not batch_wide.splits(shape[0], shape[2]):
        return None
    return row_head((shape[0] * shape[1], shape[2]), *tables)


def _wide_columns(x: Array, *arrays: Array) -> bool:
    """Whether x is (n, c), for which four channels to a thread are taken."""
    return len(x.shape) == 2 and batch_columns_wide.takes(x, *arrays)


def vector(v: Array | None, value: float, size: int, x: Array) -> Array:
    """``v`` contiguous; if it is None, ``size`` items ``value`` like x."""
    if v is None:
        return _constant(value, size, x.dtype, x.device)
    return v if v.is_contiguous else copy(v)


@cached_constant(256)
def _constant(value: float, size: int, dtype: np.dtype, device: Device) -> Array:
    """The vector that stands for a missing weight or bias; never written to."""
    return full((size,), value, dtype, device)
