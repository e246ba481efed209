"""PReLU, the leaky rectifier with learned slopes: one for all items, or one per channel.

    y = x where x > 0, else w_c x
    dx = dy where x > 0, else w_c dy,    dw_c = sum over all x <= 0 of channel c of x dy

Source: He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", arXiv:1502.01852.

Kernels, on x as a table whose rows are each one channel of one image, or for x (n, c) as it is,
with a slope for each column; a block does a part of a row:

* ``prelu_kernel``: the value.
* ``prelu_backward_kernel``: dx, and the terms of dw, which ``reduce`` then sums in a fixed order
  (atomic additions would give other bits in every run).
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, int64, types

from .checks import require_float, require_like, require_shape
from .elementwise import copy
from .elementwise.mapping import row_grid
from .elementwise.specs import FLOATS, INTEGERS
from .engine import Array, DtypeError, Kernel, ShapeError, empty, kernel, zeros
from .opspec import Arg, OpSpec, Tolerance, Wrong
from .reduce import sum


def prelu_reference(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, _slopes(x, weight) * x)


def _slopes(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return weight if weight.size == 1 else weight.reshape((-1,) + (1,) * (x.ndim - 2))


@functools.cache
def prelu_kernels(per_column: bool) -> tuple[Kernel, Kernel]:
    """``prelu_kernel`` and ``prelu_backward_kernel``, with a slope per column or per row.

    The slope of a row is weight[row % channels].
    """

    @kernel
    def prelu_kernel(x, weight, channels, y):  # x, y: (rows, n)
        column = cuda.grid(1)
        row = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
        if row < x.shape[0] and column < x.shape[1]:
            slope = weight[column if per_column else row % channels]
            v = x[row, column]
            y[row, column] = v if v > float32(0.0) else slope * v

    @kernel
    def prelu_backward_kernel(dy, x, weight, channels, dx, terms):  # dy, x, dx, terms: (rows, n)
        column = cuda.grid(1)
        row = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
        if row < x.shape[0] and column < x.shape[1]:
            slope = weight[column if per_column else row % channels]
            v = x[row, column]
            g = dy[row, column]
            right = v > float32(0.0)
            dx[row, column] = g if right else slope * g
            terms[row, column] = float32(0.0) if right else v * g

    return prelu_kernel, prelu_backward_kernel


def prelu(x: Array, weight: Array) -> Array:
    """``x`` where x > 0, else ``weight`` times x.

    Args:
        x: (n, c, ...), any strides; float32 or float64. With a single slope, any shape.
        weight: (1,), or (c,): one slope for each channel, the second axis of x.

    Raises:
        DtypeError, DeviceError: x is not a float array, or weight is not like it.
        ShapeError: weight does not have one of these shapes.
    """
    rows, n, channels, per_column = _table("prelu", x, weight)
    y = empty(x.shape, x.dtype, x.device)
    if rows * n:
        forward, _ = prelu_kernels(per_column)
        forward[row_grid(rows, n)](
            _dense(x).reshape((rows, n)),
            _dense(weight),
            np.int64(channels),
            y.reshape((rows, n)),
        )
    return y


def prelu_backward(dy: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    """Gradients of :func:`prelu` for x and weight; ``dy`` is like x."""
    op = "prelu_backward"
    rows, n, channels, per_column = _table(op, x, weight)
    require_like(op, "dy", dy, "x", x)
    require_shape(op, "dy", dy, x.shape)
    dx = empty(x.shape, x.dtype, x.device)
    if rows * n == 0:
        return dx, zeros(weight.shape, x.dtype, x.device)
    table = (rows, n)
    terms = empty(table, x.dtype, x.device)
    _, backward = prelu_kernels(per_column)
    backward[row_grid(rows, n)](
        _dense(dy).reshape(table),
        _dense(x).reshape(table),
        _dense(weight),
        np.int64(channels),
        dx.reshape(table),
        terms,
    )
    if weight.shape == (1,):
        return dx, sum(terms).reshape((1,))
    if not per_column:
        terms = sum(terms, 1).reshape((rows // channels, channels))
    return dx, sum(terms, 0)


def _table(op: str, x: Array, weight: Array) -> tuple[int, int, int, bool]:
    """Check the arguments; rows, columns, channels among the rows, if slopes are per column."""
    require_float(op, "x", x)
    require_like(op, "weight", weight, "x", x)
    if weight.shape == (1,):
        return 1, x.size, 1, False
    if len(x.shape) < 2 or weight.shape != x.shape[1:2]:
        raise ShapeError(
            f"{op}: weight: shape {weight.shape} given, expected (1,) or, for x of shape "
            f"{x.shape}, {x.shape[1:2] or 'nothing else'}"
        )
    if len(x.shape) == 2:
        return x.shape[0], x.shape[1], 1, True
    channels = x.shape[1]
    return x.shape[0] * channels, math.prod(x.shape[2:]), channels, False


def _dense(x: Array) -> Array:
    return x if x.is_contiguous else copy(x)


def _configure(integer: Any) -> Any:
    """Inputs of rank 2 to 4, with a slope per channel or one for all (of one channel)."""
    n, c = integer(0, 5), integer(1, 7)
    image = [integer(0, 40 if k else 9) for k in range(integer(0, 2))]
    return {"...": (n, c, *image), "w": c if integer(0, 2) else 1}, {}


def _signatures() -> tuple[Any, ...]:
    found: list[Any] = []
    for real in (types.float32, types.float64):
        table, line = types.Array(real, 2, "C"), types.Array(real, 1, "C")
        for per_column in (False, True):
            forward, backward = prelu_kernels(per_column)
            found.append((forward, (table, line, int64, table)))
            found.append((backward, (table, table, line, int64, table, table)))
    return tuple(found)


_SLOPES = np.ones(3, np.float32)

SPECS: tuple[OpSpec, ...] = (
    OpSpec(
        name="prelu",
        forward=prelu,
        reference=prelu_reference,
        args=(Arg("x", "..."), Arg("weight", "w")),
        vjp=prelu_backward,
        tolerance=Tolerance(ulp=1.0),
        wrong=(
            Wrong((FLOATS, _SLOPES[:2]), ShapeError, r"weight: shape \(2,\) given, expected"),
            Wrong((FLOATS[0], _SLOPES), ShapeError, r"weight: shape \(3,\) given, expected \(1,\)"),
            Wrong((FLOATS, FLOATS), ShapeError, r"weight: shape \(2, 3\) given"),
            Wrong((FLOATS, _SLOPES[0]), DtypeError, "weight: float32 given, expected an Array"),
            Wrong((FLOATS, _SLOPES.astype(np.float64)), DtypeError, "weight: dtype float64 given"),
            Wrong((INTEGERS, _SLOPES), DtypeError, "x: dtype int64 given"),
        ),
        kernels=_signatures(),
        configure=_configure,
        smooth=False,
    ),
)
