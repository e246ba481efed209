"""Items along an axis by their numbers, for each place a number of its own.

Arrays are seen as (a, m, b): the axis is the middle one, a and b are those before and after it.

    y[i, k, j] = x[i, index[i, k, j], j]
    dx[i, r, j] = sum over k with index[i, k, j] = r of dy[i, k, j]

Kernels, with neighbouring threads on neighbouring j:

* ``gather_kernel``: one thread per item of the result.
* ``gather_backward_kernel``: one thread per (i, j). It adds the dy of its column to dx in the order
  of k: no two threads share an item, so results repeat bit for bit.

A number outside the axis gives NaN on a GPU, where numbers are not read back to check them, and an
error on the CPU; no memory outside the arrays is touched.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, float64, int32, int64

from .. import checks
from ..elementwise import copy
from ..engine import ArgumentError, Array, DtypeError, ShapeError, empty, kernel, zeros
from ..opspec import Arg, OpSpec, Signatures, Tolerance, Wrong

BLOCK = 128


def gather_reference(x: np.ndarray, axis: int, index: np.ndarray) -> np.ndarray:
    if index.size and (index.min() < 0 or index.max() >= x.shape[axis]):
        raise ValueError("number outside the axis")
    return np.take_along_axis(x, index.astype(np.int64), axis)


@functools.cache
def gather_kernel(real: Any) -> Any:
    """The kernel for numba's float32 or float64."""

    @kernel
    def gather(x, index, y):  # x: (a, m, b), index and y: (a, n, b)
        t = cuda.grid(1)
        n, b = y.shape[1], y.shape[2]
        if t < y.size:
            i = t // (n * b)
            rest = t - i * n * b
            k = rest // b
            j = rest - k * b
            row = index[i, k, j]
            if row >= 0 and row < x.shape[1]:
                y[i, k, j] = x[i, row, j]
            else:
                y[i, k, j] = real(math.nan)

    return gather


@kernel
def gather_backward_kernel(dy, index, dx):  # dy and index: (a, n, b), dx: (a, m, b) of zeros
    t = cuda.grid(1)
    b = dx.shape[2]
    if t < dx.shape[0] * b:
        i = t // b
        j = t - i * b
        for k in range(dy.shape[1]):
            row = index[i, k, j]
            if row >= 0 and row < dx.shape[1]:
                dx[i, row, j] += dy[i, k, j]


_KERNELS = {checks.FLOAT32: gather_kernel(float32), checks.FLOAT64: gather_kernel(float64)}


def gather(x: Array, axis: int, index: Array) -> Array:
    """Items of ``x`` along an axis with the numbers ``index``.

    Args:
        x: any strides; float32 or float64.
        axis: negative ones count from the end.
        index: int32 or int64, any strides; of the shape of ``x`` but along the axis, where its
            size is its own; each number in ``[0, x.shape[axis])``.

    Returns:
        A new array of the shape of ``index``.

    Raises:
        DtypeError, ShapeError, DeviceError: the arguments do not fit each other.
        ArgumentError: there is no such axis; on the CPU, a number outside ``x``.
    """
    at = _check("gather", x, axis, index)
    y = empty(index.shape, x.dtype, x.device)
    if y.size:
        found = _middle(y, at)
        run = _KERNELS[x.dtype][-(-y.size // BLOCK), BLOCK]
        run(_middle(x, at), _middle(index, at), found)
    return y


def gather_backward(dy: Array, x: Array, axis: int, index: Array) -> Array:
    """Gradient of :func:`gather` for ``x``; ``dy`` has the shape of ``index``."""
    op = "gather_backward"
    at = _check(op, x, axis, index)
    checks.require_like(op, "dy", dy, "x", x)
    checks.require_shape(op, "dy", dy, index.shape)
    dx = zeros(x.shape, x.dtype, x.device)
    if dy.size:
        found = _middle(dx, at)
        columns = found.shape[0] * found.shape[2]
        run = gather_backward_kernel[-(-columns // BLOCK), BLOCK]
        run(_middle(dy, at), _middle(index, at), found)
    return dx


def _middle(x: Array, at: int) -> Array:
    """``x``, made contiguous, as (a, m, b) with the axis ``at`` in the middle."""
    dense = x if x.is_contiguous else copy(x)
    shape = x.shape
    return dense.reshape((math.prod(shape[:at]), shape[at], math.prod(shape[at + 1 :])))


def _check(op: str, x: Array, axis: int, index: Array) -> int:
    checks.require_float(op, "x", x)
    checks.require_index(op, "index", index)
    checks.same_device(op, x=x, index=index)
    rank = len(x.shape)
    whole = isinstance(axis, (int, np.integer)) and not isinstance(axis, bool)
    if not whole or not -rank <= axis < rank:
        raise ArgumentError(f"{op}: axis: {axis!r} given, expected one of {rank} axes")
    at = int(axis) % rank
    shape = index.shape
    same = (
        len(shape) == rank and shape[:at] == x.shape[:at] and shape[at + 1 :] == x.shape[at + 1 :]
    )
    if not same:
        raise ShapeError(
            f"{op}: index: shape {shape} given, expected {x.shape} like x, but along axis {axis}"
        )
    if index.size and index.device.is_cpu:
        low, high = int(index.data.min()), int(index.data.max())
        if low < 0 or high >= x.shape[at]:
            raise ArgumentError(
                f"{op}: index: {low if low < 0 else high} given, expected numbers in "
                f"[0, {x.shape[at]})"
            )
    return at


def _case(integer: Any) -> Any:
    """The axis in the middle, counted from either end; a and b may be 1, n may be 0."""
    sizes = {"a": integer(0, 5), "m": integer(1, 9), "n": integer(0, 9), "b": integer(1, 33)}
    return sizes, {"axis": (1, -2)[integer(0, 1)]}


def _signatures() -> Signatures:
    found: list[Any] = []
    for real in (float32, float64):
        for number in (int32, int64):
            types = (real[:, :, ::1], number[:, :, ::1], real[:, :, ::1])
            found += [(gather_kernel(real), types), (gather_backward_kernel, types)]
    return tuple(found)


_X = np.ones((2, 3), np.float32)
_AT = np.array([[0, 2], [1, 1]])
SPECS: tuple[OpSpec, ...] = (
    OpSpec(
        name="gather",
        forward=lambda x, index, axis: gather(x, axis, index),
        reference=lambda x, index, axis: gather_reference(x, axis, index),
        args=(
            Arg("x", "a m b"),
            Arg("index", "a n b", kind="index", upper="m", differentiable=False),
        ),
        vjp=lambda dy, x, index, axis: (gather_backward(dy, x, axis, index), None),
        tolerance=Tolerance(ulp=0.0),
        configure=_case,
        wrong=(
            Wrong((_X, _AT), ArgumentError, "axis: 2 given, expected one of 2", {"axis": 2}),
            Wrong((_X, _AT), ArgumentError, "axis: True given", {"axis": True}),
            Wrong((_X, _AT), ShapeError, r"index: shape \(2, 2\) given", {"axis": 0}),
            Wrong((_X, _AT[0]), ShapeError, r"index: shape \(2,\) given", {"axis": 1}),
            Wrong((_X, _AT + 1), ArgumentError, "index: 3 given, expected", {"axis": 1}),
            Wrong((_X, _AT - 1), ArgumentError, "index: -1 given, expected", {"axis": 1}),
            Wrong((_X, _AT * 1.0), DtypeError, "index: dtype float64", {"axis": 1}),
            Wrong((_X.astype(int), _AT), DtypeError, "x: dtype int64", {"axis": 1}),
        ),
        kernels=_signatures(),
    ),
)
