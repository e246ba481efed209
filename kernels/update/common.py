"""What the launchers of the optimizer updates share: checks, flattening, wrong calls for the specs.

An update takes arrays of any shape and treats them as one line of items. That is how one launch
updates many parameters: ``nnlite.optim`` keeps them, and their state, side by side in memory and
passes the whole stretch.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, float64, uint32

from .. import checks
from ..elementwise import copy
from ..elementwise.wide import shared_head, threads_of
from ..engine import ArgumentError, Array, DtypeError, Kernel, ShapeError
from ..opspec import Wrong

BLOCK = 256


def real_of(dtype: Any) -> Any:
    """numba's float32 or float64."""
    return float32 if np.dtype(dtype) == np.float32 else float64


@functools.cache
def lerp_function(dtype: Any) -> Any:
    """Device function ``lerp(a, b, t) = a + t (b - a)``, exact at both ends as PyTorch's."""
    real = real_of(dtype)

    @cuda.jit(device=True)
    def lerp(a: Any, b: Any, t: Any) -> Any:
        # From the nearer end, so that t = 1 gives b exactly.
        if t < real(0.5):
            return a + t * (b - a)
        return b - (b - a) * (real(1.0) - t)

    return lerp


def lerp_reference(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """The same in NumPy: two equal infinities give NaN."""
    return a + t * (b - a) if t < 0.5 else b - (b - a) * (1 - t)


def blocks_of(n: int) -> int:
    """Blocks for n items, one thread each."""
    return (n + BLOCK - 1) // BLOCK


def launch(
    kernels: tuple[Kernel, Kernel], n: int, arrays: tuple[Array, ...], *numbers: float
) -> None:
    """Run an update: the scalar kernel, or on a GPU the wide one where it takes the arrays.

    Args:
        kernels: of (arrays, numbers), one thread per item, and of (arrays, head, numbers).
        n: items of each array, above 0.
        arrays: contiguous, one axis, one float dtype.
        numbers: rounded to that dtype.
    """
    head = None if arrays[0].device.kind == "cpu" else shared_head(*arrays)
    launch_at(kernels, n, head, arrays, *numbers)


def launch_at(
    kernels: tuple[Kernel, Kernel],
    n: int,
    head: int | None,
    arrays: tuple[Array, ...],
    *numbers: float,
) -> None:
    """The same with the ``head`` of the arrays of n items, None for the scalar kernel."""
    values = map(arrays[0].dtype.type, numbers)
    if head is None:
        kernels[0][blocks_of(n), BLOCK](*arrays, *values)
    else:
        blocks = blocks_of(threads_of(n, head))
        kernels[1][blocks, BLOCK](*arrays, np.uint32(head), *values)


def signatures(kernels: tuple[Kernel, Kernel], real: Any, arrays: int, numbers: int) -> Any:
    """Kernels with argument types for the compile gate; the wide one is for float32 alone."""
    scalar, wide = kernels
    lines, values = (real[::1],) * arrays, (real,) * numbers
    found = [(scalar, (*lines, *values))]
    if real == float32:
        found.append((wide, (*lines, uint32, *values)))
    return tuple(found)


def flat(x: Array) -> Array:
    """The items in one dimension; shares the memory of a contiguous array."""
    if not x.is_contiguous:
        x = copy(x)
    return x if len(x.shape) == 1 else x.reshape((x.size,))


def check_arrays(op: str, param: Array, grad: Array, **state: Array | None) -> None:
    """``param`` and its state can be updated in place, and ``grad`` is like ``param``."""
    checks.require_float(op, "param", param)
    require_contiguous(op, "param", param)
    checks.require_like(op, "grad", grad, "param", param)
    checks.require_shape(op, "grad", grad, param.shape)
    for name, x in state.items():
        if x is not None:
            checks.require_like(op, name, x, "param", param)
            checks.require_shape(op, name, x, param.shape)
            require_contiguous(op, name, x)


def require_contiguous(op: str, name: str, x: Array) -> None:
    """Raise ShapeError for an array that cannot be updated in place as one line of items."""
    if not x.is_contiguous:
        raise ShapeError(
            f"{op}: {name}: strides {x.strides} of shape {x.shape} given, expected a contiguous "
            "array, as it is updated in place"
        )


def check_numbers(op: str, **numbers: float) -> None:
    """Raise ArgumentError unless every number is finite and at least 0."""
    for name, value in numbers.items():
        # False for NaN too.
        if not 0.0 <= value < math.inf:
            raise ArgumentError(f"{op}: {name}: {value!r} given, expected in [0, inf)")


def check_fraction(op: str, name: str, value: float) -> None:
    """Raise ArgumentError unless ``0 <= value < 1``."""
    if not 0.0 <= value < 1.0:
        raise ArgumentError(f"{op}: {name}: {value!r} given, expected in [0, 1)")


def check_betas(op: str, beta1: float, beta2: float) -> None:
    """Raise ArgumentError unless both are in [0, 1)."""
    if not 0.0 <= beta1 < 1.0 or not 0.0 <= beta2 < 1.0:
        raise ArgumentError(f"{op}: betas: {beta1!r}, {beta2!r} given, expected in [0, 1)")


def check_step(op: str, step: int) -> None:
    """Raise ArgumentError for the number of a step below 1."""
    if step < 1:
        raise ArgumentError(f"{op}: step: {step!r} given, expected at least 1")


P = np.ones((2, 3), np.float32)  # an argument of the wrong calls


def wrong_arrays(op: str, *state: Any, **options: Any) -> tuple[Wrong, ...]:
    """Wrong calls of ``op(param, grad, *state, **options)`` that every update must refuse."""
    wide, cut, line = P.astype(np.float64), P[:1].copy(), np.ones(3, np.float32)
    return (
        Wrong((P, cut, *state), ShapeError, rf"{op}: grad: shape \(1, 3\) given", options),
        Wrong((P, line, *state), ShapeError, rf"{op}: grad: shape \(3,\) given", options),
        Wrong((P, wide, *state), DtypeError, f"{op}: grad: dtype float64 given", options),
        Wrong((P.astype(int), P, *state), DtypeError, f"{op}: param: dtype int64", options),
        Wrong((P, None, *state), DtypeError, f"{op}: grad: NoneType given", options),
        Wrong((P, P, *state), ArgumentError, f"{op}: lr: -0.1 given", {**options, "lr": -0.1}),
        Wrong((P, P, *state), ArgumentError, f"{op}: lr: nan", {**options, "lr": math.nan}),
        Wrong(
            (P, P, *state),
            ArgumentError,
            f"{op}: weight_decay: -1.0 given",
            {**options, "weight_decay": -1.0},
        ),
    )
