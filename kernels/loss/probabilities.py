"""Launchers of the losses of probabilities: binary cross entropy and Kullback-Leibler divergence.

Calling conventions, shapes and errors are those of :mod:`~nnlite.kernels.loss.launchers`.
"""

from __future__ import annotations

from typing import Any

from .. import checks
from ..engine import Array
from .launchers import BCE, BCE_LOGITS, KL, KL_LOG, REDUCTIONS, Options, _gradient, _value

KL_REDUCTIONS = (*REDUCTIONS, "batchmean")
FLAGS = (False, True)


def bce(pred: Array, target: Array, weight: Array | None = None, reduction: str = "mean") -> Array:
    """Binary cross entropy ``-w (t log(p) + (1 - t) log(1 - p))``, logarithms at least -100.

    Args:
        pred: probabilities; outside [0, 1] the loss is NaN.
        target: probabilities of the positive class.
        weight: of each item; any shape that broadcasts to that of pred. None is 1.
        reduction: ``"mean"`` (over the items, whatever their weight), ``"sum"`` or ``"none"``.
    """
    return _value(BCE, pred, target, Options(weight=weight, reduction=reduction))


def bce_backward(
    dloss: Array,
    pred: Array,
    target: Array,
    weight: Array | None = None,
    reduction: str = "mean",
    *,
    of_target: bool = False,
) -> Array:
    """Gradient of :func:`bce`: ``dloss w (p - t) / max(p (1 - p), 1e-12)``."""
    o = Options(weight=weight, reduction=reduction)
    return _gradient(BCE, dloss, pred, target, of_target, o)


def bce_logits(
    pred: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: str = "mean",
) -> Array:
    """Binary cross entropy of ``sigmoid(x)``: ``w ((1 - t) softplus(x) + q t softplus(-x))``.

    Args:
        pred: scores x before the sigmoid.
        target: probabilities t of the positive class.
        weight: w of each item; any shape that broadcasts to that of pred. None is 1.
        pos_weight: q of the positive class, as weight; None is 1.
        reduction: ``"mean"`` (over the items, whatever their weight), ``"sum"`` or ``"none"``.
    """
    o = Options(weight=weight, pos_weight=pos_weight, reduction=reduction)
    return _value(BCE_LOGITS, pred, target, o)


def bce_logits_backward(
    dloss: Array,
    pred: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: str = "mean",
    *,
    of_target: bool = False,
) -> Array:
    """Gradient of :func:`bce_logits`: ``dloss w ((1 - t) sigmoid(x) - q t sigmoid(-x))``."""
    o = Options(weight=weight, pos_weight=pos_weight, reduction=reduction)
    return _gradient(BCE_LOGITS, dloss, pred, target, of_target, o)


def kl_div(pred: Array, target: Array, reduction: str = "mean", log_target: bool = False) -> Array:
    """Divergence of target from prediction, ``t (log(t) - x)``; 0 where t is 0.

    Source: Kullback, Leibler, "On Information and Sufficiency", 1951.

    Args:
        pred: logarithms x of the predicted probabilities.
        target: probabilities t, or with ``log_target`` their logarithms.
        reduction: ``"mean"`` over the items, ``"batchmean"`` (the sum divided by the size of the
            first axis: the divergence of a batch of distributions), ``"sum"`` or ``"none"``.
        log_target: what target holds.
    """
    return _value(_kl("kl_div", log_target), pred, target, _kl_options(reduction))


def kl_div_backward(
    dloss: Array,
    pred: Array,
    target: Array,
    reduction: str = "mean",
    log_target: bool = False,
    *,
    of_target: bool = False,
) -> Array:
    """Gradient of :func:`kl_div`: ``-t dloss``."""
    loss = _kl("kl_div_backward", log_target)
    return _gradient(loss, dloss, pred, target, of_target, _kl_options(reduction))


def _kl(op: str, log_target: bool) -> Any:
    checks.require_option(op, "log_target", log_target, FLAGS)
    return KL_LOG if log_target else KL


def _kl_options(reduction: str) -> Options:
    return Options(reduction=reduction, allowed=KL_REDUCTIONS)
