"""Launchers of ``+ - * /`` with broadcasting, scaling, negation and in-place accumulation."""

from __future__ import annotations

from typing import Any

from ..checks import require_float, require_like, require_number
from ..engine import Array, ShapeError, empty
from . import functions
from .mapping import Map, broadcast_shape, require_rank

ADD = Map("add", functions.add_items, inputs=2, broadcasts=True)
SUB = Map("sub", functions.sub_items, inputs=2, broadcasts=True)
MUL = Map("mul", functions.mul_items, inputs=2, broadcasts=True)
DIV = Map("div", functions.div_items, inputs=2, broadcasts=True)
SCALE = Map("scale", functions.mul_items, scalars=1, broadcasts=True)
NEG = Map("neg", functions.neg_item)


def add(x: Array, y: Array) -> Array:
    """``x + y``.

    Args:
        x, y: arrays of one dtype and device, with any strides.

    Shape: x and y broadcast together by NumPy's rules, to rank 8 at most.
    dtype: float32 or float64, the same for both.

    Raises:
        ShapeError: the shapes do not broadcast.
        DtypeError: a dtype is not a float, or the dtypes differ.
        DeviceError: the arrays are on different devices.
    """
    return _binary("add", ADD, x, y)


def sub(x: Array, y: Array) -> Array:
    """``x - y``; shapes, dtypes and errors as :func:`add`."""
    return _binary("sub", SUB, x, y)


def mul(x: Array, y: Array) -> Array:
    """``x * y``; shapes, dtypes and errors as :func:`add`."""
    return _binary("mul", MUL, x, y)


def div(x: Array, y: Array) -> Array:
    """``x / y``; division by zero gives inf or NaN. Shapes, dtypes, errors as :func:`add`."""
    return _binary("div", DIV, x, y)


def scale(x: Array, alpha: float) -> Array:
    """``alpha * x``, with alpha rounded to the dtype of x.

    Args:
        x: float32 or float64 array of any shape (rank 8 at most) and strides.
        alpha: a real number.

    Raises:
        DtypeError: x is not a float array.
        ArgumentError: alpha is not a number.
    """
    require_float("scale", "x", x)
    require_number("scale", "alpha", alpha)
    return like("scale", SCALE, x, x.dtype.type(alpha))


def neg(x: Array) -> Array:
    """``-x``; x as in :func:`scale`."""
    require_float("neg", "x", x)
    return like("neg", NEG, x)


def accumulate(out: Array, x: Array) -> Array:
    """``out += x`` in place; returns ``out``.

    Args:
        out: the array to add to, with any strides, but not a broadcast view.
        x: an array that broadcasts to the shape of ``out``. It may be ``out`` itself, but not
            another view of its memory.

    Raises:
        ShapeError: x does not broadcast to out, or out repeats items by a stride of 0.
        DtypeError, DeviceError: as :func:`add`.
    """
    require_float("accumulate", "out", out)
    require_like("accumulate", "x", x, "out", out)
    require_rank("accumulate", "out", out.shape)
    if x.shape != out.shape and broadcast_shape("accumulate", out, x) != out.shape:
        raise ShapeError(
            f"accumulate: x: shape {x.shape} given, expected one that broadcasts to {out.shape}"
        )
    require_writable("accumulate", out)
    return ADD(out, out, x)


def require_writable(op: str, out: Array) -> None:
    """Raise ShapeError if ``out`` shows one item at several places (a broadcast view)."""
    if not out.is_contiguous and any(
        stride == 0 and size > 1 for size, stride in zip(out.shape, out.strides)
    ):
        raise ShapeError(
            f"{op}: out: strides {out.strides} of shape {out.shape} repeat items, "
            "expected an array that is not a broadcast view"
        )


def like(op: str, mapping: Map, x: Array, *args: Any) -> Array:
    """A new array with the shape and dtype of ``x``: the map of ``x`` and ``args``."""
    require_rank(op, "x", x.shape)
    return mapping(empty(x.shape, x.dtype, x.device), x, *args)


def _binary(op: str, mapping: Map, x: Array, y: Array) -> Array:
    require_float(op, "x", x)
    require_like(op, "y", y, "x", x)
    shape = broadcast_shape(op, x, y)
    return mapping(empty(shape, x.dtype, x.device), x, y)
