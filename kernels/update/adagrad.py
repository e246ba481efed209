"""Adagrad in place.

Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
Optimization", JMLR 2011, in the form that PyTorch uses::

    g = grad + weight_decay * p
    s = s + g^2
    p = p - lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)

Kernels, which read and write everything once: ``adagrad``, one thread per item, and
``adagrad_wide`` with four, for float32 on a GPU.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, float64, uint64

from ..elementwise.wide import RUN, fetch, place_of, put_back
from ..engine import ArgumentError, Array, DtypeError, Kernel, kernel
from ..opspec import Arg, OpSpec, Wrong
from .common import (
    BLOCK,
    P,
    check_arrays,
    check_numbers,
    check_step,
    flat,
    launch,
    real_of,
    signatures,
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


def step_function(dtype: Any) -> Any:
    """Device function that updates item ``i`` of the arrays; arguments as of the kernels."""
    real = real_of(dtype)

    @cuda.jit(device=True)
    def step(param, grad, total, i, size, eps, decay):
        g = grad[i]
        if decay != real(0.0):
            g = cuda.fma(decay, param[i], g)  # fused alike in both kernels, here and below
        s = cuda.fma(g, g, total[i])
        total[i] = s
        param[i] = cuda.fma(-size, g / (math.sqrt(s) + eps), param[i])

    return step


@functools.cache
def adagrad_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``adagrad`` for float32 or float64, and ``adagrad_wide``.

    Arguments: param, grad, total (n,); size = lr / (1 + (t - 1) lr_decay), the step size; decay,
    the weight decay.
    """
    real = real_of(dtype)
    step = step_function(dtype)

    @kernel
    def adagrad(param, grad, total, size, eps, decay):
        i = cuda.grid(1)
        if i < param.size:
            step(param, grad, total, i, size, eps, decay)

    @kernel
    def adagrad_wide(param, grad, total, head, size, eps, decay):
        i, whole = place_of(param.size, head)
        if whole:
            p, g = cuda.local.array(RUN, real), cuda.local.array(RUN, real)
            s = cuda.local.array(RUN, real)
            fetch(p, param, i)
            fetch(g, grad, i)
            fetch(s, total, i)
            for j in range(RUN):
                step(p, g, s, j, size, eps, decay)
            put_back(param, i, p)
            put_back(total, i, s)
        elif i < uint64(param.size):
            step(param, grad, total, i, size, eps, decay)

    return adagrad, adagrad_wide


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
    numbers = adagrad_numbers(op, step, lr, lr_decay, eps, weight_decay)
    n = param.size
    if n:
        arrays = flat(param), flat(grad), flat(total)
        launch(adagrad_kernels(param.dtype), n, arrays, *numbers)
    return param, total


def adagrad_numbers(
    op: str, step: int, lr: float, lr_decay: float, eps: float, weight_decay: float
) -> tuple[float, ...]:
    """What the kernels are given after the arrays; options and errors of :func:`adagrad_update`."""
    check_numbers(op, lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay)
    check_step(op, step)
    return lr / (1.0 + (step - 1) * lr_decay), eps, weight_decay


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
            found
            for real in (float32, float64)
            for found in signatures(adagrad_kernels(np.dtype(real.name)), real, 3, 3)
        ),
    ),
)
