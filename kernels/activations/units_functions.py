"""Device functions of the further units: ELU and its kin, softplus, Mish, the piecewise linear.

Each takes the item (for a gradient: ``dy``, then the item), then the scalars of the unit, and
serves float32 and float64 alike. Stable forms, with ``e = exp(-|x|)``, which never overflows:

    exp(x) - 1 = 2 t / (1 - t),  t = tanh(x / 2)    nothing cancels for x <= 0, where 1 - t >= 1
    log(1 + exp(x)) = max(x, 0) + log(1 + e)         both terms have one sign
    log(1 + e) = log(u) + (e - (u - 1)) / u          u = 1 + e as rounded, u - 1 is exact
    x - tanh(x) = x r / (1 + r),  r = x^2/(3 + x^2/(5 + x^2/(7 + ...)))   for |x| < 1

The first and the third need only ``tanh``, ``exp`` and ``log``, which the CPU build of float32
runs in vectors; ``expm1`` and ``log1p`` of the C library it would call item by item. The last is
Lambert's continued fraction of tanh (1768): all its terms are positive, so the result keeps its
relative precision where ``x - tanh(x)`` would lose it.

NaN goes through: each comparison is written so that NaN takes the branch that keeps it.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from numba import cuda, float32

from .functions import sigmoid

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@cuda.jit(device=True)
def expm1_negative(x):
    """``exp(x) - 1`` for x <= 0."""
    t = math.tanh(float32(0.5) * x)
    return float32(2.0) * t / (float32(1.0) - t)


@cuda.jit(device=True)
def log1p_unit(e):
    """``log(1 + e)`` for e in [0, 1]."""
    u = float32(1.0) + e
    return math.log(u) + (e - (u - float32(1.0))) / u


@cuda.jit(device=True)
def softplus_stable(x):
    """``log(1 + exp(x))`` for any x."""
    return (float32(0.0) if x <= float32(0.0) else x) + log1p_unit(math.exp(-abs(x)))


@cuda.jit(device=True)
def elu(x, alpha):
    return x if x > float32(0.0) else alpha * expm1_negative(x)


@cuda.jit(device=True)
def elu_backward(dy, x, alpha):
    return dy if x > float32(0.0) else dy * (alpha * math.exp(x))


@cuda.jit(device=True)
def celu(x, alpha):
    return x if x > float32(0.0) else alpha * expm1_negative(x / alpha)


@cuda.jit(device=True)
def celu_backward(dy, x, alpha):
    return dy if x > float32(0.0) else dy * math.exp(x / alpha)


@functools.cache
def selu(real: Any) -> Any:
    """SELU for ``real``, numba's float32 or float64: its constants are exact in neither."""
    scale, product = real(SELU_SCALE), real(SELU_SCALE * SELU_ALPHA)

    @cuda.jit(device=True)
    def selu_value(x):
        return scale * x if x > real(0.0) else product * expm1_negative(x)

    return selu_value


@functools.cache
def selu_backward(real: Any) -> Any:
    """Slope of :func:`selu`."""
    scale, product = real(SELU_SCALE), real(SELU_SCALE * SELU_ALPHA)

    @cuda.jit(device=True)
    def selu_slope(dy, x):
        return dy * (scale if x > real(0.0) else product * math.exp(x))

    return selu_slope


@cuda.jit(device=True)
def softplus(x, beta, threshold):
    z = beta * x
    return x if z > threshold else softplus_stable(z) / beta


@cuda.jit(device=True)
def softplus_backward(dy, x, beta, threshold):
    z = beta * x
    return dy if z > threshold else dy * sigmoid(z)


@cuda.jit(device=True)
def logsigmoid(x):
    return (x if x < float32(0.0) else float32(0.0)) - log1p_unit(math.exp(-abs(x)))


@cuda.jit(device=True)
def logsigmoid_backward(dy, x):
    return dy * sigmoid(-x)


