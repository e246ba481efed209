"""Device functions of the losses: the value for one item, and its slopes.

Each takes the prediction p, the target t and one number s: the option of the loss (beta, delta),
or the weight of the positive class; losses without option ignore it. ``<name>`` is the value,
``<name>_slope`` its derivative for p, ``<name>_target_slope`` for t where that is not the negative.
They serve float32 and float64 alike: the constants are exact, but those of :func:`bce_slope`.

Stable forms, where all terms of a sum have one sign, so that nothing cancels:

    bce_logits = (1 - t) softplus(x) + s t softplus(-x),  softplus(x) = max(x, 0) + log(1 + e^-|x|)
    slope      = (1 - t) sigmoid(x) - s t sigmoid(-x)
    log(1 - p) = log(u) + ((1 - u) - p) / u,  u = 1 - p as rounded, so that 1 - u is exact
"""

from __future__ import annotations

import math

from numba import cuda, float32

from ..activations.functions import sigmoid
from ..activations.units_functions import log1p_unit


@cuda.jit(device=True)
def mse(p, t, s):
    d = p - t
    return d * d


@cuda.jit(device=True)
def mse_slope(p, t, s):
    return float32(2.0) * (p - t)


@cuda.jit(device=True)
def sign(d):
    """1, 0 or -1; NaN for NaN."""
    return float32(1.0) if d > float32(0.0) else (float32(-1.0) if d < float32(0.0) else d)


@cuda.jit(device=True)
def l1(p, t, s):
    return abs(p - t)


@cuda.jit(device=True)
def l1_slope(p, t, s):
    return sign(p - t)


@cuda.jit(device=True)
def smooth_l1(p, t, s):
    d = abs(p - t)
    half = float32(0.5)
    return half * d * d / s if d < s else d - half * s


@cuda.jit(device=True)
def smooth_l1_slope(p, t, s):
    d = p - t
    return d / s if abs(d) < s else sign(d)


@cuda.jit(device=True)
def huber(p, t, s):
    d = abs(p - t)
    half = float32(0.5)
    return half * d * d if d <= s else s * (d - half * s)


@cuda.jit(device=True)
def huber_slope(p, t, s):
    d = p - t
    return d if abs(d) <= s else s * sign(d)


@cuda.jit(device=True)
def floored(x):
    """``max(x, -100)``, the lower bound of the logarithms of BCE; NaN stays."""
    return float32(-100.0) if x < float32(-100.0) else x


@cuda.jit(device=True)
def log1m(p):
    """``log(1 - p)`` for p in [0, 1]."""
    one = float32(1.0)
    u = one - p
    return math.log(u) + ((one - u) - p) / (u if u > float32(0.0) else one)


@cuda.jit(device=True)
def bce(p, t, s):
    return -(t * floored(math.log(p)) + (float32(1.0) - t) * floored(log1m(p)))


@cuda.jit(device=True)
def bce_slope(p, t, s):
    least = float32(1e-12)
    d = p * (float32(1.0) - p)
    return (p - t) / (least if d < least else d)


@cuda.jit(device=True)
def bce_target_slope(p, t, s):
    return floored(log1m(p)) - floored(math.log(p))


@cuda.jit(device=True)
def bce_logits(p, t, s):
    both = log1p_unit(math.exp(-abs(p)))
    zero = float32(0.0)
    right = (zero if p <= zero else p) + both
    left = (zero if p >= zero else -p) + both
    return (float32(1.0) - t) * right + s * t * left


@cuda.jit(device=True)
def bce_logits_slope(p, t, s):
    return (float32(1.0) - t) * sigmoid(p) - s * t * sigmoid(-p)


@cuda.jit(device=True)
def bce_logits_target_slope(p, t, s):
    both = log1p_unit(math.exp(-abs(p)))
    zero = float32(0.0)
    right = (zero if p <= zero else p) + both
    left = (zero if p >= zero else -p) + both
    return s * left - right


@cuda.jit(device=True)
def kl(p, t, s):
    return (t if t == float32(0.0) else t * math.log(t)) - t * p


@cuda.jit(device=True)
def kl_slope(p, t, s):
    return -t


@cuda.jit(device=True)
def kl_target_slope(p, t, s):
    return math.log(t) + float32(1.0) - p


@cuda.jit(device=True)
def kl_log(p, t, s):
    return math.exp(t) * (t - p)


@cuda.jit(device=True)
def kl_log_slope(p, t, s):
    return -math.exp(t)


@cuda.jit(device=True)
def kl_log_target_slope(p, t, s):
    return math.exp(t) * (t - p + float32(1.0))
