"""Losses, and how many predictions are right."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Gradients, Node
from ..kernels import elementwise
from ..kernels import loss as loss_kernels
from ..kernels import softmax as softmax_kernels
from ..kernels.engine import Array, Device, array
from ..tensor import Tensor, as_tensor, record


def _labels(labels: Any, device: Device) -> Array:
    """Class numbers as an array on ``device``; host integers of any width become int64."""
    if isinstance(labels, Tensor):
        return labels.array
    if isinstance(labels, Array):
        return labels
    host = np.asarray(labels)
    narrow = host.dtype.kind in "iu" and host.dtype not in (np.int32, np.int64)
    return array(host.astype(np.int64) if narrow else host, device=device)


def cross_entropy(logits: Tensor, labels: Any, reduction: str = "mean") -> Tensor:
    r"""Cross entropy of :math:`\mathrm{softmax}(x)` against class numbers, in one kernel.

    .. math:: \ell_i = \ln \sum_j e^{x_{ij}} - x_{i, t_i}

    Args:
        logits: scores :math:`x` before softmax.
        labels: class numbers :math:`t`: a tensor, an array, or integers on the host.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Shape:
        ``logits`` (n, classes), ``labels`` (n,), result () or, with ``"none"``, (n,).

    Raises:
        ArgumentError: a label is outside [0, classes), or the reduction is unknown.
        ShapeError: ``logits`` is not a matrix, or ``labels`` are not one for each of its rows.
        DtypeError, DeviceError: ``logits`` is not of float dtype, ``labels`` are not integers, or
            they are tensors of other integers than int32 and int64, or on another device.
    """
    logits = as_tensor(logits, "cross_entropy", "logits")
    found = _labels(labels, logits.device)
    out, (x, stats) = softmax_kernels.cross_entropy(logits.array, found, reduction=reduction)
    saved = (
        logits if x is logits.array else x,  # the tensor itself is guarded against changes
        stats,
        labels if isinstance(labels, Tensor) else found,
    )
    return record("cross_entropy", out, (logits,), _cross_entropy_backward, saved, reduction)


def _cross_entropy_backward(node: Node, dy: Array) -> Gradients:
    x, stats, labels = node.saved
    dx = softmax_kernels.cross_entropy_backward(dy, (x, stats), labels, reduction=node.constants)
    return (dx,)


def mse_loss(pred: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    r"""Squared error :math:`(p - t)^2`, and its mean or sum.

    Args:
        pred: the prediction.
        target: what it should be; of the same shape, dtype and device.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: the shapes differ; nothing is broadcast.
        DtypeError, DeviceError: ``pred`` is not of float dtype, or ``target`` is not like it.
        ArgumentError: the reduction is unknown.
    """
    pred = as_tensor(pred, "mse_loss", "pred")
    target = as_tensor(target, "mse_loss", "target")
    out = loss_kernels.mse(pred.array, target.array, reduction=reduction)
    return record("mse_loss", out, (pred, target), _mse_backward, (pred, target), reduction)


def _mse_backward(node: Node, dy: Array) -> Gradients:
    pred, target = node.saved
    dpred = loss_kernels.mse_backward(dy, pred, target, reduction=node.constants)
    return dpred, elementwise.neg(dpred) if node.needs(1) else None


def accuracy(logits: Tensor, labels: Any) -> Tensor:
    """How many rows of ``logits`` have their largest score at the label; an int64 scalar.

    Not differentiable. Shapes, labels and errors as :func:`cross_entropy`.
    """
    logits = as_tensor(logits, "accuracy", "logits")
    return Tensor(softmax_kernels.accuracy(logits.array, _labels(labels, logits.device)))
