"""Kernels of the optimizer updates; the formulas are in the docstring of the package."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, float64

from ..engine import Kernel, kernel


@functools.cache
def sgd_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``sgd`` and ``sgd_momentum`` for float32 or float64."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def sgd(param: Any, grad: Any, lr: Any, weight_decay: Any) -> None:
        """param, grad (n,)."""
        i = cuda.grid(1)
        if i < param.size:
            g = grad[i]
            # Not merely a product with 0, which would turn an infinite parameter into NaN.
            if weight_decay != real(0.0):
                g += weight_decay * param[i]
            param[i] -= lr * g

    @kernel
    def sgd_momentum(
        param: Any,
        grad: Any,
        velocity: Any,
        lr: Any,
        momentum: Any,
        take: Any,
        weight_decay: Any,
        look_ahead: Any,
    ) -> None:
        """param, grad, velocity (n,); take = 1 - dampening; look_ahead = momentum if Nesterov."""
        i = cuda.grid(1)
        if i < param.size:
            g = grad[i]
            if weight_decay != real(0.0):
                g += weight_decay * param[i]
            v = momentum * velocity[i] + take * g
            velocity[i] = v
            if look_ahead != real(0.0):
                v = g + look_ahead * v
            param[i] -= lr * v

    return sgd, sgd_momentum


@functools.cache
def adam_kernel(dtype: Any) -> Kernel:
    """``adam`` for float32 or float64."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def adam(
        param: Any,
        grad: Any,
        m: Any,
        v: Any,
        take1: Any,
        beta2: Any,
        take2: Any,
        step_size: Any,
        root2: Any,
        eps: Any,
        weight_decay: Any,
        shrink: Any,
    ) -> None:
        """param, grad, m, v (n,); take = 1 - beta; root2 = sqrt(1 - beta2^t); shrink for AdamW."""
        i = cuda.grid(1)
        if i < param.size:
            p = param[i] * shrink
            g = grad[i]
            if weight_decay != real(0.0):
                g += weight_decay * p
            # Interpolates from the nearer end, so that take1 = 1 gives g exactly.
            if take1 < real(0.5):
                first = m[i] + take1 * (g - m[i])
            else:
                first = g - (g - m[i]) * (real(1.0) - take1)
            second = beta2 * v[i] + take2 * g * g
            m[i] = first
            v[i] = second
            param[i] = p - step_size * (first / (math.sqrt(second) / root2 + eps))

    return adam
