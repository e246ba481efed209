"""Launchers of ``exp``, ``log``, ``sqrt`` and ``pow`` with their gradients."""

from __future__ import annotations

from typing import Any

from ..checks import require_float, require_like, require_number, require_shape
from ..engine import Array
from . import functions
from .arithmetic import div, like, mul, scale
from .convert import fill
from .mapping import Map

EXP = Map("exp", functions.exp_item)
LOG = Map("log", functions.log_item)
SQRT = Map("sqrt", functions.sqrt_item)
SQRT_BACKWARD = Map("sqrt_backward", functions.sqrt_backward_item, inputs=2)
SQUARE = Map("square", functions.square)
POWER = Map("pow", functions.power, scalars=1)
POWER_BACKWARD = Map("pow_backward", functions.power_backward, inputs=2, scalars=1)


def exp(x: Array) -> Array:
    """``e^x``.

    Args:
        x: float32 or float64 array of any shape (rank 8 at most) and strides.

    Raises:
        DtypeError: x is not a float array.
        ShapeError: x has more than 8 axes.
    """
    require_float("exp", "x", x)
    return like("exp", EXP, x)


def exp_backward(dy: Array, y: Array) -> Array:
    """Gradient of :func:`exp` from its output y: ``dy * y``."""
    require_pair("exp_backward", dy, "y", y)
    return mul(dy, y)


def log(x: Array) -> Array:
    """Natural logarithm: -inf at 0, NaN below; x and errors as :func:`exp`."""
    require_float("log", "x", x)
    return like("log", LOG, x)


def log_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`log`: ``dy / x``."""
    require_pair("log_backward", dy, "x", x)
    return div(dy, x)


def sqrt(x: Array) -> Array:
    """Square root: NaN below 0; x and errors as :func:`exp`."""
    require_float("sqrt", "x", x)
    return like("sqrt", SQRT, x)


def sqrt_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`sqrt`: ``dy / (2 sqrt(x))``."""
    require_pair("sqrt_backward", dy, "x", x)
    return like("sqrt_backward", SQRT_BACKWARD, dy, x)


def pow(x: Array, exponent: float) -> Array:
    """``x ** exponent`` for a number; NaN for negative x and fractional exponents.

    Args:
        x: float32 or float64 array of any shape (rank 8 at most) and strides.
        exponent: a real number; it is rounded to the dtype of x. 2 is computed as ``x * x``.

    Raises:
        DtypeError: x is not a float array.
        ArgumentError: the exponent is not a number.
    """
    require_float("pow", "x", x)
    require_number("pow", "exponent", exponent)
    if exponent == 2:
        return like("pow", SQUARE, x)
    return like("pow", POWER, x, x.dtype.type(exponent))


def pow_backward(dy: Array, x: Array, exponent: float) -> Array:
    """Gradient of :func:`pow` for x: ``dy * exponent * x ** (exponent - 1)``.

    It is 0 for exponent 0, also at x = 0, as in PyTorch.
    """
    require_pair("pow_backward", dy, "x", x)
    require_number("pow_backward", "exponent", exponent)
    if exponent == 0:
        return fill(like("pow_backward", SQUARE, x), 0.0)
    if exponent == 2:
        return scale(mul(dy, x), 2.0)
    return like("pow_backward", POWER_BACKWARD, dy, x, x.dtype.type(exponent))


def require_pair(op: str, dy: Any, name: str, x: Any) -> None:
    """Raise unless ``dy`` is a float array and ``x`` one of the same dtype, device and shape."""
    require_float(op, "dy", dy)
    require_like(op, name, x, "dy", dy)
    require_shape(op, name, x, dy.shape)
