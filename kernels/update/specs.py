"""References and ``OpSpec`` of the optimizer updates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import float32, float64

from ..engine import ArgumentError, DtypeError, ShapeError
from ..opspec import Arg, OpSpec, Wrong
from .kernels import adam_kernel, sgd_kernels
from .launch import BLOCK, adam_update, sgd_update


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


def adam_reference(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    step: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """New parameter, first and second moment, in float64."""
    if weight_decay and decoupled:
        param = param * (1 - lr * weight_decay)
    elif weight_decay:
        grad = grad + weight_decay * param
    # As PyTorch's lerp: two equal infinities give NaN.
    m = m + (1 - beta1) * (grad - m) if beta1 > 0.5 else grad - (grad - m) * beta1
    v = beta2 * v + (1 - beta2) * grad * grad
    scale = np.sqrt(v) / math.sqrt(1 - beta2**step) + eps
    return param - lr / (1 - beta1**step) * m / scale, m, v


def _sgd_magnitude(
    param: np.ndarray, grad: np.ndarray, velocity: np.ndarray | None, lr: float, **options: Any
) -> tuple[np.ndarray, np.ndarray | None]:
    """The same formula with every term taken positive."""
    velocity = None if velocity is None else np.abs(velocity)
    return sgd_reference(np.abs(param), np.abs(grad), velocity, -lr, **options)


def _adam_magnitude(
    param: np.ndarray, grad: np.ndarray, m: np.ndarray, v: np.ndarray, **options: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of absolute terms; for the parameter, the errors of m and v carried through m / v."""
    lr, step = options["lr"], options["step"]
    beta1, beta2 = options.get("beta1", 0.9), options.get("beta2", 0.999)
    _, first, second = adam_reference(param, grad, m, v, **options)
    _, first_terms, second_terms = adam_reference(
        np.abs(param), np.abs(grad), np.abs(m), v, **options
    )
    scale = np.sqrt(second) / math.sqrt(1 - beta2**step) + options.get("eps", 1e-8)
    amplified = np.where(second > 0, second_terms / second, 1.0)
    # Subnormal moments are rounded as if they were as large as the smallest normal number.
    rounded = np.maximum(first_terms, float(np.finfo(np.float32).tiny))
    moved = lr / (1 - beta1**step) * (2 * rounded + np.abs(first) * amplified) / scale
    # An infinite moment over an infinite scale moves nothing that could be rounded.
    moved = np.where(np.isfinite(moved), moved, 0.0)
    return np.abs(param) + moved, first_terms, second_terms


_P = np.ones((2, 3), np.float32)
_LR = {"lr": 0.1}


def _wrong_arrays(op: str, *state: Any, **options: Any) -> tuple[Wrong, ...]:
    wide, cut, line = _P.astype(np.float64), _P[:1].copy(), np.ones(3, np.float32)
    return (
        Wrong((_P, cut, *state), ShapeError, rf"{op}: grad: shape \(1, 3\) given", options),
        Wrong((_P, line, *state), ShapeError, rf"{op}: grad: shape \(3,\) given", options),
        Wrong((_P, wide, *state), DtypeError, f"{op}: grad: dtype float64 given", options),
        Wrong((_P.astype(int), _P, *state), DtypeError, f"{op}: param: dtype int64", options),
        Wrong((_P, None, *state), DtypeError, f"{op}: grad: NoneType given", options),
        Wrong((_P, _P, *state), ArgumentError, f"{op}: lr: -0.1 given", {**options, "lr": -0.1}),
        Wrong((_P, _P, *state), ArgumentError, f"{op}: lr: nan", {**options, "lr": math.nan}),
        Wrong(
            (_P, _P, *state),
            ArgumentError,
            f"{op}: weight_decay: -1.0 given",
            {**options, "weight_decay": -1.0},
        ),
    )


def _sgd_signatures() -> tuple[tuple[Any, tuple[Any, ...]], ...]:
    found: list[tuple[Any, tuple[Any, ...]]] = []
    for dtype, real in ((np.float32, float32), (np.float64, float64)):
        line = real[::1]
        plain, with_momentum = sgd_kernels(np.dtype(dtype))
        found.append((plain, (line, line, real, real)))
        found.append((with_momentum, (line, line, line, real, real, real, real, real)))
    return tuple(found)


def _adam_signatures() -> tuple[tuple[Any, tuple[Any, ...]], ...]:
    return tuple(
        (adam_kernel(np.dtype(dtype)), (real[::1],) * 4 + (real,) * 8)
        for dtype, real in ((np.float32, float32), (np.float64, float64))
    )


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
        magnitude=_sgd_magnitude,
        block=BLOCK,
        wrong=(
            *_wrong_arrays("sgd_update", None, **_LR),
            Wrong((_P, _P, None), ArgumentError, "velocity: None", {**_LR, "momentum": 0.9}),
            Wrong((_P, _P, _P), ArgumentError, "nesterov: True", {**_LR, "nesterov": True}),
            Wrong((_P, _P, _P[:1].copy()), ShapeError, "sgd_update: velocity: shape", _LR),
        ),
        kernels=_sgd_signatures(),
    ),
    OpSpec(
        name="adam_update",
        forward=adam_update,
        reference=adam_reference,
        args=(
            Arg("param", "..."),
            Arg("grad", "..."),
            Arg("m", "..."),
            Arg("v", "...", kind="state"),
        ),
        options={
            "step": (1, 2, 1000),
            "lr": (0.001,),
            "beta1": (0.9, 0.0),
            "weight_decay": (0.0, 0.01),
            "decoupled": (False, True),
        },
        mutates=("param", "m", "v"),
        magnitude=_adam_magnitude,
        block=BLOCK,
        wrong=(
            *_wrong_arrays("adam_update", _P, _P, step=1),
            Wrong((_P, _P, _P, None), DtypeError, "adam_update: v: NoneType", {"step": 1}),
            Wrong((_P, _P, _P, _P), ArgumentError, "adam_update: step: 0 given", {"step": 0}),
            Wrong((_P, _P, _P, _P), ArgumentError, "betas: 1.0", {"step": 1, "beta1": 1.0}),
        ),
        kernels=_adam_signatures(),
    ),
)
