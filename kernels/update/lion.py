"""Lion ("evolved sign momentum") in place.

Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, program 1::

    u = sign(beta1 * m + (1 - beta1) * grad)
    p = p - lr * (u + weight_decay * p)
    m = beta2 * m + (1 - beta2) * grad

Kernels, which read and write everything once: ``lion``, one thread per item, and ``lion_wide`` with
four, for float32 on a GPU.
"""

from __future__ import annotations

import functools
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
    check_betas,
    check_numbers,
    flat,
    launch,
    real_of,
    signatures,
    wrong_arrays,
)


def lion_reference(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray,
    lr: float = 1e-4,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """New parameter and momentum, in float64."""
    u = np.sign(beta1 * m + (1 - beta1) * grad)
    kept = param * (1 - lr * weight_decay) if weight_decay else param
    return kept - lr * u, beta2 * m + (1 - beta2) * grad


def step_function(dtype: Any) -> Any:
    """Device function that updates item ``i`` of the arrays; arguments as of the kernels."""
    real = real_of(dtype)

    @cuda.jit(device=True)
    def step(param, grad, m, i, lr, beta1, take1, beta2, take2, shrink):
        g = grad[i]
        u = beta1 * m[i] + take1 * g  # zeros and NaN are their own sign
        if u > real(0.0):
            u = real(1.0)
        elif u < real(0.0):
            u = real(-1.0)
        m[i] = beta2 * m[i] + take2 * g
        param[i] = param[i] * shrink - lr * u

    return step


@functools.cache
def lion_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``lion`` for float32 or float64, and ``lion_wide``.

    Arguments: param, grad, m (n,); take = 1 - beta; shrink = 1 - lr * weight_decay.
    """
    real = real_of(dtype)
    step = step_function(dtype)

    @kernel
    def lion(param, grad, m, lr, beta1, take1, beta2, take2, shrink):
        i = cuda.grid(1)
        if i < param.size:
            step(param, grad, m, i, lr, beta1, take1, beta2, take2, shrink)

    @kernel
    def lion_wide(param, grad, m, head, lr, beta1, take1, beta2, take2, shrink):
        i, whole = place_of(param.size, head)
        if whole:
            p, g = cuda.local.array(RUN, real), cuda.local.array(RUN, real)
            a = cuda.local.array(RUN, real)
            fetch(p, param, i)
            fetch(g, grad, i)
            fetch(a, m, i)
            for j in range(RUN):
                step(p, g, a, j, lr, beta1, take1, beta2, take2, shrink)
            put_back(param, i, p)
            put_back(m, i, a)
        elif i < uint64(param.size):
            step(param, grad, m, i, lr, beta1, take1, beta2, take2, shrink)

    return lion, lion_wide


def lion_update(
    param: Array,
    grad: Array,
    m: Array,
    lr: float = 1e-4,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> tuple[Array, Array]:
    """One step of Lion, in place.

    Args:
        param, m: updated in place; contiguous, float32 or float64. m starts as zeros.
        grad: like ``param``, any strides; not changed.
        lr, beta1, beta2, weight_decay: see the formulas above.

    Returns:
        ``(param, m)``, the arrays given.

    Raises:
        DtypeError, ShapeError, DeviceError: an array is not like ``param``, or one to
            update is not contiguous.
        ArgumentError: a beta outside [0, 1), or a number that is negative or not finite. Nothing
            is changed then.
    """
    op = "lion_update"
    if m is None:
        raise DtypeError(f"{op}: m: NoneType given, expected an Array")
    check_arrays(op, param, grad, m=m)
    numbers = lion_numbers(op, lr, beta1, beta2, weight_decay)
    n = param.size
    if n:
        arrays = flat(param), flat(grad), flat(m)
        launch(lion_kernels(param.dtype), n, arrays, *numbers)
    return param, m


def lion_numbers(
    op: str, lr: float, beta1: float, beta2: float, weight_decay: float
) -> tuple[float, ...]:
    """What the kernels are given after the arrays; options and errors of :func:`lion_update`."""
    check_numbers(op, lr=lr, weight_decay=weight_decay)
    check_betas(op, beta1, beta2)
    return lr, beta1, 1.0 - beta1, beta2, 1.0 - beta2, 1.0 - lr * weight_decay


def _magnitude(
    param: np.ndarray, grad: np.ndarray, m: np.ndarray, **options: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of absolute terms; no bound where rounding decides the sign of the step."""
    beta1, beta2 = options["beta1"], options.get("beta2", 0.99)
    mixed = beta1 * m + (1 - beta1) * grad
    terms = beta1 * np.abs(m) + (1 - beta1) * np.abs(grad)
    # Below the smallest normal number a product keeps fewer digits than eps says.
    known = np.abs(mixed) > 4 * np.finfo(np.float32).eps * (terms + np.finfo(np.float32).tiny * 1e7)
    moved = np.abs(param) * (1 + options["lr"] * options["weight_decay"]) + options["lr"]
    known |= (m == 0) & (grad == 0)
    # 4 ulp of this are more than the step, in either dtype.
    free = moved + 2 * options["lr"] / np.finfo(np.float64).eps
    return np.where(known, moved, free), beta2 * np.abs(m) + (1 - beta2) * np.abs(grad)


SPECS = (
    OpSpec(
        name="lion_update",
        forward=lion_update,
        reference=lion_reference,
        args=(Arg("param", "..."), Arg("grad", "..."), Arg("m", "...")),
        options={"lr": (0.01, 0.0), "beta1": (0.9, 0.0), "weight_decay": (0.0, 0.1)},
        mutates=("param", "m"),
        magnitude=_magnitude,
        block=BLOCK,
        wrong=(
            *wrong_arrays("lion_update", P),
            Wrong((P, P, None), DtypeError, "lion_update: m: NoneType given"),
            Wrong((P, P, P), ArgumentError, "lion_update: betas: 1.0", {"beta1": 1.0}),
            Wrong((P, P, P), ArgumentError, "lion_update: betas: .*, -0.5", {"beta2": -0.5}),
        ),
        kernels=tuple(
            found
            for real in (float32, float64)
            for found in signatures(lion_kernels(np.dtype(real.name)), real, 3, 6)
        ),
    ),
)
