"""Launchers of the losses that compare a prediction with a target of the same shape.

``<name>(pred, target, …)`` returns the loss; ``<name>_backward(dloss, pred, target, …)`` the
gradient for ``pred``, or with ``of_target=True`` that for ``target``, given the gradient ``dloss``
of the loss, in its shape, and the arguments of the forward call.

Shape: pred and target have one shape, any strides; nothing is broadcast but the weights. The loss
has the shape ``()``, or with the reduction ``"none"`` that of pred.
dtype: float32 or float64, the same for all arguments.
Errors: DtypeError, ShapeError, DeviceError where this does not hold; ArgumentError for an unknown
reduction and for options. The mean of nothing is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import checks
from ..elementwise import copy
from ..engine import ArgumentError, Array, Device, ShapeError, cached_constant, empty, full
from ..reduce import sum
from . import functions, wide, wide_weighted
from .kernels import BLOCK, MOST_PARTS, PART, gradient_kernels, value_kernels, weighted_kernels

REDUCTIONS = ("mean", "sum", "none")


@dataclass(frozen=True)
class Loss:
    """Device functions of one loss.

    Args:
        name: that of its launcher.
        value: of (p, t, s).
        slope: derivative for p.
        target_slope: derivative for t; None if it is the negative of ``slope``.
    """

    name: str
    value: Any
    slope: Any
    target_slope: Any = None


MSE = Loss("mse", functions.mse, functions.mse_slope)
L1 = Loss("l1", functions.l1, functions.l1_slope)
SMOOTH_L1 = Loss("smooth_l1", functions.smooth_l1, functions.smooth_l1_slope)
HUBER = Loss("huber", functions.huber, functions.huber_slope)
BCE = Loss("bce", functions.bce, functions.bce_slope, functions.bce_target_slope)
BCE_LOGITS = Loss(
    "bce_logits",
    functions.bce_logits,
    functions.bce_logits_slope,
    functions.bce_logits_target_slope,
)
KL = Loss("kl_div", functions.kl, functions.kl_slope, functions.kl_target_slope)
KL_LOG = Loss("kl_div", functions.kl_log, functions.kl_log_slope, functions.kl_log_target_slope)


@dataclass(frozen=True)
class Options:
    """How a loss is called: its number s, the weights, the reduction, the allowed reductions."""

    number: float = 1.0
    weight: Array | None = None
    pos_weight: Array | None = None
    reduction: str = "mean"
    allowed: tuple[str, ...] = REDUCTIONS


def _value(loss: Loss, pred: Array, target: Array, o: Options) -> Array:
    _check(loss.name, pred, target, o)
    n, dtype = pred.size, pred.dtype
    pair, number, weights = (_flat(pred), _flat(target)), dtype.type(o.number), _weights(pred, o)
    head = wide.head_of(*pair) if n else None
    if o.reduction == "none":
        out = empty(pred.shape, dtype, pred.device)
        if head is not None and wide.head_of(*pair, out) == head:
            if weights:
                found = wide_weighted.Weights(weights, out, head)
                wide_weighted.each(loss.value, pair, found, out.reshape((n,)), head)
            else:
                wide.each(loss.value, *pair, number, out.reshape((n,)), head)
        elif n:
            each, _ = (weighted_kernels if weights else value_kernels)(loss.value, dtype)
            extra = _spread(weights, pred) or (number,)
            each[-(-n // BLOCK), BLOCK](*pair, *extra, out.reshape((n,)))
        return out
    parts = min(max(n // PART, 1), MOST_PARTS)
    sums = empty((parts,), dtype, pred.device)
    divisor = dtype.type(_divisor(pred, o))
    if head is None:
        _, total = (weighted_kernels if weights else value_kernels)(loss.value, dtype)
        extra = _spread(weights, pred) or (number,)
        total[parts, BLOCK](*pair, *extra, sums, np.int64(-(-n // parts)), divisor)
    elif weights:
        found = wide_weighted.Weights(weights, pair[0].reshape(pred.shape), head)
        wide_weighted.total(loss.value, pair, found, sums, divisor, head)
    else:
        wide.total(loss.value, *pair, number, sums, divisor, head)
    return sums.reshape(()) if parts == 1 else sum(sums)


def _gradient(
    loss: Loss, dloss: Array, pred: Array, target: Array, of_target: bool, o: Options
) -> Array:
    op = f"{loss.name}_backward"
    _check(op, pred, target, o)
    checks.require_like(op, "dloss", dloss, "pred", pred)
    each = o.reduction == "none"
    checks.require_shape(op, "dloss", dloss, pred.shape if each else ())
    n, dtype = pred.size, pred.dtype
    dx = empty(pred.shape, dtype, pred.device)
    if n == 0:
        return dx
    scale = 1.0 / _divisor(pred, o)
    slope = loss.slope
    if of_target and loss.target_slope is None:
        scale = -scale
    elif of_target:
        slope = loss.target_slope
    plain, weighted = gradient_kernels(slope)
    weights = _weights(pred, o)
    lines = _flat(dloss), _flat(pred), _flat(target)
    out, rate = dx.reshape((n,)), dtype.type(scale)
    head = wide.head_of(*lines[0 if each else 1 :], out)
    if head is not None and weights:
        found = wide_weighted.Weights(weights, dx, head)
        wide_weighted.gradient(slope, lines, found, out, each, rate, head)
        return dx
    if head is not None:
        wide.gradient(slope, lines, dtype.type(o.number), out, each, rate, head)
        return dx
    launch = weighted if weights else plain
    numbers = _spread(weights, pred) or (dtype.type(o.number),)
    launch[-(-n // BLOCK), BLOCK](*lines, *numbers, out, np.int64(each), rate)
    return dx


def _check(op: str, pred: Array, target: Array, o: Options) -> None:
    checks.require_option(op, "reduction", o.reduction, o.allowed)
    checks.require_float(op, "pred", pred)
    checks.require_like(op, "target", target, "pred", pred)
    checks.require_shape(op, "target", target, pred.shape)
    for name, w in (("weight", o.weight), ("pos_weight", o.pos_weight)):
        if w is not None:
            checks.require_like(op, name, w, "pred", pred)
            sizes = zip(reversed(w.shape), reversed(pred.shape))
            if len(w.shape) > len(pred.shape) or any(a not in (1, b) for a, b in sizes):
                raise ShapeError(
                    f"{op}: {name}: shape {w.shape} given, expected one that broadcasts to "
                    f"{pred.shape} of pred"
                )


def _divisor(pred: Array, o: Options) -> int:
    """What the sum of the losses is divided by."""
    if o.reduction == "batchmean":
        return max(pred.shape[0], 1) if pred.shape else 1
    return pred.size if o.reduction == "mean" else 1


def _weights(pred: Array, o: Options) -> tuple[Array, ...]:
    """Both weights, 1 for one that is missing; nothing if none is given."""
    if o.weight is None and o.pos_weight is None:
        return ()
    one = _one(pred.dtype, pred.device)
    return tuple(one if w is None else w for w in (o.weight, o.pos_weight))


@cached_constant(64)
def _one(dtype: np.dtype, device: Device) -> Array:
    """The weight that stands for a missing one; never written to."""
    return full((), 1, dtype, device)


def _spread(weights: tuple[Array, ...], pred: Array) -> tuple[Array, ...]:
    """The weights with an item for each of ``pred``."""
    return tuple(_flat(w.broadcast_to(pred.shape)) for w in weights)


def _flat(x: Array) -> Array:
    return (x if x.is_contiguous else copy(x)).reshape((x.size,))


def mse(pred: Array, target: Array, reduction: str = "mean") -> Array:
    """Squared error ``(p - t)²``."""
    return _value(MSE, pred, target, Options(reduction=reduction))


def mse_backward(
    dloss: Array, pred: Array, target: Array, reduction: str = "mean", *, of_target: bool = False
) -> Array:
    """Gradient of :func:`mse`: ``2 (p - t) dloss``."""
    return _gradient(MSE, dloss, pred, target, of_target, Options(reduction=reduction))


def l1(pred: Array, target: Array, reduction: str = "mean") -> Array:
    """Absolute error ``|p - t|``."""
    return _value(L1, pred, target, Options(reduction=reduction))


def l1_backward(
    dloss: Array, pred: Array, target: Array, reduction: str = "mean", *, of_target: bool = False
) -> Array:
    """Gradient of :func:`l1`: ``dloss`` with the sign of p - t, 0 where they are equal."""
    return _gradient(L1, dloss, pred, target, of_target, Options(reduction=reduction))


def smooth_l1(pred: Array, target: Array, reduction: str = "mean", beta: float = 1.0) -> Array:
    """``d² / (2 beta)`` where ``d = |p - t| < beta``, else ``d - beta / 2``; beta >= 0.

    Source: Girshick, "Fast R-CNN", arXiv:1504.08083.
    """
    return _value(SMOOTH_L1, pred, target, _smooth("smooth_l1", reduction, beta))


def smooth_l1_backward(
    dloss: Array,
    pred: Array,
    target: Array,
    reduction: str = "mean",
    beta: float = 1.0,
    *,
    of_target: bool = False,
) -> Array:
    """Gradient of :func:`smooth_l1`: ``dloss (p - t) / beta``, or dloss with the sign of p - t."""
    o = _smooth("smooth_l1_backward", reduction, beta)
    return _gradient(SMOOTH_L1, dloss, pred, target, of_target, o)


def huber(pred: Array, target: Array, reduction: str = "mean", delta: float = 1.0) -> Array:
    """``d² / 2`` where ``d = |p - t| <= delta``, else ``delta (d - delta / 2)``; delta > 0.

    Source: Huber, "Robust Estimation of a Location Parameter", 1964.
    """
    return _value(HUBER, pred, target, _huber("huber", reduction, delta))


def huber_backward(
    dloss: Array,
    pred: Array,
    target: Array,
    reduction: str = "mean",
    delta: float = 1.0,
    *,
    of_target: bool = False,
) -> Array:
    """Gradient of :func:`huber`: ``dloss`` times p - t, held between -delta and delta."""
    o = _huber("huber_backward", reduction, delta)
    return _gradient(HUBER, dloss, pred, target, of_target, o)


def _smooth(op: str, reduction: str, beta: float) -> Options:
    checks.require_number(op, "beta", beta)
    if not beta >= 0:
        raise ArgumentError(f"{op}: beta: {beta!r} given, expected a number not below 0")
    return Options(beta, reduction=reduction)


def _huber(op: str, reduction: str, delta: float) -> Options:
    checks.require_number(op, "delta", delta)
    if not delta > 0:
        raise ArgumentError(f"{op}: delta: {delta!r} given, expected a number above 0")
    return Options(delta, reduction=reduction)
