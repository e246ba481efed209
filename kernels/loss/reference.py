"""NumPy references of the losses, and the sums of the sizes of their terms, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np


def reduced(losses: np.ndarray, reduction: str) -> np.ndarray:
    """The losses themselves, their sum, or it divided by the items or the first axis."""
    if reduction == "none":
        return losses
    if reduction == "batchmean":
        return np.sum(losses) / max(losses.shape[0] if losses.ndim else 1, 1)
    return np.sum(losses) if reduction == "sum" else np.divide(np.sum(losses), losses.size)


def mse(p: np.ndarray, t: np.ndarray, reduction: str = "mean") -> np.ndarray:
    return reduced((p - t) ** 2, reduction)


def l1(p: np.ndarray, t: np.ndarray, reduction: str = "mean") -> np.ndarray:
    return reduced(np.abs(p - t), reduction)


def smooth_l1(p: np.ndarray, t: np.ndarray, reduction: str, beta: float) -> np.ndarray:
    d = np.abs(p - t)
    inside = d * d / (2.0 * beta) if beta else d
    return reduced(np.where(d < beta, inside, d - 0.5 * beta), reduction)


def huber(p: np.ndarray, t: np.ndarray, reduction: str, delta: float) -> np.ndarray:
    d = np.abs(p - t)
    return reduced(np.where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta)), reduction)


def _log(p: np.ndarray) -> np.ndarray:
    return np.maximum(np.log(p), -100.0)


def bce(p: np.ndarray, t: np.ndarray, weight: Any = None, reduction: str = "mean") -> np.ndarray:
    losses = -(t * _log(p) + (1.0 - t) * np.maximum(np.log1p(-p), -100.0))
    return reduced(losses if weight is None else weight * losses, reduction)


def bce_logits(
    x: np.ndarray,
    t: np.ndarray,
    weight: Any = None,
    pos_weight: Any = None,
    reduction: str = "mean",
) -> np.ndarray:
    q = 1.0 if pos_weight is None else pos_weight
    losses = (1.0 - t) * np.logaddexp(0.0, x) + q * t * np.logaddexp(0.0, -x)
    return reduced(losses if weight is None else weight * losses, reduction)


def kl_div(
    x: np.ndarray, t: np.ndarray, reduction: str = "mean", log_target: bool = False
) -> np.ndarray:
    if log_target:
        return reduced(np.exp(t) * (t - x), reduction)
    return reduced(np.where(t == 0, t, t * np.log(t)) - t * x, reduction)


def tripled(reference: Any) -> Any:
    """Magnitude of a loss whose terms are positive, each with the rounding of two more.

    ``(p - t)²`` has the rounding of p - t twice; ``log`` and ``exp`` have theirs and that of what
    they are taken of.
    """

    def magnitude(p: np.ndarray, t: np.ndarray, *weights: Any, **options: Any) -> np.ndarray:
        sizes = [w if w is None else np.abs(w) for w in weights]
        return 3.0 * np.abs(reference(p, t, *sizes, **options))

    return magnitude


def smooth_l1_magnitude(p: np.ndarray, t: np.ndarray, reduction: str, beta: float) -> np.ndarray:
    return 3.0 * reduced(_linear(smooth_l1(p, t, "none", beta), beta), reduction)


def huber_magnitude(p: np.ndarray, t: np.ndarray, reduction: str, delta: float) -> np.ndarray:
    return 3.0 * reduced(_linear(huber(p, t, "none", delta), delta * delta), reduction)


def _linear(losses: np.ndarray, width: float) -> np.ndarray:
    """``d - width / 2`` is a difference: its terms together are larger by width."""
    return losses + width


def kl_div_magnitude(
    x: np.ndarray, t: np.ndarray, reduction: str = "mean", log_target: bool = False
) -> np.ndarray:
    if log_target:
        return 3.0 * reduced(np.exp(t) * (np.abs(t) + np.abs(x)), reduction)
    first = np.where(t == 0, 0.0, np.abs(t * np.log(t)))
    return 3.0 * reduced(first + np.abs(t * x), reduction)
