"""References and ``OpSpec`` of the reductions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import float32, float64, int64

from ..elementwise import copy
from ..engine import ArgumentError, Array, DtypeError, ShapeError
from ..opspec import Arg, OpSpec, Signature, Signatures, Tolerance, Wrong
from .extremes import argmax, argmax_kernels, extreme_backward, max, min, share_kernels
from .kernels import columns_kernel, rows_kernel
from .sums import Axis, mean, mean_backward, sum, sum_backward, sum_to

_CUBE = np.ones((2, 3, 4), np.float32)
AXES = (None, 0, 1, 2, -1, (0, 1), (1, 2), (0, 2), (2, 0, 1), ())


def sum_reference(x: np.ndarray, axis: Axis = None, keepdims: bool = False) -> np.ndarray:
    """``np.sum`` in float64."""
    return np.asarray(np.sum(x, axis=axis, keepdims=keepdims, dtype=np.float64))


def mean_reference(x: np.ndarray, axis: Axis = None, keepdims: bool = False) -> np.ndarray:
    """Sum in float64 divided by the number of terms; NaN for none."""
    total = np.sum(x, axis=axis, keepdims=keepdims, dtype=np.float64)
    return np.asarray(np.divide(total, count(x, axis=axis)))


def max_reference(x: np.ndarray, axis: Axis = None, keepdims: bool = False) -> np.ndarray:
    """``np.max``; raises ValueError for no elements, even where the result is empty too."""
    _refuse_empty(x, axis)
    return np.max(x, axis=axis, keepdims=keepdims)


def min_reference(x: np.ndarray, axis: Axis = None, keepdims: bool = False) -> np.ndarray:
    """``np.min``; raises ValueError for no elements."""
    _refuse_empty(x, axis)
    return np.min(x, axis=axis, keepdims=keepdims)


def argmax_reference(x: np.ndarray, axis: int | None = None) -> np.ndarray:
    """``np.argmax``: the first maximum, or the first NaN; raises ValueError for no elements."""
    _refuse_empty(x, axis)
    return np.asarray(np.argmax(x, axis=axis))


def sum_to_reference(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum over the axes that broadcasting ``shape`` to that of ``x`` adds or repeats."""
    added = x.ndim - len(shape)
    if added < 0 or any(s not in (1, g) for s, g in zip(shape, x.shape[added:], strict=True)):
        raise ValueError(f"{shape} does not broadcast to {x.shape}")
    axes = [*range(added), *(added + i for i, s in enumerate(shape) if s == 1)]
    return np.sum(x, axis=tuple(axes), dtype=np.float64).reshape(shape)


def count(x: np.ndarray, axis: Axis = None, **options: Any) -> int:
    """Number of elements that one output sums."""
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return math.prod(x.shape[a] for a in axes)


def _refuse_empty(x: np.ndarray, axis: Axis) -> None:
    if count(x, axis) == 0:
        raise ValueError("no element to choose from")


