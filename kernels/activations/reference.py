"""NumPy references of the activations and their gradients, in the dtype of their arguments."""

from __future__ import annotations

import math

import numpy as np

_erfc = np.vectorize(math.erfc, otypes=[np.float64])
TANH_C = 0.044715


def relu(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0, 0.0, x)


def relu_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0, 0.0, dy)


def leaky_relu(x: np.ndarray, negative_slope: float = 0.01) -> np.ndarray:
    return np.where(x > 0, x, negative_slope * x)


def leaky_relu_backward(dy: np.ndarray, x: np.ndarray, negative_slope: float = 0.01) -> np.ndarray:
    return np.where(x > 0, dy, negative_slope * dy)


def sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


def sigmoid_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy * (sigmoid(x) * sigmoid(-x))


def tanh_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy * (4.0 * sigmoid(2.0 * x) * sigmoid(-2.0 * x))


def silu(x: np.ndarray) -> np.ndarray:
    return _times(x, sigmoid(x))


def silu_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return dy * (sigmoid(x) + _times(x, sigmoid(x) * sigmoid(-x)))


def silu_backward_magnitude(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.abs(dy) * (sigmoid(x) + np.abs(_times(x, sigmoid(x) * sigmoid(-x))))


def normal(x: np.ndarray) -> np.ndarray:
    """Cumulative normal distribution."""
    return 0.5 * _erfc(-x * math.sqrt(0.5)) if x.size else x.copy()


def density(x: np.ndarray) -> np.ndarray:
    """Density of the normal distribution."""
    return np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def gelu(x: np.ndarray, approximate: str = "none") -> np.ndarray:
    return _times(x, sigmoid(_two_u(x)) if approximate == "tanh" else normal(x))


def gelu_backward(dy: np.ndarray, x: np.ndarray, approximate: str = "none") -> np.ndarray:
    first, second = _gelu_slope(x, approximate)
    return dy * (first + second)


def gelu_backward_magnitude(dy: np.ndarray, x: np.ndarray, approximate: str = "none") -> np.ndarray:
    first, second = _gelu_slope(x, approximate)
    return np.abs(dy) * (first + np.abs(second))


def _gelu_slope(x: np.ndarray, approximate: str) -> tuple[np.ndarray, np.ndarray]:
    if approximate != "tanh":
        return normal(x), _times(x, density(x))
    s, rest = sigmoid(_two_u(x)), sigmoid(-_two_u(x))
    slope = 2.0 * math.sqrt(2.0 / math.pi) * (1.0 + 3.0 * TANH_C * x * x)
    return s, _times(x * slope, s * rest)


def _two_u(x: np.ndarray) -> np.ndarray:
    return 2.0 * math.sqrt(2.0 / math.pi) * (x + TANH_C * x * x * x)


def _times(x: np.ndarray, p: np.ndarray) -> np.ndarray:
    """``x p`` for p >= 0, and the limit 0 with the sign of x where p is 0 and x infinite."""
    return np.where(p == 0, np.copysign(p, x), x * p)
