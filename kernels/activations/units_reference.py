"""NumPy references of the further units: value and slope of each, in float64."""

from __future__ import annotations

import math

import numpy as np

from .reference import sigmoid
from .units_functions import SELU_ALPHA, SELU_SCALE


def elu(x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    return np.where(x > 0, x, alpha * np.expm1(x))


def elu_backward(dy: np.ndarray, x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    return np.where(x > 0, dy, dy * (alpha * np.exp(x)))


def selu(x: np.ndarray) -> np.ndarray:
    return SELU_SCALE * elu(x, SELU_ALPHA)


def selu_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy * (SELU_SCALE * elu_backward(np.ones_like(x), x, SELU_ALPHA))


def celu(x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    return np.where(x > 0, x, alpha * np.expm1(x / alpha))


def celu_backward(dy: np.ndarray, x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    return np.where(x > 0, dy, dy * np.exp(x / alpha))


def softplus(x: np.ndarray, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    return np.where(beta * x > threshold, x, np.logaddexp(0.0, beta * x) / beta)


def softplus_backward(
    dy: np.ndarray, x: np.ndarray, beta: float = 1.0, threshold: float = 20.0
) -> np.ndarray:
    return np.where(beta * x > threshold, dy, dy * sigmoid(beta * x))


def logsigmoid(x: np.ndarray) -> np.ndarray:
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


def logsigmoid_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy * sigmoid(-x)


def mish(x: np.ndarray) -> np.ndarray:
    t = np.tanh(np.logaddexp(0.0, x))
    return np.where(t == 0, -t, x * t)


def _mish_slope(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two terms of the slope; ``1 - tanh(s)² = 1 / cosh(s)²`` does not cancel."""
    s = np.logaddexp(0.0, x)
    p = sigmoid(x) / np.cosh(s) ** 2
    return np.tanh(s), np.where(p == 0, p, x * p)


def mish_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    first, second = _mish_slope(x)
    return dy * (first + second)


def mish_backward_magnitude(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    first, second = _mish_slope(x)
    return np.abs(dy) * (first + np.abs(second))


def softsign(x: np.ndarray) -> np.ndarray:
    return x / (1.0 + np.abs(x))


def softsign_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy / (1.0 + np.abs(x)) / (1.0 + np.abs(x))


def tanhshrink(x: np.ndarray) -> np.ndarray:
    """Below 1 the series of ``x cosh(x) - sinh(x)``, whose terms have one sign, over cosh(x)."""
    small = np.where(np.abs(x) < 1, x, 0.0)
    terms = [2 * k * small ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(1, 12)]
    return np.where(np.abs(x) < 1, sum(terms) / np.cosh(small), x - np.tanh(x))


def tanhshrink_magnitude(x: np.ndarray) -> np.ndarray:
    """From 1 on the two terms are subtracted."""
    return np.where(np.abs(x) < 1, 0.0, np.abs(x))


def tanhshrink_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    t = np.tanh(x)
    return dy * t * t  # t * t would underflow


def hardtanh(x: np.ndarray, min_val: float = -1.0, max_val: float = 1.0) -> np.ndarray:
    return np.where(x <= min_val, min_val, np.where(x >= max_val, max_val, x))


def hardtanh_backward(
    dy: np.ndarray, x: np.ndarray, min_val: float = -1.0, max_val: float = 1.0
) -> np.ndarray:
    return np.where((x <= min_val) | (x >= max_val), 0.0, dy)


def hardsigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip((x + 3.0) / 6.0, 0.0, 1.0)


def hardsigmoid_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) >= 3.0, 0.0, dy / 6.0)


def hardswish(x: np.ndarray) -> np.ndarray:
    return np.where(x <= -3.0, 0.0, np.where(x >= 3.0, x, x * (x + 3.0) / 6.0))


def hardswish_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    inside = dy * ((2.0 * x + 3.0) / 6.0)
    return np.where(x <= -3.0, 0.0, np.where(x >= 3.0, dy, inside))


def softshrink(x: np.ndarray, lambd: float = 0.5) -> np.ndarray:
    return np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, np.where(x == x, 0.0, x)))


def shrink_backward(dy: np.ndarray, x: np.ndarray, lambd: float = 0.5) -> np.ndarray:
    return np.where((x >= -lambd) & (x <= lambd), 0.0, dy)


def hardshrink(x: np.ndarray, lambd: float = 0.5) -> np.ndarray:
    return np.where((x >= -lambd) & (x <= lambd), 0.0, x)


def threshold(x: np.ndarray, threshold: float, value: float) -> np.ndarray:
    return np.where(x <= threshold, value, x)


def threshold_backward(dy: np.ndarray, x: np.ndarray, threshold: float, value: float) -> np.ndarray:
    return np.where(x <= threshold, 0.0, dy)
