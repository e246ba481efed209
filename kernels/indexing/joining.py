"""Arrays joined along an axis.

    concatenate: y = x_0, x_1, … one after the other along an axis
    stack:       the same along a new axis, on which each array has the size 1

Both copy each array into its part of the result with the map ``copy`` of the family
``elementwise``. Seen from the joined axis, contiguous arrays are tables (outer, n): threads run
along long rows even where the last axis is short. The gradients are the parts of dy, as views.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import checks
from ..elementwise.convert import CASTABLE, COPY
from ..elementwise.mapping import require_rank
from ..engine import ArgumentError, Array, DtypeError, ShapeError, empty


def concatenate(arrays: Sequence[Array], axis: int = 0) -> Array:
    """The arrays one after the other along an axis.

    Args:
        arrays: one or more, of any strides; float32, float64, int32, int64, uint8 or bool, all
            the same. Their shapes differ in the one axis only.
        axis: negative ones count from the end.

    Raises:
        DtypeError, DeviceError: the arrays differ in dtype or device.
        ShapeError: they differ in another axis, or have no axes, or more than 8.
        ArgumentError: there is no array, or no such axis.
    """
    first = _check("concatenate", arrays, axis)
    rank = len(first.shape)
    if not rank:
        raise ShapeError("concatenate: arrays: shape () given, expected at least 1 axis; use stack")
    at = axis % rank
    kept = first.shape[:at], first.shape[at + 1 :]
    for i, x in enumerate(arrays):
        if len(x.shape) != rank or (x.shape[:at], x.shape[at + 1 :]) != kept:
            raise ShapeError(
                f"concatenate: arrays[{i}]: shape {x.shape} given, expected that of arrays[0], "
                f"{first.shape}, but along axis {axis}"
            )
    return _joined(list(arrays), at)


def stack(arrays: Sequence[Array], axis: int = 0) -> Array:
    """The arrays, all of one shape, along a new axis; otherwise as :func:`concatenate`."""
    first = _check("stack", arrays, axis, new=1)
    at = axis % (len(first.shape) + 1)
    for i, x in enumerate(arrays):
        if x.shape != first.shape:
            raise ShapeError(
                f"stack: arrays[{i}]: shape {x.shape} given, expected {first.shape} like arrays[0]"
            )
    key = (*[slice(None)] * at, None)
    return _joined([x[key] for x in arrays], at)


def _joined(arrays: list[Array], at: int) -> Array:
    shape = arrays[0].shape
    total = sum(x.shape[at] for x in arrays)
    y = empty((*shape[:at], total, *shape[at + 1 :]), arrays[0].dtype, arrays[0].device)
    if y.size == 0:
        return y
    outer, inner = math.prod(shape[:at]), math.prod(shape[at + 1 :])
    table = y.reshape((outer, total * inner))
    start = 0
    for x in arrays:
        stop = start + x.shape[at]
        if x.is_contiguous:
            COPY(table[:, start * inner : stop * inner], x.reshape((outer, x.shape[at] * inner)))
        else:
            COPY(part(y, at, start, stop), x)
        start = stop
    return y


def _check(op: str, arrays: Sequence[Array], axis: int, new: int = 0) -> Array:
    if not isinstance(arrays, (tuple, list)) or not arrays:
        raise ArgumentError(f"{op}: arrays: {arrays!r} given, expected one or more arrays")
    for i, x in enumerate(arrays):
        checks.require_array(op, f"arrays[{i}]", x)
        if i == 0 and x.dtype not in CASTABLE:
            raise DtypeError(
                f"{op}: arrays[0]: dtype {x.dtype} given, expected float32 or the like"
            )
        checks.require_like(op, f"arrays[{i}]", x, "arrays[0]", arrays[0])
    first = arrays[0]
    rank = len(first.shape) + new
    require_rank(op, "arrays", first.shape + (1,) * new)
    whole = isinstance(axis, (int, np.integer)) and not isinstance(axis, bool)
    if rank and (not whole or not -rank <= axis < rank):
        raise ArgumentError(f"{op}: axis: {axis!r} given, expected one of {rank} axes")
    return first


def part(x: Array, axis: int, start: int, stop: int) -> Array:
    """The items from ``start`` to ``stop`` along an axis counted from the front, as a view."""
    found: Any = (*[slice(None)] * axis, slice(start, stop))
    return x[found]
