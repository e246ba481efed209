"""Elementwise arithmetic with broadcasting, and the sum of two gradients.

Functions of one tensor take any shape and return the same; ``DtypeError`` unless it is of float
dtype.
"""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from ..autograd import Gradients, Node
from ..kernels import elementwise, reduce
from ..kernels.engine import Array, full
from ..tensor import Tensor, as_tensor, record, wrap


def accumulate(total: Array, new: Array, owned: bool) -> Array:
    """``total + new``; written to ``total`` if ``owned``, that is if nothing else refers to it."""
    if owned and total.is_contiguous:
        elementwise.accumulate(total, new)
        return total
    return elementwise.add(total, new)


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return False
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))


def _tensor_of(number: Any, like: Tensor) -> Tensor:
    """A number with dtype and device of a tensor."""
    return wrap(full((), number, like.dtype, like.device))


def _operands(op: str, x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both operands as tensors; a number takes dtype and device of the other operand."""
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return x, y
    if isinstance(x, (Tensor, Array)):
        x = as_tensor(x, op, "x")
        if _is_number(y):
            return x, _tensor_of(y, x)
        return x, as_tensor(y, op, "y")
    y = as_tensor(y, op, "y")
    if _is_number(x):
        return _tensor_of(x, y), y
    return as_tensor(x, op, "x"), y


def _sum_to(grad: Array, shape: tuple[int, ...]) -> Array:
    """``grad`` summed over the axes along which an operand of ``shape`` was repeated."""
    return grad if grad.shape == shape else reduce.sum_to(grad, shape)


def add(x: Any, y: Any) -> Tensor:
    r"""Sum :math:`x + y` with broadcasting; one operand may be a Python number.

    Shape:
        ``x`` and ``y`` broadcast together by NumPy's rules, to rank 8 at most.

    Raises:
        ShapeError: the shapes do not broadcast.
        DtypeError, DeviceError: an operand is not of float dtype, or the operands differ in it.
        TypeError: an operand is neither a tensor nor a number.
    """
    x, y = _operands("add", x, y)
    out = elementwise.add(x.array, y.array)
    return record("add", out, (x, y), _add_backward, (), (x.shape, y.shape), fresh=False)


def _add_backward(node: Node, dy: Array) -> Gradients:
    a, b = node.constants
    return (
        _sum_to(dy, a) if node.needs(0) else None,
        _sum_to(dy, b) if node.needs(1) else None,
    )


def sub(x: Any, y: Any) -> Tensor:
    r"""Difference :math:`x - y` with broadcasting; shapes and errors as :func:`add`."""
    x, y = _operands("sub", x, y)
    out = elementwise.sub(x.array, y.array)
    return record("sub", out, (x, y), _sub_backward, (), (x.shape, y.shape), fresh=False)


def _sub_backward(node: Node, dy: Array) -> Gradients:
    a, b = node.constants
    return (
        _sum_to(dy, a) if node.needs(0) else None,
        elementwise.neg(_sum_to(dy, b)) if node.needs(1) else None,
    )


def mul(x: Any, y: Any) -> Tensor:
    r"""Product :math:`x \cdot y` with broadcasting; shapes and errors as :func:`add`."""
    if isinstance(x, Tensor) and _is_number(y) and x.dtype.kind == "f":
        return _scale(x, float(y))
    if isinstance(y, Tensor) and _is_number(x) and y.dtype.kind == "f":
        return _scale(y, float(x))
    x, y = _operands("mul", x, y)
    out = elementwise.mul(x.array, y.array)
    saved = (x if y.requires_grad else None, y if x.requires_grad else None)
    return record("mul", out, (x, y), _mul_backward, saved, (x.shape, y.shape))


def _mul_backward(node: Node, dy: Array) -> Gradients:
    x, y = node.saved
    a, b = node.constants
    return (
        _sum_to(elementwise.mul(dy, y), a) if node.needs(0) else None,
        _sum_to(elementwise.mul(dy, x), b) if node.needs(1) else None,
    )


def _scale(x: Tensor, alpha: float) -> Tensor:
    out = elementwise.scale(x.array, alpha)
    return record("mul", out, (x,), _scale_backward, (), alpha)


def _scale_backward(node: Node, dy: Array) -> Gradients:
    return (elementwise.scale(dy, node.constants),)


def div(x: Any, y: Any) -> Tensor:
    r"""Quotient :math:`x / y` with broadcasting; shapes and errors as :func:`add`."""
    x, y = _operands("div", x, y)
    out = elementwise.div(x.array, y.array)
    saved = (y, out if y.requires_grad else None)
    return record("div", out, (x, y), _div_backward, saved, (x.shape, y.shape))


def _div_backward(node: Node, dy: Array) -> Gradients:
    y, out = node.saved
    a, b = node.constants
    dx = elementwise.div(dy, y)
    return (
        _sum_to(dx, a) if node.needs(0) else None,
        elementwise.neg(_sum_to(elementwise.mul(dx, out), b)) if node.needs(1) else None,
    )


def neg(x: Tensor) -> Tensor:
    r"""Negative :math:`-x`."""
    x = as_tensor(x, "neg", "x")
    return record("neg", elementwise.neg(x.array), (x,), _neg_backward)


def _neg_backward(node: Node, dy: Array) -> Gradients:
    return (elementwise.neg(dy),)


def exp(x: Tensor) -> Tensor:
    r"""Exponential :math:`e^x`."""
    x = as_tensor(x, "exp", "x")
    out = elementwise.exp(x.array)
    return record("exp", out, (x,), _exp_backward, (out,))


def _exp_backward(node: Node, dy: Array) -> Gradients:
    (out,) = node.saved
    return (elementwise.exp_backward(dy, out),)


def log(x: Tensor) -> Tensor:
    r"""Natural logarithm :math:`\ln x`; NaN for negative items, -inf for zero."""
    x = as_tensor(x, "log", "x")
    return record("log", elementwise.log(x.array), (x,), _log_backward, (x,))


def _log_backward(node: Node, dy: Array) -> Gradients:
    (x,) = node.saved
    return (elementwise.log_backward(dy, x),)


def sqrt(x: Tensor) -> Tensor:
    r"""Square root :math:`\sqrt{x}`; NaN for negative items, infinite gradient at zero."""
    x = as_tensor(x, "sqrt", "x")
    return record("sqrt", elementwise.sqrt(x.array), (x,), _sqrt_backward, (x,))


def _sqrt_backward(node: Node, dy: Array) -> Gradients:
    (x,) = node.saved
    return (elementwise.sqrt_backward(dy, x),)


def pow(x: Tensor, exponent: float) -> Tensor:
    r"""Power :math:`x^p`; the gradient is :math:`p x^{p-1}`.

    Args:
        x: any shape; a negative item has no power with a fraction: NaN.
        exponent: the number :math:`p`.
    """
    x = as_tensor(x, "pow", "x")
    out = elementwise.pow(x.array, exponent)
    return record("pow", out, (x,), _pow_backward, (x,), exponent)


def _pow_backward(node: Node, dy: Array) -> Gradients:
    (x,) = node.saved
    return (elementwise.pow_backward(dy, x, node.constants),)
