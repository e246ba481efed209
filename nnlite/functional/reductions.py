"""Sums, means and extremes over any axes."""

from __future__ import annotations

from ..autograd import Gradients, Node
from ..kernels import elementwise, reduce
from ..kernels.engine import Array
from ..kernels.reduce.plan import plan
from ..kernels.reduce.sums import Axis
from ..tensor import Tensor, as_tensor, record


def sum(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over ``axis``.

    Args:
        x: any shape.
        axis: an axis, a tuple of axes, or None for all of them.
        keepdims: keep the reduced axes with size 1.

    Raises:
        ArgumentError: the tensor has no such axis, or one is given twice.
        DtypeError: ``x`` is not of float dtype.
    """
    x = as_tensor(x, "sum", "x")
    out = reduce.sum(x.array, axis=axis, keepdims=keepdims)
    kept = plan("sum", x.array, axis).kept
    return record("sum", out, (x,), _spread, (), (x.shape, kept, 1), fresh=False)


def mean(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean over ``axis``, NaN of no items; arguments and errors as :func:`sum`."""
    x = as_tensor(x, "mean", "x")
    out = reduce.mean(x.array, axis=axis, keepdims=keepdims)
    p = plan("mean", x.array, axis)
    return record("mean", out, (x,), _spread, (), (x.shape, p.kept, p.n), fresh=False)


def _spread(node: Node, dy: Array) -> Gradients:
    """The gradient of a sum or mean: ``dy / n``, repeated over the reduced axes as a view."""
    shape, kept, n = node.constants
    if n > 1:
        dy = elementwise.scale(dy, 1.0 / n)
    elif not dy.is_contiguous:
        dy = elementwise.copy(dy)
    return (dy.reshape(kept).broadcast_to(shape),)


def max(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Maximum over ``axis``; NaN wins. Arguments as :func:`sum`.

    The gradient is shared evenly by the items that attain the maximum, as in ``torch.amax``.

    Raises:
        ArgumentError: as :func:`sum`, or there are no items to choose from.
    """
    x = as_tensor(x, "max", "x")
    out = reduce.max(x.array, axis=axis, keepdims=keepdims)
    return record("max", out, (x,), _extreme_backward, (x, out), axis)


def min(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Minimum over ``axis``; see :func:`max`."""
    x = as_tensor(x, "min", "x")
    out = reduce.min(x.array, axis=axis, keepdims=keepdims)
    return record("min", out, (x,), _extreme_backward, (x, out), axis)


def _extreme_backward(node: Node, dy: Array) -> Gradients:
    x, out = node.saved
    return (reduce.extreme_backward(dy, x, out, node.constants),)


def argmax(x: Tensor, axis: int | None = None) -> Tensor:
    """Index of the first maximum along ``axis``, as int64; not differentiable.

    Args:
        x: any shape. The first NaN counts as the maximum.
        axis: an axis, which the result lacks; or None for the index in the flattened tensor.

    Raises:
        ArgumentError: the tensor has no such axis, or there are no items to choose from.
    """
    return Tensor(reduce.argmax(as_tensor(x, "argmax", "x").array, axis))
