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
from ..elementwise.mapping import fold
from ..engine import ArgumentError, Array, ShapeError, empty
from ..reduce.tree import row_blocks
from ..reduce.wide_rows import row_head
from . import row_wide, row_wide_gradients, row_wide_slopes
from .batch import vector
from .row_kernels import backward_kernel, forward_kernel
from .row_sums import channel_sums, column_sums, contiguous

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

    @property
    def channels(self) -> tuple[int, int]:
        """Rows until the weights repeat, and elements of a row that share one."""
        return self.groups, 1 if self.each else self.inner


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
    return _backward_and_sums(dy, x, weight, stats, how, True, sums)


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
    return _backward_and_sums(dy, x, weight, stats, how, False, sums)[:2]


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
    _check_gradient(op, dy, x, stats, how)
    dx = _backward(dy, x, weight, stats, how, True)
    if not sums:
        return dx, None, None
    if how.each:
        return (dx, *column_sums(dy, x, stats, how.weights, how.groups))
    return (dx, *channel_sums(dy, x, stats, how.per, groups))


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


def _blocks(how: Rows) -> tuple[tuple[int, int, int], tuple[int, int]]:
    """Grid and block for the rows of each group."""
    blocks, block = row_blocks(how.rows // how.groups, how.per * how.inner)
    return (blocks, *fold(how.groups)), block


def _forward(
    x: Array, weight: Array | None, bias: Array | None, eps: float, how: Rows, centred: bool
) -> tuple[Array, Array]:
    y = empty(x.shape, x.dtype, x.device)
    stats = empty((3, how.rows), x.dtype, x.device)
    if not x.size:
        return y, stats
    x, weight, bias = (
        contiguous(x),
        vector(weight, 1, how.weights, x),
        vector(bias, 0, how.weights, x),
    )
    table, head = _table(how, x, y)
    if head is not None:
        tables = x.reshape(table), (weight, bias), eps, y.reshape(table), stats
        row_wide.forward(*tables, centred, how.channels, head)
        return y, stats
    view = (how.rows, how.per, how.inner)
    forward_kernel(x.dtype, centred, how.each)[_blocks(how)](
        x.reshape(view),
        weight,
        bias,
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
    if not x.size:
        return dx
    dy, x, weight = contiguous(dy), contiguous(x), vector(weight, 1, how.weights, x)
    table, head = _table(how, dy, x, dx)
    if head is not None:
        tables = dy.reshape(table), x.reshape(table), weight, stats, dx.reshape(table)
        row_wide_slopes.backward(*tables, centred, how.channels, head)
        return dx
    view = (how.rows, how.per, how.inner)
    backward_kernel(x.dtype, centred, how.each)[_blocks(how)](
        dy.reshape(view),
        x.reshape(view),
        weight,
        stats,
        x.dtype.type(how.per * how.inner),
        np.int64(how.groups),
        dx.reshape(view),
    )
    return dx


def _backward_and_sums(
    dy: Array,
    x: Array,
    weight: Array | None,
    stats: Array,
    how: Rows,
    centred: bool,
    sums: bool,
) -> Gradients:
    """dx, dw and db of rows of the last axis; on a GPU all from one read where that can be."""
    if not sums:
        return _backward(dy, x, weight, stats, how, centred), None, None
    dy, x, w = contiguous(dy), contiguous(x), vector(weight, 1, how.weights, x)
    dx = empty(x.shape, x.dtype, x.device)
    table, head = _table(how, dy, x, dx)
    if x.size and head is not None and row_wide_gradients.summable(w, how.weights, head):
        tables = dy.reshape(table), x.reshape(table), w, stats, dx.reshape(table)
        return (dx, *row_wide_gradients.gradients(*tables, centred))
    dx = _backward(dy, x, weight, stats, how, centred)
    return (dx, *column_sums(dy, x, stats, how.weights, how.groups))


def _table(how: Rows, *arrays: Array) -> tuple[tuple[int, int], int | None]:
    """Shape of the rows as a table; and its head, if rows by 128-bit access can be taken."""
    table = how.rows, how.per * how.inner
    return table, row_head(table, *arrays)
