"""``SPECS`` of the elementwise ops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import types

from ..engine import ArgumentError, DtypeError, ShapeError
from ..opspec import Arg, GpuKernel, OpSpec, Wrong
from . import arithmetic, convert, transposing, unary, wide_transposing
from .wide_broadcast import gpu_kernel

X = Arg("x", "...")
FLOATS = np.ones((2, 3), np.float32)
DOUBLES = np.ones((2, 3), np.float64)
INTEGERS = np.ones((2, 3), np.int64)
RANK_NINE = np.ones((1,) * 9, np.float32)


def wrong_unary(name: str = "x", *more: Any) -> tuple[Wrong, ...]:
    """Wrong calls of an op on one float array called ``name``; ``more`` are further arguments."""
    return (
        Wrong((INTEGERS, *more), DtypeError, f"{name}: dtype int64 given, expected float32"),
        Wrong((FLOATS > 0, *more), DtypeError, f"{name}: dtype bool given"),
        Wrong((FLOATS.astype(np.float16), *more), DtypeError, f"{name}: dtype float16"),
        Wrong((None, *more), DtypeError, f"{name}: NoneType given, expected an Array"),
        Wrong(([1.0, 2.0], *more), DtypeError, f"{name}: list given, expected an Array"),
        Wrong((RANK_NINE, *more), ShapeError, "expected at most 8 axes"),
    )


def wrong_pair(first: str, second: str, *more: Any) -> tuple[Wrong, ...]:
    """Wrong calls of an op on two float arrays of one shape and dtype."""
    return (
        Wrong((FLOATS, FLOATS[:, :2], *more), ShapeError, rf"{second}: shape \(2, 2\) given"),
        Wrong((FLOATS, DOUBLES, *more), DtypeError, f"{second}: dtype float64 given, expected"),
        Wrong((INTEGERS, INTEGERS, *more), DtypeError, f"{first}: dtype int64 given"),
        Wrong((FLOATS, None, *more), DtypeError, f"{second}: NoneType given"),
        Wrong((3.0, FLOATS, *more), DtypeError, f"{first}: float given"),
        Wrong((RANK_NINE, RANK_NINE, *more), ShapeError, "expected at most 8 axes"),
    )


def _unary(name: str, reference: Any, vjp: Any, mapping: Any, x: Arg = X) -> OpSpec:
    return OpSpec(
        name=name,
        forward=getattr(unary, name),
        reference=reference,
        args=(x,),
        vjp=vjp,
        wrong=wrong_unary(),
        kernels=mapping.signatures(),
        block=256,
    )


def _exp_vjp(dy: Any, x: Any) -> Any:
    return unary.exp_backward(dy, unary.exp(x))


def _scale_vjp(dy: Any, x: Any, alpha: float) -> Any:
    return arithmetic.scale(dy, alpha)


def _power_reference(x: np.ndarray, exponent: float) -> np.ndarray:
    # Arrays of one axis: for a scalar 0.5, NumPy takes the square root, where -0 gives -0.
    flat = np.power(x.reshape(-1), np.full(x.size, exponent)).reshape(x.shape)
    return x * x if exponent == 2 else flat


def _fill_reference(out: np.ndarray, value: float) -> np.ndarray:
    return np.full(out.shape, value, out.dtype)


WRONG_NUMBER = (
    Wrong((FLOATS,), ArgumentError, "'half' given, expected a real number", {"alpha": "half"}),
    Wrong((FLOATS,), ArgumentError, "True given, expected a real number", {"alpha": True}),
)
WRONG_COPY = (
    Wrong((FLOATS.astype(np.complex64),), DtypeError, "x: dtype complex64 given"),
    Wrong((FLOATS.astype(np.float16),), DtypeError, "x: dtype float16 given"),
    Wrong((None,), DtypeError, "x: NoneType given"),
    Wrong(([1.0],), DtypeError, "x: list given"),
    Wrong((RANK_NINE,), ShapeError, "at most 8 axes"),
)
POSITIVE = Arg("x", "...", low=0.25)

SPECS: tuple[OpSpec, ...] = (
    _unary("exp", np.exp, _exp_vjp, unary.EXP),
    _unary("log", np.log, unary.log_backward, unary.LOG, POSITIVE),
    _unary("sqrt", np.sqrt, unary.sqrt_backward, unary.SQRT, POSITIVE),
    OpSpec(
        name="pow",
        forward=unary.pow,
        reference=_power_reference,
        args=(POSITIVE,),
        options={"exponent": (2, 3.0, -1.5, 0.5, 0)},
        vjp=unary.pow_backward,
        wrong=(
            *wrong_unary("x", 3.0)[:4],
            Wrong((FLOATS,), ArgumentError, "exponent: None given", {"exponent": None}),
        ),
        kernels=(*unary.POWER.signatures(), *unary.SQUARE.signatures()),
        block=256,
    ),
    OpSpec(
        name="neg",
        forward=arithmetic.neg,
        reference=np.negative,
        args=(X,),
        vjp=lambda dy, x: arithmetic.neg(dy),
        wrong=wrong_unary(),
        kernels=arithmetic.NEG.signatures(),
        block=256,
    ),
    OpSpec(
        name="scale",
        forward=arithmetic.scale,
        reference=lambda x, alpha: alpha * x,
        args=(X,),
        options={"alpha": (0.5, -3, 0.1)},
        vjp=_scale_vjp,
        wrong=(*wrong_unary("x", 1.0)[:4], *WRONG_NUMBER),
        kernels=arithmetic.SCALE.signatures(),
        block=256,
    ),
    OpSpec(
        name="accumulate",
        forward=arithmetic.accumulate,
        reference=lambda out, x: out + x,
        args=(Arg("out", "..."), X),
        mutates=("out",),
        wrong=(
            *wrong_pair("out", "x")[1:],
            Wrong((FLOATS[:1], FLOATS), ShapeError, r"expected one that broadcasts to \(1, 3\)"),
        ),
        kernels=arithmetic.ADD.signatures(types.float32),
        block=256,
    ),
    OpSpec(
        name="fill",
        forward=convert.fill,
        reference=_fill_reference,
        args=(Arg("out", "..."),),
        options={"value": (0, -1.5)},
        mutates=("out",),
        wrong=(
            Wrong((FLOATS,), ArgumentError, "value: 'x' given", {"value": "x"}),
            Wrong((FLOATS,), ArgumentError, "value: None given", {"value": None}),
            Wrong((FLOATS.astype(np.complex64), 0), DtypeError, "out: dtype complex64 given"),
            Wrong(([1.0], 0), DtypeError, "out: list given"),
            Wrong((RANK_NINE, 0), ShapeError, "at most 8 axes"),
        ),
        kernels=convert.FILL.signatures(),
        block=256,
    ),
    OpSpec(
        name="assign",
        forward=convert.assign,
        reference=lambda out, x: x,
        args=(Arg("out", "..."), X),
        mutates=("out",),
        wrong=(
            Wrong((FLOATS, FLOATS[:1]), ShapeError, r"x: shape \(1, 3\) given"),
            Wrong((FLOATS, DOUBLES), DtypeError, "x: dtype float64 given"),
            Wrong((FLOATS, None), DtypeError, "x: NoneType given"),
            Wrong((FLOATS.astype(np.complex64), FLOATS), DtypeError, "out: dtype complex64"),
            Wrong((RANK_NINE, RANK_NINE), ShapeError, "at most 8 axes"),
        ),
        kernels=convert.COPY.signatures(types.float32),
        block=256,
    ),
    OpSpec(
        name="copy",
        forward=convert.copy,
        reference=lambda x: x,
        args=(X,),
        vjp=lambda dy, x: convert.copy(dy),
        wrong=WRONG_COPY,
        kernels=(
            *convert.COPY.signatures(types.float32, types.float64, types.int64, types.uint8),
            *transposing.signatures(),
        ),
        block=256,
    ),
    OpSpec(
        name="cast",
        forward=convert.cast,
        reference=lambda x, dtype: x.astype(dtype),
        args=(X,),
        options={"dtype": ("float32", "float64")},
        vjp=None,  # rounding has no slope that a finite difference could see
        wrong=(
            *(Wrong(w.args, w.error, w.match, {"dtype": "float32"}) for w in WRONG_COPY),
            Wrong((FLOATS,), DtypeError, "dtype: 'complex64' given", {"dtype": "complex64"}),
            Wrong((FLOATS,), DtypeError, "dtype: 'word' given", {"dtype": "word"}),
        ),
        kernels=(
            (convert.COPY.flat, (types.float64[::1], types.float32[::1])),
            (convert.COPY.flat, (types.float32[::1], types.float64[::1])),
            (convert.COPY.flat, (types.uint8[::1], types.float32[::1])),
        ),
        block=256,
    ),
)


def wide_maps(specs: Iterable[OpSpec]) -> tuple[GpuKernel, ...]:
    """The wide kernels among the maps of some ops, and what their machine code is to hold."""
    found = {}  # several ops may share a map
    for spec in specs:
        for made, signature in spec.kernels:
            if made.__name__.endswith("_wide"):
                arrays = sum(isinstance(kind, types.Array) for kind in signature)
                reads = 0 if made is convert.FILL.wide else arrays - 1
                expects = f"LDG.128 == {reads}", "STG.128 == 1", "LDL == 0"
                found[made] = GpuKernel(spec.name, made, signature, expects=expects)
    return tuple(found.values())


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels by 128-bit access."""
    maps = (getattr(arithmetic, name) for name in ("ADD", "SUB", "MUL", "DIV", "SCALE"))
    made = ((m.name, m.broadcast, m.inputs) for m in (*maps, convert.COPY))
    repeating = (gpu_kernel(*m) for m in made)
    return (*wide_maps(SPECS), *repeating, *wide_transposing.gpu_kernels())
