"""Stochastic gradient descent in place.

Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, in the
form that PyTorch uses::

    g = grad + weight_decay * p
    v = momentum * v + (1 - dampening) * g
    p = p - lr * (g + momentum * v  if nesterov else  v)

Kernels, each of which reads and writes everything once:

- ``sgd``: without velocity, one thread per item.
- ``sgd_momentum``: with velocity.
- ``sgd_wide``, ``sgd_momentum_wide``: the same with four items to a thread, for float32 on a GPU.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, float64, uint64

from ..elementwise.wide import RUN, fetch, place_of, put_back
from ..engine import ArgumentError, Array, Kernel, ShapeError, kernel
from ..opspec import Arg, OpSpec, Wrong
from .common import (
    BLOCK,
    P,
    check_arrays,
    check_numbers,
    flat,
    launch,
    real_of,
    signatures,
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


def plain_step(dtype: Any) -> Any:
    """Device function that updates item ``i`` of the arrays; arguments as of ``sgd``."""
    real = real_of(dtype)

    @cuda.jit(device=True)
    def step(param, grad, i, lr, weight_decay):
        g = grad[i]
        # Not merely a product with 0, which would turn an infinite parameter into NaN.
        if weight_decay != real(0.0):
            g += weight_decay * param[i]
        param[i] -= lr * g

    return step


@functools.cache
def sgd_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``sgd`` for float32 or float64, and ``sgd_wide``."""
    real = real_of(dtype)
    step = plain_step(dtype)

    @kernel
    def sgd(param, grad, lr, weight_decay):
        """param, grad (n,)."""
        i = cuda.grid(1)
        if i < param.size:
            step(param, grad, i, lr, weight_decay)

    @kernel
    def sgd_wide(param, grad, head, lr, weight_decay):
        i, whole = place_of(param.size, head)
        if whole:
            p, g = cuda.local.array(RUN, real), cuda.local.array(RUN, real)
            fetch(p, param, i)
            fetch(g, grad, i)
            for j in range(RUN):
                step(p, g, j, lr, weight_decay)
            put_back(param, i, p)
        elif i < uint64(param.size):
            step(param, grad, i, lr, weight_decay)

    return sgd, sgd_wide


def momentum_step(dtype: Any) -> Any:
    """Device function that updates item ``i`` of the arrays; arguments as of ``sgd_momentum``."""
    real = real_of(dtype)

    @cuda.jit(device=True)
    def step(param, grad, velocity, i, lr, momentum, take, weight_decay, look_ahead):
        g = grad[i]
        if weight_decay != real(0.0):
            g += weight_decay * param[i]
        v = cuda.fma(momentum, velocity[i], take * g)  # fused alike in both kernels
        velocity[i] = v
        if look_ahead != real(0.0):
            v = g + look_ahead * v
        param[i] -= lr * v

    return step


@functools.cache
def momentum_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``sgd_momentum`` for float32 or float64, and ``sgd_momentum_wide``."""
    real = real_of(dtype)
    step = momentum_step(dtype)

    @kernel
    def sgd_momentum(param, grad, velocity, lr, momentum, take, weight_decay, look_ahead):
        """param, grad, velocity (n,); take = 1 - dampening; look_ahead = momentum if Nesterov."""
        i = cuda.grid(1)
        if i < param.size:
            step(param, grad, velocity, i, lr, momentum, take, weight_decay, look_ahead)

    @kernel
    def sgd_momentum_wide(
        param, grad, velocity, head, lr, momentum, take, weight_decay, look_ahead
    ):
        i, whole = place_of(param.size, head)
        if whole:
            p, g = cuda.local.array(RUN, real), cuda.local.array(RUN, real)
            v = cuda.local.array(RUN, real)
            fetch(p, param, i)
            fetch(g, grad, i)
            fetch(v, velocity, i)
            for j in range(RUN):
                step(p, g, v, j, lr, momentum, take, weight_decay, look_ahead)
            put_back(param, i, p)
            put_back(velocity, i, v)
        elif i < uint64(param.size):
            step(param, grad, velocity, i, lr, momentum, take, weight_decay, look_ahead)

    return sgd_momentum, sgd_momentum_wide


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
    numbers = sgd_numbers(op, velocity is not None, lr, momentum, dampening, weight_decay, nesterov)
    n = param.size
    if n == 0:
        return param, velocity
    if velocity is None:
        launch(sgd_kernels(param.dtype), n, (flat(param), flat(grad)), *numbers)
    else:
        arrays = flat(param), flat(grad), flat(velocity)
        launch(momentum_kernels(param.dtype), n, arrays, *numbers)
    return param, velocity


def sgd_numbers(
    op: str,
    with_velocity: bool,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
) -> tuple[float, ...]:
    """What the kernels are given after the arrays; options and errors of :func:`sgd_update`."""
    check_numbers(op, lr=lr, momentum=momentum, weight_decay=weight_decay)
    if momentum and not with_velocity:
        raise ArgumentError(f"{op}: velocity: None given, expected an Array as momentum is not 0")
    if nesterov and (not momentum or dampening):
        raise ArgumentError(
            f"{op}: nesterov: True given with momentum {momentum} and dampening {dampening}, "
            "expected momentum above 0 and dampening 0"
        )
    if not with_velocity:
        return lr, weight_decay
    return lr, momentum, 1.0 - dampening, weight_decay, momentum if nesterov else 0.0


def _magnitude(
    param: np.ndarray, grad: np.ndarray, velocity: np.ndarray | None, lr: float, **options: Any
) -> tuple[np.ndarray, np.ndarray | None]:
    """The same formula with every term taken positive."""
    velocity = None if velocity is None else np.abs(velocity)
    return sgd_reference(np.abs(param), np.abs(grad), velocity, -lr, **options)


def _signatures() -> tuple[tuple[Any, tuple[Any, ...]], ...]:
    found: list[tuple[Any, tuple[Any, ...]]] = []
    for real in (float32, float64):
        dtype = np.dtype(real.name)
        found += signatures(sgd_kernels(dtype), real, 2, 2)
        found += signatures(momentum_kernels(dtype), real, 3, 5)
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
