"""Generated cases, scales, wrong calls and ``OpSpec`` of layer, group and RMS normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int64

from ..engine import ArgumentError, Array, ShapeError
from ..opspec import Arg, Integer, OpSpec, Signature, Signatures, Tolerance, Wrong
from ..reduce.tree import SHORT_ROW
from . import reference
from .row_kernels import backward_kernel, forward_kernel, sum_kernels
from .row_sums import PART
from .rows import (
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)
from .specs import EPS, FIXED, Case, given, normalised, scaled, wrong

_IMAGE, _TABLE = np.ones((2, 4, 3), np.float32), np.ones((2, 3), np.float32)
_FOUR, _THREE = np.ones(4, np.float32), np.ones(3, np.float32)


def _row_case(integer: Integer) -> Case:
    """Short rows, now and then rows long enough for a block, and more than a block adds up."""
    kind = integer(0, 9)
    sizes = {"r": integer(1, 40), "n": integer(5, 70)}
    if kind == 0:
        sizes = {"r": integer(1, 3), "n": integer(SHORT_ROW - 1, SHORT_ROW + 40)}
    elif kind == 1:
        sizes = {"r": integer(2 * PART - 1, 2 * PART + 40), "n": integer(5, 8)}
    return sizes, {"eps": EPS[integer(0, 1)]}


def _group_case(integer: Integer) -> Case:
    length = (1, integer(5, 40))[integer(0, 1)]
    groups, per = integer(1, 4), integer(5 if length == 1 else 1, 9)
    sizes = {"n": integer(1, 6), "c": groups * per, "l": length}
    return sizes, {"groups": groups, "eps": EPS[integer(0, 1)]}


def _layer_magnitude(x: np.ndarray, weight: Any, bias: Any, eps: float) -> np.ndarray:
    return scaled(normalised(x, (-1,), eps)[1], weight, bias, (-1,))


def _group_magnitude(x: np.ndarray, weight: Any, bias: Any, groups: int, eps: float) -> np.ndarray:
    rows = x.reshape(len(x), groups, -1)
    return scaled(normalised(rows, (-1,), eps)[1].reshape(x.shape), weight, bias, (-1, 1))


def _layer_vjp(dy: Array, x: Array, weight: Any, bias: Any, eps: float) -> tuple[Any, ...]:
    _, stats = layer_norm(x, weight, bias, eps)
    return given(layer_norm_backward(dy, x, weight, stats), x, weight, bias)


def _rms_vjp(dy: Array, x: Array, weight: Any, eps: float) -> tuple[Any, ...]:
    _, stats = rms_norm(x, weight, eps)
    return given(rms_norm_backward(dy, x, weight, stats), x, weight)


def _group_vjp(
    dy: Array, x: Array, weight: Any, bias: Any, groups: int, eps: float
) -> tuple[Any, ...]:
    _, stats = group_norm(x, weight, bias, groups, eps)
    return given(group_norm_backward(dy, x, weight, stats, groups), x, weight, bias)


def _row_signatures(*kinds: tuple[bool, bool]) -> Signatures:
    found: list[Signature] = []
    for dtype, real in ((np.dtype(np.float32), float32), (np.dtype(np.float64), float64)):
        line, table, image = real[::1], real[:, ::1], real[:, :, ::1]
        for centred, each in kinds:
            forward = forward_kernel(dtype, centred, each)
            backward = backward_kernel(dtype, centred, each)
            found.append((forward, (image, line, line, real, real, int64, image, table)))
            found.append((backward, (image, image, line, table, real, int64, image)))
            by_column, by_channel = sum_kernels(dtype)
            if each:
                found.append((by_column, (table, table, table, int64, int64, int64, image)))
            else:
                found.append((by_channel, (image, image, table, int64, int64, table)))
    return tuple(found)


def _layer_terms(x: np.ndarray, *args: Any, **options: Any) -> int:
    return x.shape[-1]


def _group_terms(x: np.ndarray, weight: Any, bias: Any, groups: int, eps: float) -> int:
    return x.size // max(len(x) * groups, 1)


def _rms_magnitude(x: np.ndarray, weight: Any, eps: float) -> np.ndarray:
    # Half the relative error of a sum of squares, and a few roundings.
    return 2 * np.abs(reference.rms_norm_reference(x, weight, eps))


def _without_bias(cases: tuple[Wrong, ...]) -> tuple[Wrong, ...]:
    kept = (case for case in cases if "bias" not in case.match)
    return tuple(Wrong(case.args[:2], case.error, case.match, case.options) for case in kept)


def _wrong_groups(value: Any) -> Wrong:
    match = "group_norm: groups: .* given, expected a divisor of the 4"
    return Wrong((_IMAGE, _FOUR, _FOUR), ArgumentError, match, {"groups": value})


_AFFINE = (Arg("weight", "n", optional=True), Arg("bias", "n", optional=True))

ROWS = (
    OpSpec(
        name="layer_norm",
        forward=lambda x, weight, bias, eps=1e-5: layer_norm(x, weight, bias, eps)[0],
        reference=reference.layer_norm_reference,
        args=(Arg("x", "r n"), *_AFFINE),
        vjp=_layer_vjp,
        magnitude=_layer_magnitude,
        tolerance=Tolerance(terms=_layer_terms),
        wrong=(
            *wrong("layer_norm", _TABLE, 3),
            Wrong(
                (np.ones((), np.float32), _THREE, _THREE),
                ShapeError,
                r"layer_norm: x: shape \(\) given",
            ),
        ),
        kernels=_row_signatures((True, True)),
        configure=_row_case,
        **FIXED,
    ),
    OpSpec(
        name="rms_norm",
        forward=lambda x, weight, eps=1e-5: rms_norm(x, weight, eps)[0],
        reference=reference.rms_norm_reference,
        args=(Arg("x", "r n"), Arg("weight", "n", optional=True)),
        vjp=_rms_vjp,
        magnitude=_rms_magnitude,
        tolerance=Tolerance(terms=_layer_terms),
        wrong=_without_bias(wrong("rms_norm", _TABLE, 3)),
        kernels=_row_signatures((False, True)),
        configure=_row_case,
        **FIXED,
    ),
    OpSpec(
        name="group_norm",
        forward=lambda *args, **options: group_norm(*args, **options)[0],
        reference=reference.group_norm_reference,
        args=(
            Arg("x", "n c l"),
            Arg("weight", "c", optional=True),
            Arg("bias", "c", optional=True),
        ),
        vjp=_group_vjp,
        magnitude=_group_magnitude,
        tolerance=Tolerance(terms=_group_terms),
        wrong=(
            *wrong("group_norm", _IMAGE, 4, groups=2),
            _wrong_groups(3),
            _wrong_groups(0),
            _wrong_groups(True),
        ),
        kernels=_row_signatures((True, True), (True, False)),
        configure=_group_case,
        **FIXED,
    ),
)
