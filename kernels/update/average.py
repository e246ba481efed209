"""Moving average of weights in place: ``average = average + (1 - decay) (param - average)``.

Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, with the
exponential weights of Tarvainen and Valpola, "Mean teachers", NeurIPS 2017.

Kernels, which read and write everything once: ``average``, one thread per item, and
``average_wide`` with four, for float32 on a GPU.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, float64, uint64

from .. import checks
from ..elementwise.wide import RUN, fetch, place_of, put_back
from ..engine import ArgumentError, Array, DtypeError, Kernel, ShapeError, kernel
from ..opspec import Arg, OpSpec, Wrong
from .common import (
    BLOCK,
    P,
    flat,
    launch,
    lerp_function,
    lerp_reference,
    real_of,
    require_contiguous,
    signatures,
)


def average_reference(average: np.ndarray, param: np.ndarray, decay: float) -> np.ndarray:
    """The new average, in float64."""
    return lerp_reference(average, param, 1 - decay)


@functools.cache
def average_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``average`` for float32 or float64, and ``average_wide``.

    Arguments: mean, param (n,); take = 1 - decay.
    """
    real = real_of(dtype)
    lerp = lerp_function(dtype)

    @kernel
    def average(mean: Any, param: Any, take: Any) -> None:
        i = cuda.grid(1)
        if i < mean.size:
            mean[i] = lerp(mean[i], param[i], take)

    @kernel
    def average_wide(mean: Any, param: Any, head: Any, take: Any) -> None:
        i, whole = place_of(mean.size, head)
        if whole:
            a, p = cuda.local.array(RUN, real), cuda.local.array(RUN, real)
            fetch(a, mean, i)
            fetch(p, param, i)
            for j in range(RUN):
                a[j] = lerp(a[j], p[j], take)
            put_back(mean, i, a)
        elif i < uint64(mean.size):
            mean[i] = lerp(mean[i], param[i], take)

    return average, average_wide


def average_update(average: Array, param: Array, decay: float) -> Array:
    """Move ``average`` towards ``param``, in place.

    Args:
        average: updated in place; contiguous, float32 or float64.
        param: like ``average``, any strides; not changed.
        decay: how much of the average stays, in [0, 1].

    Returns:
        ``average``.

    Raises:
        DtypeError, ShapeError, DeviceError: the arrays are not alike, or ``average`` is not
            contiguous.
        ArgumentError: decay outside [0, 1]. Nothing is changed then.
    """
    op = "average_update"
    checks.require_float(op, "average", average)
    checks.require_like(op, "param", param, "average", average)
    checks.require_shape(op, "param", param, average.shape)
    require_contiguous(op, "average", average)
    checks.require_between(op, "decay", decay, 0.0, 1.0)
    n = average.size
    if n:
        launch(average_kernels(average.dtype), n, (flat(average), flat(param)), 1.0 - decay)
    return average


def _magnitude(average: np.ndarray, param: np.ndarray, decay: float) -> np.ndarray:
    return np.abs(average) + np.abs(param)


_HALF = {"decay": 0.5}

SPECS = (
    OpSpec(
        name="average_update",
        forward=average_update,
        reference=average_reference,
        args=(Arg("average", "..."), Arg("param", "...")),
        options={"decay": (0.999, 0.25, 0.0, 1.0)},
        mutates=("average",),
        magnitude=_magnitude,
        block=BLOCK,
        wrong=(
            Wrong((P, P[:1].copy()), ShapeError, r"param: shape \(1, 3\) given", _HALF),
            Wrong((P, P.astype(np.float64)), DtypeError, "param: dtype float64 given", _HALF),
            Wrong((P.astype(int), P), DtypeError, "average: dtype int64", _HALF),
            Wrong((P, None), DtypeError, "param: NoneType given", _HALF),
            Wrong((P, P), ArgumentError, "decay: 1.5 given", {"decay": 1.5}),
            Wrong((P, P), ArgumentError, "decay: -0.1 given", {"decay": -0.1}),
        ),
        kernels=tuple(
            found
            for real in (float32, float64)
            for found in signatures(average_kernels(np.dtype(real.name)), real, 2, 1)
        ),
    ),
)
