"""Checks of launcher arguments: each raises one error that names op, argument, given and expected.

They run before every launch, so they are plain comparisons without loops over items; a launcher
of a training step spends well under a microsecond here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .engine import (
    ArgumentError,
    Array,
    Device,
    DeviceError,
    DtypeError,
    ShapeError,
    empty,
    layout,
)

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
INT32 = np.dtype(np.int32)
INT64 = np.dtype(np.int64)


def require_array(op: str, name: str, x: Any) -> None:
    """Raise DtypeError (a TypeError) unless ``x`` is an Array."""
    if not isinstance(x, Array):
        raise DtypeError(
            f"{op}: {name}: {type(x).__name__} given, expected an Array (make one with nl.array)"
        )


def require_float(op: str, name: str, x: Any) -> None:
    """Raise unless ``x`` is an Array of float32 or float64."""
    require_array(op, name, x)
    if x.dtype != FLOAT32 and x.dtype != FLOAT64:
        raise DtypeError(f"{op}: {name}: dtype {x.dtype} given, expected float32 or float64")


def require_index(op: str, name: str, x: Any) -> None:
    """Raise unless ``x`` is an Array of int32 or int64."""
    require_array(op, name, x)
    if x.dtype != INT32 and x.dtype != INT64:
        raise DtypeError(f"{op}: {name}: dtype {x.dtype} given, expected int32 or int64")


def require_like(op: str, name: str, x: Any, other_name: str, other: Array) -> None:
    """Raise unless ``x`` is an Array with dtype and device of ``other``."""
    require_array(op, name, x)
    if x.dtype != other.dtype:
        hint = "; NumPy's floats are float64, nl.tensor(..., dtype='float32') converts them"
        mixed = {x.dtype, other.dtype} == {FLOAT32, FLOAT64}
        raise DtypeError(
            f"{op}: {name}: dtype {x.dtype} given, expected {other.dtype} like {other_name}"
            f"{hint if mixed else ''}"
        )
    if x.device is not other.device and x.device != other.device:
        raise DeviceError(
            f"{op}: {name}: on device {x.device}, expected {other.device} like {other_name}"
        )


def same_device(op: str, **arrays: Array) -> None:
    """Raise DeviceError unless all arrays are on the device of the first."""
    (first_name, first), *rest = arrays.items()
    for name, x in rest:
        if x.device is not first.device and x.device != first.device:
            raise DeviceError(
                f"{op}: {name}: on device {x.device}, expected {first.device} like {first_name}"
            )


def require_ndim(op: str, name: str, x: Array, ndim: int) -> None:
    """Raise ShapeError unless ``x`` has ``ndim`` axes."""
    if len(x.shape) != ndim:
        raise ShapeError(f"{op}: {name}: shape {x.shape} given, expected {ndim} axes")


def require_shape(op: str, name: str, x: Array, expected: Sequence[int | None]) -> None:
    """Raise ShapeError unless ``x`` has the shape ``expected``; None stands for any size."""
    shape = x.shape
    if shape == expected:
        return
    if len(shape) != len(expected) or any(e not in (None, s) for s, e in zip(shape, expected)):
        wanted = ", ".join("any" if e is None else str(e) for e in expected)
        wanted = f"({wanted},)" if len(expected) == 1 else f"({wanted})"
        raise ShapeError(f"{op}: {name}: shape {shape} given, expected {wanted}")


def require_option(op: str, name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Raise ArgumentError unless ``value`` is one of ``allowed``."""
    for option in allowed:
        if value is option or (type(value) is type(option) and value == option):
            return
    choices = ", ".join(map(repr, allowed))
    raise ArgumentError(f"{op}: {name}: {value!r} given, expected one of {choices}")


def require_number(op: str, name: str, value: Any) -> None:
    """Raise ArgumentError unless ``value`` is a real number (not a boolean, not an array)."""
    if type(value) is float or type(value) is int:
        return
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise ArgumentError(f"{op}: {name}: {value!r} given, expected a real number")


def require_between(
    op: str, name: str, value: Any, low: float, high: float, *, below: bool = False
) -> None:
    """Raise ArgumentError unless ``low <= value <= high``; with ``below``, ``value < high``."""
    require_number(op, name, value)
    if not (low <= value < high if below else low <= value <= high):
        bound = ")" if below else "]"
        raise ArgumentError(f"{op}: {name}: {value!r} given, expected in [{low}, {high}{bound}")


def require_out(
    op: str, out: Array | None, shape: tuple[int, ...], dtype: np.dtype, device: Device
) -> Array:
    """``out`` after checking it, or a new array of ``shape``, ``dtype`` on ``device``."""
    if out is None:
        return empty(shape, dtype, device)
    require_array(op, "out", out)
    if out.dtype != dtype:
        raise DtypeError(f"{op}: out: dtype {out.dtype} given, expected {dtype}")
    if out.device != device:
        raise DeviceError(f"{op}: out: on device {out.device}, expected {device}")
    require_shape(op, "out", out, shape)
    if not out.is_contiguous:
        raise ShapeError(f"{op}: out: strides {out.strides} given, expected a contiguous array")
    return out


def memory_range(x: Array) -> tuple[int, int]:
    """First byte address of the items of ``x`` and the address after the last."""
    start = getattr(x, "pointer", None)  # on a GPU; `data` would make a device array of Numba's
    if start is None:
        start = x.data.__array_interface__["data"][0]
    low, high = layout.extent(x.shape, x.strides, x.dtype.itemsize)
    return start + low, start + high


def require_apart(op: str, out: Array, **inputs: Array | None) -> None:
    """Raise ArgumentError if the memory of ``out`` may overlap that of an input.

    A kernel whose threads read what other threads write has no defined result. The test compares
    address ranges, so it also refuses interleaved views that share no item.
    """
    low, high = memory_range(out)
    for name, x in inputs.items():
        if x is not None:
            start, stop = memory_range(x)
            if start < high and low < stop:
                raise ArgumentError(
                    f"{op}: out: overlaps the memory of {name}, expected separate arrays"
                )
