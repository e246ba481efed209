"""Layer, group and root-mean-square normalisation: launchers.

    y = (x - mean) / sqrt(var + eps) * weight + bias          layer, group
    y = x / sqrt(mean(x^2) + eps) * weight                     root mean square

Mean and (biased) variance are those of a row: the last axis, or the elements of a group of channels
of one image. With h the normalised row, g = dy weight and N elements in a row,

    dx = (g - sum g / N - h sum(g h) / N) / sqrt(var + eps)     without sum g / N for the last
    dw = sum over rows of dy h,    db = sum over rows of dy

Sources: Ba, Kiros, Hinton, "Layer Normalization", arXiv:1607.06450; Wu, He, "Group Normalization",
ECCV 2018; Zhang, Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .. import checks
from ..elementwise import copy
from ..elementwise.mapping import MAX_GRID, fold
from ..engine import ArgumentError, Array, ShapeError, empty, zeros
from ..reduce import sum
from ..reduce.tree import row_blocks
from .batch import vector
from .row_kernels import backward_kernel, forward_kernel, sum_kernels
from .sums import COLUMNS, ROWS

# Rows that one block adds up before a second launch pays, and the most parts.
PART, MOST_PARTS = 512, 64

Gradients = tuple[Array, Array | None, Array | None]


class Rows(NamedTuple):
    """How an array is cut into the rows that are normalised.

    Args:
        rows: how many.
        per, inner: channels of a row, and their elements.
        weights: items of weight and bias.
        groups: rows until the weights repeat.
        each: every element of a row has its own weight, not every channel.
    """

    rows: int
    per: int
    inner: int
    weights: int
    groups: int = 1
    each: bool = True


def layer_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> tuple[Array, Array]:
    """Normalise the last axis.

    Args:
        x: (..., n), any strides; float32 or float64.
        weight, bias: (n,), dtype and device of x; 1 and 0 if None.
        eps: added to the variance, >= 0.

    Returns:
        y like x, and (3, rows) for :func:`layer_norm_backward`.

    Raises:
        DtypeError, ShapeError, DeviceError: the arrays do not fit each other.
        ArgumentError: eps is not in its range.
    """
    _check_last("layer_norm", x, weight=weight, bias=bias, eps=eps)
    return _forward(x, weight, bias, eps, _rows(x), True)


def layer_norm_backward(
    dy: Array, x: Array, weight: Array | None, stats: Array, sums: bool = True
) -> Gradients:
    """Gradient of :func:`layer_norm`.

    Args:
        dy: gradient of the result, in its shape.
        x, weight: as given to the forward launcher.
        stats: what it returned.
        sums: compute dw and db; else they are None.

    Returns:
        dx like x, and dw and db (n,).

    Raises:
        DtypeError, ShapeError, DeviceError: the arrays do not fit each other.
    """
    op = "layer_norm_backward"
    _check_last(op, x, weight=weight)
    how = _rows(x)
    _check_gradient(op, dy, x, stats, how)
    dx = _backward(dy, x, weight, stats, how, True)
    return (dx, *_column_sums(dy, x, stats, how)) if sums else (dx, None, None)


def rms_norm(x: Array, weight: Array | None = None, eps: float = 1e-5) -> tuple[Array, Array]:
    """Divide the last axis by its root mean square; arguments and errors as :func:`layer_norm`."""
    _check_last("rms_norm", x, weight=weight, eps=eps)
    return _forward(x, weight, None, eps, _rows(x), False)


def rms_norm_backward(
    dy: Array, x: Array, weight: Array | None, stats: Array, sums: bool = True
) -> tuple[Array, Array | None]:
    """Gradients dx and dw of :func:`rms_norm`; arguments as :func:`layer_norm_backward`."""
    op = "rms_norm_backward"
    _check_last(op, x, weight=weight)
    how = _rows(x)
    _check_gradient(op, dy, x, stats, how)
    dx = _backward(dy, x, weight, stats, how, False)
    return dx, _column_sums(dy, x, stats, how)[0] if sums else None


def group_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    groups: int = 1,
    eps: float = 1e-5,
) -> tuple[Array, Array]:
    """Normalise each of ``groups`` groups of channels of each item of the batch.

    Args:
        x: (n, c, ...), any strides; float32 or float64.
        weight, bias: (c,), dtype and device of x; 1 and 0 if None.
        groups: divides c; with c groups it is instance normalisation.
        eps: added to the variance, >= 0.

    Returns:
        y like x, and (3, n groups) for :func:`group_norm_backward`.

    Raises:
        DtypeError, ShapeError, DeviceError: the arrays do not fit each other.
        ArgumentError: ``groups`` does not divide c, or eps is not in its range.
    """
    how = _groups("group_norm", x, groups, weight=weight, bias=bias, eps=eps)
    return _forward(x, weight, bias, eps, how, True)


def group_norm_backward(
    dy: Array, x: Array, weight: Array | None, stats: Array, groups: int = 1, sums: bool = True
) -> Gradients:
    """Gradients dx, dw and db of :func:`group_norm`; arguments as :func:`layer_norm_backward`."""
    op = "group_norm_backward"
    how = _groups(op, x, groups, weight=weight)
    n, c = x.shape[:2]
    _check_gradient(op, dy, x, stats, how)
    dx = _backward(dy, x, weight, stats, how, True)
    if not sums:
        return dx, None, None
    if how.each:
        return (dx, *_column_sums(dy, x, stats, how))
    total = zeros((2, c), x.dtype, x.device)
    if x.size:
        view = (n, c, how.inner)
        _, channel_sums = sum_kernels(x.dtype)
        channel_sums[c, (COLUMNS, ROWS)](
            _contiguous(dy).reshape(view),
            _contiguous(x).reshape(view),
            stats,
            np.int64(groups),
            np.int64(how.per),
            total,
        )
    return dx, total[0], total[1]


def _check_last(op: str, x: Array, eps: float = 0.0, **vectors: Array | None) -> None:
    checks.require_float(op, "x", x)
    if not x.shape:
        raise ShapeError(f"{op}: x: shape () given, expected at least one axis")
    _check_vectors(op, x, x.shape[-1], eps, vectors)


def _rows(x: Array) -> Rows:
    """The rows of the last axis."""
    n = x.shape[-1]
    return Rows(math.prod(x.shape[:-1]), 1, n, n)


def _groups(op: str, x: Array, groups: int, eps: float = 0.0, **vectors: Array | None) -> Rows:
    """The rows of group normalisation, after checking the arguments."""
    checks.require_float(op, "x", x)
    if len(x.shape) < 2:
        raise ShapeError(f"{op}: x: shape {x.shape} given, expected (n, c, ...)")
    channels, inner = x.shape[1], math.prod(x.shape[2:])
    whole = isinstance(groups, (int, np.integer)) and not isinstance(groups, bool)
    if not whole or groups < 1 or channels % groups:
        raise ArgumentError(
            f"{op}: groups: {groups!r} given, expected a divisor of the {channels} channels"
        )
    _check_vectors(op, x, channels, eps, vectors)
    per, rows = channels // groups, x.shape[0] * groups
    # Channels of one element are the elements of a row.
    if inner == 1:
        return Rows(rows, 1, per, channels, groups)
    return Rows(rows, per, inner, channels, groups, each=False)


def _check_vectors(
    op: str, x: Array, size: int, eps: float, vectors: dict[str, Array | None]
) -> None:
    for name, v in vectors.items():
        if v is not None:
            checks.require_like(op, name, v, "x", x)
            checks.require_shape(op, name, v, (size,))
    checks.require_between(op, "eps", eps, 0.0, math.inf, below=True)


def _check_gradient(op: str, dy: Array, x: Array, stats: Array, how: Rows) -> None:
    checks.require_like(op, "dy", dy, "x", x)
    checks.require_shape(op, "dy", dy, x.shape)
    checks.require_like(op, "stats", stats, "x", x)
    checks.require_shape(op, "stats", stats, (3, how.rows))


def _contiguous(x: Array) -> Array:
    return x if x.is_contiguous else copy(x)


def _blocks(how: Rows) -> tuple[tuple[int, int, int], tuple[int, int]]:
    """Grid and block for the rows of each group."""
    blocks, block = row_blocks(how.rows // how.groups, how.per * how.inner)
    return (blocks, *fold(how.groups)), block


def _forward(
    x: Array, weight: Array | None, bias: Array | None, eps: float, how: Rows, centred: bool
) -> tuple[Array, Array]:
    y = empty(x.shape, x.dtype, x.device)
    view = (how.rows, how.per, how.inner)
    stats = empty((3, how.rows), x.dtype, x.device)
    if x.size:
        forward_kernel(x.dtype, centred, how.each)[_blocks(how)](
            _contiguous(x).reshape(view),
            vector(weight, 1, how.weights, x),
            vector(bias, 0, how.weights, x),
            x.dtype.type(how.per * how.inner),
            x.dtype.type(eps),
            np.int64(how.groups),
            y.reshape(view),
            stats,
        )
    return y, stats


def _backward(
    dy: Array, x: Array, weight: Array | None, stats: Array, how: Rows, centred: bool
) -> Array:
    dx = empty(x.shape, x.dtype, x.device)
    if x.size:
        view = (how.rows, how.per, how.inner)
        backward_kernel(x.dtype, centred, how.each)[_blocks(how)](
            _contiguous(dy).reshape(view),
            _contiguous(x).reshape(view),
            vector(weight, 1, how.weights, x),
            stats,
            x.dtype.type(how.per * how.inner),
            np.int64(how.groups),
            dx.reshape(view),
        )
    return dx


def _column_sums(dy: Array, x: Array, stats: Array, how: Rows) -> tuple[Array, Array]:
    """dw and db, where each column of x (rows, columns) has its weight."""
    columns = how.weights
    if not x.size:
        zero = zeros((2, columns), x.dtype, x.device)
        return zero[0], zero[1]
    view = (x.size // columns, columns)
    parts = min(max(view[0] // PART, 1), MOST_PARTS)
    sums = empty((2, parts, columns), x.dtype, x.device)
    column_sums, _ = sum_kernels(x.dtype)
    per = columns // how.groups
    column_sums[(-(-per // COLUMNS), parts, min(how.groups, MAX_GRID)), (COLUMNS, ROWS)](
        _contiguous(dy).reshape(view),
        _contiguous(x).reshape(view),
        stats,
        np.int64(how.groups),
        np.int64(per),
        np.int64(-(-view[0] // parts)),
        sums,
    )
    total = sum(sums, 1) if parts > 1 else sums.reshape((2, columns))
    return total[0], total[1]
