"""References of the normalisations in NumPy: two passes, in float64."""

from __future__ import annotations

import numpy as np


def batch_norm_reference(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float = 1e-5
) -> np.ndarray:
    """Normalisation over the batch, in float64; two passes."""
    if x.size < 2 * x.shape[1] or x.shape[1] == 0:
        raise ValueError("fewer than two elements per channel")
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axis=axes, keepdims=True)
    var = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    return _affine((x - mean) / np.sqrt(var + eps), weight, bias)


def batch_norm_inference_reference(
    x: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    eps: float = 1e-5,
) -> np.ndarray:
    """Normalisation with given statistics, in float64."""
    side = (-1,) + (1,) * (x.ndim - 2)
    return _affine((x - mean.reshape(side)) / np.sqrt(var.reshape(side) + eps), weight, bias)


def batch_norm_statistics_reference(
    x: np.ndarray, running_mean: np.ndarray, running_var: np.ndarray, momentum: float
) -> tuple[np.ndarray, np.ndarray]:
    """The running statistics after a batch, in float64."""
    if x.size < 2 * x.shape[1] or x.shape[1] == 0:
        raise ValueError("fewer than two elements per channel")
    axes = (0, *range(2, x.ndim))
    mean, var = x.mean(axis=axes), x.var(axis=axes, ddof=1)
    old = 1 - momentum
    return old * running_mean + momentum * mean, old * running_var + momentum * var


def _affine(hat: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None) -> np.ndarray:
    side = (-1,) + (1,) * (hat.ndim - 2)
    hat = hat if weight is None else hat * weight.reshape(side)
    return hat if bias is None else hat + bias.reshape(side)


def layer_norm_reference(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float = 1e-5
) -> np.ndarray:
    """Normalisation of the last axis, in float64; two passes."""
    d = x - x.mean(axis=-1, keepdims=True)
    y = d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def group_norm_reference(
    x: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    groups: int = 1,
    eps: float = 1e-5,
) -> np.ndarray:
    """Normalisation of each group of channels, in float64."""
    n, c = x.shape[:2]
    if c % groups:
        raise ValueError("the groups do not share the channels")
    y = layer_norm_reference(x.reshape(n, groups, -1), None, None, eps).reshape(n, c, -1)
    y = y if weight is None else y * weight[:, None]
    return (y if bias is None else y + bias[:, None]).reshape(x.shape)


def rms_norm_reference(x: np.ndarray, weight: np.ndarray | None, eps: float = 1e-5) -> np.ndarray:
    """Division of the last axis by its root mean square, in float64."""
    y = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    return y if weight is None else y * weight
