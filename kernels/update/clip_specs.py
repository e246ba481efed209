"""``OpSpec`` of the norm of gradients and of clipping."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import float32, float64

from ..engine import ArgumentError, DtypeError, ShapeError
from ..opspec import Arg, OpSpec, Tolerance, Wrong
from .clip import (
    CHUNK,
    clip_kernels,
    clip_scale,
    clip_scale_reference,
    clip_value,
    clip_value_reference,
    combine_norms,
    combine_norms_reference,
    norm_kernels,
    partial_norm,
    partial_norm_reference,
)
from .common import BLOCK, P, signatures


def _rounded(x: np.ndarray) -> np.ndarray:
    """A magnitude that covers squares below the smallest normal number, which lose digits."""
    return x + float(np.finfo(np.float32).tiny) / float(np.finfo(np.float32).eps)


_TYPES: dict[str, tuple[Any, ...]] = {"norm_type": (2.0, 1.0, math.inf)}
_ONE = np.array(1.0, np.float32)
_LINE = np.ones(3, np.float32)

SPECS = (
    OpSpec(
        name="partial_norm",
        forward=partial_norm,
        reference=partial_norm_reference,
        args=(Arg("x", "..."),),
        options=_TYPES,
        magnitude=lambda x, norm_type: _rounded(partial_norm_reference(x, norm_type)),
        tolerance=Tolerance(terms=lambda x, norm_type: min(x.size, CHUNK)),
        block=BLOCK,
        wrong=(
            Wrong((P.astype(int),), DtypeError, "partial_norm: x: dtype int64 given"),
            Wrong((None,), DtypeError, "partial_norm: x: NoneType given"),
            Wrong((P,), ArgumentError, "norm_type: 3 given", {"norm_type": 3}),
            Wrong((P,), ArgumentError, "norm_type: '2' given", {"norm_type": "2"}),
            Wrong((P,), ArgumentError, "norm_type: nan given", {"norm_type": math.nan}),
        ),
        kernels=tuple(
            (norm_kernels(p, np.dtype(real.name))[0], (real[::1], real[::1]))
            for p in _TYPES["norm_type"]
            for real in (float32, float64)
        ),
    ),
    OpSpec(
        name="combine_norms",
        forward=combine_norms,
        reference=combine_norms_reference,
        args=(Arg("partial", "parts", kind="state"),),
        options=_TYPES,
        magnitude=lambda partial, norm_type: combine_norms_reference(partial, norm_type),
        tolerance=Tolerance(terms="parts"),
        block=BLOCK,
        wrong=(
            Wrong((P,), ShapeError, r"combine_norms: partial: shape \(2, 3\) given"),
            Wrong((_LINE.astype(int),), DtypeError, "combine_norms: partial: dtype int64 given"),
            Wrong((None,), DtypeError, "combine_norms: partial: NoneType given"),
            Wrong((_LINE,), ArgumentError, "norm_type: 0.5 given", {"norm_type": 0.5}),
            Wrong((_LINE,), ArgumentError, "norm_type: None given", {"norm_type": None}),
        ),
        kernels=tuple(
            (norm_kernels(p, np.dtype(real.name))[1], (real[::1], real[::1]))
            for p in _TYPES["norm_type"]
            for real in (float32, float64)
        ),
    ),
    OpSpec(
        name="clip_scale",
        forward=clip_scale,
        reference=clip_scale_reference,
        args=(Arg("x", "..."), Arg("norm", "", kind="state")),
        options={"max_norm": (1.0, 0.0, 1e-3)},
        mutates=("x",),
        block=BLOCK,
        wrong=(
            Wrong((P, _LINE), ShapeError, r"norm: shape \(3,\) given", {"max_norm": 1.0}),
            Wrong((P, None), DtypeError, "norm: NoneType given", {"max_norm": 1.0}),
            Wrong((P, _ONE.astype(float)), DtypeError, "norm: dtype float64", {"max_norm": 1.0}),
            Wrong((P.astype(int), _ONE), DtypeError, "x: dtype int64", {"max_norm": 1.0}),
            Wrong((P, _ONE), ArgumentError, "max_norm: -1.0 given", {"max_norm": -1.0}),
            Wrong((P, _ONE), ArgumentError, "max_norm: nan given", {"max_norm": math.nan}),
        ),
        kernels=tuple(
            found
            for real in (float32, float64)
            for found in signatures(clip_kernels(np.dtype(real.name))[0], real, 2, 1)
        ),
    ),
    OpSpec(
        name="clip_value",
        forward=clip_value,
        reference=clip_value_reference,
        args=(Arg("x", "..."),),
        options={"limit": (1.0, 0.0, math.inf)},
        mutates=("x",),
        block=BLOCK,
        wrong=(
            Wrong((P.astype(int),), DtypeError, "x: dtype int64", {"limit": 1.0}),
            Wrong((None,), DtypeError, "x: NoneType given", {"limit": 1.0}),
            Wrong((P,), ArgumentError, "limit: -1.0 given", {"limit": -1.0}),
            Wrong((P,), ArgumentError, "limit: nan given", {"limit": math.nan}),
            Wrong((P,), ArgumentError, "limit: '1' given", {"limit": "1"}),
        ),
        kernels=tuple(
            found
            for real in (float32, float64)
            for found in signatures(clip_kernels(np.dtype(real.name))[1], real, 1, 1)
        ),
    ),
)
