"""Generated cases, scales, wrong calls and ``OpSpec`` of batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int64

from ..engine import ArgumentError, Array, DtypeError, ShapeError
from ..opspec import Arg, Integer, OpSpec, Signature, Signatures, Tolerance, Wrong
from . import reference
from .batch import (
    batch_norm,
    batch_norm_backward,
    batch_norm_constants,
    batch_norm_inference,
)
from .batch_kernels import backward_kernels, inference_kernels, train_kernels

Case = tuple[dict[str, int], dict[str, Any]]

_IMAGE = np.ones((2, 3, 4), np.float32)
_THREE = np.ones(3, np.float32)
EPS = (1e-5, 0.25)


def _images(integer: Integer) -> dict[str, int]:
    """Images, a third of them of one element; enough elements per channel to leave a gradient."""
    length = 1 if integer(0, 2) == 0 else integer(2, 70)
    n = integer(5, 40) if length == 1 else integer(1 if length > 4 else 3, 11)
    return {"n": n, "c": integer(1, 9 if length > 1 else 40), "l": length}


def _batch_case(integer: Integer) -> Case:
    return _images(integer), {"eps": EPS[integer(0, 1)]}


def _statistics_case(integer: Integer) -> Case:
    return _images(integer), {"momentum": (0.1, 0.0, 1.0)[integer(0, 2)]}


def normalised(x: np.ndarray, axes: tuple[int, ...], eps: float) -> tuple[np.ndarray, np.ndarray]:
    """The normalised x, and the sum of the absolute values of the terms that make it up.

    The mean carries an error of its own terms, and the deviation one relative to itself.
    """
    mean = x.mean(axis=axes, keepdims=True)
    inverse = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    hat = (x - mean) * inverse
    size = (np.abs(x) + np.abs(x).mean(axis=axes, keepdims=True)) * inverse
    return hat, size + np.abs(hat)


def scaled(size: np.ndarray, weight: Any, bias: Any, side: tuple[int, ...]) -> np.ndarray:
    size = size if weight is None else size * np.abs(weight.reshape(side))
    return size if bias is None else size + np.abs(bias.reshape(side))


def _batch_magnitude(x: np.ndarray, weight: Any, bias: Any, eps: float) -> np.ndarray:
    return scaled(normalised(x, (0, 2), eps)[1], weight, bias, (-1, 1))


def _statistics_magnitude(
    x: np.ndarray, mean: np.ndarray, var: np.ndarray, momentum: float
) -> tuple[np.ndarray, np.ndarray]:
    old = 1 - momentum
    sizes = np.abs(x).mean(axis=(0, 2)), x.var(axis=(0, 2), ddof=1)
    return old * np.abs(mean) + momentum * sizes[0], old * var + momentum * sizes[1]


def _inference_magnitude(
    x: np.ndarray, mean: np.ndarray, var: np.ndarray, weight: Any, bias: Any, eps: float
) -> np.ndarray:
    size = np.abs(x) + np.abs(mean.reshape(-1, 1))
    return scaled(size / np.sqrt(var.reshape(-1, 1) + eps), weight, bias, (-1, 1))


def given(found: tuple[Any, ...], *arguments: Any) -> tuple[Any, ...]:
    """The gradients without those of arguments that were None."""
    return tuple(None if a is None else g for g, a in zip(found, arguments))


def _batch_vjp(dy: Array, x: Array, weight: Any, bias: Any, eps: float) -> tuple[Any, ...]:
    _, stats = batch_norm(x, weight, bias, eps)
    return given(batch_norm_backward(dy, x, weight, stats), x, weight, bias)


def _inference_vjp(
    dy: Array, x: Array, mean: Array, var: Array, weight: Any, bias: Any, eps: float
) -> tuple[Any, ...]:
    stats = batch_norm_constants(mean, var, eps)
    dx, dw, db = given(batch_norm_backward(dy, x, weight, stats, False), x, weight, bias)
    return dx, None, None, dw, db


def _moved(x: Array, mean: Array, var: Array, momentum: float = 0.1) -> tuple[Array, Array]:
    batch_norm(x, None, None, 1e-5, mean, var, momentum)
    return mean, var


def wrong(op: str, x: np.ndarray, size: int, **options: Any) -> tuple[Wrong, ...]:
    """Wrong x, weight and bias of an op of (x, weight, bias)."""
    w = np.ones(size, np.float32)
    return (
        Wrong((x.astype(np.int64), w, w), DtypeError, f"{op}: x: dtype int64", options),
        Wrong(([[1.0]], w, w), DtypeError, f"{op}: x: list given", options),
        Wrong((x, w[:-1], w), ShapeError, f"{op}: weight: shape", options),
        Wrong((x, w, w[None]), ShapeError, f"{op}: bias: shape", options),
        Wrong((x, w, w.astype(np.float64)), DtypeError, f"{op}: bias: dtype float64", options),
        Wrong((x, w, w), ArgumentError, f"{op}: eps: -1.0 given", {**options, "eps": -1.0}),
        Wrong((x, w, w), ArgumentError, f"{op}: eps: 'a' given", {**options, "eps": "a"}),
    )


def _wronggiven(op: str) -> tuple[Wrong, ...]:
    """Wrong mean and variance."""
    three, two = _THREE, _THREE[:2]
    return (
        Wrong((_IMAGE, two, three, None, None), ShapeError, f"{op}: mean: shape"),
        Wrong((_IMAGE, three, two, None, None), ShapeError, f"{op}: var: shape"),
        Wrong((_IMAGE, three, None, None, None), DtypeError, f"{op}: var: NoneType given"),
        Wrong((_IMAGE, three.astype(int), three, None, None), DtypeError, f"{op}: mean: dtype"),
        Wrong((_THREE, three, three, None, None), ShapeError, rf"{op}: x: shape \(3,\) given"),
        Wrong((_IMAGE, three, three, two, None), ShapeError, f"{op}: weight: shape"),
    )


def _wrong_moved() -> tuple[Wrong, ...]:
    op, three = "batch_norm", _THREE
    return (
        Wrong((_IMAGE, three[:2], three), ShapeError, f"{op}: running_mean: shape"),
        Wrong((_IMAGE, three, three.astype(float)), DtypeError, f"{op}: running_var: dtype"),
        Wrong((_IMAGE, None, three), DtypeError, f"{op}: running_mean: NoneType given"),
        Wrong((_IMAGE, three, None), DtypeError, f"{op}: running_var: NoneType given"),
        Wrong((_IMAGE, three, three), ArgumentError, f"{op}: momentum: 1.5", {"momentum": 1.5}),
        Wrong((_IMAGE[:1, :, :1], three, three), ShapeError, f"{op}: x: .* at least two"),
    )


def _batch_signatures(training: bool) -> Signatures:
    found: list[Signature] = []
    for dtype, real in ((np.dtype(np.float32), float32), (np.dtype(np.float64), float64)):
        line, table, image = real[::1], real[:, ::1], real[:, :, ::1]
        scalars = (real, real, real)
        for k, view in zip(train_kernels(dtype), (image, table)):
            if training:
                found.append((k, (view, line, line, *scalars, line, line, view, table)))
        for k, view in zip(backward_kernels(dtype, training), (image, table)):
            found.append((k, (view, view, line, table, real, view, line, line)))
        if not training:
            *by_view, constants = inference_kernels(dtype)
            found.append((constants, (line, line, real, table)))
            found += [(k, (table, *[line] * 4, real, int64, table)) for k in by_view]
    return tuple(found)


def _terms(x: np.ndarray, *args: Any, **options: Any) -> int:
    return x.size // max(x.shape[1], 1)


_WEIGHTS = (Arg("weight", "c", optional=True), Arg("bias", "c", optional=True))
FIXED: dict[str, Any] = {"special": False, "block": 6}  # a NaN is everywhere in its channel or row

BATCH = (
    OpSpec(
        name="batch_norm",
        forward=lambda x, weight, bias, eps=1e-5: batch_norm(x, weight, bias, eps)[0],
        reference=reference.batch_norm_reference,
        args=(Arg("x", "n c l"), *_WEIGHTS),
        vjp=_batch_vjp,
        magnitude=_batch_magnitude,
        tolerance=Tolerance(terms=_terms),
        wrong=wrong("batch_norm", _IMAGE, 3),
        kernels=_batch_signatures(True),
        configure=_batch_case,
        **FIXED,
    ),
    OpSpec(
        name="batch_norm_statistics",
        forward=_moved,
        reference=reference.batch_norm_statistics_reference,
        args=(Arg("x", "n c l"), Arg("mean", "c"), Arg("var", "c", kind="state")),
        magnitude=_statistics_magnitude,
        tolerance=Tolerance(terms=_terms),
        mutates=("mean", "var"),
        wrong=_wrong_moved(),
        kernels=_batch_signatures(True),
        configure=_statistics_case,
        **FIXED,
    ),
    OpSpec(
        name="batch_norm_inference",
        forward=batch_norm_inference,
        reference=reference.batch_norm_inference_reference,
        args=(
            Arg("x", "n c l"),
            Arg("mean", "c", differentiable=False),
            Arg("var", "c", kind="state", differentiable=False),
            *_WEIGHTS,
        ),
        vjp=_inference_vjp,
        magnitude=_inference_magnitude,
        wrong=_wronggiven("batch_norm_inference"),
        kernels=_batch_signatures(False),
        configure=_batch_case,
        **FIXED,
    ),
)
