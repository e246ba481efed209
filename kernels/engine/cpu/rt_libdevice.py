"""Every function of ``numba.cuda.libdevice``, by name.

``TABLE`` gives for each its signature, which is numba-cuda's (unsigned arguments are declared
signed there), and the function that writes its code.  ``libdevice.sinf`` is ``nv_sinf_`` in
generated code.

* Most are functions of LLVM or of the C library; ``fast_`` versions are as precise as the others.
* The ending says how a result is rounded: ``_rn`` to nearest (and never fused with a neighbouring
  operation), ``_rz`` towards zero, ``_ru`` up, ``_rd`` down.
* What a C function returns through a pointer comes back as a tuple.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import rt_special as special
from .rt_cmath import emit_frexp, emit_ldexp, emit_modf, emit_pow, emit_remquo
from .rt_math import Emit, emit_erf, emit_erfc, emit_exp, emit_log, emit_tanh
from .rt_nv_integer import INTEGER_TABLE
from .rt_rounding import rounded
from .rt_scalar import F32, F64, I32, I64, Scalar, pair, scalar_function

Generate = Callable[..., Any]
Entry = tuple[str, Generate]

TABLE: dict[str, Entry] = dict(INTEGER_TABLE)
MODES = ("rn", "rz", "ru", "rd")
KINDS = (("", "float64", F64), ("f", "float32", F32))


def _both(name: str, pattern: str, generate: Generate) -> None:
    """The float64 version ``name`` and the float32 version ``namef``; R is their type."""
    for letter, kind, _ in KINDS:
        TABLE[name + letter] = (pattern.replace("R", kind), generate)


def _c(name: str) -> Generate:
    return lambda s, *args: s.real(name, *args)


def _llvm(name: str) -> Generate:
    return lambda s, *args: s.llvm(f"llvm.{name}", *args)


def _python(function: Generate) -> Generate:
    """One argument; compiled from Python for float64."""

    def wide(s: Scalar, x: Any) -> Any:
        return s.python(function, "float64(float64)", x)

    return lambda s, x: s.through_float64(wide, x)


def _polynomial(name: str, emit: Generate) -> Generate:
    return lambda s, x: emit(Emit(s.bld), x) if x.type == F32 else s.llvm(name, x)


# -- functions of a real number --------------------------------------------------------------------
C_UNARY = [
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cbrt", "cosh", "expm1", "j0", "j1",
    "lgamma", "log1p", "logb", "sinh", "tan", "tgamma", "y0", "y1",
]  # fmt: skip
LLVM_EXACT = ["ceil", "floor", "trunc", "fabs", "sqrt", "rint", "nearbyint", "round"]
LLVM_UNARY = [*LLVM_EXACT, "sin", "cos", "exp2", "log2", "log10"]
PYTHON = ["sinpi", "cospi", "rsqrt", "erfcx", "erfinv", "erfcinv", "normcdf", "normcdfinv"]
POLYNOMIALS = {"exp": emit_exp, "log": emit_log}

for _name in C_UNARY:
    _both(_name, "R(R)", _c(_name))
for _name in LLVM_UNARY:
    _both(_name, "R(R)", _llvm(_name))
for _name in PYTHON:
    _both(_name, "R(R)", _python(getattr(special, _name)))
for _name, _emit in POLYNOMIALS.items():
    _both(_name, "R(R)", _polynomial(f"llvm.{_name}", _emit))
for _name, _emit in (("tanh", emit_tanh), ("erf", emit_erf), ("erfc", emit_erfc)):
    TABLE[_name] = ("float64(float64)", _c(_name))
    TABLE[_name + "f"] = ("float32(float32)", _polynomial("", _emit))


def _exp10(s: Scalar, x: Any) -> Any:
    return s.through_float64(lambda s, x: s.llvm("llvm.pow", F64(10.0), x), x)


def _rcbrt(s: Scalar, x: Any) -> Any:
    return s.through_float64(lambda s, x: s.bld.fdiv(F64(1.0), s.real("cbrt", x)), x)


def _saturate(s: Scalar, x: Any) -> Any:
    """Between 0 and 1; NaN becomes 0."""
    return s.llvm("llvm.minnum", s.llvm("llvm.maxnum", x, F32(0.0)), F32(1.0))


def _bessel(name: str) -> Generate:
    """The order comes first."""
    return lambda s, n, x: s.library(name + ("f" if x.type == F32 else ""), x.type, n, x)


_both("exp10", "R(R)", _exp10)
_both("rcbrt", "R(R)", _rcbrt)
_both("jn", "R(int32, R)", _bessel("jn"))
_both("yn", "R(int32, R)", _bessel("yn"))
TABLE["saturatef"] = ("float32(float32)", _saturate)

# -- functions of several numbers ------------------------------------------------------------------
for _name in ("atan2", "fdim", "fmod", "hypot", "nextafter", "remainder"):
    _both(_name, "R(R, R)", _c(_name))
_both("pow", "R(R, R)", emit_pow)
_both("powi", "R(R, int32)", emit_pow)
_both("copysign", "R(R, R)", _llvm("copysign"))
_both("fmax", "R(R, R)", _llvm("maxnum"))
_both("fmin", "R(R, R)", _llvm("minnum"))
_both("fma", "R(R, R, R)", _llvm("fma"))
_both("ldexp", "R(R, int32)", emit_ldexp)
_both("scalbn", "R(R, int32)", emit_ldexp)


# -- several results -------------------------------------------------------------------------------
def _sincos(s: Scalar, x: Any) -> Any:
    return pair(s.bld, s.llvm("llvm.sin", x), s.llvm("llvm.cos", x))


def _sincospi(s: Scalar, x: Any) -> Any:
    sine = _python(special.sinpi)(s, x)
    return pair(s.bld, sine, _python(special.cospi)(s, x))


_both("sincos", "UniTuple(R, 2)(R)", _sincos)
_both("sincospi", "UniTuple(R, 2)(R)", _sincospi)
_both("modf", "UniTuple(R, 2)(R)", emit_modf)
_both("frexp", "Tuple((R, int32))(R)", emit_frexp)
_both("remquo", "Tuple((R, int32))(R, R)", emit_remquo)


# -- tests and parts of a number -------------------------------------------------------------------
def _test(make: Generate) -> Generate:
    return lambda s, x: s.bld.zext(make(s, x), I32)


def _is_nan(s: Scalar, x: Any) -> Any:
    return s.bld.fcmp_unordered("uno", x, x)


def _is_infinite(s: Scalar, x: Any) -> Any:
    return s.bld.fcmp_ordered("==", s.llvm("llvm.fabs", x), x.type(float("inf")))


def _is_finite(s: Scalar, x: Any) -> Any:
    return s.bld.fcmp_ordered("<", s.llvm("llvm.fabs", x), x.type(float("inf")))


def _is_negative(s: Scalar, x: Any) -> Any:
    bits = I32 if x.type == F32 else I64
    return s.bld.icmp_signed("<", s.bld.bitcast(x, bits), bits(0))


for _letter, _kind, _ in (("d", "float64", F64), ("f", "float32", F32)):
    for _name, _make in (("isnan", _is_nan), ("isinf", _is_infinite), ("signbit", _is_negative)):
        TABLE[_name + _letter] = (f"int32({_kind})", _test(_make))
TABLE["isfinited"] = ("int32(float64)", _test(_is_finite))
TABLE["finitef"] = ("int32(float32)", _test(_is_finite))


def _ilogb(s: Scalar, x: Any) -> Any:
    return s.library("ilogb" + ("f" if x.type == F32 else ""), I32, x)


_both("ilogb", "int32(R)", _ilogb)


# -- arithmetic with a given rounding --------------------------------------------------------------
def _separate(s: Scalar, x: Any) -> Any:
    """A value that LLVM does not fuse with the operations around it."""
    return s.llvm("llvm.arithmetic.fence", x)


def _arithmetic(operation: str, mode: str, kind: Any) -> Generate:
    def nearest(s: Scalar, *args: Any) -> Any:
        args = tuple(_separate(s, a) for a in args)
        named = getattr(s.bld, operation, None)
        value = named(*args) if named and operation != "fma" else s.llvm(f"llvm.{operation}", *args)
        return _separate(s, value)

    if mode == "rn":
        return nearest
    return lambda s, *args: rounded(s.bld, mode, operation, kind, *args)


def _reciprocal(divide: Generate, kind: Any) -> Generate:
    return lambda s, x: divide(s, kind(1.0), x)


for _mode in MODES:
    for _letter, (_suffix, _kind, _type) in zip("df", KINDS):
        _two = f"{_kind}({_kind}, {_kind})"
        for _name in ("add", "sub", "mul", "div"):
            if _letter + _name != "dsub":
                TABLE[f"{_letter}{_name}_{_mode}"] = (_two, _arithmetic(f"f{_name}", _mode, _type))
        _divide = _arithmetic("fdiv", _mode, _type)
        TABLE[f"{_letter}rcp_{_mode}"] = (f"{_kind}({_kind})", _reciprocal(_divide, _type))
        TABLE[f"{_letter}sqrt_{_mode}"] = (f"{_kind}({_kind})", _arithmetic("sqrt", _mode, _type))
        _three = f"{_kind}({_kind}, {_kind}, {_kind})"
        TABLE[f"fma{_suffix}_{_mode}"] = (_three, _arithmetic("fma", _mode, _type))
TABLE["frsqrt_rn"] = TABLE["rsqrtf"]

for _name in ("sinf", "cosf", "tanf", "expf", "exp10f", "logf", "log2f", "log10f", "powf"):
    TABLE[f"fast_{_name}"] = TABLE[_name]
TABLE["fast_sincosf"] = TABLE["sincosf"]
TABLE["fast_fdividef"] = ("float32(float32, float32)", lambda s, a, b: s.bld.fdiv(a, b))

INLINE = frozenset(
    {*INTEGER_TABLE, "copysign", "copysignf", "fmax", "fmaxf", "fmin", "fminf", "saturatef"}
    | {name + letter for name in LLVM_EXACT for letter in ("", "f")}
)
"""Cheap and defined for every value."""


def _round_to(s: Scalar, x: Any, digits: Any) -> Any:
    def wide(s: Scalar, x: Any) -> Any:
        return s.python(special.round_to, "float64(float64, int64)", x, digits)

    return s.through_float64(wide, x)


round_to = scalar_function(["float32(float32, int64)", "float64(float64, int64)"], _round_to)

FUNCTIONS: dict[str, Any] = {f"nv_{n}_": scalar_function(*entry) for n, entry in TABLE.items()}
FUNCTIONS["round_to_"] = round_to
