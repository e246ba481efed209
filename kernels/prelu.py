"""PReLU, the leaky rectifier with learned slopes: one for all items, or one per channel.

    y = x where x > 0, else w_c x
    dx = dy where x > 0, else w_c dy,    dw_c = sum over all x <= 0 of channel c of x dy

Source: He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", arXiv:1502.01852.

Kernels, on x as a table whose rows are each one channel of one image, or for x (n, c) as it is,
with a slope for each column; a block does a part of a row:

* ``prelu_kernel``: the value.
* ``prelu_backward_kernel``: dx, and the terms of dw, which ``reduce`` then sums in a fixed order
  (atomic additions would give other bits in every run).
* ``prelu_wide``, ``prelu_backward_wide``: the same with four items to a thread, for float32 on a
  GPU; the slopes repeat as in ``elementwise.wide_broadcast``.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, int64, types, uint32, uint64

from .checks import require_float, require_like, require_shape
from .elementwise import copy
from .elementwise.mapping import row_grid
from .elementwise.specs import FLOATS, INTEGERS
from .elementwise.wide import RUN, fetch, place_of, put_back, shared_head, threads_of
from .elementwise.wide_broadcast import (
    BLOCK,
    MOST,
    broadcast_kernel,
    fetch_repeated,
    gpu_kernel,
    item_of,
    launch_broadcast,
    operand,
)
from .engine import Array, DtypeError, Kernel, ShapeError, empty, kernel, zeros
from .opspec import Arg, GpuKernel, OpSpec, Tolerance, Wrong
from .reduce import sum


def prelu_reference(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, _slopes(x, weight) * x)


def _slopes(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return weight if weight.size == 1 else weight.reshape((-1,) + (1,) * (x.ndim - 2))


@cuda.jit(device=True)
def value_of(v, slope):
    """PReLU of an item."""
    return v if v > float32(0.0) else slope * v


@cuda.jit(device=True)
def slopes_of(g, v, slope):
    """(gradient of an item, its term of the gradient of the slope)."""
    right = v > float32(0.0)
    return (g if right else slope * g), (float32(0.0) if right else v * g)


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
            y[row, column] = value_of(x[row, column], slope)

    @kernel
    def prelu_backward_kernel(dy, x, weight, channels, dx, terms):  # dy, x, dx, terms: (rows, n)
        column = cuda.grid(1)
        row = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
        if row < x.shape[0] and column < x.shape[1]:
            slope = weight[column if per_column else row % channels]
            g, term = slopes_of(dy[row, column], x[row, column], slope)
            dx[row, column], terms[row, column] = g, term

    return prelu_kernel, prelu_backward_kernel


prelu_wide = broadcast_kernel("prelu_wide", value_of, 2)


@kernel
def prelu_backward_wide(dy, x, weight, dx, terms, head, period, repeat, alike):
    """dy, x, dx, terms (n,), aligned alike; weight (period,)."""
    i, whole = place_of(x.size, head)
    if whole:
        g, v = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
        slope = cuda.local.array(RUN, float32)
        fetch(g, dy, i)
        fetch(v, x, i)
        fetch_repeated(slope, weight, i, period, repeat, alike)
        for j in range(RUN):
            g[j], v[j] = slopes_of(g[j], v[j], slope[j])
        put_back(dx, i, g)
        put_back(terms, i, v)
    elif i < uint64(x.size):
        dx[i], terms[i] = slopes_of(dy[i], x[i], weight[item_of(i, period, repeat)])


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
    if rows * n == 0:
        return y
    x, weight = _dense(x), _dense(weight)
    shape, slopes = _broadcast(weight, rows, n, channels, per_column)
    if _head(y) is not None:
        inputs = x.reshape(shape), slopes
        if launch_broadcast(prelu_wide, y.reshape(shape), inputs):
            return y
    forward, _ = prelu_kernels(per_column)
    forward[row_grid(rows, n)](
        x.reshape((rows, n)), weight, np.int64(channels), y.reshape((rows, n))
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
    dy, x, weight = _dense(dy), _dense(x), _dense(weight)
    table, terms = (rows, n), empty((rows, n), x.dtype, x.device)
    shape, slopes = _broadcast(weight, rows, n, channels, per_column)
    head = _head(dy, x, dx, terms)
    given = None if head is None else operand(slopes, dx.reshape(shape), head)
    if head is not None and given is not None:
        line, *numbers = given
        pair, made = ((a.reshape((x.size,)) for a in two) for two in ((dy, x), (dx, terms)))
        run = prelu_backward_wide[-(-threads_of(x.size, head) // BLOCK), BLOCK]
        run(*pair, line, *made, np.uint32(head), *numbers)
    else:
        _, backward = prelu_kernels(per_column)
        tables = dy.reshape(table), x.reshape(table), weight, np.int64(channels)
        backward[row_grid(rows, n)](*tables, dx.reshape(table), terms)
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


def _broadcast(
    weight: Array, rows: int, n: int, channels: int, per_column: bool
) -> tuple[tuple[int, ...], Array]:
    """A shape for x, and the slopes in one that broadcasts to it."""
    if per_column:
        return (rows, n), weight
    return (rows // channels, channels, n), weight.reshape((channels, 1))


def _head(*arrays: Array) -> int | None:
    """``shared_head`` on a GPU, None on a CPU and for arrays that are too long."""
    first = arrays[0]
    return None if first.device.kind == "cpu" or first.size >= MOST else shared_head(*arrays)


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


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels by 128-bit access."""
    line = types.Array(types.float32, 1, "C")
    expects = "LDG.128 == 3", "STG.128 == 2", "LDL == 0"
    signature = (line,) * 5 + (uint32,) * 4
    backward = GpuKernel("prelu_backward", prelu_backward_wide, signature, expects=expects)
    return gpu_kernel("prelu", prelu_wide, 2), backward
