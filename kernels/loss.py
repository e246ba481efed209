"""Mean squared error and its gradient.

    loss = sum_i (p_i - t_i)^2 / n  (mean),  without / n  (sum),  (p_i - t_i)^2  (none)
    dp_i = 2 (p_i - t_i) dloss / n,   dt_i = -dp_i

Kernels:

- ``squares``: one thread per element, for ``none``.
- ``sum_squares``: each block adds up one part in a shared-memory tree; the sums of the parts are
  added by ``reduce``. One launch for at most PART elements.
- ``gradient``: one thread per element.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, float64, int64

from . import checks
from .elementwise import copy, neg
from .engine import ArgumentError, Array, DtypeError, Kernel, ShapeError, empty, kernel
from .opspec import Arg, OpSpec, Tolerance, Wrong
from .reduce import sum
from .reduce.tree import block_sum

BLOCK = 256
# Elements that one block adds up before a second launch pays, and the most blocks.
PART, MOST_PARTS = 8192, 1024
REDUCTIONS = ("mean", "sum", "none")


def mse_reference(pred: np.ndarray, target: np.ndarray, reduction: str = "mean") -> np.ndarray:
    """Mean squared error in float64."""
    squares = (pred - target) ** 2
    if reduction == "none":
        return squares
    return np.sum(squares) if reduction == "sum" else np.divide(np.sum(squares), squares.size)


@functools.cache
def mse_kernels(dtype: Any) -> tuple[Kernel, Kernel, Kernel]:
    """``squares``, ``sum_squares`` and ``gradient`` for float32 or float64."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def squares(pred: Any, target: Any, loss: Any) -> None:
        """pred, target, loss (n,)."""
        i = cuda.grid(1)
        if i < pred.size:
            d = pred[i] - target[i]
            loss[i] = d * d

    @kernel
    def sum_squares(pred: Any, target: Any, total: Any, chunk: Any, divisor: Any) -> None:
        """pred, target (n,), total (parts,): block p adds elements p*chunk onwards."""
        tree = cuda.shared.array(BLOCK, real)
        tid = cuda.threadIdx.x
        start = cuda.blockIdx.x * chunk
        stop = min(start + chunk, pred.size)
        acc = real(0.0)
        for i in range(start + tid, stop, BLOCK):
            d = pred[i] - target[i]
            acc += d * d
        acc = block_sum(tree, acc)
        if tid == 0:
            total[cuda.blockIdx.x] = acc / divisor

    @kernel
    def gradient(dloss: Any, pred: Any, target: Any, dpred: Any, step: Any, scale: Any) -> None:
        """dloss (n,) with step 1, or (1,) with step 0; pred, target, dpred (n,)."""
        i = cuda.grid(1)
        if i < pred.size:
            dpred[i] = (pred[i] - target[i]) * (dloss[i * step] * scale)

    return squares, sum_squares, gradient


