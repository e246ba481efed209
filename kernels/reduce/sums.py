"""Sum and mean over any axes, their gradients, and ``sum_to``, the reverse of broadcasting.

Formula: ``y = sum_j x_j`` and ``y = (sum_j x_j) / n``; the gradients are ``dx_j = dy`` and
``dx_j = dy / n``. Partial sums are added as a tree (Higham, "The accuracy of floating point
summation", 1993): the error grows with log2 of the row length, not with the length.
"""

from __future__ import annotations

import math

from .. import checks
from ..elementwise import copy, scale
from ..engine import Array, ShapeError, full, zeros
from .kernels import reduce
from .plan import plan

Axis = int | tuple[int, ...] | None


def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum over axes.

    Args:
        x: any shape, any strides; float32 or float64.
        axis: an axis, several, or None for all; negative ones count from the end.
        keepdims: keep the reduced axes with size 1.

    Returns:
        Array with the dtype of ``x``; 0 where nothing is summed.

    Raises:
        DtypeError: ``x`` is not a floating-point array.
        ArgumentError: an axis is out of range or named twice.
    """
    checks.require_float("sum", "x", x)
    p = plan("sum", x, axis)
    y = reduce("add", x, p) if p.n else zeros(p.shape, x.dtype, x.device)
    return y.reshape(p.kept) if keepdims else y


def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Mean over axes; NaN where there is none to average. Arguments, errors as :func:`sum`."""
    checks.require_float("mean", "x", x)
    p = plan("mean", x, axis)
    y = reduce("add", x, p, p.n) if p.n else full(p.shape, math.nan, x.dtype, x.device)
    return y.reshape(p.kept) if keepdims else y


def sum_backward(dy: Array, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Gradient of :func:`sum`: ``dy`` repeated to the shape of ``x``."""
    return copy(_spread("sum_backward", dy, x, axis))


def mean_backward(dy: Array, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Gradient of :func:`mean`: ``dy / n`` repeated to the shape of ``x``."""
    n = plan("mean_backward", x, axis).n
    return scale(_spread("mean_backward", dy, x, axis), 1.0 / max(n, 1))


def _spread(op: str, dy: Array, x: Array, axis: Axis) -> Array:
    checks.require_float(op, "x", x)
    checks.require_like(op, "dy", dy, "x", x)
    p = plan(op, x, axis)
    if dy.shape not in (p.shape, p.kept):
        raise ShapeError(f"{op}: dy: shape {dy.shape} given, expected {p.shape} or {p.kept}")
    if not dy.is_contiguous:
        dy = copy(dy)
    return dy.reshape(p.kept).broadcast_to(x.shape)


def sum_to(x: Array, shape: tuple[int, ...]) -> Array:
    """Sum ``x`` to ``shape``, from which its shape can be broadcast; ``x`` itself if it is that.

    The gradient of broadcasting: an axis that was added or repeated is summed.

    Raises:
        DtypeError: ``x`` is not a floating-point array.
        ShapeError: ``shape`` does not broadcast to the shape of ``x``.
    """
    checks.require_float("sum_to", "x", x)
    given = x.shape
    if given == shape:
        return x
    added = len(given) - len(shape)
    if added < 0 or any(s not in (1, g) for s, g in zip(shape, given[added:], strict=True)):
        raise ShapeError(f"sum_to: shape: {shape} given, expected one that broadcasts to {given}")
    repeated = [added + i for i, s in enumerate(shape) if s != given[added + i]]
    return sum(x, (*range(added), *repeated)).reshape(shape)
