"""Generated cases, wrong calls and ``OpSpec`` of resampling."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int32, int64, types

from ..engine import ArgumentError, Array, DtypeError, ShapeError
from ..opspec import Arg, Integer, OpSpec, Signature, Signatures, Tolerance, Wrong
from .axes import resample_reference
from .kernels import linear_kernels, nearest_kernels
from .launchers import MODES, resample, resample_backward

_IMAGE = np.ones((1, 2, 4, 5), np.float32)


def _case(integer: Integer) -> tuple[dict[str, int], dict[str, Any]]:
    """Larger and smaller results, with the ratio of the sizes or another scale."""
    h, w = integer(1, 18), integer(1, 18)
    mode = MODES[integer(0, 2)]
    options: dict[str, Any] = {"size": (integer(1, 34), integer(1, 34)), "mode": mode}
    if mode == "bilinear":
        options["align_corners"] = bool(integer(0, 1))
    if integer(0, 2) == 0:
        factor = (0.5, 1.3, 2.0, 3.0)[integer(0, 3)]
        options["size"] = (max(int(h * factor), 1), integer(1, 34))
        options["scale"] = (factor, None)
    return {"h": h, "w": w}, options


def _vjp(dy: Array, x: Array, size: Any, **options: Any) -> Array:
    return resample_backward(dy, x.shape, **options)


def _wrong(value: Any, error: type[Exception], match: str, **options: Any) -> Wrong:
    return Wrong((value,), error, f"resample: {match}", {"size": 3, **options})


def _signatures() -> Signatures:
    found: list[Signature] = []
    table, both = int32[:, ::1], types.UniTuple(int64, 2)
    for dtype, real in ((np.dtype(np.float32), float32), (np.dtype(np.float64), float64)):
        image, weights = real[:, :, ::1], real[:, ::1]
        forward, backward = nearest_kernels(dtype)
        found.append((forward, (image, table, table, image)))
        found.append((backward, (image, table, table, both, image)))
        forward, backward = linear_kernels(dtype)
        tables = (table, table, weights, weights)
        found.append((forward, (image, *tables, image)))
        found.append((backward, (image, *tables, table, table, both, image)))
    return tuple(found)


SPECS = (
    OpSpec(
        name="resample",
        forward=resample,
        reference=resample_reference,
        args=(Arg("x", "n c h w"),),
        vjp=_vjp,
        magnitude=lambda x, **options: resample_reference(np.abs(x), **options),
        tolerance=Tolerance(terms=lambda x, **options: 4),
        wrong=(
            _wrong(_IMAGE[0, 0, 0], ShapeError, r"x: shape \(5,\) given"),
            _wrong(_IMAGE[:, :, :0], ShapeError, "x: shape .* not empty"),
            _wrong(_IMAGE.astype(np.int64), DtypeError, "x: dtype int64"),
            _wrong([[1.0]], DtypeError, "x: list given"),
            _wrong(_IMAGE, ArgumentError, "size: 0 given", size=0),
            _wrong(_IMAGE, ArgumentError, "size: ", size=(1, 2, 3)),
            _wrong(_IMAGE, ArgumentError, "mode: 'cubic' given", mode="cubic"),
            _wrong(_IMAGE, ArgumentError, "align_corners: True given with", align_corners=True),
            _wrong(_IMAGE, ArgumentError, "align_corners: 1", mode="bilinear", align_corners=1),
            _wrong(_IMAGE, ArgumentError, "scale: 0 given", scale=(0, None)),
            _wrong(_IMAGE, ArgumentError, "scale: -2.0 given", scale=(None, -2.0)),
        ),
        kernels=_signatures(),
        block=6,
        special=False,  # a weight of 0 makes NaN of a neighbour that is infinite
        configure=_case,
    ),
)