def mse(pred: Array, target: Array, reduction: str = "mean") -> Array:
    """Mean squared error.

    Args:
        pred, target: the same shape, any strides; float32 or float64.
        reduction: ``"mean"``, ``"sum"`` (shape ``()``) or ``"none"`` (shape of ``pred``).

    Raises:
        DtypeError, ShapeError, DeviceError: ``target`` is not like ``pred``.
        ArgumentError: unknown reduction.
    """
    _check("mse", pred, target, reduction)
    n = pred.size
    squares, sum_squares, _ = mse_kernels(pred.dtype)
    flat = (n,)
    p, t = _flat(pred), _flat(target)
    if reduction == "none":
        loss = empty(pred.shape, pred.dtype, pred.device)
        if n:
            squares[-(-n // BLOCK), BLOCK](p, t, loss.reshape(flat))
        return loss
    parts = min(max(n // PART, 1), MOST_PARTS)
    chunk = -(-n // parts)
    total = empty((parts,), pred.dtype, pred.device)
    divisor = pred.dtype.type(n if reduction == "mean" else 1)
    sum_squares[parts, BLOCK](p, t, total, np.int64(chunk), divisor)
    return total.reshape(()) if parts == 1 else sum(total)


def mse_backward(dloss: Array, pred: Array, target: Array, reduction: str = "mean") -> Array:
    """Gradient of :func:`mse` with respect to ``pred``; that of ``target`` is its negative.

    Args:
        dloss: gradient of the loss, in its shape.
        pred, target, reduction: as given to the forward launcher.

    Raises:
        DtypeError, ShapeError, DeviceError: the arguments do not fit each other.
        ArgumentError: unknown reduction.
    """
    op = "mse_backward"
    _check(op, pred, target, reduction)
    checks.require_like(op, "dloss", dloss, "pred", pred)
    each = reduction == "none"
    checks.require_shape(op, "dloss", dloss, pred.shape if each else ())
    dpred = empty(pred.shape, pred.dtype, pred.device)
    n = pred.size
    if n:
        scale = pred.dtype.type(2.0 / n if reduction == "mean" else 2.0)
        _, _, gradient = mse_kernels(pred.dtype)
        gradient[-(-n // BLOCK), BLOCK](
            _flat(dloss), _flat(pred), _flat(target), dpred.reshape((n,)), np.int64(each), scale
        )
    return dpred


def _check(op: str, pred: Array, target: Array, reduction: str) -> None:
    checks.require_option(op, "reduction", reduction, REDUCTIONS)
    checks.require_float(op, "pred", pred)
    checks.require_like(op, "target", target, "pred", pred)
    checks.require_shape(op, "target", target, pred.shape)


def _flat(x: Array) -> Array:
    return (x if x.is_contiguous else copy(x)).reshape((x.size,))


def _vjp(dloss: Array, pred: Array, target: Array, reduction: str) -> tuple[Array, Array]:
    dpred = mse_backward(dloss, pred, target, reduction)
    return dpred, neg(dpred)


def _magnitude(pred: np.ndarray, target: np.ndarray, reduction: str) -> np.ndarray:
    # (p - t)^2 has the rounding of p - t twice: count it as two more terms of its size.
    return 3.0 * mse_reference(pred, target, reduction)


def _terms(pred: np.ndarray, target: np.ndarray, reduction: str) -> int:
    return 1 if reduction == "none" else pred.size


def _signatures() -> tuple[tuple[Any, tuple[Any, ...]], ...]:
    found: list[tuple[Any, tuple[Any, ...]]] = []
    for dtype, real in ((np.float32, float32), (np.float64, float64)):
        squares, sum_squares, gradient = mse_kernels(np.dtype(dtype))
        line = real[::1]
        found.append((squares, (line, line, line)))
        found.append((sum_squares, (line, line, line, int64, real)))
        found.append((gradient, (line, line, line, line, int64, real)))
    return tuple(found)


_TABLE = np.ones((2, 3), np.float32)

SPECS = (
    OpSpec(
        name="mse",
        forward=mse,
        reference=mse_reference,
        args=(Arg("pred", "..."), Arg("target", "...")),
        options={"reduction": REDUCTIONS},
        vjp=_vjp,
        magnitude=_magnitude,
        tolerance=Tolerance(terms=_terms),
        block=BLOCK,
        wrong=(
            Wrong((_TABLE, _TABLE[:1]), ShapeError, r"mse: target: shape \(1, 3\) given"),
            Wrong((_TABLE, np.ones((), np.float32)), ShapeError, r"mse: target: shape \(\)"),
            Wrong((_TABLE, _TABLE.astype(np.float64)), DtypeError, "mse: target: dtype float64"),
            Wrong((_TABLE.astype(int), _TABLE), DtypeError, "mse: pred: dtype int64"),
            Wrong((_TABLE, 1.0), DtypeError, "mse: target: float given"),
            Wrong((_TABLE, _TABLE), ArgumentError, "mse: reduction: None", {"reduction": None}),
        ),
        kernels=_signatures(),
    ),
)
