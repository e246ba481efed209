"""Launchers that fill, copy and convert arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..checks import require_array, require_like, require_number, require_shape
from ..engine import Array, DtypeError, empty
from . import functions
from .arithmetic import like, require_writable
from .mapping import Map, require_rank
from .transposing import transposed_copy

CASTABLE = tuple(np.dtype(t) for t in ("f4", "f8", "i4", "i8", "u1", "?"))
COPY = Map("copy", functions.identity, broadcasts=True)
FILL = Map("fill", functions.constant, scalars=1)


def fill(out: Array, value: float) -> Array:
    """Set every item of ``out`` to ``value``; returns ``out``.

    Args:
        out: an array of any strides, but not a broadcast view; float32, float64, int32, int64,
            uint8 or bool.
        value: a real number, converted to the dtype of ``out``.

    Raises:
        DtypeError: the dtype is none of these.
        ArgumentError: value is not a number.
        ShapeError: out repeats items by a stride of 0, or has more than 8 axes.
    """
    _require_castable("fill", "out", out)
    require_number("fill", "value", value)
    require_rank("fill", "out", out.shape)
    require_writable("fill", out)
    return FILL(out, out, out.dtype.type(value))


def copy(x: Array) -> Array:
    """A new C-contiguous array with the items of ``x``; a transposed one goes through tiles.

    Args:
        x: array of any shape (rank 8 at most) and strides; dtypes as :func:`fill`.

    Raises:
        DtypeError: the dtype is none of these.
    """
    _require_castable("copy", "x", x)
    turned = transposed_copy(x)
    return like("copy", COPY, x) if turned is None else turned


def assign(out: Array, x: Array) -> Array:
    """Overwrite ``out`` with the items of ``x``; returns ``out``.

    Args:
        out: an array of any strides, but not a broadcast view; dtypes as :func:`fill`.
        x: an array of its shape and dtype, of any strides, apart from its memory.

    Raises:
        DtypeError, DeviceError: the dtype is none of these, or x is not like out.
        ShapeError: the shapes differ, or out repeats items by a stride of 0.
    """
    _require_castable("assign", "out", out)
    require_like("assign", "x", x, "out", out)
    require_shape("assign", "x", x, out.shape)
    require_rank("assign", "out", out.shape)
    require_writable("assign", out)
    return COPY(out, x)


def cast(x: Array, dtype: Any) -> Array:
    """A new C-contiguous array with the items of ``x`` converted to ``dtype``.

    Floats are rounded to nearest, or towards zero if ``dtype`` is an integer; what does not fit
    an integer dtype gives an unspecified value. Anything but 0 becomes True.

    Args:
        x: array of any shape (rank 8 at most) and strides.
        dtype: float32, float64, int32, int64, uint8 or bool; x has one of these too.

    Raises:
        DtypeError: a dtype is none of these.
    """
    _require_castable("cast", "x", x)
    target = _castable(dtype)
    require_rank("cast", "x", x.shape)
    return COPY(empty(x.shape, target, x.device), x)


def _castable(dtype: Any) -> np.dtype:
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found not in CASTABLE:
        raise DtypeError(f"cast: dtype: {dtype!r} given, expected one of {_names()}")
    return found


def _require_castable(op: str, name: str, x: Any) -> None:
    require_array(op, name, x)
    if x.dtype not in CASTABLE:
        raise DtypeError(f"{op}: {name}: dtype {x.dtype} given, expected one of {_names()}")


def _names() -> str:
    return ", ".join(str(t) for t in CASTABLE)
