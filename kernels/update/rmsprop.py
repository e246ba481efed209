"""RMSprop in place, plain, centered, with momentum.

Hinton, Srivastava and Swersky, "Neural Networks for Machine Learning", lecture 6e, 2012; centered:
Graves, "Generating Sequences With Recurrent Neural Networks", 2013, section 4.2::

    g = grad + weight_decay * p
    v = alpha * v + (1 - alpha) g^2
    a = a + (1 - alpha) (g - a)                    (centered)
    d = sqrt(v - a^2) + eps  (centered)            d = sqrt(v) + eps  (else)
    b = momentum * b + g / d,  p = p - lr * b      (with momentum)
    p = p - lr * g / d                             (else)

``v - a^2`` is a variance; where rounding makes it negative it counts as 0 (PyTorch gives NaN).

Kernels, which read and write everything once: ``rmsprop``, one thread per item, and
``rmsprop_wide`` with four, for float32 on a GPU. Whether it is centered and has momentum are
constants, so that plain RMSprop compiles without the two arrays.
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
    check_fraction,
    check_numbers,
    flat,
    launch,
    lerp_function,
    lerp_reference,
    real_of,
    signatures,
    wrong_arrays,
)


def rmsprop_reference(
    param: np.ndarray,
    grad: np.ndarray,
    square: np.ndarray,
    mean: np.ndarray | None = None,
    buffer: np.ndarray | None = None,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
) -> tuple[np.ndarray | None, ...]:
    """New parameter, mean square, mean and momentum, in float64."""
    if momentum and buffer is None:
        raise ValueError("momentum needs a buffer")
    g = grad + weight_decay * param if weight_decay else grad
    square = alpha * square + (1 - alpha) * g * g
    variance = square
    if mean is not None:
        mean = lerp_reference(mean, g, 1 - alpha)
        variance = np.maximum(square - mean * mean, 0.0)
    move = g / (np.sqrt(variance) + eps)
    if buffer is not None:
        move = buffer = momentum * buffer + move
    return param - lr * move, square, mean, buffer


def step_function(dtype: Any, centered: bool, with_momentum: bool) -> Any:
    """Device function that updates item ``i`` of the arrays; arguments as of the kernels."""
    real = real_of(dtype)
    lerp = lerp_function(dtype)

    @cuda.jit(device=True)
    def step(param, grad, square, mean, buffer, i, lr, alpha, take, eps, decay, momentum):
        g = grad[i]
        if decay != real(0.0):
            g = cuda.fma(decay, param[i], g)  # fused alike in both kernels, here and below
        v = cuda.fma(alpha, square[i], take * g * g)
        square[i] = v
        if centered:
            a = lerp(mean[i], g, take)
            mean[i] = a
            v = cuda.fma(-a, a, v)
            if v < real(0.0):  # NaN stays
                v = real(0.0)
        move = g / (math.sqrt(v) + eps)
        if with_momentum:
            move = cuda.fma(momentum, buffer[i], move)
            buffer[i] = move
        param[i] = cuda.fma(-lr, move, param[i])

    return step


@functools.cache
def rmsprop_kernels(dtype: Any, centered: bool, with_momentum: bool) -> tuple[Kernel, Kernel]:
    """``rmsprop`` for float32 or float64, and ``rmsprop_wide``.

    Arguments: param, grad, square (n,); mean, buffer (n,) or not used; take = 1 - alpha; decay, the
    weight decay.
    """
    real = real_of(dtype)
    step = step_function(dtype, centered, with_momentum)

    @kernel
    def rmsprop(param, grad, square, mean, buffer, lr, alpha, take, eps, decay, momentum):
        i = cuda.grid(1)
        if i < param.size:
            step(param, grad, square, mean, buffer, i, lr, alpha, take, eps, decay, momentum)

    @kernel
    def rmsprop_wide(
        param, grad, square, mean, buffer, head, lr, alpha, take, eps, decay, momentum
    ):
        i, whole = place_of(param.size, head)
        if whole:
            p, g = cuda.local.array(RUN, real), cuda.local.array(RUN, real)
            v, a = cuda.local.array(RUN, real), cuda.local.array(RUN, real)
            b = cuda.local.array(RUN, real)
            fetch(p, param, i)
            fetch(g, grad, i)
            fetch(v, square, i)
            if centered:
                fetch(a, mean, i)
            if with_momentum:
                fetch(b, buffer, i)
            for j in range(RUN):
                step(p, g, v, a, b, j, lr, alpha, take, eps, decay, momentum)
            put_back(param, i, p)
            put_back(square, i, v)
            if centered:
                put_back(mean, i, a)
            if with_momentum:
                put_back(buffer, i, b)
        elif i < uint64(param.size):
            step(param, grad, square, mean, buffer, i, lr, alpha, take, eps, decay, momentum)

    return rmsprop, rmsprop_wide


def rmsprop_update(
    param: Array,
    grad: Array,
    square: Array,
    mean: Array | None = None,
    buffer: Array | None = None,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
) -> tuple[Array | None, ...]:
    """One step of RMSprop, in place.

    Args:
        param, square, mean, buffer: updated in place; contiguous, float32 or float64. The state
            starts as zeros; with ``mean`` it is centered, with ``buffer`` it has momentum.
        grad: like ``param``, any strides; not changed.
        lr, alpha, eps, weight_decay, momentum: see the formulas above.

    Returns:
        ``(param, square, mean, buffer)``, the arrays given.

    Raises:
        DtypeError, ShapeError, DeviceError: an array is not like ``param``, or one to
            update is not contiguous.
        ArgumentError: momentum without ``buffer``, alpha outside [0, 1], or a number that is
            negative or not finite. Nothing is changed then.
    """
    op = "rmsprop_update"
    if square is None:
        raise DtypeError(f"{op}: square: NoneType given, expected an Array")
    check_arrays(op, param, grad, square=square, mean=mean, buffer=buffer)
    numbers = rmsprop_numbers(op, buffer is not None, lr, alpha, eps, weight_decay, momentum)
    if param.size:
        given = flat(param), flat(grad), flat(square)
        arrays = (*given, *(given[2] if x is None else flat(x) for x in (mean, buffer)))
        kernels = rmsprop_kernels(param.dtype, mean is not None, buffer is not None)
        launch(kernels, param.size, arrays, *numbers)
    return param, square, mean, buffer


def rmsprop_numbers(
    op: str,
    with_buffer: bool,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
) -> tuple[float, ...]:
    """What the kernels are given after the arrays; options and errors of :func:`rmsprop_update`."""
    check_numbers(op, lr=lr, eps=eps, weight_decay=weight_decay, momentum=momentum)
    if alpha != 1.0:
        check_fraction(op, "alpha", alpha)
    if momentum and not with_buffer:
        raise ArgumentError(f"{op}: buffer: None given, expected an Array as momentum is not 0")
    return lr, alpha, 1.0 - alpha, eps, weight_decay, momentum


def _magnitude(
    param: np.ndarray,
    grad: np.ndarray,
    square: np.ndarray,
    mean: np.ndarray | None,
    buffer: np.ndarray | None,
    **options: Any,
) -> tuple[np.ndarray | None, ...]:
    """Sums of absolute terms; for the parameter, the errors of g and d carried through g / d."""
    decay, alpha = options.get("weight_decay", 0.0), options.get("alpha", 0.99)
    eps, momentum = options.get("eps", 1e-8), options.get("momentum", 0.0)
    terms = np.abs(grad) + decay * np.abs(param) if decay else np.abs(grad)
    squares = alpha * square + (1 - alpha) * terms * terms
    means = None if mean is None else alpha * np.abs(mean) + (1 - alpha) * terms
    _, second, first, _ = rmsprop_reference(param, grad, square, mean, buffer, **options)
    assert second is not None
    variance = second if first is None else np.maximum(second - first * first, 0.0)
    under = squares if means is None else squares + means * means
    amplified = np.where(variance > 0, under / variance, 1.0)
    move = terms / (np.sqrt(variance) + eps) * (2 + amplified)
    move = np.where(np.isfinite(move), move, 0.0)
    if buffer is not None:
        move = move + momentum * np.abs(buffer)
    return (
        np.abs(param) + options["lr"] * move,
        squares,
        means,
        None if buffer is None else move,
    )


SPECS = (
    OpSpec(
        name="rmsprop_update",
        forward=rmsprop_update,
        reference=rmsprop_reference,
        args=(
            Arg("param", "..."),
            Arg("grad", "..."),
            # A mean below the root of the mean square, as it is in training: a variance of nearly
            # 0 would only measure its own rounding.
            Arg("square", "...", low=1.0, bounded=True),
            Arg("mean", "...", low=-0.5, high=0.5, bounded=True, optional=True),
            Arg("buffer", "...", optional=True),
        ),
        options={
            "lr": (0.01,),
            "alpha": (0.99, 0.5),
            "weight_decay": (0.0, 0.01),
            "momentum": (0.0, 0.9),
        },
        mutates=("param", "square", "mean", "buffer"),
        magnitude=_magnitude,
        block=BLOCK,
        wrong=(
            *wrong_arrays("rmsprop_update", P, None, None),
            Wrong((P, P, None, None, None), DtypeError, "rmsprop_update: square: NoneType"),
            Wrong((P, P, P, None, None), ArgumentError, "buffer: None given", {"momentum": 0.9}),
            Wrong((P, P, P, None, None), ArgumentError, "alpha: 1.5 given", {"alpha": 1.5}),
        ),
        kernels=tuple(
            found
            for real in (float32, float64)
            for centered in (False, True)
            for momentum in (False, True)
            for found in signatures(
                rmsprop_kernels(np.dtype(real.name), centered, momentum), real, 5, 6
            )
        ),
    ),
)
