"""Adagrad in place.

Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
Optimization", JMLR 2011, in the form that PyTorch uses::

    g = grad + weight_decay * p
    s = s + g^2
    p = p - lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)

Kernel: ``adagrad``, one thread per item, everything read and written once.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, float64

from ..engine import ArgumentError, Array, DtypeError, Kernel, kernel
from ..opspec import Arg, OpSpec, Wrong
from .common import (
    BLOCK,
    P,
    blocks_of,
    check_arrays,
    check_numbers,
    flat,
    real_of,
    wrong_arrays,
)


def adagrad_reference(
    param: np.ndarray,
    grad: np.ndarray,
    total: np.ndarray,
    step: int = 1,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """New parameter and sum of squares, in float64."""
    g = grad + weight_decay * param if weight_decay else grad
    total = total + g * g
    return param - lr / (1 + (step - 1) * lr_decay) * g / (np.sqrt(total) + eps), total


@functools.cache
def adagrad_kernel(dtype: Any) -> Kernel:
    """``adagrad`` for float32 or float64."""
    real = real_of(dtype)

    @kernel
    def adagrad(
        param: Any, grad: Any, total: Any, step_size: Any, eps: Any, weight_decay: Any
    ) -> None:
        """param, grad, total (n,); step_size = lr / (1 + (t - 1) lr_decay)."""
        i = cuda.grid(1)
        if i < param.size:
            g = grad[i]
            if weight_decay != real(0.0):
                g += weight_decay * param[i]
            s = total[i] + g * g
            total[i] = s
            param[i] -= step_size * (g / (math.sqrt(s) + eps))

    return adagrad


def adagrad_update(
    param: Array,
    grad: Array,
    total: Array,
    step: int = 1,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
) -> tuple[Array, Array]:
    """One step of Adagrad, in place.

    Args:
        param, total: updated in place; contiguous, float32 or float64.
        grad: like ``param``, any strides; not changed.
        step: number of this step, the first is 1.
        lr, lr_decay, eps, weight_decay: see the formulas above.

    Returns:
        ``(param, total)``, the arrays given.

    Raises:
        DtypeError, ShapeError, DeviceError: an array is not like ``param``, or one to
            update is not contiguous.
        ArgumentError: step below 1, or a number that is negative or not finite. Nothing is changed
            then.
    """
    op = "adagrad_update"
    if total is None:
        raise DtypeError(f"{op}: total: NoneType given, expected an Array")
    check_arrays(op, param, grad, total=total)
    check_numbers(op, lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay)
    if step < 1:
        raise ArgumentError(f"{op}: step: {step!r} given, expected at least 1")
    n = param.size
    if n:
        real = param.dtype.type
        adagrad_kernel(param.dtype)[blocks_of(n), BLOCK](
            flat(param),
            flat(grad),
            flat(total),
            real(lr / (1.0 + (step - 1) * lr_decay)),
            real(eps),
            real(weight_decay),
        )
    return param, total


def _magnitude(
    param: np.ndarray, grad: np.ndarray, total: np.ndarray, **options: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of absolute terms; for the parameter, the errors of g and s carried through g / s."""
    decay = options.get("weight_decay", 0.0)
    terms = np.abs(grad) + decay * np.abs(param) if decay else np.abs(grad)
    squares = total + terms * terms
    _, found = adagrad_reference(param, grad, total, **options)
    amplified = np.where(found > 0, squares / found, 1.0)
    # Subnormal gradients are rounded as if they were as large as the smallest normal number.
    rounded = np.maximum(terms, float(np.finfo(np.float32).tiny))
    move = options["lr"] * rounded * (2 + amplified) / (np.sqrt(found) + options["eps"])
    return np.abs(param) + np.where(np.isfinite(move), move, 0.0), squares


SPECS = (
    OpSpec(
        name="adagrad_update",
        forward=adagrad_update,
        reference=adagrad_reference,
        args=(Arg("param", "..."), Arg("grad", "..."), Arg("total", "...", kind="state")),
        options={
            "step": (1, 10),
            "lr": (0.01,),
            "lr_decay": (0.0, 0.1),
            # Far above the root of the smallest square, which underflows.
            "eps": (1e-8, 1e-3),
            "weight_decay": (0.0, 0.01),
        },
        mutates=("param", "total"),
        magnitude=_magnitude,
        block=BLOCK,
        wrong=(
            *wrong_arrays("adagrad_update", P),
            Wrong((P, P, None), DtypeError, "adagrad_update: total: NoneType given"),
            Wrong((P, P, P), ArgumentError, "adagrad_update: step: 0 given", {"step": 0}),
            Wrong((P, P, P), ArgumentError, "lr_decay: -1.0 given", {"lr_decay": -1.0}),
        ),
        kernels=tuple(
            (adagrad_kernel(np.dtype(real.name)), (real[::1],) * 3 + (real,) * 3)
            for real in (float32, float64)
        ),
    ),
)
