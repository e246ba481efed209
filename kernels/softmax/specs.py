"""References' scales, wrong calls and ``OpSpec`` of softmax, cross entropy and accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int32, int64

from ..engine import ArgumentError, Array, DtypeError, ShapeError
from ..opspec import Arg, OpSpec, Signature, Signatures, Tolerance, Wrong
from .entropy import (
    REDUCTIONS,
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_reference,
    gradient_kernel,
    loss_kernels,
    reduced,
)
from .metrics import accuracy, accuracy_kernels, accuracy_reference
from .plain import (
    FEW_COLUMNS,
    backward_kernels,
    forward_kernels,
    log_softmax,
    log_softmax_backward,
    log_softmax_reference,
    softmax,
    softmax_backward,
    softmax_reference,
)


def _condition(x: np.ndarray) -> np.ndarray:
    """1 + |x - m|: how much exp(x - m) amplifies the rounding of x - m; 1 where exp is 0."""
    shifted = x - np.max(x, axis=-1, keepdims=True, initial=-np.inf)
    return 1.0 + np.where(np.isfinite(shifted), np.abs(shifted), 0.0)


def _log_scale(x: np.ndarray) -> np.ndarray:
    return _condition(x) + np.log(max(x.shape[-1], 1))


def _wrong_table(op: str) -> tuple[Wrong, ...]:
    return (
        Wrong((np.ones(3, np.float32),), ShapeError, rf"{op}: x: shape \(3,\) given"),
        Wrong((np.ones((2, 3, 4), np.float32),), ShapeError, f"{op}: x: shape .* 2 axes"),
        Wrong((np.ones((2, 3), np.int64),), DtypeError, f"{op}: x: dtype int64"),
        Wrong((np.ones((2, 3), np.float16),), DtypeError, f"{op}: x: dtype float16"),
        Wrong((np.ones((2, 3), bool),), DtypeError, f"{op}: x: dtype bool"),
        Wrong(([[1.0]],), DtypeError, f"{op}: x: list given"),
    )


def _table_signatures(log: bool) -> Signatures:
    found: list[Signature] = []
    for dtype, real in ((np.float32, float32), (np.float64, float64)):
        table = real[:, ::1]
        found += [(k, (table, table)) for k in forward_kernels(log, np.dtype(dtype))]
        found += [(k, (table, table, table)) for k in backward_kernels(log, np.dtype(dtype))]
    return tuple(found)


def _entropy_vjp(dloss: Array, logits: Array, labels: Array, reduction: str) -> tuple[Array, None]:
    _, saved = cross_entropy(logits, labels, reduction)
    return cross_entropy_backward(dloss, saved, labels, reduction), None


def _entropy_magnitude(logits: np.ndarray, labels: np.ndarray, reduction: str) -> np.ndarray:
    n, _ = logits.shape
    return reduced(_log_scale(logits)[np.arange(n), labels], reduction)


def _wrong_labels(op: str) -> tuple[Wrong, ...]:
    x = np.ones((2, 3), np.float32)
    y = np.array([0, 2])
    return (
        Wrong((x, np.array([0, 3])), ArgumentError, f"{op}: labels: 3 given at index 1"),
        Wrong((x, np.array([-1, 0])), ArgumentError, f"{op}: labels: -1 given at index 0"),
        Wrong((x, np.array([0, -7], np.int32)), ArgumentError, f"{op}: labels: -7 given"),
        Wrong((x, np.array([0, 1, 2])), ShapeError, rf"{op}: labels: shape \(3,\) given"),
        Wrong((x, y[:, None]), ShapeError, f"{op}: labels: shape"),
        Wrong((x, y.astype(np.float32)), DtypeError, f"{op}: labels: dtype float32"),
        Wrong((x, y.astype(np.int16)), DtypeError, f"{op}: labels: dtype int16"),
        Wrong((x[0], y), ShapeError, rf"{op}: logits: shape \(3,\) given"),
        Wrong((x.astype(np.int64), y), DtypeError, f"{op}: logits: dtype int64"),
    )


def _entropy_signatures() -> Signatures:
    found: list[tuple[Any, tuple[Any, ...]]] = []
    for dtype, real in ((np.float32, float32), (np.float64, float64)):
        by_thread, by_block = loss_kernels(np.dtype(dtype))
        line, table = real[::1], real[:, ::1]
        for label in (int32[::1], int64[::1]):
            found.append((by_thread, (table, label, table, line, line, real)))
            found.append((by_block, (table, label, table, line)))
            types = (line, table, table, label, table, int64, real)
            found.append((gradient_kernel(np.dtype(dtype)), types))
    return tuple(found)


_WRONG_REDUCTION = Wrong(
    (np.ones((2, 3), np.float32), np.array([0, 2])),
    ArgumentError,
    "cross_entropy: reduction: 'max' given",
    {"reduction": "max"},
)


def _accuracy_signatures() -> Signatures:
    found: list[tuple[Any, tuple[Any, ...]]] = []
    for dtype, real in ((np.float32, float32), (np.float64, float64)):
        by_thread, by_index = accuracy_kernels(np.dtype(dtype))
        for label in (int32[::1], int64[::1]):
            found.append((by_thread, (real[:, ::1], label, int64[::1])))
            found.append((by_index, (int64[::1], label, int64[::1])))
    return tuple(found)


SPECS = (
    OpSpec(
        name="softmax",
        forward=softmax,
        reference=softmax_reference,
        args=(Arg("x", "n c"),),
        vjp=lambda dy, x: softmax_backward(dy, softmax(x)),
        magnitude=lambda x: softmax_reference(x) * _condition(x),
        tolerance=Tolerance(terms="c"),
        block=FEW_COLUMNS,
        wrong=_wrong_table("softmax"),
        kernels=_table_signatures(False),
    ),
    OpSpec(
        name="log_softmax",
        forward=log_softmax,
        reference=log_softmax_reference,
        args=(Arg("x", "n c"),),
        vjp=lambda dy, x: log_softmax_backward(dy, log_softmax(x)),
        magnitude=_log_scale,
        tolerance=Tolerance(terms="c"),
        block=FEW_COLUMNS,
        wrong=_wrong_table("log_softmax"),
        kernels=_table_signatures(True),
    ),
    OpSpec(
        name="cross_entropy",
        forward=lambda *args, **options: cross_entropy(*args, **options)[0],
        reference=cross_entropy_reference,
        args=(
            Arg("logits", "n c"),
            Arg("labels", "n", kind="index", upper="c", differentiable=False),
        ),
        options={"reduction": REDUCTIONS},
        vjp=_entropy_vjp,
        magnitude=_entropy_magnitude,
        tolerance=Tolerance(
            terms=lambda x, labels, reduction: x.size if reduction != "none" else x.shape[1]
        ),
        block=FEW_COLUMNS,
        wrong=(*_wrong_labels("cross_entropy"), _WRONG_REDUCTION),
        kernels=_entropy_signatures(),
    ),
    OpSpec(
        name="accuracy",
        forward=accuracy,
        reference=accuracy_reference,
        args=(Arg("logits", "n c"), Arg("labels", "n", kind="index", upper="c")),
        block=FEW_COLUMNS,
        wrong=_wrong_labels("accuracy"),
        kernels=_accuracy_signatures(),
    ),
)
