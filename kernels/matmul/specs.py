"""NumPy reference and ``SPECS`` of the matrix product, one spec per storage order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from .. import activations
from ..activations import reference as activation_reference
from ..bias import bias_grad
from ..engine import ArgumentError, Array, DtypeError, ShapeError
from ..opspec import Arg, OpSpec, Tolerance, Wrong
from .kernels import ACTIVATIONS, make_matmul, matmul_tiled
from .launcher import CPU_TILES, GPU_TILES, matmul, matmul_backward

STEEPEST = 1.13  # largest slope of any of the activations, that of GELU


def matmul_reference(
    a: np.ndarray,
    b: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    activation: str | None = None,
) -> np.ndarray:
    """``activation(a b + bias)``, in the dtype of the arguments."""
    y = (a.T if transpose_a else a) @ (b.T if transpose_b else b)
    if bias is not None:
        y = y + bias
    if activation is None:
        return y
    return np.tanh(y) if activation == "tanh" else getattr(activation_reference, activation)(y)


def _magnitude(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None, **options: Any) -> np.ndarray:
    """Sum of the sizes of the products, carried through the activation, and of the result."""
    y = np.abs(matmul_reference(a, b, bias, **options))
    plain = {**options, "activation": None}
    size = matmul_reference(np.abs(a), np.abs(b), None if bias is None else np.abs(bias), **plain)
    return y + np.where(np.isfinite(size), STEEPEST * size, 0.0)


def _vjp(
    dy: Array,
    a: Array,
    b: Array,
    bias: Array | None = None,
    *,
    activation: str | None = None,
    **flags: Any,
) -> tuple[Array, Array, Array | None]:
    if activation is not None:
        z = matmul(a, b, bias=bias, **flags)
        dy = getattr(activations, f"{activation}_backward")(dy, z)
    return (*matmul_backward(dy, a, b, **flags), None if bias is None else bias_grad(dy))


def _wrong(ta: bool, tb: bool) -> tuple[Wrong, ...]:
    a = np.ones((4, 3) if ta else (3, 4), np.float32)
    b = np.ones((5, 4) if tb else (4, 5), np.float32)
    short = np.ones((5, 3) if tb else (3, 5), np.float32)
    bias = np.ones(5, np.float32)
    return (
        Wrong((a, short, None), ShapeError, "b: shape .* given, expected 4 rows"),
        Wrong((a[0], b, None), ShapeError, r"a: shape \(\d,\) given, expected 2 axes"),
        Wrong((a, b[None], None), ShapeError, "b: shape .* given, expected 2 axes"),
        Wrong((a, b, bias[1:]), ShapeError, r"bias: shape \(4,\) given, expected \(5,\)"),
        Wrong((a, b, bias[None]), ShapeError, r"bias: shape \(1, 5\) given"),
        Wrong((a, b.astype(np.float64), None), DtypeError, "b: dtype float64 given"),
        Wrong((a, b, bias.astype(np.float64)), DtypeError, "bias: dtype float64 given"),
        Wrong((a.astype(np.int32), b, None), DtypeError, "a: dtype int32 given"),
        Wrong((a, [[1.0]], None), DtypeError, "b: list given"),
        Wrong((a, b, bias), ArgumentError, "activation: 'swish' given", {"activation": "swish"}),
        Wrong((a, b, bias), ArgumentError, "activation: True given", {"activation": True}),
    )


def _signatures(ta: bool, tb: bool, choices: tuple[str | None, ...]) -> tuple[Any, ...]:
    found = []
    for real in (types.float32, types.float64):
        matrix, row = types.Array(real, 2, "C"), types.Array(real, 1, "C")
        for items in sorted({*GPU_TILES, *CPU_TILES}):
            for activation in choices:
                kernel = make_matmul(real, items, ta, tb, activation)
                found.append((kernel, (matrix, matrix, row, matrix)))
    return tuple(found)


def _spec(name: str, ta: bool, tb: bool, choices: tuple[str | None, ...]) -> OpSpec:
    flags: dict[str, Any] = {"transpose_a": ta, "transpose_b": tb}

    def forward(a: Any, b: Any, bias: Any = None, activation: Any = None) -> Array:
        return matmul(a, b, bias=bias, activation=activation, **flags)

    def vjp(dy: Array, a: Any, b: Any, bias: Any = None, activation: Any = None) -> Any:
        return _vjp(dy, a, b, bias, activation=activation, **flags)

    def reference(a: Any, b: Any, bias: Any = None, activation: Any = None) -> np.ndarray:
        return matmul_reference(a, b, bias, activation=activation, **flags)

    def magnitude(a: Any, b: Any, bias: Any = None, activation: Any = None) -> np.ndarray:
        return _magnitude(a, b, bias, activation=activation, **flags)

    return OpSpec(
        name=name,
        forward=forward,
        reference=reference,
        args=(
            Arg("a", "k m" if ta else "m k"),
            Arg("b", "n k" if tb else "k n"),
            Arg("bias", "n", optional=True),
        ),
        options={"activation": choices},
        vjp=vjp,
        magnitude=magnitude,
        tolerance=Tolerance(terms="k"),
        wrong=_wrong(ta, tb),
        kernels=_signatures(ta, tb, choices),
        block=32,
    )


_FLOATS = types.Array(types.float32, 2, "C")
TILED = ((matmul_tiled, (_FLOATS, _FLOATS, _FLOATS)),)

SPECS: tuple[OpSpec, ...] = (
    _spec("matmul", False, False, ACTIVATIONS),
    _spec("matmul_tn", True, False, (None,)),
    _spec("matmul_nt", False, True, (None, "relu")),
    _spec("matmul_tt", True, True, (None,)),
)
