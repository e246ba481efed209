"""Cross entropy against probabilities, put together from log-softmax, products and sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..kernels.checks import require_between, require_float, require_like, require_shape
from ..kernels.engine import Array, array
from ..tensor import Tensor, as_tensor
from .activations import log_softmax
from .arithmetic import add, mul, neg
from .reductions import sum as total
from .shapes import reshape

REDUCTIONS = ("mean", "sum", "none")


def are_probabilities(labels: Any) -> bool:
    """Whether labels are numbers of float dtype: a target for each class, no class numbers."""
    if not isinstance(labels, (Tensor, Array, np.ndarray)):
        labels = np.asarray(labels)
    return labels.dtype.kind == "f" and len(labels.shape) > 0


def soft_cross_entropy(
    logits: Tensor,
    target: Any,
    weight: Tensor | None,
    ignore_index: int | None,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    r""":func:`~nnlite.functional.cross_entropy` for a target :math:`t_{ij}` of each class.

    .. math:: \ell_i = -\sum_j w_j t_{ij} \ln \mathrm{softmax}(x_i)_j

    Sources: the formula and the mean over rows, whatever their weights, are those that PyTorch
    documents for ``CrossEntropyLoss``.
    """
    op = "cross_entropy"
    require_float(op, "logits", logits.array)
    if not isinstance(target, (Tensor, Array)):
        target = array(np.asarray(target).astype(logits.dtype), device=logits.device)
    given = as_tensor(target, op, "labels")
    require_like(op, "labels", given.array, "logits", logits.array)
    if given.shape != logits.shape or not logits.ndim:
        raise ShapeError(
            f"{op}: labels: shape {given.shape} of float dtype given, expected class numbers of an "
            f"integer dtype, or probabilities of the shape of the logits, {logits.shape}"
        )
    require_between(op, "label_smoothing", label_smoothing, 0.0, 1.0)
    if ignore_index is not None and ignore_index >= 0:
        raise ArgumentError(
            f"{op}: ignore_index: {ignore_index} given, expected none for labels of float dtype"
        )
    if reduction not in REDUCTIONS:
        raise ArgumentError(
            f"{op}: reduction: {reduction!r} given, expected 'mean', 'sum' or 'none'"
        )
    axis = 0 if logits.ndim == 1 else 1
    classes = logits.shape[axis]
    if label_smoothing:
        given = add(mul(given, 1.0 - label_smoothing), label_smoothing / max(classes, 1))
    if weight is not None:
        w = as_tensor(weight, op, "weight")
        require_like(op, "weight", w.array, "logits", logits.array)
        require_shape(op, "weight", w.array, (classes,))
        given = mul(given, reshape(w, classes, *(1,) * (logits.ndim - 1 - axis)))
    losses = neg(total(mul(log_softmax(logits, axis), given), axis))
    if reduction == "none":
        return losses
    summed = total(losses)
    if reduction == "sum":
        return summed
    return mul(summed, 1.0 / losses.size if losses.size else np.nan)  # as PyTorch without rows