@cuda.jit(device=True)
def mish(x):
    # tanh(log(1 + n)) = n (n + 2) / (n (n + 2) + 2) with n = exp(x); for x > 0 divided by n^2.
    e = math.exp(-abs(x))
    left = x < float32(0.0)
    top = e * (e + float32(2.0)) if left else float32(1.0) + float32(2.0) * e
    t = top / (top + (float32(2.0) if left else float32(2.0) * e * e))
    return -t if t == float32(0.0) else x * t


@cuda.jit(device=True)
def mish_backward(dy, x):
    # t + x t' with t' = (1 - t^2) sigmoid(x) = 4 n (1 + n) / (n (n + 2) + 2)^2
    e = math.exp(-abs(x))
    left = x < float32(0.0)
    top = e * (e + float32(2.0)) if left else float32(1.0) + float32(2.0) * e
    bottom = top + (float32(2.0) if left else float32(2.0) * e * e)
    p = float32(4.0) * (e if left else e * e) * (float32(1.0) + e) / (bottom * bottom)
    return dy * (top / bottom + (p if p == float32(0.0) else x * p))


@cuda.jit(device=True)
def softsign(x):
    return x / (float32(1.0) + abs(x))


@cuda.jit(device=True)
def softsign_backward(dy, x):
    d = float32(1.0) + abs(x)
    return dy / d / d  # d * d would overflow


@cuda.jit(device=True)
def tanhshrink(x):
    s = x * x
    r = s / (float32(13.0) + s / (float32(15.0) + s / float32(17.0)))
    r = s / (float32(7.0) + s / (float32(9.0) + s / (float32(11.0) + r)))
    r = s / (float32(3.0) + s / (float32(5.0) + r))
    return x * (r / (float32(1.0) + r)) if s < float32(1.0) else x - math.tanh(x)


@cuda.jit(device=True)
def tanhshrink_backward(dy, x):
    t = math.tanh(x)
    return dy * t * t  # t * t would underflow


@cuda.jit(device=True)
def hardtanh(x, low, high):
    return low if x <= low else (high if x >= high else x)


@cuda.jit(device=True)
def hardtanh_backward(dy, x, low, high):
    return float32(0.0) if x <= low or x >= high else dy


@cuda.jit(device=True)
def hardsigmoid(x):
    inside = (x + float32(3.0)) / float32(6.0)
    return float32(0.0) if x <= float32(-3.0) else (float32(1.0) if x >= float32(3.0) else inside)


@cuda.jit(device=True)
def hardsigmoid_backward(dy, x):
    return float32(0.0) if abs(x) >= float32(3.0) else dy / float32(6.0)


@cuda.jit(device=True)
def hardswish(x):
    inside = x * (x + float32(3.0)) / float32(6.0)
    return float32(0.0) if x <= float32(-3.0) else (x if x >= float32(3.0) else inside)


@cuda.jit(device=True)
def hardswish_backward(dy, x):
    # 2 x + 3 is exact where it cancels, unlike x / 3 + 1 / 2
    inside = dy * ((float32(2.0) * x + float32(3.0)) / float32(6.0))
    return float32(0.0) if x <= float32(-3.0) else (dy if x >= float32(3.0) else inside)


@cuda.jit(device=True)
def softshrink(x, width):
    return (
        x - width if x > width else (x + width if x < -width else (float32(0.0) if x == x else x))
    )


@cuda.jit(device=True)
def shrink_backward(dy, x, width):
    return float32(0.0) if x >= -width and x <= width else dy


@cuda.jit(device=True)
def hardshrink(x, width):
    return float32(0.0) if x >= -width and x <= width else x


@cuda.jit(device=True)
def threshold(x, limit, value):
    return value if x <= limit else x


@cuda.jit(device=True)
def threshold_backward(dy, x, limit, value):
    return float32(0.0) if x <= limit else dy
