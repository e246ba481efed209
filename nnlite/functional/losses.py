"""Losses of class numbers, and how many predictions are right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import Gradients, Node
from ..errors import ArgumentError, ShapeError
from ..kernels import elementwise
from ..kernels import softmax as softmax_kernels
from ..kernels.engine import Array, Device, array
from ..tensor import Tensor, as_tensor, record
from .probabilities import are_probabilities, soft_cross_entropy
from .shapes import permute, reshape


def labels_on(labels: Any, device: Device) -> Array:
    """Class numbers as an array on ``device``; host integers of any width become int64."""
    if isinstance(labels, Tensor):
        return labels.array
    if isinstance(labels, Array):
        return labels
    host = np.asarray(labels)
    narrow = host.dtype.kind in "iu" and host.dtype not in (np.int32, np.int64)
    return array(host.astype(np.int64) if narrow else host, device=device)


def _tabled(op: str, name: str, x: Tensor, labels: Array) -> tuple[Tensor, Array]:
    """``x`` (n, c, ...) or (c,) as a table of one row per label, the labels as a line."""
    if x.ndim == 1 and labels.shape == ():
        return reshape(x, 1, x.shape[0]), labels.reshape((1,))
    if x.ndim < 2 or labels.shape != (x.shape[0], *x.shape[2:]):
        raise ShapeError(
            f"{op}: {name} of shape {x.shape} and labels of shape {labels.shape} given, expected "
            "(n, classes, ...) and (n, ...), or (classes,) and ()"
        )
    moved = permute(x, 0, *range(2, x.ndim), 1)
    dense = labels if labels.is_contiguous else elementwise.copy(labels)
    return reshape(moved, math.prod(labels.shape), x.shape[1]), dense.reshape((labels.size,))


def cross_entropy(
    logits: Tensor,
    labels: Any,
    weight: Tensor | None = None,
    *,
    ignore_index: int | None = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Cross entropy of :math:`\mathrm{softmax}(x)` against class numbers, in one kernel.

    .. math:: \ell_i = \ln \sum_j e^{x_{ij}} - x_{i, t_i}

    Against a probability :math:`t_{ij}` of each class it is
    :math:`-\sum_j w_j t_{ij} \ln \mathrm{softmax}(x_i)_j`, in several; differentiable in both.

    Args:
        logits: scores :math:`x` before softmax.
        labels: class numbers :math:`t`: a tensor, an array, or integers on the host. Or
            probabilities, of float dtype and the shape of ``logits``.
        weight: weight of each class; the mean is weighted too.
        ignore_index: rows with this label have loss and gradient 0 and do not count in the mean.
            On a GPU, None saves a launch: it says that there is no such label.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``. The mean over probabilities is over the
            rows, whatever their weights, and knows no ``ignore_index``.
        label_smoothing: :math:`\varepsilon` in [0, 1]: the target is :math:`1 - \varepsilon` at
            the label, plus :math:`\varepsilon / c` at each of the c classes.

    Shape:
        ``logits`` (n, classes, ...), ``labels`` (n, ...), ``weight`` (classes,); result () or,
        with ``"none"``, (n, ...). Or ``logits`` (classes,) and ``labels`` ().

    Raises:
        ArgumentError: a label is outside [0, classes), or an option is out of range.
        ShapeError: ``labels`` are not one for each row of ``logits``, or ``weight`` does not fit.
        DtypeError, DeviceError: ``logits`` is not of float dtype, ``labels`` are not integers, or
            they are tensors of other integers than int32 and int64, or on another device.
    """
    logits = as_tensor(logits, "cross_entropy", "logits")
    if are_probabilities(labels):
        options = (weight, ignore_index, reduction, label_smoothing)
        return soft_cross_entropy(logits, labels, *options)
    found = labels_on(labels, logits.device)
    if logits.ndim != 2 and found.dtype.kind == "i":
        table, line = _tabled("cross_entropy", "logits", logits, found)
        loss = cross_entropy(
            table,
            line,
            weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )
        return reshape(loss, *found.shape) if reduction == "none" else loss
    kept = labels if isinstance(labels, Tensor) else found
    usable = _plain(logits, weight, ignore_index, label_smoothing)
    try:
        if usable:
            return _plain_entropy(logits, found, kept, reduction)
    except ArgumentError:  # a label is out of range: is it the ignored one?
        if not bool((found.numpy() == ignore_index).any()):
            raise
    weighted = None if weight is None else as_tensor(weight, "cross_entropy", "weight").array
    out, saved = softmax_kernels.cross_entropy_weighted(
        logits.array, found, weighted, reduction, ignore_index, label_smoothing
    )
    guarded = (logits, kept, *saved)
    constants = (reduction, label_smoothing)
    return record("cross_entropy", out, (logits,), _weighted_backward, guarded, constants)


