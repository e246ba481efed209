"""Special functions that no C library has, written in Python for Numba: libdevice's, ``round``.

All of them compute in float64.  The float32 versions round the float64 result once.  Errors of the
float64 versions are in ``tests/test_cpu_libdevice.py``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

from .rt_bits import fma

PI_LOW = 1.2246467991473532e-16  # pi - float64(pi)
SQRT_HALF, SQRT_HALF_LOW = 0.7071067811865476, -4.833646656726457e-17
TWO_OVER_SQRT_PI = 1.1283791670955126
SQRT_PI = 1.772453850905516
SQRT_TWO = 1.4142135623730951
LOG_TWO = 0.6931471805599453


@register_jitable
def rsqrt(x: Any) -> Any:
    return 1.0 / math.sqrt(x)


@register_jitable
def _of_pi(x: Any, quarter: int) -> Any:
    """sin(pi * x + quarter * pi / 2): x = n / 2 + f modulo 2, both exact, |f| <= 1/4."""
    rest = x - 2.0 * np.rint(x * 0.5)
    turns = np.rint(2.0 * rest)
    f = rest - 0.5 * turns
    angle = f * math.pi
    low = fma(f, math.pi, -angle) + f * PI_LOW
    s, c = math.sin(angle), math.cos(angle)
    n = (0 if math.isnan(turns) else int(turns)) + quarter & 3
    value = c - s * low if n & 1 else s + c * low
    return -value if n & 2 else value


@register_jitable
def sinpi(x: Any) -> Any:
    return x * 0.0 if np.rint(x) == x and not math.isinf(x) else _of_pi(x, 0)


@register_jitable
def cospi(x: Any) -> Any:
    return _of_pi(x, 1) + 0.0


@register_jitable
def sincospi(x: Any) -> Any:
    return sinpi(x), cospi(x)


@register_jitable
def _exp_of_square(x: Any, sign: Any) -> Any:
    """exp(sign * x * x); the rounding error of x * x is made good."""
    high = x * x
    return math.exp(sign * high) * (1.0 + sign * fma(x, x, -high))


@register_jitable
def erfcx(x: Any) -> Any:
    """exp(x * x) * erfc(x)."""
    if x < 10.0:
        if x < -26.7:
            return math.inf
        return _exp_of_square(x, 1.0) * math.erfc(x)
    if x > 1e8:
        return 1.0 / (x * SQRT_PI)
    q = 0.5 / (x * x)  # asymptotic series: 1 - q + 3 q^2 - 15 q^3 ...
    term, total = 1.0, 0.0
    for k in range(1, 14):
        total += term
        term *= -(2 * k - 1) * q
    return total / (x * SQRT_PI)


@register_jitable
def _erfinv_middle(y: Any) -> Any:
    """Halley's method for |y| <= 1/2."""
    x = y * (0.8862269254527580 + y * y * (0.2320136665346544 + y * y * 0.1275561753055980))
    for _ in range(3):
        step = (math.erf(x) - y) / (TWO_OVER_SQRT_PI * math.exp(-x * x))
        x -= step / (1.0 + x * step)
    return x


@register_jitable
def _erfcinv_tail(z: Any) -> Any:
    """Halley's method on erfc for 0 < z < 1/2; for small z Newton's on its logarithm."""
    t = math.sqrt(2.0 * (LOG_TWO - math.log(z)))
    x = SQRT_HALF * (t - (2.30753 + t * 0.27061) / (1.0 + t * (0.99229 + t * 0.04481)))
    for _ in range(4):
        if z > 0.01:
            step = (math.erfc(x) - z) / (TWO_OVER_SQRT_PI * _exp_of_square(x, -1.0))
            x += step / (1.0 - x * step)
        else:  # the logarithm cannot underflow
            e = erfcx(x)
            square = x * x
            gap = math.log(e) - fma(x, x, -square) - square - math.log(z)
            x += gap * 0.5 * SQRT_PI * e
    return x


@register_jitable
def erfcinv(z: Any) -> Any:
    """1 - z and 2 - z are exact where they are used."""
    if not 0.0 < z < 2.0:
        return math.inf if z == 0.0 else -math.inf if z == 2.0 else math.nan
    if z < 0.5:
        return _erfcinv_tail(z)
    return _erfinv_middle(1.0 - z) if z <= 1.5 else -_erfcinv_tail(2.0 - z)


@register_jitable
def erfinv(y: Any) -> Any:
    if abs(y) <= 0.5:
        return _erfinv_middle(y)
    if not abs(y) < 1.0:
        return math.copysign(math.inf, y) if abs(y) == 1.0 else math.nan
    return math.copysign(_erfcinv_tail(1.0 - abs(y)), y)


@register_jitable
def normcdf(x: Any) -> Any:
    """erfc(-x / sqrt(2)) / 2; what the division by sqrt(2) loses is made good."""
    a = -x * SQRT_HALF
    low = fma(-x, SQRT_HALF, -a) - x * SQRT_HALF_LOW
    if abs(a) > 30.0 or a != a:
        return 0.5 * math.erfc(a)
    return 0.5 * (math.erfc(a) - TWO_OVER_SQRT_PI * _exp_of_square(a, -1.0) * low)


@register_jitable
def normcdfinv(p: Any) -> Any:
    return -SQRT_TWO * erfcinv(2.0 * p)


@register_jitable
def round_to(x: Any, digits: Any) -> Any:
    """``round(x, digits)`` by scaling in float64, halves to even, as numba-cuda computes it."""
    if math.isinf(x) or math.isnan(x):
        return x
    if digits < 0:
        scale = 10.0 ** (-digits)
        return np.rint(x / scale) * scale
    more = 10.0 ** (digits - 22) if digits > 22 else 1.0  # two factors that cannot overflow
    scale = 10.0 ** min(digits, 22)
    scaled = x * scale * more
    return x if math.isinf(scaled) else np.rint(scaled) / more / scale
