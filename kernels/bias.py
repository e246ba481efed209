"""Bias: ``y[i, j] = x[i, j] + b[j]`` and the gradient ``db[j] = sum over i of dy[i, j]``.

Kernels:

* ``bias_add_kernel``: one thread per item, blocks along the rows, so that a warp reads and writes
  128 neighbouring bytes.
* ``bias_add_wide``: the same with four items to a thread, for float32 on a GPU.
* ``bias_grad_kernel``: a block sums ``COLUMNS`` columns. Each thread adds up every ``ROWS``-th item
  of its column; the ``ROWS`` partial sums of a column meet in shared memory. The order of the
  additions is fixed, so results repeat bit for bit (atomics would not).
* ``bias_grad_wide``: four columns to a thread, for float32 on a GPU: ``elementwise.wide_columns``.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, float64, types, uint32, uint64

from .checks import (
    FLOAT32,
    FLOAT64,
    require_float,
    require_like,
    require_ndim,
    require_shape,
)
from .elementwise import copy
from .elementwise.functions import add_items
from .elementwise.mapping import row_grid
from .elementwise.specs import DOUBLES, FLOATS, INTEGERS
from .elementwise.wide import RUN, shared_head
from .elementwise.wide_columns import columns_kernel, gpu_kernel, reduce_columns, takes_columns
from .engine import Array, DtypeError, ShapeError, empty, kernel, zeros
from .engine.ptx import load4, store4
from .opspec import Arg, GpuKernel, OpSpec, Tolerance, Wrong

COLUMNS = 32  # a warp along the columns
ROWS = 16


def bias_add_reference(x: np.ndarray, b: np.ndarray) -> np.ndarray:
    return x + b


def bias_grad_reference(dy: np.ndarray) -> np.ndarray:
    return dy.sum(axis=0, dtype=np.float64)


@kernel
def bias_add_kernel(x, b, y):  # x, y: (n, c), b: (c,)
    row = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
    column = cuda.grid(1)
    n, c = y.shape
    if row < n and column < c:
        y[row, column] = x[row, column] + b[column]


@kernel
def bias_add_wide(x, b, y, n, c):
    """x, y: (n c,), b: (c,), all at multiples of 16 bytes; c a multiple of four; n, c: uint32."""
    row = uint32(cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y)
    column = uint32(uint32(cuda.grid(1)) * uint32(RUN))
    if row < n and column < c:
        at = uint64(uint64(row) * c + column)
        x0, x1, x2, x3 = load4(x, at)
        b0, b1, b2, b3 = load4(b, column)
        store4(y, at, x0 + b0, x1 + b1, x2 + b2, x3 + b3)


@functools.cache
def bias_grad_kernel(real: Any) -> Any:
    """The kernel for numba's float32 or float64."""

    @kernel
    def bias_grad(dy, db):  # dy: (n, c), db: (c,)
        partial = cuda.shared.array((ROWS, COLUMNS), real)
        tx = cuda.threadIdx.x
        ty = cuda.threadIdx.y
        n, c = dy.shape
        column = cuda.blockIdx.x * COLUMNS + tx
        total = real(0.0)
        if column < c:
            for row in range(ty, n, ROWS):
                total += dy[row, column]
        partial[ty, tx] = total
        cuda.syncthreads()
        if ty == 0 and column < c:
            for i in range(1, ROWS):
                total += partial[i, tx]
            db[column] = total

    return bias_grad


bias_grad_wide = columns_kernel(add_items, 0.0)
_GRAD = {FLOAT32: bias_grad_kernel(float32), FLOAT64: bias_grad_kernel(float64)}


def bias_add(x: Array, b: Array) -> Array:
    """``x + b``, the bias b added to each row of x.

    Args:
        x: (n, c), float32 or float64.
        b: (c,), dtype and device of x.

    Returns:
        A new array (n, c).

    Raises:
        ShapeError: x has not two axes, or b has not the shape (c,).
        DtypeError: x is not a float array, or b has another dtype.
        DeviceError: b is on another device.
    """
    require_float("bias_add", "x", x)
    require_like("bias_add", "b", b, "x", x)
    require_ndim("bias_add", "x", x, 2)
    n, c = x.shape
    require_shape("bias_add", "b", b, (c,))
    y = empty((n, c), x.dtype, x.device)
    if n == 0 or c == 0:
        return y
    x, b = _contiguous(x), _contiguous(b)
    if y.device.kind == "cpu" or c % RUN or shared_head(x, b, y) != 0:
        bias_add_kernel[row_grid(n, c)](x, b, y)
    else:
        _launch_wide(x, b, y)
    return y


