"""GLU, the gated linear unit: one half of an axis, gated by the sigmoid of the other.

    x = (a, b) halves along an axis:   y = a sigmoid(b)
    da = dy sigmoid(b),   db = dy a sigmoid(b) (1 - sigmoid(b))

Source: Dauphin, Fan, Auli, Grangier, "Language Modeling with Gated Convolutional Networks",
arXiv:1612.08083.

The axis that is halved splits x into (outer, 2, n): the axes before it, its halves, and half of it
with the axes after it. Kernels, each with a block for a row of ``outer`` or a part of it, in which
neighbouring threads touch neighbouring items of both halves:

* ``glu_kernel``: the value.
* ``glu_backward_kernel``: the gradients of both halves.
* ``glu_wide``, ``glu_backward_wide``: the same with four items of each half to a thread, for
  float32 on a GPU, where n is a multiple of four.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda, float32, types, uint32, uint64

from ..checks import require_float, require_like, require_shape
from ..elementwise import copy
from ..elementwise.mapping import require_rank, row_grid
from ..elementwise.specs import FLOATS, wrong_unary
from ..elementwise.wide import RUN, fetch, put_back, shared_head
from ..engine import ArgumentError, Array, ShapeError, empty, kernel
from ..opspec import Arg, GpuKernel, OpSpec, Tolerance, Wrong
from .functions import sigmoid
from .reference import sigmoid as sigmoid_reference

BLOCK = 256
MOST = 1 << 31  # runs, and items of half a row, that are counted in 32 bits


def glu_reference(x: np.ndarray, dim: int = -1) -> np.ndarray:
    if x.shape[dim] % 2:
        raise ValueError("odd axis")
    a, b = np.split(x, 2, axis=dim)
    return a * sigmoid_reference(b)


@kernel
def glu_kernel(x, y):  # x: (outer, 2, n), y: (outer, n)
    column = cuda.grid(1)
    row = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
    if row < y.shape[0] and column < y.shape[1]:
        y[row, column] = x[row, 0, column] * sigmoid(x[row, 1, column])


@cuda.jit(device=True)
def slopes(g, a, b):
    """The gradients of an item of each half."""
    e = math.exp(-abs(b))
    d = float32(1.0) + e
    return g * ((e if b < float32(0.0) else float32(1.0)) / d), g * a * (e / (d * d))


@kernel
def glu_backward_kernel(dy, x, dx):  # dy: (outer, n), x, dx: (outer, 2, n)
    column = cuda.grid(1)
    row = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
    if row < dy.shape[0] and column < dy.shape[1]:
        da, db = slopes(dy[row, column], x[row, 0, column], x[row, 1, column])
        dx[row, 0, column] = da
        dx[row, 1, column] = db


@cuda.jit(device=True)
def places(n):
    """Four items for the thread that asks: the first of y, of the left half, of the right half."""
    run = uint32(cuda.grid(1))
    row = uint32(run // uint32(n >> uint32(2)))
    at = uint64(uint64(RUN) * uint64(run))
    left = uint64(at + uint64(row) * uint64(n))
    return at, left, uint64(left + uint64(n))


@kernel
def glu_wide(x, y, n):
    """x (outer 2 n,), y (outer n,), both at multiples of 16 bytes; n uint32, a multiple of four."""
    at, left, right = places(n)
    if at < uint64(y.size):
        a, b = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
        fetch(a, x, left)
        fetch(b, x, right)
        for j in range(RUN):
            a[j] = a[j] * sigmoid(b[j])
        put_back(y, at, a)


@kernel
def glu_backward_wide(dy, x, dx, n):
    """dy (outer n,), x, dx (outer 2 n,), the rest as above."""
    at, left, right = places(n)
    if at < uint64(dy.size):
        g, a = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
        b = cuda.local.array(RUN, float32)
        fetch(g, dy, at)
        fetch(a, x, left)
        fetch(b, x, right)
        for j in range(RUN):
            a[j], b[j] = slopes(g[j], a[j], b[j])
        put_back(dx, left, a)
        put_back(dx, right, b)


def glu(x: Array, dim: int = -1) -> Array:
    """``a sigmoid(b)`` for the halves a and b of ``x`` along one axis.

    Args:
        x: float32 or float64 array of rank 1 to 8, any strides.
        dim: the axis; its size is even.

    Returns:
        A new array in which that axis has half the size.

    Raises:
        DtypeError: x is not a float array.
        ArgumentError: x has no such axis.
        ShapeError: the size of the axis is odd, or x has more than 8 axes.
    """
    outer, n, shape = _halves("glu", x, dim)
    y = empty(shape, x.dtype, x.device)
    if outer * n:
        source = x if x.is_contiguous else copy(x)
        if _is_wide(n, y, source):
            lines = source.reshape((2 * outer * n,)), y.reshape((outer * n,))
            glu_wide[_blocks(y), BLOCK](*lines, np.uint32(n))
        else:
            glu_kernel[row_grid(outer, n)](source.reshape((outer, 2, n)), y.reshape((outer, n)))
    return y


def glu_backward(dy: Array, x: Array, dim: int = -1) -> Array:
    """Gradient of :func:`glu` for x; ``dy`` has the shape of the output."""
    op = "glu_backward"
    outer, n, shape = _halves(op, x, dim)
    require_like(op, "dy", dy, "x", x)
    require_shape(op, "dy", dy, shape)
    dx = empty(x.shape, x.dtype, x.device)
    if outer * n:
        source = x if x.is_contiguous else copy(x)
        dense = dy if dy.is_contiguous else copy(dy)
        if _is_wide(n, dense, source, dx):
            both = (2 * outer * n,)
            lines = dense.reshape((outer * n,)), source.reshape(both), dx.reshape(both)
            glu_backward_wide[_blocks(dense), BLOCK](*lines, np.uint32(n))
            return dx
        halves = (outer, 2, n)
        glu_backward_kernel[row_grid(outer, n)](
            dense.reshape((outer, n)), source.reshape(halves), dx.reshape(halves)
        )
    return dx


def _is_wide(n: int, first: Array, *others: Array) -> bool:
    """Whether the wide kernels take contiguous arrays, of which the first has no halves."""
    if first.device.kind == "cpu" or n % RUN or max(n, first.size // RUN) >= MOST:
        return False
    return shared_head(first, *others) == 0


def _blocks(y: Array) -> int:
    return -(-y.size // (RUN * BLOCK))


def _halves(op: str, x: Array, dim: int) -> tuple[int, int, tuple[int, ...]]:
    """Check the arguments; outer, n and the shape of the output."""
    require_float(op, "x", x)
    require_rank(op, "x", x.shape)
    rank = len(x.shape)
    if isinstance(dim, bool) or not isinstance(dim, (int, np.integer)) or not -rank <= dim < rank:
        raise ArgumentError(f"{op}: dim: {dim!r} given, expected an axis of shape {x.shape}")
    axis = int(dim) % rank
    half, odd = divmod(x.shape[axis], 2)
    if odd:
        raise ShapeError(f"{op}: x: shape {x.shape} given, expected an even size of axis {dim}")
    outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    return outer, half * inner, (*x.shape[:axis], half, *x.shape[axis + 1 :])


def _configure(integer: Any) -> Any:
    """Shapes of rank 1 to 4 with one even axis: that one is halved."""
    rank = integer(1, 4)
    shape = [integer(0, 40 if rank < 3 else 9) for _ in range(rank)]
    dim = integer(-rank, rank - 1)
    shape[dim] = 2 * integer(0, 35 if rank < 3 else 4)
    return {"...": tuple(shape)}, {"dim": dim}


def _signatures() -> tuple[Any, ...]:
    found: list[Any] = []
    for real in (types.float32, types.float64):
        table, halves = types.Array(real, 2, "C"), types.Array(real, 3, "C")
        found.append((glu_kernel, (halves, table)))
        found.append((glu_backward_kernel, (table, halves, halves)))
    return tuple(found)


SPECS: tuple[OpSpec, ...] = (
    OpSpec(
        name="glu",
        forward=glu,
        reference=glu_reference,
        args=(Arg("x", "..."),),
        vjp=glu_backward,
        # Four roundings of the sigmoid and one of the product: 5 ulp at most.
        tolerance=Tolerance(ulp=5.0),
        wrong=(
            *wrong_unary(),
            Wrong((FLOATS,), ShapeError, r"x: shape \(2, 3\) given, expected an even size"),
            Wrong((FLOATS,), ArgumentError, "dim: 2 given, expected an axis", {"dim": 2}),
            Wrong((FLOATS,), ArgumentError, "dim: None given, expected an axis", {"dim": None}),
        ),
        kernels=_signatures(),
        configure=_configure,
    ),
)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels by 128-bit access."""
    line = types.Array(types.float32, 1, "C")
    value = "LDG.128 == 2", "STG.128 == 1", "LDL == 0"
    slope = "LDG.128 == 3", "STG.128 == 2", "LDL == 0"
    return (
        GpuKernel("glu", glu_wide, (line, line, uint32), expects=value),
        GpuKernel("glu_backward", glu_backward_wide, (line, line, line, uint32), expects=slope),
    )
