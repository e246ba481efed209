"""Softmax and log-softmax over the rows of a table, with their gradients.

    m = max_j x_j,   s = sum_j exp(x_j - m)
    softmax(x)_j = exp(x_j - m) / s                 dx = y * (dy - sum_j dy_j y_j)
    log_softmax(x)_j = (x_j - m) - log(s)           dx = dy - exp(y) * sum_j dy_j

Subtracting the maximum keeps exp from overflowing (Blanchard, Higham and Higham, "Accurately
computing the log-sum-exp and softmax functions", 2021). A logit of -inf has probability 0; a row
that holds NaN or +inf, or nothing but -inf, becomes NaN where it has no limit.

Kernels:

- ``*_thread``: one thread per row, for very few columns.
- ``*_block``: a row of threads per row, neighbouring threads on neighbouring columns.

Float32 on a GPU takes the kernels of :mod:`.wide`, but for very few columns.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, float64

from .. import checks
from ..elementwise import copy
from ..engine import Array, Kernel, empty, kernel
from ..reduce.tree import BLOCK, block_max, block_sum, larger, own_row, row_blocks
from ..reduce.wide_rows import row_head
from . import wide

# Rows of at most this many columns may get one thread each ...
FEW_COLUMNS = 64
# ... and with at most this many, most threads of a row would be idle.
FEWEST_COLUMNS = 8
ROWS = 64


def softmax_reference(x: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, in float64."""
    e = np.exp(x - np.max(x, axis=-1, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax_reference(x: np.ndarray) -> np.ndarray:
    """Logarithm of the softmax over the last axis, in float64."""
    shifted = x - np.max(x, axis=-1, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


@functools.cache
def row_sums(dtype: Any) -> tuple[Any, Any]:
    """Device functions for the maximum m of a row and the sum of ``exp(x - m)`` over it.

    Returns:
        ``of_thread(x, row)`` for one thread, and ``of_block(tree, x, row)`` for a row of threads,
        with shared memory of BLOCK items for two trees. Both return (m, sum).
    """
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @cuda.jit(device=True)
    def of_thread(x: Any, row: Any) -> Any:
        m = real(-math.inf)
        for j in range(x.shape[1]):
            m = larger(m, x[row, j])
        s = real(0.0)
        for j in range(x.shape[1]):
            s += math.exp(x[row, j] - m)
        return m, s

    @cuda.jit(device=True)
    def of_block(tree: Any, x: Any, row: Any) -> Any:
        m = real(-math.inf)
        for j in range(cuda.threadIdx.x, x.shape[1], cuda.blockDim.x):
            m = larger(m, x[row, j])
        m = block_max(tree, m)
        s = real(0.0)
        for j in range(cuda.threadIdx.x, x.shape[1], cuda.blockDim.x):
            s += math.exp(x[row, j] - m)
        return m, block_sum(tree, s)

    return of_thread, of_block


@functools.cache
def forward_kernels(log: bool, dtype: Any) -> tuple[Kernel, Kernel]:
    """``softmax_thread`` and ``softmax_block`` (log-softmax if ``log``) for one dtype."""
    real = float32 if np.dtype(dtype) == np.float32 else float64
    of_thread, of_block = row_sums(dtype)

    @kernel
    def softmax_thread(x: Any, y: Any) -> None:
        """x, y (n, c): thread i does row i."""
        row = cuda.grid(1)
        if row >= x.shape[0]:
            return
        m, s = of_thread(x, row)
        for j in range(x.shape[1]):
            if log:
                y[row, j] = (x[row, j] - m) - math.log(s)
            else:
                y[row, j] = math.exp(x[row, j] - m) / s

    @kernel
    def softmax_block(x: Any, y: Any) -> None:
        """x, y (n, c): a row of threads per row; a tree for the maximum, a tree for the sum."""
        tree = cuda.shared.array(BLOCK, real)
        own, tid = own_row(), cuda.threadIdx.x
        row = own if own < x.shape[0] else 0
        m, s = of_block(tree, x, row)
        if own >= x.shape[0]:
            return
        for j in range(tid, x.shape[1], cuda.blockDim.x):
            if log:
                y[row, j] = (x[row, j] - m) - math.log(s)
            else:
                y[row, j] = math.exp(x[row, j] - m) / s

    return softmax_thread, softmax_block


@functools.cache
def backward_kernels(log: bool, dtype: Any) -> tuple[Kernel, Kernel]:
    """``backward_thread`` and ``backward_block`` (of log-softmax if ``log``) for one dtype."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def backward_thread(dy: Any, y: Any, dx: Any) -> None:
        """dy, y, dx (n, c): thread i does row i."""
        row = cuda.grid(1)
        if row >= y.shape[0]:
            return
        s = real(0.0)
        for j in range(y.shape[1]):
            if log:
                s += dy[row, j]
            else:
                s += dy[row, j] * y[row, j]
        for j in range(y.shape[1]):
            if log:
                dx[row, j] = dy[row, j] - math.exp(y[row, j]) * s
            else:
                dx[row, j] = y[row, j] * (dy[row, j] - s)

    @kernel
    def backward_block(dy: Any, y: Any, dx: Any) -> None:
        """dy, y, dx (n, c): a row of threads per row."""
        tree = cuda.shared.array(BLOCK, real)
        own, tid = own_row(), cuda.threadIdx.x
        row = own if own < y.shape[0] else 0
        s = real(0.0)
        for j in range(tid, y.shape[1], cuda.blockDim.x):
            if log:
                s += dy[row, j]
            else:
                s += dy[row, j] * y[row, j]
        s = block_sum(tree, s)
        if own >= y.shape[0]:
            return
        for j in range(tid, y.shape[1], cuda.blockDim.x):
            if log:
                dx[row, j] = dy[row, j] - math.exp(y[row, j]) * s
            else:
                dx[row, j] = y[row, j] * (dy[row, j] - s)

    return backward_thread, backward_block


def softmax(x: Array) -> Array:
    """Softmax over the last axis.

    Args:
        x: (n, c), any strides; float32 or float64.

    Raises:
        DtypeError: ``x`` is not a floating-point array.
        ShapeError: ``x`` does not have two axes.
    """
    return _forward("softmax", x, False)


def log_softmax(x: Array) -> Array:
    """Logarithm of the softmax over the last axis. Arguments and errors as :func:`softmax`."""
    return _forward("log_softmax", x, True)


def softmax_backward(dy: Array, y: Array) -> Array:
    """Gradient of :func:`softmax` from its result.

    Args:
        dy: gradient of the result, (n, c).
        y: result of the forward launcher, (n, c).

    Raises:
        DtypeError, ShapeError, DeviceError: ``dy`` is not like ``y``.
    """
    return _backward("softmax_backward", dy, y, False)


def log_softmax_backward(dy: Array, y: Array) -> Array:
    """Gradient of :func:`log_softmax` from its result; as :func:`softmax_backward`."""
    return _backward("log_softmax_backward", dy, y, True)


def _forward(op: str, x: Array, log: bool) -> Array:
    checks.require_float(op, "x", x)
    checks.require_ndim(op, "x", x, 2)
    y = empty(x.shape, x.dtype, x.device)
    _launch(forward_kernels(log, x.dtype), wide.forward_kernels(log), x, y)
    return y


def _backward(op: str, dy: Array, y: Array, log: bool) -> Array:
    checks.require_float(op, "y", y)
    checks.require_ndim(op, "y", y, 2)
    checks.require_like(op, "dy", dy, "y", y)
    checks.require_shape(op, "dy", dy, y.shape)
    dx = empty(y.shape, y.dtype, y.device)
    _launch(backward_kernels(log, y.dtype), wide.backward_kernels(log), dy, y, dx)
    return dx


def _launch(kernels: tuple[Kernel, Kernel], by_run: tuple[Kernel, Kernel], *args: Array) -> None:
    """Run the kernel that fits the tables, the last of which is written; none if it is empty."""
    n, c = args[-1].shape
    if n * c == 0:
        return
    by_thread, by_block = kernels
    args = tuple(a if a.is_contiguous else copy(a) for a in args)
    if c <= FEWEST_COLUMNS:
        by_thread[-(-n // ROWS), ROWS](*args)
        return
    head = row_head((n, c), *args)
    if head is None:
        by_block[row_blocks(n, c)](*args)
    else:
        wide.launch(by_run, head, *args)
