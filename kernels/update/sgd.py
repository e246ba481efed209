"""Stochastic gradient descent in place.

Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, in the
form that PyTorch uses::

    g = grad + weight_decay * p
    v = momentum * v + (1 - dampening) * g
    p = p - lr * (g + momentum * v  if nesterov else  v)

Kernels, each with one thread per item and everything read and written once:

- ``sgd``: without velocity.
- ``sgd_momentum``: with velocity.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, float64

from ..engine import ArgumentError, Array, Kernel, ShapeError, kernel
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


def sgd_reference(
    param: np.ndarray,
    grad: np.ndarray,
    velocity: np.ndarray | None,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> tuple[np.ndarray, np.ndarray | None]:
    """New parameter and velocity, in float64; ValueError for momentum without velocity."""
    if momentum and velocity is None:
        raise ValueError("momentum needs a velocity")
    if nesterov and (not momentum or dampening):
        raise ValueError("nesterov needs momentum and no dampening")
    g = grad + weight_decay * param if weight_decay else grad
    if velocity is None:
        return param - lr * g, None
    velocity = momentum * velocity + (1 - dampening) * g
    return param - lr * (g + momentum * velocity if nesterov else velocity), velocity


@functools.cache
def sgd_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``sgd`` and ``sgd_momentum`` for float32 or float64."""
    real = real_of(dtype)

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


def sgd_update(
    param: Array,
    grad: Array,
    velocity: Array | None,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> tuple[Array, Array | None]:
    """One step of SGD, in place.

    PyTorch starts with ``v = g`` whatever the dampening: for the first step pass a velocity of
    zeros and ``dampening=0``.

    Args:
        param, velocity: updated in place; contiguous, float32 or float64.
        grad: like ``param``, any strides; not changed.
        lr, momentum, dampening, weight_decay, nesterov: see the formulas above.

    Returns:
        ``(param, velocity)``, the arrays given.

    Raises:
        DtypeError, ShapeError, DeviceError: an array is not like ``param``, or one to
            update is not contiguous.
        ArgumentError: momentum without velocity, Nesterov without momentum or with dampening,
            or a number that is negative or not finite. Nothing is changed then.
    """
    op = "sgd_update"
    check_arrays(op, param, grad, velocity=velocity)
    check_numbers(op, lr=lr, momentum=momentum, weight_decay=weight_decay)
    if momentum and velocity is None:
        raise ArgumentError(f"{op}: velocity: None given, expected an Array as momentum is not 0")
    if nesterov and (not momentum or dampening):
        raise ArgumentError(
            f"{op}: nesterov: True given with momentum {momentum} and dampening {dampening}, "
            "expected momentum above 0 and dampening 0"
        )
    n = param.size
    if n == 0:
        return param, velocity
    real = param.dtype.type
    plain, with_momentum = sgd_kernels(param.dtype)
    if velocity is None:
        plain[blocks_of(n), BLOCK](flat(param), flat(grad), real(lr), real(weight_decay))
    else:
        with_momentum[blocks_of(n), BLOCK](
            flat(param),
            flat(grad),
            flat(velocity),
            real(lr),
            real(momentum),
            real(1.0 - dampening),
            real(weight_decay),
            real(momentum if nesterov else 0.0),
        )
    return param, velocity


def _magnitude(
    param: np.ndarray, grad: np.ndarray, velocity: np.ndarray | None, lr: float, **options: Any
) -> tuple[np.ndarray, np.ndarray | None]:
    """The same formula with every term taken positive."""
    velocity = None if velocity is None else np.abs(velocity)
    return sgd_reference(np.abs(param), np.abs(grad), velocity, -lr, **options)


def _signatures() -> tuple[tuple[Any, tuple[Any, ...]], ...]:
    found: list[tuple[Any, tuple[Any, ...]]] = []
    for real in (float32, float64):
        line = real[::1]
        plain, with_momentum = sgd_kernels(np.dtype(real.name))
        found.append((plain, (line, line, real, real)))
        found.append((with_momentum, (line, line, line, real, real, real, real, real)))
    return tuple(found)


_LR = {"lr": 0.1}

SPECS = (
    OpSpec(
        name="sgd_update",
        forward=sgd_update,
        reference=sgd_reference,
        args=(Arg("param", "..."), Arg("grad", "..."), Arg("velocity", "...", optional=True)),
        options={
            "lr": (0.1, 0.0),
            "momentum": (0.0, 0.9),
            "dampening": (0.0, 0.5),
            "weight_decay": (0.0, 0.01),
            "nesterov": (False, True),
        },
        mutates=("param", "velocity"),
        magnitude=_magnitude,
        block=BLOCK,
        wrong=(
            *wrong_arrays("sgd_update", None, **_LR),
            Wrong((P, P, None), ArgumentError, "velocity: None", {**_LR, "momentum": 0.9}),
            Wrong((P, P, P), ArgumentError, "nesterov: True", {**_LR, "nesterov": True}),
            Wrong((P, P, P[:1].copy()), ShapeError, "sgd_update: velocity: shape", _LR),
        ),
        kernels=_signatures(),
    ),
)
