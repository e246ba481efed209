"""Adam, AdamW and AMSGrad in place.

Adam (Kingma and Ba, ICLR 2015), AdamW (Loshchilov and Hutter, ICLR 2019) if ``decoupled``, AMSGrad
(Reddi et al., "On the Convergence of Adam and Beyond", ICLR 2018) with an array for the largest
second moment so far::

    g = grad + weight_decay * p            (Adam)       p = p * (1 - lr * weight_decay)  (AdamW)
    m = m + (1 - beta1) (g - m)            v = beta2 * v + (1 - beta2) g^2
    s = max(s, v)  (AMSGrad)               s = v  (else)
    p = p - lr / (1 - beta1^t) * m / (sqrt(s) / sqrt(1 - beta2^t) + eps)

Kernels, which read and write everything once: ``adam``, one thread per item, and ``adam_wide`` with
four, for float32 on a GPU. Both forms of weight decay are numbers to them; AMSGrad is a constant,
so that Adam compiles without the fifth array.
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
    check_betas,
    check_numbers,
    check_step,
    flat,
    launch,
    lerp_function,
    lerp_reference,
    real_of,
    signatures,
    wrong_arrays,
)


def adam_reference(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    largest: np.ndarray | None = None,
    step: int = 1,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> tuple[np.ndarray | None, ...]:
    """New parameter, first, second and largest second moment, in float64."""
    if weight_decay and decoupled:
        param = param * (1 - lr * weight_decay)
    elif weight_decay:
        grad = grad + weight_decay * param
    m = lerp_reference(m, grad, 1 - beta1)
    v = beta2 * v + (1 - beta2) * grad * grad
    largest = None if largest is None else np.maximum(largest, v)
    scale = np.sqrt(v if largest is None else largest) / math.sqrt(1 - beta2**step) + eps
    return param - lr / (1 - beta1**step) * m / scale, m, v, largest


def step_function(dtype: Any, amsgrad: bool) -> Any:
    """Device function that updates item ``i`` of the arrays; arguments as of the kernels."""
    real = real_of(dtype)
    lerp = lerp_function(dtype)

    @cuda.jit(device=True)
    def step(param, grad, m, v, largest, i, take1, beta2, take2, size, root2, eps, decay, shrink):
        p = param[i] * shrink
        g = grad[i]
        if decay != real(0.0):
            g += decay * p
        first = lerp(m[i], g, take1)
        second = cuda.fma(beta2, v[i], take2 * g * g)  # fused alike in both kernels
        m[i] = first
        v[i] = second
        if amsgrad:
            most = largest[i]
            if second > most or second != second:  # NaN stays NaN
                most = second
            largest[i] = most
            second = most
        param[i] = cuda.fma(-size, first / (math.sqrt(second) / root2 + eps), p)

    return step


@functools.cache
def adam_kernels(dtype: Any, amsgrad: bool) -> tuple[Kernel, Kernel]:
    """``adam`` for float32 or float64, and ``adam_wide``.

    Arguments: param, grad, m, v (n,), largest (n,) or not used; take = 1 - beta; size, the step
    size; root2 = sqrt(1 - beta2^t); decay, the weight decay; shrink = 1 - lr decay for AdamW.
    """
    real = real_of(dtype)
    step = step_function(dtype, amsgrad)

    @kernel
    def adam(param, grad, m, v, largest, take1, beta2, take2, size, root2, eps, decay, shrink):
        i = cuda.grid(1)
        if i < param.size:
            step(
                param, grad, m, v, largest, i, take1, beta2, take2, size, root2, eps, decay, shrink
            )

    @kernel
    def adam_wide(
        param, grad, m, v, largest, head, take1, beta2, take2, size, root2, eps, decay, shrink
    ):
        i, whole = place_of(param.size, head)
        if whole:
            p, g = cuda.local.array(RUN, real), cuda.local.array(RUN, real)
            a, b = cuda.local.array(RUN, real), cuda.local.array(RUN, real)
            most = cuda.local.array(RUN, real)
            fetch(p, param, i)
            fetch(g, grad, i)
            fetch(a, m, i)
            fetch(b, v, i)
            if amsgrad:
                fetch(most, largest, i)
            for j in range(RUN):
                step(p, g, a, b, most, j, take1, beta2, take2, size, root2, eps, decay, shrink)
            put_back(param, i, p)
            put_back(m, i, a)
            put_back(v, i, b)
            if amsgrad:
                put_back(largest, i, most)
        elif i < uint64(param.size):
            step(
                param, grad, m, v, largest, i, take1, beta2, take2, size, root2, eps, decay, shrink
            )

    return adam, adam_wide


def adam_update(
    param: Array,
    grad: Array,
    m: Array,
    v: Array,
    largest: Array | None = None,
    step: int = 1,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> tuple[Array | None, ...]:
    """One step of Adam (AdamW if ``decoupled``, AMSGrad with ``largest``), in place.

    Args:
        param, m, v, largest: updated in place; contiguous, float32 or float64. The moments start
            as zeros; without ``largest`` it is not AMSGrad.
        grad: like ``param``, any strides; not changed.
        step: number of this step, the first is 1.
        lr, beta1, beta2, eps, weight_decay: see the formulas above.

    Returns:
        ``(param, m, v, largest)``, the arrays given.

    Raises:
        DtypeError, ShapeError, DeviceError: an array is not like ``param``, or one to
            update is not contiguous.
        ArgumentError: step below 1, a beta outside [0, 1), or a number that is negative or not
            finite. Nothing is changed then.
    """
    op = "adam_update"
    if m is None or v is None:
        raise DtypeError(f"{op}: {'m' if m is None else 'v'}: NoneType given, expected an Array")
    check_arrays(op, param, grad, m=m, v=v, largest=largest)
    numbers = adam_numbers(op, step, lr, beta1, beta2, eps, weight_decay, decoupled)
    n = param.size
    if n:
        arrays = (flat(param), flat(grad), flat(m), flat(v))
        last = arrays[3] if largest is None else flat(largest)
        launch(adam_kernels(param.dtype, largest is not None), n, (*arrays, last), *numbers)
    return param, m, v, largest


def adam_numbers(
    op: str,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> tuple[float, ...]:
    """What the kernels are given after the arrays; options and errors of :func:`adam_update`."""
    check_numbers(op, lr=lr, eps=eps, weight_decay=weight_decay)
    check_step(op, step)
    check_betas(op, beta1, beta2)
    return (
        1.0 - beta1,
        beta2,
        1.0 - beta2,
        lr / (1.0 - beta1**step),
        math.sqrt(1.0 - beta2**step),
        eps,
        0.0 if decoupled else weight_decay,
        1.0 - lr * weight_decay if decoupled else 1.0,
    )


def _magnitude(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    largest: np.ndarray | None,
    **options: Any,
) -> tuple[np.ndarray | None, ...]:
    """Sums of absolute terms; for the parameter, the errors of m and v carried through m / v."""
    lr, step = options["lr"], options["step"]
    beta1, beta2 = options.get("beta1", 0.9), options.get("beta2", 0.999)
    _, first, second, most = adam_reference(param, grad, m, v, largest, **options)
    _, first_terms, second_terms, most_terms = adam_reference(
        np.abs(param), np.abs(grad), np.abs(m), v, largest, **options
    )
    assert first is not None
    assert second is not None
    assert first_terms is not None
    assert second_terms is not None
    under, under_terms = (second, second_terms) if most is None else (most, most_terms)
    scale = np.sqrt(under) / math.sqrt(1 - beta2**step) + options.get("eps", 1e-8)
    amplified = np.where(under > 0, under_terms / under, 1.0)
    # Subnormal moments are rounded as if they were as large as the smallest normal number.
    rounded = np.maximum(first_terms, float(np.finfo(np.float32).tiny))
    moved = lr / (1 - beta1**step) * (2 * rounded + np.abs(first) * amplified) / scale
    # An infinite moment over an infinite scale moves nothing that could be rounded.
    moved = np.where(np.isfinite(moved), moved, 0.0)
    return np.abs(param) + moved, first_terms, second_terms, most_terms


SPECS = (
    OpSpec(
        name="adam_update",
        forward=adam_update,
        reference=adam_reference,
        args=(
            Arg("param", "..."),
            Arg("grad", "..."),
            Arg("m", "..."),
            Arg("v", "...", kind="state"),
            Arg("largest", "...", kind="state", optional=True),
        ),
        options={
            "step": (1, 2, 1000),
            "lr": (0.001,),
            "beta1": (0.9, 0.0),
            "weight_decay": (0.0, 0.01),
            "decoupled": (False, True),
            "eps": (1e-8, 0.1),
        },
        mutates=("param", "m", "v", "largest"),
        magnitude=_magnitude,
        block=BLOCK,
        wrong=(
            *wrong_arrays("adam_update", P, P, None),
            Wrong((P, P, P, None, None), DtypeError, "adam_update: v: NoneType"),
            Wrong((P, P, P, P, 1.0), DtypeError, "adam_update: largest: float given"),
            Wrong((P, P, P, P, None), ArgumentError, "adam_update: step: 0 given", {"step": 0}),
            Wrong((P, P, P, P, None), ArgumentError, "betas: 1.0", {"beta1": 1.0}),
        ),
        kernels=tuple(
            found
            for real in (float32, float64)
            for amsgrad in (False, True)
            for found in signatures(adam_kernels(np.dtype(real.name), amsgrad), real, 5, 8)
        ),
    ),
)
