"""Softmax cross entropy of integer labels, fused: the table of probabilities is never stored.

    m = max_j x_j,   s = sum_j exp(x_j - m)
    loss_i = log(s_i) - (x_i[label_i] - m_i)             reduced to mean, sum or none
    dx_ij = (exp(x_ij - m_i) / s_i - [j = label_i]) * dloss_i        (dloss / n for the mean)

Forward reads the logits and keeps (m, s) per row, eight bytes in float32; backward reads the
logits again and writes dx. Nothing but those two passes touches a table of n x c (the idea of
Liger-Kernel's and of Wijmans et al., "Cut your losses in large-vocabulary language models", 2024).

Kernels:

- ``loss_thread``: one thread per row, for few classes; each block also adds up its losses, so that
  a batch of at most ROWS rows needs a single launch, mean included.
- ``loss_block``: a row of threads per row; the losses are summed by ``reduce``.
- ``gradient``: one thread per logit, blocks along the rows.

Float32 on a GPU takes the kernels of :mod:`.entropy_wide` instead of the last two.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, float64

from .. import checks
from ..elementwise import copy
from ..elementwise.mapping import row_grid
from ..engine import ArgumentError, Array, Kernel, empty, full, kernel, zeros
from ..reduce import mean, sum
from ..reduce.tree import BLOCK, block_sum, own_row, row_blocks
from ..reduce.wide_rows import row_head
from . import entropy_wide
from .plain import FEW_COLUMNS, FEWEST_COLUMNS, log_softmax_reference, row_sums

# Rows per block of loss_thread.
ROWS = 128
REDUCTIONS = ("mean", "sum", "none")


def cross_entropy_reference(
    logits: np.ndarray, labels: np.ndarray, reduction: str = "mean"
) -> np.ndarray:
    """Cross entropy in float64; ValueError for a label outside the classes."""
    n, c = logits.shape
    if n and (labels.min() < 0 or labels.max() >= c):
        raise ValueError("label out of range")
    losses = -log_softmax_reference(logits)[np.arange(n), labels] if n else np.zeros(0)
    return reduced(losses, reduction)


def reduced(losses: np.ndarray, reduction: str) -> np.ndarray:
    """Mean, sum, or the losses themselves; the mean of nothing is NaN."""
    if reduction == "none":
        return losses
    return np.sum(losses) if reduction == "sum" else np.divide(np.sum(losses), losses.size)


@functools.cache
def loss_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``loss_thread`` and ``loss_block`` for float32 or float64."""
    real = float32 if np.dtype(dtype) == np.float32 else float64
    of_thread, of_block = row_sums(dtype)

    @kernel
    def loss_thread(x: Any, labels: Any, stats: Any, losses: Any, total: Any, divisor: Any) -> None:
        """x (n, c), labels (n,), stats (n, 2), losses (n,), total (blocks,): thread i, row i."""
        tree = cuda.shared.array(ROWS, real)
        tid = cuda.threadIdx.x
        row = cuda.grid(1)
        loss = real(0.0)
        if row < x.shape[0]:
            m, s = of_thread(x, row)
            stats[row, 0] = m
            stats[row, 1] = s
            label = labels[row]
            loss = real(math.nan)
            if label >= 0 and label < x.shape[1]:
                loss = math.log(s) - (x[row, label] - m)
            losses[row] = loss
        loss = block_sum(tree, loss)
        if tid == 0:
            total[cuda.blockIdx.x] = loss / divisor

    @kernel
    def loss_block(x: Any, labels: Any, stats: Any, losses: Any) -> None:
        """x (n, c), labels (n,), stats (n, 2), losses (n,): a row of threads for each row."""
        tree = cuda.shared.array(BLOCK, real)
        row, tid = own_row(), cuda.threadIdx.x
        own = row if row < x.shape[0] else 0
        m, s = of_block(tree, x, own)
        if tid == 0 and row < x.shape[0]:
            stats[row, 0] = m
            stats[row, 1] = s
            label = labels[row]
            loss = real(math.nan)
            if label >= 0 and label < x.shape[1]:
                loss = math.log(s) - (x[row, label] - m)
            losses[row] = loss

    return loss_thread, loss_block


