"""Device functions of the activations: the value and the slope of one item.

They serve float32 and float64 alike: ``float32(...)`` constants are exact and widen with the
item. GELU needs constants that are not exact in float32, so its functions are made per dtype.

Stable forms. With ``e = exp(-|x|)``, which is in [0, 1] and never overflows,

    sigmoid(x) = 1 / (1 + e) for x >= 0,  e / (1 + e) for x < 0,
    1 - sigmoid(x) = sigmoid(-x),

so nothing is subtracted from 1. A product ``x * 0`` with infinite x is replaced by its limit, 0.
NaN goes through everywhere: each comparison is written so that NaN takes the branch that keeps it.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from numba import cuda, float32


@cuda.jit(device=True)
def relu(x):
    return float32(0.0) if x <= float32(0.0) else x


@cuda.jit(device=True)
def relu_backward(dy, x):
    return float32(0.0) if x <= float32(0.0) else dy


@cuda.jit(device=True)
def leaky_relu(x, slope):
    return x if x > float32(0.0) else slope * x


@cuda.jit(device=True)
def leaky_relu_backward(dy, x, slope):
    return dy if x > float32(0.0) else slope * dy


@cuda.jit(device=True)
def sigmoid(x):
    e = math.exp(-abs(x))
    return (e if x < float32(0.0) else float32(1.0)) / (float32(1.0) + e)


@cuda.jit(device=True)
def sigmoid_backward(dy, x):
    e = math.exp(-abs(x))
    d = float32(1.0) + e
    return dy * (e / (d * d))


@cuda.jit(device=True)
def sigmoid_backward_from_output(dy, y):
    return dy * (y * (float32(1.0) - y))


@cuda.jit(device=True)
def tanh(x):
    return math.tanh(x)


@cuda.jit(device=True)
def tanh_backward(dy, x):
    # 1 - tanh(x)^2 = 4 e / (1 + e)^2 with e = exp(-2 |x|)
    e = math.exp(float32(-2.0) * abs(x))
    d = float32(1.0) + e
    return dy * (float32(4.0) * e / (d * d))


@cuda.jit(device=True)
def tanh_backward_from_output(dy, y):
    return dy * ((float32(1.0) - y) * (float32(1.0) + y))


@cuda.jit(device=True)
def silu(x):
    s = sigmoid(x)
    return -s if s == float32(0.0) else x * s


@cuda.jit(device=True)
def silu_backward(dy, x):
    # s + x s (1 - s)
    e = math.exp(-abs(x))
    d = float32(1.0) + e
    s = (e if x < float32(0.0) else float32(1.0)) / d
    p = e / (d * d)
    return dy * (s + (p if p == float32(0.0) else x * p))


@functools.cache
def gelu(real: Any) -> Any:
    """GELU for ``real``, numba's float32 or float64: ``x Phi(x)``, Phi the normal distribution.

    ``Phi(x) = erfc(-x / sqrt(2)) / 2`` keeps its relative precision far into the left tail, where
    ``(1 + erf(x / sqrt(2))) / 2`` has lost all digits.
    """
    half = real(0.5)
    root = real(-math.sqrt(0.5))

    @cuda.jit(device=True)
    def gelu_exact(x):
        p = half * math.erfc(root * x)
        return -p if p == real(0.0) else x * p

    return gelu_exact


@functools.cache
def gelu_backward(real: Any) -> Any:
    """Slope of :func:`gelu`: ``Phi(x) + x phi(x)`` with the normal density phi."""
    half = real(0.5)
    root = real(-math.sqrt(0.5))
    density = real(1.0 / math.sqrt(2.0 * math.pi))

    @cuda.jit(device=True)
    def gelu_exact_backward(dy, x):
        phi = density * math.exp(-half * x * x)
        return dy * (half * math.erfc(root * x) + (phi if phi == real(0.0) else x * phi))

    return gelu_exact_backward


@functools.cache
def gelu_tanh(real: Any) -> Any:
    """The approximation ``x (1 + tanh(u)) / 2 = x sigmoid(2 u)``, u = sqrt(2/pi) (x + c x^3)."""
    two_k = real(2.0 * math.sqrt(2.0 / math.pi))
    c = real(0.044715)

    @cuda.jit(device=True)
    def gelu_tanh_value(x):
        s = sigmoid(two_k * (x + c * x * x * x))
        return -s if s == real(0.0) else x * s

    return gelu_tanh_value


@functools.cache
def gelu_tanh_backward(real: Any) -> Any:
    """Slope of :func:`gelu_tanh`: ``s + x s (1 - s) 2 u'(x)`` with ``s = sigmoid(2 u)``."""
    two_k = real(2.0 * math.sqrt(2.0 / math.pi))
    c = real(0.044715)

    @cuda.jit(device=True)
    def gelu_tanh_slope(dy, x):
        u = two_k * (x + c * x * x * x)
        e = math.exp(-abs(u))
        d = real(1.0) + e
        s = (e if u < real(0.0) else real(1.0)) / d
        p = e / (d * d)
        slope = two_k * (real(1.0) + real(3.0) * c * x * x)
        return dy * (s + (p if p == real(0.0) else x * p * slope))

    return gelu_tanh_slope


def value_function(name: str, real: Any) -> Any:
    """Device function of an activation without options: what a fused epilogue applies.

    Args:
        name: ``"relu"``, ``"sigmoid"``, ``"tanh"``, ``"gelu"`` or ``"silu"``.
        real: numba's float32 or float64.
    """
    if name == "gelu":
        return gelu(real)
    return {"relu": relu, "sigmoid": sigmoid, "tanh": tanh, "silu": silu}[name]
