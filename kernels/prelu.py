"""PReLU, the leaky rectifier with learned slopes: one for all items, or one per channel.

    y = x where x > 0, else w_c x
    dx = dy where x > 0, else w_c dy,    dw_c = sum over all x <= 0 of channel c of x dy

Source: He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", arXiv:1502.01852.

Kernels, on x as (rows, columns) with one slope per row; a row is one channel of one image:

* ``prelu_kernel``: the value.
* ``prelu_backward_kernel``: dx, and the terms of dw, which ``reduce`` then sums in a fixed order
  (atomic additions would give other bits in every run).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda, float32, int64, types

from .checks import require_float, require_like, require_shape
from .elementwise import copy
from .elementwise.specs import FLOATS, INTEGERS
from .engine import Array, DtypeError, ShapeError, empty, kernel, zeros
from .opspec import Arg, OpSpec, Tolerance, Wrong
from .reduce import sum

BLOCK, LINE = (32, 8), (256, 1)  # a line where there is one row only
MAX_GRID_Y = 65535


def prelu_reference(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, _slopes(x, weight) * x)


def _slopes(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return weight if weight.size == 1 else weight.reshape((-1,) + (1,) * (x.ndim - 2))


@kernel
def prelu_kernel(x, weight, channels, y):  # x, y: (rows, n), weight: (channels,)
    column, first = cuda.grid(2)
    rows, n = x.shape
    if column < n:
        for row in range(first, rows, cuda.gridDim.y * cuda.blockDim.y):
            v = x[row, column]
            y[row, column] = v if v > float32(0.0) else weight[row % channels] * v


@kernel
def prelu_backward_kernel(dy, x, weight, channels, dx, terms):  # dy, x, dx, terms: (rows, n)
    column, first = cuda.grid(2)
    rows, n = x.shape
    if column < n:
        for row in range(first, rows, cuda.gridDim.y * cuda.blockDim.y):
            v = x[row, column]
            g = dy[row, column]
            right = v > float32(0.0)
            dx[row, column] = g if right else weight[row % channels] * g
            terms[row, column] = float32(0.0) if right else v * g


def prelu(x: Array, weight: Array) -> Array:
    """``x`` where x > 0, else ``weight`` times x.

    Args:
        x: (n, c, ...), any strides; float32 or float64. With a single slope, any shape.
        weight: (1,), or (c,): one slope for each channel, the second axis of x.

    Raises:
        DtypeError, DeviceError: x is not a float array, or weight is not like it.
        ShapeError: weight does not have one of these shapes.
    """
    rows, n, channels = _rows("prelu", x, weight)
    y = empty(x.shape, x.dtype, x.device)
    if rows * n:
        prelu_kernel[_launch(rows, n)](
            _dense(x).reshape((rows, n)), _dense(weight), np.int64(channels), y.reshape((rows, n))
        )
    return y


def prelu_backward(dy: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    """Gradients of :func:`prelu` for x and weight; ``dy`` is like x."""
    op = "prelu_backward"
    rows, n, channels = _rows(op, x, weight)
    require_like(op, "dy", dy, "x", x)
    require_shape(op, "dy", dy, x.shape)
    dx = empty(x.shape, x.dtype, x.device)
    if rows * n == 0:
        return dx, zeros(weight.shape, x.dtype, x.device)
    table = (rows, n)
    terms = empty(table, x.dtype, x.device)
    prelu_backward_kernel[_launch(rows, n)](
        _dense(dy).reshape(table),
        _dense(x).reshape(table),
        _dense(weight),
        np.int64(channels),
        dx.reshape(table),
        terms,
    )
    if channels == 1:
        return dx, sum(terms).reshape((1,))
    per_row = terms if n == 1 else sum(terms, 1)
    return dx, sum(per_row.reshape((rows // channels, channels)), 0)


def _rows(op: str, x: Array, weight: Array) -> tuple[int, int, int]:
    """Check the arguments; rows, columns and channels."""
    require_float(op, "x", x)
    require_like(op, "weight", weight, "x", x)
    if weight.shape == (1,):
        return 1, x.size, 1
    if len(x.shape) < 2 or weight.shape != x.shape[1:2]:
        raise ShapeError(
            f"{op}: weight: shape {weight.shape} given, expected (1,) or, for x of shape "
            f"{x.shape}, {x.shape[1:2] or 'nothing else'}"
        )
    channels = x.shape[1]
    return x.shape[0] * channels, math.prod(x.shape[2:]), channels


def _dense(x: Array) -> Array:
    return x if x.is_contiguous else copy(x)


def _launch(rows: int, n: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Grid and block."""
    width, height = block = LINE if rows == 1 else BLOCK
    return ((n + width - 1) // width, min((rows + height - 1) // height, MAX_GRID_Y)), block


def _configure(integer: Any) -> Any:
    """Inputs of rank 2 to 4, with a slope per channel or one for all (of one channel)."""
    n, c = integer(0, 5), integer(1, 7)
    image = [integer(0, 40 if k else 9) for k in range(integer(0, 2))]
    return {"...": (n, c, *image), "w": c if integer(0, 2) else 1}, {}


def _signatures() -> tuple[Any, ...]:
    found: list[Any] = []
    for real in (types.float32, types.float64):
        table, line = types.Array(real, 2, "C"), types.Array(real, 1, "C")
        found.append((prelu_kernel, (table, line, int64, table)))
        found.append((prelu_backward_kernel, (table, table, line, int64, table, table)))
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
