"""Launchers of the optimizer updates: check, then one launch; the formulas are in the package."""

from __future__ import annotations

import math

from .. import checks
from ..elementwise import copy
from ..engine import ArgumentError, Array, ShapeError
from .kernels import adam_kernel, sgd_kernels

BLOCK = 256


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
    checks.require_float(op, "param", param)
    _check_state(op, "param", param, param)
    _check_state(op, "grad", grad, param)
    if velocity is not None:
        _check_state(op, "velocity", velocity, param)
    _check_numbers(op, lr=lr, momentum=momentum, weight_decay=weight_decay)
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
    blocks = (n + BLOCK - 1) // BLOCK
    if velocity is None:
        plain[blocks, BLOCK](_flat(param), _flat(grad), real(lr), real(weight_decay))
    else:
        with_momentum[blocks, BLOCK](
            _flat(param),
            _flat(grad),
            _flat(velocity),
            real(lr),
            real(momentum),
            real(1.0 - dampening),
            real(weight_decay),
            real(momentum if nesterov else 0.0),
        )
    return param, velocity


def adam_update(
    param: Array,
    grad: Array,
    m: Array,
    v: Array,
    step: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> tuple[Array, Array, Array]:
    """One step of Adam (AdamW if ``decoupled``), in place.

    Args:
        param, m, v: updated in place; contiguous, float32 or float64. m and v start as zeros.
        grad: like ``param``, any strides; not changed.
        step: number of this step, the first is 1.
        lr, beta1, beta2, eps, weight_decay: see the formulas above.

    Returns:
        ``(param, m, v)``, the arrays given.

    Raises:
        DtypeError, ShapeError, DeviceError: an array is not like ``param``, or one to
            update is not contiguous.
        ArgumentError: step below 1, a beta outside [0, 1), or a number that is negative or not
            finite. Nothing is changed then.
    """
    op = "adam_update"
    checks.require_float(op, "param", param)
    _check_state(op, "param", param, param)
    _check_state(op, "grad", grad, param)
    _check_state(op, "m", m, param)
    _check_state(op, "v", v, param)
    _check_numbers(op, lr=lr, eps=eps, weight_decay=weight_decay)
    if step < 1:
        raise ArgumentError(f"{op}: step: {step!r} given, expected at least 1")
    if not 0.0 <= beta1 < 1.0 or not 0.0 <= beta2 < 1.0:
        raise ArgumentError(f"{op}: betas: {beta1!r}, {beta2!r} given, expected in [0, 1)")
    n = param.size
    if n == 0:
        return param, m, v
    real = param.dtype.type
    adam_kernel(param.dtype)[(n + BLOCK - 1) // BLOCK, BLOCK](
        _flat(param),
        _flat(grad),
        _flat(m),
        _flat(v),
        real(1.0 - beta1),
        real(beta2),
        real(1.0 - beta2),
        real(lr / (1.0 - beta1**step)),
        real(math.sqrt(1.0 - beta2**step)),
        real(eps),
        real(0.0 if decoupled else weight_decay),
        real(1.0 - lr * weight_decay if decoupled else 1.0),
    )
    return param, m, v


def _flat(x: Array) -> Array:
    """The items in one dimension; shares the memory of a contiguous array."""
    if not x.is_contiguous:
        x = copy(x)
    return x if len(x.shape) == 1 else x.reshape((x.size,))


def _check_state(op: str, name: str, x: Array, param: Array) -> None:
    """An array that is updated, or (as ``grad``) read, together with ``param``."""
    if x is not param:
        checks.require_like(op, name, x, "param", param)
        checks.require_shape(op, name, x, param.shape)
    if name != "grad" and not x.is_contiguous:
        raise ShapeError(
            f"{op}: {name}: strides {x.strides} of shape {x.shape} given, expected a contiguous "
            "array, as it is updated in place"
        )


def _check_numbers(op: str, **numbers: float) -> None:
    for name, value in numbers.items():
        # False for NaN too.
        if not 0.0 <= value < math.inf:
            raise ArgumentError(f"{op}: {name}: {value!r} given, expected in [0, inf)")
