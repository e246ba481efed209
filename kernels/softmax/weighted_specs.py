"""``SPECS`` of cross entropy with options and of negative log-likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int32, int64

from ..engine import ArgumentError, Array, DtypeError, ShapeError
from ..opspec import Arg, OpSpec, Tolerance, Wrong
from . import weighted
from .entropy import REDUCTIONS
from .weighted_kernels import (
    finish_kernel,
    gradient_kernels,
    loss_block_kernel,
    loss_thread_kernel,
    nll_kernel,
)

_X = np.ones((2, 3), np.float32)
_Y = np.array([0, 2])


def _entropy_vjp(
    dloss: Array, logits: Array, labels: Array, weight: Array | None, **options: Any
) -> tuple[Any, ...]:
    _, saved = weighted.cross_entropy_weighted(logits, labels, weight, **options)
    chosen = {key: options[key] for key in ("reduction", "label_smoothing")}
    return weighted.cross_entropy_weighted_backward(dloss, saved, **chosen), None, None


def _nll_vjp(
    dloss: Array, logp: Array, labels: Array, weight: Array | None, **options: Any
) -> tuple[Any, ...]:
    _, saved = weighted.nll(logp, labels, weight, **options)
    return weighted.nll_backward(dloss, saved, options["reduction"]), None, None


def _entropy_magnitude(
    logits: np.ndarray, labels: np.ndarray, weight: Any, **options: Any
) -> np.ndarray:
    """As the reference, on ``1 + |x - m| + log(c)``: logp and how exp amplifies its rounding."""
    shifted = logits - np.max(logits, axis=-1, keepdims=True, initial=-np.inf)
    size = 1.0 + np.where(np.isfinite(shifted), np.abs(shifted), 0.0)
    size += np.log(max(logits.shape[1], 1))
    smoothing, kept = options.pop("label_smoothing"), labels != options["ignore_index"]
    hard = weighted.nll_reference(-size, labels, weight, **options)
    if not smoothing:
        return 2.0 * hard
    w = np.ones(logits.shape[1]) if weight is None else weight
    soft = np.where(kept, (w * size).sum(axis=1), 0.0) / max(logits.shape[1], 1)
    return 2.0 * (hard + weighted._averaged(soft, w[labels[kept]], options["reduction"]))


def _nll_magnitude(logp: np.ndarray, labels: np.ndarray, weight: Any, **options: Any) -> Any:
    return 2.0 * weighted.nll_reference(-np.abs(logp), labels, weight, **options)


def _terms(x: np.ndarray, labels: Any, weight: Any, **options: Any) -> int:
    return x.shape[1] if options["reduction"] == "none" else x.size


def _configure(integer: Any) -> Any:
    """Tables around the sizes of the kernels, and which label is ignored.

    Where one of the classes is, there are enough rows that hardly ever all are: the mean of
    nothing is NaN and has no gradient.
    """
    if integer(0, 2):
        n, c = integer(0, 9), (integer(1, 9), integer(60, 70), integer(120, 140))[integer(0, 2)]
        return {"n": n, "c": c}, {"ignore_index": (-100, None)[integer(0, 1)]}
    return {"n": integer(14, 20), "c": integer(2, 5)}, {"ignore_index": 1}


def _signatures() -> tuple[Any, ...]:
    found: list[tuple[Any, tuple[Any, ...]]] = []
    for dtype, real in ((np.float32, float32), (np.float64, float64)):
        line, table = real[::1], real[:, ::1]
        found.append((finish_kernel(np.dtype(dtype)), (table, int64, line)))
        for label in (int32[::1], int64[::1]):
            for make in (loss_thread_kernel, loss_block_kernel):
                found.append(
                    (make(np.dtype(dtype)), (table, label, line, int64, real, real, table, table))
                )
            types = (line, line, table, table, label, line, real, real, int64, table)
            found.append((gradient_kernels(np.dtype(dtype))[0], types))
    return tuple(found)


def _nll_signatures() -> tuple[Any, ...]:
    found: list[tuple[Any, tuple[Any, ...]]] = []
    for dtype, real in ((np.float32, float32), (np.float64, float64)):
        line, table = real[::1], real[:, ::1]
        for label in (int32[::1], int64[::1]):
            found.append((nll_kernel(np.dtype(dtype)), (table, label, line, int64, table)))
            types = (line, line, table, label, int64, table)
            found.append((gradient_kernels(np.dtype(dtype))[1], types))
    return tuple(found)


def _wrong(op: str, name: str, **options: Any) -> tuple[Wrong, ...]:
    w = np.ones(3, np.float32)
    calls: tuple[tuple[Any, ...], ...] = (
        ((_X, np.array([0, 3]), w), ArgumentError, f"{op}: labels: 3 given at index 1"),
        ((_X, np.array([-1, 0]), w), ArgumentError, f"{op}: labels: -1 given at index 0"),
        ((_X, np.array([0, 1, 2]), w), ShapeError, rf"{op}: labels: shape \(3,\) given"),
        ((_X, _Y.astype(np.float32), w), DtypeError, f"{op}: labels: dtype float32"),
        ((_X[0], _Y, w), ShapeError, rf"{op}: {name}: shape \(3,\) given"),
        ((_X.astype(np.int64), _Y, w), DtypeError, f"{op}: {name}: dtype int64"),
        ((_X, _Y, w[:2]), ShapeError, rf"{op}: weight: shape \(2,\) given, expected \(3,\)"),
        ((_X, _Y, w.astype(np.float64)), DtypeError, f"{op}: weight: dtype float64"),
        ((_X, _Y, 2.0), DtypeError, f"{op}: weight: float given"),
    )
    refused = (({"reduction": "max"}, "'max'"), ({"ignore_index": True}, "True"))
    return (
        *[Wrong(args, error, match, options) for args, error, match in calls],
        *[
            Wrong((_X, _Y, w), ArgumentError, f"{op}: {key}: {value} given", {**options, **given})
            for given, value in refused
            for key in given
        ],
    )


ARGS = (
    Arg("labels", "n", kind="index", upper="c", differentiable=False),
    Arg("weight", "c", low=0.25, bounded=True, optional=True, differentiable=False),
)
SPECS = (
    OpSpec(
        name="cross_entropy_weighted",
        forward=lambda *args, **options: weighted.cross_entropy_weighted(*args, **options)[0],
        reference=weighted.cross_entropy_weighted_reference,
        args=(Arg("logits", "n c"), *ARGS),
        options={
            "reduction": REDUCTIONS,
            "label_smoothing": (0.0, 0.25),
        },
        vjp=_entropy_vjp,
        magnitude=_entropy_magnitude,
        tolerance=Tolerance(terms=_terms),
        configure=_configure,
        wrong=(
            *_wrong("cross_entropy_weighted", "logits"),
            Wrong(
                (_X, _Y, None),
                ArgumentError,
                r"label_smoothing: 1.5 given, expected in \[0.0, 1.0\]",
                {"label_smoothing": 1.5},
            ),
        ),
        kernels=_signatures(),
    ),
    OpSpec(
        name="nll",
        forward=lambda *args, **options: weighted.nll(*args, **options)[0],
        reference=weighted.nll_reference,
        args=(Arg("logp", "n c", high=0.0, bounded=True), *ARGS),
        options={"reduction": REDUCTIONS},
        vjp=_nll_vjp,
        magnitude=_nll_magnitude,
        tolerance=Tolerance(terms=_terms),
        configure=_configure,
        wrong=_wrong("nll", "logp"),
        kernels=_nll_signatures(),
    ),
)
