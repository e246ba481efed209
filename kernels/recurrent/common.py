"""What the cells share: launch shape, checks, references of their functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from .. import checks
from ..elementwise import copy
from ..engine import Array, DtypeError, ShapeError
from ..opspec import Wrong

BLOCK = (32, 8)  # a warp along the units of a row
MAX_GRID_Y = 65535


def grid_of(n: int, m: int) -> tuple[int, int]:
    """The grid for n rows of m units; kernels go on in steps over rows beyond it."""
    return (m + BLOCK[0] - 1) // BLOCK[0], min((n + BLOCK[1] - 1) // BLOCK[1], MAX_GRID_Y)


def dense(x: Array) -> Array:
    """``x``, copied if it is not contiguous."""
    return x if x.is_contiguous else copy(x)


def rows(x: Array) -> Array:
    """(n, gates, m) as (n, gates * m), contiguous."""
    n, gates, m = x.shape
    return dense(x).reshape((n, gates * m))


def check_gates(op: str, gates: int, gates_x: Array, gates_h: Array, **state: Array) -> None:
    """Both gates are (n, gates, m), and each array of the state (n, m), all alike."""
    checks.require_float(op, "gates_x", gates_x)
    shape = gates_x.shape
    if len(shape) != 3 or shape[1] != gates:
        raise ShapeError(f"{op}: gates_x: shape {shape} given, expected (n, {gates}, m)")
    checks.require_like(op, "gates_h", gates_h, "gates_x", gates_x)
    checks.require_shape(op, "gates_h", gates_h, shape)
    for name, x in state.items():
        checks.require_like(op, name, x, "gates_x", gates_x)
        checks.require_shape(op, name, x, (shape[0], shape[2]))


def sigmoid_reference(x: np.ndarray) -> np.ndarray:
    """Logistic function without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


def wrong_gates(op: str, gates: int, *state: str) -> tuple[Wrong, ...]:
    """Wrong calls of ``op(gates_x, gates_h, *state)``."""
    g = np.ones((2, gates, 3), np.float32)
    s = np.ones((2, 3), np.float32)
    held = (s,) * len(state)
    bad_state = tuple(
        Wrong((g, g, *held[:i], s[:1].copy(), *held[i + 1 :]), ShapeError, rf"{op}: {name}: shape")
        for i, name in enumerate(state)
    )
    return (
        Wrong((g, g[:1].copy(), *held), ShapeError, rf"{op}: gates_h: shape \(1, {gates}, 3\)"),
        Wrong((s, s, *held), ShapeError, rf"{op}: gates_x: shape \(2, 3\) given"),
        Wrong((g[:, :0].copy(), g, *held), ShapeError, rf"expected \(n, {gates}, m\)"),
        Wrong((g.astype(int), g, *held), DtypeError, f"{op}: gates_x: dtype int64 given"),
        Wrong((g, g.astype(np.float64), *held), DtypeError, f"{op}: gates_h: dtype float64"),
        Wrong((g, None, *held), DtypeError, f"{op}: gates_h: NoneType given"),
        *bad_state,
    )


def signatures(kernel: Any, arrays: int) -> tuple[tuple[Any, tuple[Any, ...]], ...]:
    """For the compile gate: a kernel of ``arrays`` matrices, in float32 and float64."""
    return tuple(
        (kernel, (types.Array(t, 2, "C"),) * arrays) for t in (types.float32, types.float64)
    )