@functools.cache
def gradient_kernel(dtype: Any) -> Kernel:
    """``gradient`` for float32 or float64."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def gradient(
        dloss: Any, x: Any, stats: Any, labels: Any, dx: Any, step: Any, scale: Any
    ) -> None:
        """dloss (n,) with step 1, or (1,) with step 0; x, dx (n, c); stats (n, 2); labels (n,)."""
        row = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
        j = cuda.grid(1)
        n, c = x.shape
        if row < n and j < c:
            label = labels[row]
            p = math.exp(x[row, j] - stats[row, 0]) / stats[row, 1]
            if j == label:
                p -= real(1.0)
            if label < 0 or label >= c:
                p = real(math.nan)
            dx[row, j] = p * (dloss[row * step] * scale)

    return gradient


def require_labels(op: str, logits: Array, labels: Array) -> None:
    """Check a table of logits and its labels; on the CPU also that each label names a column.

    Raises:
        DtypeError: logits are not floating-point, or labels not int32 or int64.
        ShapeError: logits do not have two axes, or there is not one label per row.
        DeviceError: they are on different devices.
        ArgumentError: a label is outside ``[0, c)`` (CPU only; see :func:`cross_entropy`).
    """
    checks.require_float(op, "logits", logits)
    checks.require_ndim(op, "logits", logits, 2)
    checks.require_index(op, "labels", labels)
    n, c = logits.shape
    checks.require_shape(op, "labels", labels, (n,))
    checks.same_device(op, logits=logits, labels=labels)
    if n and labels.device.is_cpu:
        # As unsigned numbers, negative labels are large: one pass finds both kinds.
        unsigned = np.uint64 if labels.dtype == np.int64 else np.uint32
        if int(labels.data.view(unsigned).max()) >= c:
            bad = int(np.argmax((labels.data < 0) | (labels.data >= c)))
            raise ArgumentError(
                f"{op}: labels: {int(labels.data[bad])} given at index {bad}, expected a class "
                f"in [0, {c}) like the columns of logits"
            )


def cross_entropy(
    logits: Array, labels: Array, reduction: str = "mean"
) -> tuple[Array, tuple[Array, Array]]:
    """Cross entropy of the softmax of ``logits`` with integer ``labels``.

    Args:
        logits: (n, c), any strides; float32 or float64.
        labels: (n,) int32 or int64, each in ``[0, c)``.
        reduction: ``"mean"``, ``"sum"`` (loss of shape ``()``) or ``"none"`` (shape ``(n,)``).

    Returns:
        The loss, and ``saved`` for :func:`cross_entropy_backward`.

    Raises:
        DtypeError, ShapeError, DeviceError: the arguments do not fit each other.
        ArgumentError: unknown reduction; on the CPU, a label outside ``[0, c)``. On a GPU the
            labels are not read back to check them: there, a row whose label is out of range gets
            the loss NaN and a gradient of NaN, and no memory outside the row is read.
    """
    checks.require_option("cross_entropy", "reduction", reduction, REDUCTIONS)
    require_labels("cross_entropy", logits, labels)
    n, c = logits.shape
    dtype, device = logits.dtype, logits.device
    x = logits if logits.is_contiguous else copy(logits)
    stats = empty((n, 2), dtype, device)
    if n == 0:
        # The mean of nothing is 0 / 0, as in NumPy and PyTorch.
        empty_losses = {"mean": full((), math.nan, dtype, device), "sum": zeros((), dtype, device)}
        return empty_losses.get(reduction, empty((0,), dtype, device)), (x, stats)
    labels = labels if labels.is_contiguous else copy(labels)
    losses = empty((n,), dtype, device)
    by_thread, by_block = loss_kernels(dtype)
    if c <= FEW_COLUMNS and (n <= ROWS or c <= FEWEST_COLUMNS):
        blocks = -(-n // ROWS)
        total = empty((blocks,), dtype, device)
        divisor = dtype.type(n if reduction == "mean" else 1)
        by_thread[blocks, ROWS](x, labels, stats, losses, total, divisor)
        if reduction != "none":
            return (total.reshape(()) if blocks == 1 else sum(total)), (x, stats)
    else:
        head = row_head((n, c), x)
        if head is None:
            by_block[row_blocks(n, c)](x, labels, stats, losses)
        else:
            entropy_wide.launch_loss(x, labels, stats, losses, head)
        if reduction != "none":
            return (mean(losses) if reduction == "mean" else sum(losses)), (x, stats)
    return losses, (x, stats)


def cross_entropy_backward(
    dloss: Array, saved: tuple[Array, Array], labels: Array, reduction: str = "mean"
) -> Array:
    """Gradient of :func:`cross_entropy` with respect to the logits, in one launch.

    Args:
        dloss: gradient of the loss, in its shape.
        saved: what the forward launcher returned.
        labels, reduction: as given to the forward launcher.

    Raises:
        DtypeError, ShapeError, DeviceError: ``dloss`` is not like the loss.
    """
    op = "cross_entropy_backward"
    x, stats = saved
    n, c = x.shape
    checks.require_option(op, "reduction", reduction, REDUCTIONS)
    checks.require_like(op, "dloss", dloss, "logits", x)
    each = reduction == "none"
    checks.require_shape(op, "dloss", dloss, (n,) if each else ())
    dx = empty(x.shape, x.dtype, x.device)
    if n * c == 0:
        return dx
    labels = labels if labels.is_contiguous else copy(labels)
    dloss = dloss if dloss.is_contiguous else copy(dloss)
    dloss = dloss if each else dloss.reshape((1,))
    scale = x.dtype.type(1.0 / n if reduction == "mean" else 1.0)
    head = row_head((n, c), x, dx)
    if head is None:
        run = gradient_kernel(x.dtype)[row_grid(n, c)]
        run(dloss, x, stats, labels, dx, np.int64(each), scale)
    else:
        entropy_wide.launch_gradient(dloss, x, stats, labels, dx, scale, head)
    return dx
