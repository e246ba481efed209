"""Launchers of cross entropy with its options, and of negative log-likelihood.

The formulas and the kernels are in :mod:`~nnlite.kernels.softmax.weighted_kernels`. Without
options, :func:`~nnlite.kernels.softmax.cross_entropy` needs a launch less.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import checks
from ..elementwise import copy
from ..elementwise.mapping import row_grid
from ..engine import ArgumentError, Array, Device, cached_constant, empty, full, zeros
from ..reduce.tree import BLOCK, row_blocks
from ..reduce.wide_rows import row_head
from . import weighted_wide
from .entropy import REDUCTIONS, reduced
from .plain import FEWEST_COLUMNS, log_softmax_reference
from .weighted_kernels import (
    ROWS,
    finish_kernel,
    gradient_kernels,
    loss_block_kernel,
    loss_thread_kernel,
    nll_kernel,
)

NOTHING_IGNORED = np.iinfo(np.int64).min  # no label has this number

Saved = tuple[Array, ...]


def cross_entropy_weighted_reference(
    logits: np.ndarray,
    labels: np.ndarray,
    weight: np.ndarray | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> np.ndarray:
    """Cross entropy in float64; ValueError for a label outside the classes."""
    c = logits.shape[1]
    w = np.ones(c) if weight is None else weight
    logp = log_softmax_reference(logits) if c else logits
    hard = nll_reference(logp, labels, w, "none", ignore_index)
    kept = labels != ignore_index
    soft = np.where(kept, -(logp * w).sum(axis=1), 0.0)
    losses = (1.0 - label_smoothing) * hard
    if label_smoothing:
        losses = losses + label_smoothing / c * soft
    return _averaged(losses, w[labels[kept]], reduction)


def nll_reference(
    logp: np.ndarray,
    labels: np.ndarray,
    weight: np.ndarray | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
) -> np.ndarray:
    """Negative log-likelihood in float64; ValueError for a label outside the classes."""
    n, c = logp.shape
    w = np.ones(c) if weight is None else weight
    kept = labels != ignore_index
    if ((labels < 0) | (labels >= c))[kept].any():
        raise ValueError("label out of range")
    losses = np.zeros(n)
    losses[kept] = -w[labels[kept]] * logp[kept, labels[kept]]
    return _averaged(losses, w[labels[kept]], reduction)


def _averaged(losses: np.ndarray, weights: np.ndarray, reduction: str) -> np.ndarray:
    if reduction == "mean":
        return np.divide(losses.sum(), weights.sum())
    return reduced(losses, reduction)


def cross_entropy_weighted(
    logits: Array,
    labels: Array,
    weight: Array | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> tuple[Array, Saved]:
    """Cross entropy of the softmax of ``logits``, with class weights and label smoothing.

    Args:
        logits: (n, c), any strides; float32 or float64.
        labels: (n,) int32 or int64, each in ``[0, c)`` or equal to ``ignore_index``.
        weight: (c,), the weight of each class; None is 1.
        reduction: ``"mean"`` (weighted by the weights of the labels), ``"sum"`` or ``"none"``.
        ignore_index: rows with this label have loss and gradient 0 and do not count in the mean.
        label_smoothing: e in [0, 1]: the target is 1 - e at the label, plus e / c at each class.

    Returns:
        The loss, and ``saved`` for :func:`cross_entropy_weighted_backward`.

    Raises:
        DtypeError, ShapeError, DeviceError: the arguments do not fit each other.
        ArgumentError: an option is out of range, or on the CPU a label is. On a GPU, where labels
            are not read back, the loss and the gradient of such a row are NaN.
    """
    op = "cross_entropy_weighted"
    checks.require_between(op, "label_smoothing", label_smoothing, 0.0, 1.0)
    x, labels, w, ignore = _checked(op, "logits", logits, labels, weight, reduction, ignore_index)
    n, c = x.shape
    kind = x.dtype.type
    a, b = kind(1.0 - label_smoothing), kind(label_smoothing / max(c, 1))
    stats = empty((n, 3), x.dtype, x.device)
    rows = empty((2, n), x.dtype, x.device)
    if n:
        head = row_head((n, c), x) if c > FEWEST_COLUMNS else None
        if head is not None:
            weighted_wide.launch_loss(x, labels, w, (ignore, a, b), stats, rows, head)
        else:
            if c <= FEWEST_COLUMNS:
                run = loss_thread_kernel(x.dtype)[-(-n // ROWS), ROWS]
            else:
                run = loss_block_kernel(x.dtype)[row_blocks(n, c)]
            run(x, labels, w, ignore, a, b, stats, rows)
    loss, out = _finished(rows, reduction)
    return loss, (x, labels, w, stats, out)


def cross_entropy_weighted_backward(
    dloss: Array, saved: Saved, reduction: str = "mean", label_smoothing: float = 0.0
) -> Array:
    """Gradient of :func:`cross_entropy_weighted` for the logits, in one launch.

    Args:
        dloss: gradient of the loss, in its shape.
        saved: what the forward launcher returned.
        reduction, label_smoothing: as given to the forward launcher.

    Raises:
        DtypeError, ShapeError, DeviceError: ``dloss`` is not like the loss.
    """
    x, labels, w, stats, out = saved
    n, c = x.shape
    dloss, step = _cotangent("cross_entropy_weighted_backward", dloss, x, reduction)
    dx = empty(x.shape, x.dtype, x.device)
    if n * c:
        kind = x.dtype.type
        a, b = kind(1.0 - label_smoothing), kind(label_smoothing / c)
        head = row_head((n, c), x, dx)
        if head is None:
            gradient, _ = gradient_kernels(x.dtype)
            gradient[row_grid(n, c)](dloss, out, x, stats, labels, w, a, b, step, dx)
        else:
            kept = stats, labels, w
            weighted_wide.launch_gradient(dloss, out, x, kept, (a, b), dx, head)
    return dx


def nll(
    logp: Array,
    labels: Array,
    weight: Array | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
) -> tuple[Array, Saved]:
    """Negative log-likelihood ``-w[label] logp[label]`` of rows of logarithms of probabilities.

    Arguments, result and errors as :func:`cross_entropy_weighted`; ``logp`` (n, c) is what
    ``log_softmax`` returns.
    """
    x, labels, w, ignore = _checked("nll", "logp", logp, labels, weight, reduction, ignore_index)
    n, _ = x.shape
    rows = empty((2, n), x.dtype, x.device)
    if n:
        nll_kernel(x.dtype)[-(-n // ROWS), ROWS](x, labels, w, ignore, rows)
    loss, out = _finished(rows, reduction)
    return loss, (x, labels, rows, out)


def nll_backward(dloss: Array, saved: Saved, reduction: str = "mean") -> Array:
    """Gradient of :func:`nll` for ``logp``: ``-w[label] dloss`` at the label, 0 elsewhere."""
    x, labels, rows, out = saved
    n, c = x.shape
    dloss, step = _cotangent("nll_backward", dloss, x, reduction)
    dx = empty(x.shape, x.dtype, x.device)
    if n * c:
        _, gradient = gradient_kernels(x.dtype)
        gradient[row_grid(n, c)](dloss, out, rows, labels, step, dx)
    return dx


def _checked(
    op: str,
    name: str,
    x: Array,
    labels: Array,
    weight: Array | None,
    reduction: str,
    ignore_index: int | None,
) -> tuple[Array, Array, Array, Any]:
    """Check the arguments; x, labels and weights as contiguous arrays, and the ignored number."""
    checks.require_option(op, "reduction", reduction, REDUCTIONS)
    checks.require_float(op, name, x)
    checks.require_ndim(op, name, x, 2)
    checks.require_index(op, "labels", labels)
    n, c = x.shape
    checks.require_shape(op, "labels", labels, (n,))
    checks.same_device(op, **{name: x, "labels": labels})
    if weight is not None:
        checks.require_like(op, "weight", weight, name, x)
        checks.require_shape(op, "weight", weight, (c,))
    whole = isinstance(ignore_index, (int, np.integer)) and not isinstance(ignore_index, bool)
    if ignore_index is not None and not whole:
        raise ArgumentError(
            f"{op}: ignore_index: {ignore_index!r} given, expected an integer or None"
        )
    ignore = NOTHING_IGNORED if ignore_index is None else int(ignore_index)
    if n and x.device.is_cpu:
        found = labels.data
        bad = ((found < 0) | (found >= c)) & (found != ignore)
        if bad.any():
            at = int(np.argmax(bad))
            raise ArgumentError(
                f"{op}: labels: {int(found[at])} given at index {at}, expected a class in "
                f"[0, {c}) like the columns of {name}"
            )
    w = _ones(c, x.dtype, x.device) if weight is None else _dense(weight)
    return _dense(x), _dense(labels), w, np.int64(ignore)


def _finished(rows: Array, reduction: str) -> tuple[Array, Array]:
    """The loss of rows (2, n), and ``out`` (2,) for the gradient kernels."""
    n = rows.shape[1]
    if reduction == "none":
        return rows[0], _ones(2, rows.dtype, rows.device)
    out = empty((2,), rows.dtype, rows.device)
    if n:
        finish_kernel(rows.dtype)[1, BLOCK](rows, np.int64(reduction == "mean"), out)
        return out[0], out
    if reduction == "sum":
        return zeros((), rows.dtype, rows.device), out
    return full((), math.nan, rows.dtype, rows.device), out  # 0 / 0, as in NumPy and PyTorch


def _cotangent(op: str, dloss: Array, x: Array, reduction: str) -> tuple[Array, Any]:
    """Check ``dloss``; it as a line, and the step from row to row."""
    checks.require_option(op, "reduction", reduction, REDUCTIONS)
    checks.require_like(op, "dloss", dloss, "x", x)
    each = reduction == "none"
    checks.require_shape(op, "dloss", dloss, x.shape[:1] if each else ())
    dloss = _dense(dloss)
    return (dloss if each else dloss.reshape((1,))), np.int64(each)


@cached_constant(64)
def _ones(n: int, dtype: Any, device: Device) -> Array:
    """Weights of 1; shared, never written to."""
    return full((n,), 1, dtype, device)


def _dense(x: Array) -> Array:
    return x if x.is_contiguous else copy(x)
