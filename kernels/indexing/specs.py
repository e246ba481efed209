"""NumPy references and ``SPECS`` of padding and joining, and of an embedding's gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32, int64, types

from ..elementwise import copy
from ..elementwise.convert import COPY
from ..elementwise.specs import FLOATS, INTEGERS, RANK_NINE
from ..engine import ArgumentError, Array, DtypeError, ShapeError
from ..opspec import Arg, OpSpec, Signatures, Tolerance, Wrong
from . import joining, padding
from .embedding import (
    embedding_backward,
    embedding_backward_kernel,
    embedding_backward_reference,
)

NUMPY_MODES: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad_reference(
    x: np.ndarray, widths: tuple[int, ...], mode: str = "constant", value: float = 0.0
) -> np.ndarray:
    """``numpy.pad``, and a slice for the negative widths."""
    pairs = [(0, 0)] * (x.ndim - len(widths) // 2)
    pairs += [(widths[i], widths[i + 1]) for i in range(len(widths) - 2, -1, -2)]
    if mode != "constant":
        return np.pad(x, pairs, mode=NUMPY_MODES[mode])
    grown = np.pad(x, [(max(a, 0), max(b, 0)) for a, b in pairs], constant_values=value)
    return grown[tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(pairs, grown.shape))]


def _pad_vjp(
    dy: Array, x: Array, widths: tuple[int, ...], mode: str = "constant", value: float = 0.0
) -> Array:
    return padding.pad_backward(dy, x.shape, widths, mode)


def _pad_case(integer: Any) -> Any:
    """Ranks 1 to 5, of which 1 to 3 axes are padded by what the mode allows."""
    mode = padding.MODES[integer(0, 3)]
    rank = integer(1, 5)
    least = {"constant": 0, "reflect": 2}.get(mode, 1)
    shape = [integer(least, 7 if rank > 2 else 40) for _ in range(rank)]
    widths: list[int] = []
    for k in range(integer(1, min(rank, 3))):
        size = shape[-1 - k]
        most = {"constant": 4, "reflect": size - 1, "replicate": 5}.get(mode, size)
        low = -(size // 2) if mode == "constant" else 0
        widths += [integer(max(low, -3), min(most, 6)) for _ in range(2)]
    return {"...": tuple(shape)}, {"widths": tuple(widths), "mode": mode, "value": 1.5}


PAD = OpSpec(
    name="pad",
    forward=padding.pad,
    reference=pad_reference,
    args=(Arg("x", "..."),),
    vjp=_pad_vjp,
    tolerance=Tolerance(ulp=0.0),
    wrong=(
        Wrong((FLOATS, (1, 2, 3)), ArgumentError, r"widths: \(1, 2, 3\) given, expected pairs"),
        Wrong((FLOATS, (1, 2.0)), ArgumentError, r"widths: \(1, 2.0\) given"),
        Wrong((FLOATS, 1), ArgumentError, "widths: 1 given"),
        Wrong((FLOATS, (1, 1) * 3), ShapeError, r"x: shape \(2, 3\) given, expected 3 axes"),
        Wrong((FLOATS, (-2, -2)), ShapeError, "too few items along axis -1"),
        Wrong((FLOATS, (3, 0)), ShapeError, "too few items along axis -1", {"mode": "reflect"}),
        Wrong((FLOATS, (4, 0)), ShapeError, "too few items along axis -1", {"mode": "circular"}),
        Wrong((FLOATS[:0], (0, 0, 1, 0)), ShapeError, "axis -2 for", {"mode": "replicate"}),
        Wrong((FLOATS, (-1, 1)), ArgumentError, "none below 0", {"mode": "replicate"}),
        Wrong((FLOATS, (1, 1)), ArgumentError, "mode: 'mirror' given", {"mode": "mirror"}),
        Wrong((FLOATS, (1, 1)), ArgumentError, "value: None given", {"value": None}),
        Wrong((INTEGERS, (1, 1)), DtypeError, "x: dtype int64 given"),
        Wrong((RANK_NINE, (1, 1)), ShapeError, "at most 8 axes"),
    ),
    kernels=padding.signatures(),
    configure=_pad_case,
)


def _concatenate_vjp(dy: Array, x: Array, y: Array, axis: int) -> tuple[Array, ...]:
    at = axis % len(dy.shape)
    middle = x.shape[at]
    ends = ((0, middle), (middle, dy.shape[at]))
    return tuple(copy(joining.part(dy, at, start, stop)) for start, stop in ends)


def _stack_vjp(dy: Array, x: Array, y: Array, axis: int) -> tuple[Array, ...]:
    at = axis % len(dy.shape)
    parts = (joining.part(dy, at, i, i + 1) for i in range(2))
    return tuple(copy(part).reshape(x.shape) for part in parts)


def _concatenate_case(integer: Any) -> Any:
    """Tables (a, m, b) and (a, n, b), joined along the middle."""
    outer, inner = integer(0, 5), integer(0, 33)
    sizes = {"a": outer, "m": integer(0, 9), "n": integer(0, 9), "b": inner}
    return sizes, {"axis": (1, -2)[integer(0, 1)]}


def _stack_case(integer: Any) -> Any:
    shape = tuple(integer(0, 9) for _ in range(integer(0, 3)))
    return {"...": shape}, {"axis": integer(-len(shape) - 1, len(shape))}


ROW = FLOATS[0]
JOINED = (
    OpSpec(
        name="concatenate",
        forward=lambda x, y, axis: joining.concatenate((x, y), axis),
        reference=lambda x, y, axis: np.concatenate((x, y), axis),
        args=(Arg("x", "a m b"), Arg("y", "a n b")),
        vjp=_concatenate_vjp,
        tolerance=Tolerance(ulp=0.0),
        wrong=(
            Wrong((FLOATS, FLOATS[:, :2], 0), ShapeError, r"arrays\[1\]: shape \(2, 2\) given"),
            Wrong((FLOATS, ROW, 0), ShapeError, r"arrays\[1\]: shape \(3,\) given"),
            Wrong(
                (FLOATS, FLOATS.astype(np.float64), 0), DtypeError, r"arrays\[1\]: dtype float64"
            ),
            Wrong((FLOATS, None, 0), DtypeError, r"arrays\[1\]: NoneType given"),
            Wrong((FLOATS, FLOATS, 2), ArgumentError, "axis: 2 given, expected one of 2 axes"),
            Wrong((FLOATS, FLOATS, True), ArgumentError, "axis: True given"),
        ),
        kernels=COPY.signatures(),
        configure=_concatenate_case,
    ),
    OpSpec(
        name="stack",
        forward=lambda x, y, axis: joining.stack((x, y), axis),
        reference=lambda x, y, axis: np.stack((x, y), axis),
        args=(Arg("x", "..."), Arg("y", "...")),
        vjp=_stack_vjp,
        tolerance=Tolerance(ulp=0.0),
        wrong=(
            Wrong((FLOATS, FLOATS[:, :2], 0), ShapeError, r"arrays\[1\]: shape \(2, 2\) given"),
            Wrong((FLOATS, INTEGERS, 0), DtypeError, r"arrays\[1\]: dtype int64 given"),
            Wrong(([1.0], FLOATS, 0), DtypeError, r"arrays\[0\]: list given"),
            Wrong((FLOATS, FLOATS, 3), ArgumentError, "axis: 3 given, expected one of 3 axes"),
            Wrong((FLOATS, FLOATS, 0.0), ArgumentError, "axis: 0.0 given"),
            Wrong((RANK_NINE[0], RANK_NINE[0], 0), ShapeError, "at most 8 axes"),
        ),
        kernels=COPY.signatures(),
        configure=_stack_case,
    ),
)


def _embedding_backward_signatures() -> Signatures:
    found: list[Any] = []
    for real in (types.float32, types.float64):
        table = types.Array(real, 2, "C")
        for number in (int32, int64):
            line = types.Array(number, 1, "C")
            found.append((embedding_backward_kernel, (table, line, int64, int64, table)))
    return tuple(found)


_TABLE, _INDEX, _DY = FLOATS[:, :2], np.array([0, 1, 1]), np.ones((3, 2), np.float32)
# The gradient check of ``embedding`` cannot know of padding_idx: no difference of tables shows it.
EMBEDDING_BACKWARD = OpSpec(
    name="embedding_backward",
    forward=embedding_backward,
    reference=embedding_backward_reference,
    args=(
        Arg("dy", "n m d"),
        Arg("table", "v d"),
        Arg("index", "n m", kind="index", upper="v", differentiable=False),
    ),
    options={"padding_idx": (None, 0, -1)},
    magnitude=lambda dy, table, index, padding_idx: embedding_backward_reference(
        np.abs(dy), table, index, padding_idx
    ),
    tolerance=Tolerance(terms=lambda dy, table, index, padding_idx: max(index.size, 1)),
    wrong=(
        Wrong((_DY[:2], _TABLE, _INDEX), ShapeError, r"dy: shape \(2, 2\) given"),
        Wrong((_DY.astype(np.float64), _TABLE, _INDEX), DtypeError, "dy: dtype float64"),
        Wrong((_DY, _TABLE[0], _INDEX), ShapeError, r"table: shape \(2,\) given"),
        Wrong((_DY, _TABLE, _INDEX * 1.0), DtypeError, "index: dtype float64 given"),
        Wrong((_DY, _TABLE, _INDEX + 1), ArgumentError, r"index: 2 given at \(1,\)"),
        Wrong((_DY, _TABLE, _INDEX), ArgumentError, "padding_idx: 2", {"padding_idx": 2}),
    ),
    kernels=_embedding_backward_signatures(),
    block=32,
)

SPECS: tuple[OpSpec, ...] = (EMBEDDING_BACKWARD, PAD, *JOINED)
