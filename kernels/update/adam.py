"""Adam, AdamW and AMSGrad in place.

Adam (Kingma and Ba, ICLR 2015), AdamW (Loshchilov and Hutter, ICLR 2019) if ``decoupled``, AMSGrad
(Reddi et al., "On the Convergence of Adam and Beyond", ICLR 2018) with an array for the largest
second moment so far::

    g = grad + weight_decay * p            (Adam)       p = p * (1 - lr * weight_decay)  (AdamW)
    m = m + (1 - beta1) (g - m)            v = beta2 * v + (1 - beta2) g^2
    s = max(s, v)  (AMSGrad)               s = v  (else)
    p = p - lr / (1 - beta1^t) * m / (sqrt(s) / sqrt(1 - beta2^t) + eps)

One kernel, one thread per item, everything read and written once. Both forms of weight decay are
numbers to it; AMSGrad is a constant, so that Adam compiles without the fifth array.
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
    lerp_function,
    lerp_reference,
    real_of,
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


@functools.cache
def adam_kernel(dtype: Any, amsgrad: bool) -> Kernel:
    """``adam`` for float32 or float64."""
    real = real_of(dtype)
    lerp = lerp_function(dtype)

    @kernel
    def adam(
        param: Any,
        grad: Any,
        m: Any,
        v: Any,
        largest: Any,
        take1: Any,
        beta2: Any,
        take2: Any,
        step_size: Any,
        root2: Any,
        eps: Any,
        weight_decay: Any,
        shrink: Any,
    ) -> None:
        """param, grad, m, v (n,), largest (n,) or not used; take = 1 - beta;
        root2 = sqrt(1 - beta2^t); shrink = 1 - lr weight_decay for AdamW."""
        i = cuda.grid(1)
        if i < param.size:
            p = param[i] * shrink
            g = grad[i]
            if weight_decay != real(0.0):
                g += weight_decay * p
            first = lerp(m[i], g, take1)
            second = beta2 * v[i] + take2 * g * g
            m[i] = first
            v[i] = second
            if amsgrad:
                most = largest[i]
                if second > most or second != second:  # NaN stays NaN
                    most = second
                largest[i] = most
                second = most
            param[i] = p - step_size * (first / (math.sqrt(second) / root2 + eps))

    return adam


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
    check_numbers(op, lr=lr, eps=eps, weight_decay=weight_decay)
    if step < 1:
        raise ArgumentError(f"{op}: step: {step!r} given, expected at least 1")
    if not 0.0 <= beta1 < 1.0 or not 0.0 <= beta2 < 1.0:
        raise ArgumentError(f"{op}: betas: {beta1!r}, {beta2!r} given, expected in [0, 1)")
    if param.size:
        numbers = (
            1.0 - beta1,
            beta2,
            1.0 - beta2,
            lr / (1.0 - beta1**step),
            math.sqrt(1.0 - beta2**step),
            eps,
            0.0 if decoupled else weight_decay,
            1.0 - lr * weight_decay if decoupled else 1.0,
        )
        arrays = (flat(param), flat(grad), flat(m), flat(v))
        run = adam_kernel(param.dtype, largest is not None)[blocks_of(param.size), BLOCK]
        last = arrays[3] if largest is None else flat(largest)
        run(*arrays, last, *(param.dtype.type(x) for x in numbers))
    return param, m, v, largest


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
            (adam_kernel(np.dtype(real.name), amsgrad), (real[::1],) * 5 + (real,) * 8)
            for real in (float32, float64)
            for amsgrad in (False, True)
        ),
    ),
)