def _max_vjp(dy: Array, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return extreme_backward(dy, x, max(x, axis, keepdims), axis, keepdims)


def _min_vjp(dy: Array, x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    return extreme_backward(dy, x, min(x, axis, keepdims), axis, keepdims)


def _wrong(op: str) -> tuple[Wrong, ...]:
    """Wrong calls of every launcher that takes an axis."""
    return (
        Wrong((np.ones((2, 3), np.int64),), DtypeError, f"{op}: x: dtype int64"),
        Wrong((np.ones(3, np.float16),), DtypeError, f"{op}: x: dtype float16"),
        Wrong(([1.0, 2.0],), DtypeError, f"{op}: x: list given, expected an Array"),
        Wrong((_CUBE,), ArgumentError, f"{op}: axis: 3 given", {"axis": 3}),
        Wrong((_CUBE,), ArgumentError, f"{op}: axis: -4 given", {"axis": -4}),
        Wrong((_CUBE,), ArgumentError, f"{op}: axis: 'rows' given", {"axis": "rows"}),
        Wrong((_CUBE,), ArgumentError, f"{op}: axis: True given", {"axis": True}),
    )


def _twice() -> Wrong:
    return Wrong((_CUBE,), ArgumentError, "expected each axis at most once", {"axis": (0, -3)})


def _empty(op: str) -> Wrong:
    return Wrong((np.ones((0, 3), np.float32),), ArgumentError, f"{op}: x: shape .* elements")


def _signatures(operation: str) -> Signatures:
    """Both kernels of an operation with the types of a launch, for the compile gate."""
    found: list[Signature] = []
    for dtype, real in ((np.float32, float32), (np.float64, float64)):
        table, cube = real[:, ::1], real[:, :, ::1]
        found.append((rows_kernel(operation, np.dtype(dtype)), (table, table, int64, real)))
        columns = columns_kernel(operation, np.dtype(dtype))
        found.append((columns, (cube, cube, int64, int64, real)))
    return tuple(found)


def _argmax_signatures() -> Signatures:
    found: list[Signature] = []
    for dtype, real in ((np.float32, float32), (np.float64, float64)):
        rows, columns = argmax_kernels(np.dtype(dtype))
        found.append((rows, (real[:, ::1], int64[::1])))
        found.append((columns, (real[:, :, ::1], int64[:, ::1], int64)))
    return tuple(found)


def _share_signatures() -> Signatures:
    found: list[Signature] = []
    for dtype, real in ((np.float32, float32), (np.float64, float64)):
        rows, columns = share_kernels(np.dtype(dtype))
        line, table, cube = real[::1], real[:, ::1], real[:, :, ::1]
        found.append((rows, (line, table, line, table)))
        found.append((columns, (table, cube, table, cube, int64)))
    return tuple(found)


def _absolute(x: np.ndarray, **options: Any) -> np.ndarray:
    return np.abs(sum_reference(np.abs(x), **options))


def _absolute_mean(x: np.ndarray, **options: Any) -> np.ndarray:
    return mean_reference(np.abs(x), **options)


_OPTIONS = {"axis": AXES, "keepdims": (False, True)}
_X = (Arg("x", "a b c"),)

SPECS = (
    OpSpec(
        name="sum",
        forward=sum,
        reference=sum_reference,
        args=_X,
        options=_OPTIONS,
        vjp=sum_backward,
        magnitude=_absolute,
        tolerance=Tolerance(terms=count),
        wrong=(*_wrong("sum"), _twice()),
        kernels=_signatures("add"),
    ),
    OpSpec(
        name="mean",
        forward=mean,
        reference=mean_reference,
        args=_X,
        options=_OPTIONS,
        vjp=mean_backward,
        magnitude=_absolute_mean,
        tolerance=Tolerance(terms=count),
        wrong=(*_wrong("mean"), _twice()),
        kernels=_signatures("add"),
    ),
    OpSpec(
        name="max",
        forward=max,
        reference=max_reference,
        args=_X,
        options=_OPTIONS,
        vjp=_max_vjp,
        tolerance=Tolerance(ulp=0.0, signed_zero=False),
        smooth=False,
        wrong=(*_wrong("max"), _twice(), _empty("max")),
        kernels=_signatures("larger") + _share_signatures(),
    ),
    OpSpec(
        name="min",
        forward=min,
        reference=min_reference,
        args=_X,
        options=_OPTIONS,
        vjp=_min_vjp,
        tolerance=Tolerance(ulp=0.0, signed_zero=False),
        smooth=False,
        wrong=(*_wrong("min"), _twice(), _empty("min")),
        kernels=_signatures("smaller"),
    ),
    OpSpec(
        name="argmax",
        forward=argmax,
        reference=argmax_reference,
        args=_X,
        options={"axis": (None, 0, 1, 2, -1)},
        wrong=(*_wrong("argmax"), _empty("argmax")),
        kernels=_argmax_signatures(),
    ),
    OpSpec(
        name="sum_to",
        forward=sum_to,
        reference=sum_to_reference,
        args=(Arg("x", "2 c 3 d"),),
        options={"shape": ((3, 1), (1, 3, 1), (1, 1, 1, 1), (2, 1, 1, 1), ())},
        vjp=lambda dy, x, shape: copy(dy.broadcast_to(x.shape)),
        magnitude=lambda x, shape: sum_to_reference(np.abs(x), shape),
        tolerance=Tolerance(terms=lambda x, shape: x.size // math.prod(shape)),
        wrong=(
            Wrong((_CUBE, (2, 3, 5)), ShapeError, r"sum_to: shape: \(2, 3, 5\) given"),
            Wrong((_CUBE, (4, 2, 3, 4)), ShapeError, "broadcasts to"),
            Wrong((_CUBE, (3,)), ShapeError, "broadcasts to"),
            Wrong((np.ones((2, 3), np.int32), (3,)), DtypeError, "sum_to: x: dtype int32"),
            Wrong((1.5, ()), DtypeError, "sum_to: x: float given, expected an Array"),
        ),
        kernels=_signatures("add"),
    ),
)
