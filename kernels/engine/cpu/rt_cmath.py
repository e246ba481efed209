"""Functions of ``math`` whose types differ between Numba for CPUs and for GPUs.

On a GPU ``math.floor`` of a float32 is a float32, ``math.pow`` of two float32 a float32; the lists
of signatures here are numba-cuda's.  All other functions of ``math`` are Numba's own.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from .rt_half import in_float32
from .rt_scalar import F64, I32, Scalar, pair, scalar_function

UNARY = ["float64(int64)", "float64(uint64)", "float32(float32)", "float64(float64)"]
BINARY = ["float32(float32, float32)", "float64(float64, float64)"]


def _whole(name: str) -> Any:
    """``floor`` and so on; of an integer the integer as a float64."""

    def generate(s: Scalar, x: Any) -> Any:
        if s.sig.return_type == types.float16:
            return in_float32(s.ctx, s.bld, lambda wide: s.llvm(f"llvm.{name}", wide), x)
        if isinstance(x.type, ir.IntType):
            return s.ctx.cast(s.bld, x, s.sig.args[0], s.sig.return_type)
        return s.llvm(f"llvm.{name}", x)

    return scalar_function([*UNARY, "float16(float16)"], generate)


def _library(name: str) -> Any:
    return scalar_function(BINARY, lambda s, a, b: s.real(name, a, b))


def emit_pow(s: Scalar, x: Any, y: Any) -> Any:
    if not isinstance(y.type, ir.IntType):
        return s.llvm("llvm.pow", x, y)
    exponent = s.bld.sitofp(y, F64)
    return s.through_float64(lambda s, x: s.llvm("llvm.pow", x, exponent), x)


def emit_ldexp(s: Scalar, x: Any, n: Any) -> Any:
    return s.real("ldexp", x, n)


def emit_frexp(s: Scalar, x: Any) -> Any:
    place = cgutils.alloca_once(s.bld, I32)
    fraction = s.real("frexp", x, place)
    return pair(s.bld, fraction, s.bld.load(place))


def emit_modf(s: Scalar, x: Any) -> Any:
    place = cgutils.alloca_once(s.bld, x.type)
    fraction = s.real("modf", x, place)
    return pair(s.bld, fraction, s.bld.load(place))


def emit_remquo(s: Scalar, x: Any, y: Any) -> Any:
    place = cgutils.alloca_once(s.bld, I32)
    rest = s.real("remquo", x, y, place)
    return pair(s.bld, rest, s.bld.load(place))


FREXP = [f"Tuple((float{n}, int32))(float{n})" for n in (32, 64)]
MODF = [f"UniTuple(float{n}, 2)(float{n})" for n in (64, 32)]
POW = [*BINARY, "float32(float32, int32)", "float64(float64, int32)"]
LDEXP = ["float32(float32, int32)", "float64(float64, int32)"]

CUDA_MATH: dict[str, Any] = {
    "ceil": _whole("ceil"),
    "floor": _whole("floor"),
    "trunc": _whole("trunc"),
    "pow": scalar_function(POW, emit_pow),
    "fmod": _library("fmod"),
    "remainder": _library("remainder"),
    "nextafter": _library("nextafter"),
    "ldexp": scalar_function(LDEXP, emit_ldexp),
    "frexp": scalar_function(FREXP, emit_frexp),
    "modf": scalar_function(MODF, emit_modf),
}

FUNCTIONS: dict[str, Any] = {f"{name}_": function for name, function in CUDA_MATH.items()}
