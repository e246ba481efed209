"""Losses that compare a prediction with a target of the same shape, item by item.

Names and options are those of ``torch.nn.functional``. All are differentiable in the prediction
and in the target; weights get no gradient.

Shape:
    ``pred`` and ``target`` have one shape: nothing is broadcast but weights. The result has the
    shape (), or with the reduction ``"none"`` that of ``pred``.

Raises:
    ShapeError: the shapes differ, or a weight does not broadcast to that of ``pred``.
    DtypeError, DeviceError: ``pred`` is not of float dtype, or another tensor is not like it.
    ArgumentError: the reduction is unknown, or an option is out of range.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import Gradients, Node
from ..kernels import loss as kernels
from ..kernels.engine import Array
from ..tensor import Tensor, as_tensor, record


def _loss(
    name: str,
    pred: Tensor,
    target: Tensor,
    value: Callable[..., Array],
    slope: Callable[..., Array],
    weights: dict[str, Any] | None = None,
    **options: Any,
) -> Tensor:
    """Record ``value(pred, target, …)``, whose gradients are those of ``slope(dloss, …)``."""
    pred, target = as_tensor(pred, name, "pred"), as_tensor(target, name, "target")
    given = {k: as_tensor(w, name, k) for k, w in (weights or {}).items() if w is not None}
    arrays = {k: w.array for k, w in given.items()}
    out = value(pred.array, target.array, **arrays, **options)
    saved = (pred, target, *given.values())
    constants = (slope, tuple(given), options)
    return record(name, out, (pred, target), _loss_backward, saved, constants)


def _loss_backward(node: Node, dloss: Array) -> Gradients:
    pred, target, *weights = node.saved
    slope, names, options = node.constants
    given = {**dict(zip(names, weights)), **options}
    return tuple(
        slope(dloss, pred, target, **given, of_target=bool(i)) if node.needs(i) else None
        for i in range(2)
    )


def mse_loss(pred: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    r"""Squared error :math:`(p - t)^2`, and its mean or sum.

    Args:
        pred: the prediction.
        target: what it should be; of the same shape, dtype and device.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        A scalar; with ``"none"`` a loss for each item, of the shape of ``pred``.

    Raises:
        ShapeError, DtypeError, DeviceError: ``target`` is not like ``pred``, or they are not of
            float dtype.
        ArgumentError: ``reduction`` is none of those.
    """
    return _loss("mse_loss", pred, target, kernels.mse, kernels.mse_backward, reduction=reduction)


def l1_loss(pred: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    r"""Absolute error :math:`|p - t|`; arguments and errors as :func:`mse_loss`."""
    return _loss("l1_loss", pred, target, kernels.l1, kernels.l1_backward, reduction=reduction)


def smooth_l1_loss(
    pred: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    r""":math:`d^2 / (2 \beta)` where :math:`d = |p - t| < \beta`, else :math:`d - \beta / 2`.

    Args:
        pred, target, reduction: as of :func:`mse_loss`, with the same errors.
        beta: where the error becomes linear, not below 0; with 0 it is :func:`l1_loss`.

    Raises:
        ArgumentError: ``beta`` is below 0.
    """
    value, slope = kernels.smooth_l1, kernels.smooth_l1_backward
    return _loss("smooth_l1_loss", pred, target, value, slope, reduction=reduction, beta=beta)


def huber_loss(pred: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    r""":math:`d^2 / 2` where :math:`d = |p - t| \le \delta`, else :math:`\delta (d - \delta / 2)`.

    Source: P. Huber, "Robust Estimation of a Location Parameter", 1964.

    Args:
        pred, target, reduction: as of :func:`mse_loss`, with the same errors.
        delta: where the error becomes linear, above 0.

    Raises:
        ArgumentError: ``delta`` is not above 0.
    """
    value, slope = kernels.huber, kernels.huber_backward
    return _loss("huber_loss", pred, target, value, slope, reduction=reduction, delta=delta)


def binary_cross_entropy(
    pred: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    r"""Binary cross entropy :math:`-w (t \ln p + (1 - t) \ln(1 - p))` of probabilities.

    The logarithms are at least -100. :func:`binary_cross_entropy_with_logits` is more precise.

    Args:
        pred: probabilities :math:`p`; outside [0, 1] the loss is NaN.
        target: probabilities :math:`t` of the positive class.
        weight: :math:`w` of each item; any shape that broadcasts to that of ``pred``.
        reduction: ``"mean"`` over the items, whatever their weight, ``"sum"`` or ``"none"``.
    """
    weights = {"weight": weight}
    value, slope = kernels.bce, kernels.bce_backward
    name = "binary_cross_entropy"
    return _loss(name, pred, target, value, slope, weights, reduction=reduction)


def binary_cross_entropy_with_logits(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    r"""Binary cross entropy of :math:`\sigma(x)` for scores :math:`x`, without overflow.

    .. math:: w \left( (1 - t) \ln(1 + e^x) + q t \ln(1 + e^{-x}) \right)

    Args:
        pred: scores :math:`x` before the sigmoid.
        target: probabilities :math:`t` of the positive class.
        weight: :math:`w` of each item; any shape that broadcasts to that of ``pred``.
        reduction: ``"mean"`` over the items, whatever their weight, ``"sum"`` or ``"none"``.
        pos_weight: :math:`q` of the positive class, one for each column for example.
    """
    weights = {"weight": weight, "pos_weight": pos_weight}
    value, slope = kernels.bce_logits, kernels.bce_logits_backward
    name = "binary_cross_entropy_with_logits"
    return _loss(name, pred, target, value, slope, weights, reduction=reduction)


def kl_div(
    pred: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    r"""Kullback-Leibler divergence :math:`t (\ln t - x)` of distributions.

    Args:
        pred: logarithms :math:`x` of the predicted probabilities.
        target: probabilities :math:`t`, or with ``log_target`` their logarithms.
        reduction: ``"batchmean"``, the divergence of a batch of distributions: the sum divided by
            the size of the first axis; ``"mean"`` over all items, ``"sum"`` or ``"none"``.
        log_target: what ``target`` holds.
    """
    value, slope = kernels.kl_div, kernels.kl_div_backward
    return _loss("kl_div", pred, target, value, slope, reduction=reduction, log_target=log_target)