def _launch_wide(x: Array, b: Array, y: Array) -> None:
    n, c = y.shape
    lines = x.reshape(-1), b, y.reshape(-1)
    bias_add_wide[row_grid(n, c // RUN)](*lines, np.uint32(n), np.uint32(c))


def bias_grad(dy: Array) -> Array:
    """Gradient of the bias: the sum of the rows of ``dy``.

    Args:
        dy: (n, c), float32 or float64.

    Returns:
        A new array (c,); zeros if n is 0.

    Raises:
        ShapeError: dy has not two axes.
        DtypeError: dy is not a float array.
    """
    require_float("bias_grad", "dy", dy)
    require_ndim("bias_grad", "dy", dy, 2)
    n, c = dy.shape
    if n == 0 or c == 0:
        return zeros((c,), dy.dtype, dy.device)
    dy = _contiguous(dy)
    if takes_columns(table := dy.reshape((1, n, c))):
        return reduce_columns(bias_grad_wide, table, np.float32(1.0)).reshape((c,))
    db = empty((c,), dy.dtype, dy.device)
    _GRAD[dy.dtype][(c + COLUMNS - 1) // COLUMNS, (COLUMNS, ROWS)](dy, db)
    return db


def _contiguous(x: Array) -> Array:
    return x if x.is_contiguous else copy(x)


def _bias_add_vjp(dy: Array, x: Array, b: Array) -> tuple[Array, Array]:
    return dy, bias_grad(dy)


def _bias_grad_vjp(dy: Array, x: Array) -> Array:
    return dy.broadcast_to(x.shape)


_ROW = np.ones(3, np.float32)
_SIGNATURES = tuple(
    (bias_add_kernel, (types.Array(t, 2, "C"), types.Array(t, 1, "C"), types.Array(t, 2, "C")))
    for t in (types.float32, types.float64)
)
_WIDE = (bias_add_wide, (*[types.Array(types.float32, 1, "C")] * 3, types.uint32, types.uint32))
_GRAD_SIGNATURES = tuple(
    (bias_grad_kernel(t), (types.Array(t, 2, "C"), types.Array(t, 1, "C")))
    for t in (types.float32, types.float64)
)

SPECS: tuple[OpSpec, ...] = (
    OpSpec(
        name="bias_add",
        forward=bias_add,
        reference=bias_add_reference,
        args=(Arg("x", "n c"), Arg("b", "c")),
        vjp=_bias_add_vjp,
        wrong=(
            Wrong((FLOATS, _ROW[:2]), ShapeError, r"b: shape \(2,\) given, expected \(3,\)"),
            Wrong((_ROW, _ROW), ShapeError, r"x: shape \(3,\) given, expected 2 axes"),
            Wrong((FLOATS, FLOATS), ShapeError, r"b: shape \(2, 3\) given"),
            Wrong((FLOATS, _ROW.astype(np.float64)), DtypeError, "b: dtype float64 given"),
            Wrong((INTEGERS, INTEGERS[0]), DtypeError, "x: dtype int64 given"),
            Wrong((FLOATS, None), DtypeError, "b: NoneType given"),
        ),
        kernels=(*_SIGNATURES, _WIDE),
        block=32,
    ),
    OpSpec(
        name="bias_grad",
        forward=bias_grad,
        reference=bias_grad_reference,
        args=(Arg("dy", "n c"),),
        vjp=_bias_grad_vjp,
        magnitude=lambda dy: np.abs(dy).sum(axis=0),
        tolerance=Tolerance(terms="n"),
        wrong=(
            Wrong((_ROW,), ShapeError, r"dy: shape \(3,\) given, expected 2 axes"),
            Wrong((DOUBLES[None],), ShapeError, r"dy: shape \(1, 2, 3\) given"),
            Wrong((INTEGERS,), DtypeError, "dy: dtype int64 given"),
            Wrong((FLOATS > 0,), DtypeError, "dy: dtype bool given"),
            Wrong(([[1.0]],), DtypeError, "dy: list given"),
        ),
        kernels=_GRAD_SIGNATURES,
        block=32,
    ),
)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels by 128-bit access, and what their machine code is to hold."""
    expects = ("LDG.128 == 2", "STG.128 == 1", "LDL == 0")
    return GpuKernel("bias_add", *_WIDE, expects=expects), gpu_kernel("bias_grad", bias_grad_wide)