def _plain(logits: Tensor, weight: Any, ignore_index: int | None, smoothing: float) -> bool:
    """Whether the kernel without options will do, if all labels turn out to be classes.

    On the CPU the kernel's check of the labels tells; on a GPU they are not read back.
    """
    if weight is not None or smoothing != 0.0:
        return False
    if ignore_index is None:
        return True
    whole = type(ignore_index) is int and not 0 <= ignore_index < logits.shape[1]
    return whole and logits.device.is_cpu


def _plain_entropy(logits: Tensor, found: Array, kept: Any, reduction: str) -> Tensor:
    out, (x, stats) = softmax_kernels.cross_entropy(logits.array, found, reduction=reduction)
    # The tensors themselves are guarded against changes.
    saved = (logits if x is logits.array else x, stats, kept)
    return record("cross_entropy", out, (logits,), _cross_entropy_backward, saved, reduction)


def _cross_entropy_backward(node: Node, dy: Array) -> Gradients:
    x, stats, labels = node.saved
    dx = softmax_kernels.cross_entropy_backward(dy, (x, stats), labels, reduction=node.constants)
    return (dx,)


def _weighted_backward(node: Node, dy: Array) -> Gradients:
    _, _, *saved = node.saved
    return (softmax_kernels.cross_entropy_weighted_backward(dy, tuple(saved), *node.constants),)


def nll_loss(
    logp: Tensor,
    labels: Any,
    weight: Tensor | None = None,
    *,
    ignore_index: int | None = -100,
    reduction: str = "mean",
) -> Tensor:
    r"""Negative log-likelihood :math:`-w_{t_i} x_{i, t_i}` of logarithms of probabilities.

    With :func:`log_softmax` before it, the same as :func:`cross_entropy`, in more launches.
    Arguments, shapes and errors are those of :func:`cross_entropy`.
    """
    logp = as_tensor(logp, "nll_loss", "logp")
    found = labels_on(labels, logp.device)
    if logp.ndim != 2 and found.dtype.kind == "i":
        table, line = _tabled("nll_loss", "logp", logp, found)
        loss = nll_loss(table, line, weight, ignore_index=ignore_index, reduction=reduction)
        return reshape(loss, *found.shape) if reduction == "none" else loss
    weighted = None if weight is None else as_tensor(weight, "nll_loss", "weight").array
    out, saved = softmax_kernels.nll(logp.array, found, weighted, reduction, ignore_index)
    kept = labels if isinstance(labels, Tensor) else found
    return record("nll_loss", out, (logp,), _nll_backward, (kept, *saved), reduction)


def _nll_backward(node: Node, dy: Array) -> Gradients:
    return (softmax_kernels.nll_backward(dy, tuple(node.saved[1:]), node.constants),)


def accuracy(logits: Tensor, labels: Any) -> Tensor:
    """How many rows of ``logits`` have their largest score at the label; an int64 scalar.

    Not differentiable. Labels and errors as :func:`cross_entropy`; ``logits`` (n, classes).
    """
    logits = as_tensor(logits, "accuracy", "logits")
    return Tensor(softmax_kernels.accuracy(logits.array, labels_on(labels, logits.device)))
