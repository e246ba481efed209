"""Moving average of weights in place: ``average = average + (1 - decay) (param - average)``.

Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, with the
exponential weights of Tarvainen and Valpola, "Mean teachers", NeurIPS 2017.

Kernel: ``average``, one thread per item, everything read and written once.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, float64

from .. import checks
from ..engine import ArgumentError, Array, DtypeError, Kernel, ShapeError, kernel
from ..opspec import Arg, OpSpec, Wrong
from .common import BLOCK, P, blocks_of, flat, lerp_function, lerp_reference, require_contiguous


def average_reference(average: np.ndarray, param: np.ndarray, decay: float) -> np.ndarray:
    """The new average, in float64."""
    return lerp_reference(average, param, 1 - decay)


@functools.cache
def average_kernel(dtype: Any) -> Kernel:
    """``average`` for float32 or float64."""
    lerp = lerp_function(dtype)

    @kernel
    def average(mean: Any, param: Any, take: Any) -> None:
        """mean, param (n,); take = 1 - decay."""
        i = cuda.grid(1)
        if i < mean.size:
            mean[i] = lerp(mean[i], param[i], take)

    return average


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
        take = average.dtype.type(1.0 - decay)
        average_kernel(average.dtype)[blocks_of(n), BLOCK](flat(average), flat(param), take)
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
            (average_kernel(np.dtype(real.name)), (real[::1], real[::1], real))
            for real in (float32, float64)
        ),
    ),
)
