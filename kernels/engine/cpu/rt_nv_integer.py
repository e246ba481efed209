"""The functions of libdevice that work on integers, on bits, or convert between types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .rt_bits import emit_ffs
from .rt_half import narrow, widen
from .rt_rounding import rounded
from .rt_scalar import F32, F64, I1, I32, I64, Scalar

Generate = Callable[..., Any]
INTEGER_TABLE: dict[str, tuple[str, Generate]] = {}
FLOATS = {"float": ("float32", F32), "double": ("float64", F64)}
WHOLE = {"rn": "rint", "rz": "trunc", "ru": "ceil", "rd": "floor"}
"""The LLVM function that rounds a float to a whole number."""


def _add(names: str, signature: str, generate: Generate) -> None:
    for name in names.split():
        INTEGER_TABLE[name] = (signature, generate)


def _llvm(name: str) -> Generate:
    return lambda s, *args: s.llvm(f"llvm.{name}", *args)


# -- integers --------------------------------------------------------------------------------------
def _abs(s: Scalar, x: Any) -> Any:
    return s.bld.select(s.bld.icmp_signed("<", x, x.type(0)), s.bld.neg(x), x)


def _high_half(extend: str) -> Generate:
    """The upper half of the product of twice the width."""

    def generate(s: Scalar, a: Any, b: Any) -> Any:
        wide = ir.IntType(2 * a.type.width)
        product = s.bld.mul(getattr(s.bld, extend)(a, wide), getattr(s.bld, extend)(b, wide))
        return s.bld.trunc(s.bld.lshr(product, wide(a.type.width)), a.type)

    return generate


def _product_24(shift: str) -> Generate:
    """The lower 32 bits of the product of the lower 24 bits."""

    def generate(s: Scalar, a: Any, b: Any) -> Any:
        a, b = (getattr(s.bld, shift)(s.bld.shl(v, I32(8)), I32(8)) for v in (a, b))
        return s.bld.mul(a, b)

    return generate


def _average(extend: str, more: int) -> Generate:
    def generate(s: Scalar, a: Any, b: Any) -> Any:
        total = s.bld.add(getattr(s.bld, extend)(a, I64), getattr(s.bld, extend)(b, I64))
        return s.bld.trunc(s.bld.ashr(s.bld.add(total, I64(more)), I64(1)), I32)

    return generate


def _sad(compare: str) -> Generate:
    """|a - b| + c."""

    def generate(s: Scalar, a: Any, b: Any, c: Any) -> Any:
        less = getattr(s.bld, compare)("<", a, b)
        return s.bld.add(s.bld.select(less, s.bld.sub(b, a), s.bld.sub(a, b)), c)

    return generate


def _byte_perm(s: Scalar, low: Any, high: Any, selector: Any) -> Any:
    """Each of the lower four digits of the selector picks one of the eight bytes."""
    b = s.bld
    both = b.or_(b.zext(low, I64), b.shl(b.zext(high, I64), I64(32)))
    result = I32(0)
    for k in range(4):
        chosen = b.and_(b.lshr(selector, I32(4 * k)), I32(7))
        byte = b.trunc(b.lshr(both, b.shl(b.zext(chosen, I64), I64(3))), I32)
        result = b.or_(result, b.shl(b.and_(byte, I32(255)), I32(8 * k)))
    return result


def _count(function: str) -> Generate:
    """A number of bits as an int32."""

    def generate(s: Scalar, x: Any) -> Any:
        n = s.bld.ctpop(x) if function == "ctpop" else s.bld.ctlz(x, I1(0))
        return n if x.type == I32 else s.bld.trunc(n, I32)

    return generate


for _kind, _ll in (("int32", ""), ("int64", "ll")):
    _add(f"brev{_ll}", f"{_kind}({_kind})", _llvm("bitreverse"))
    _add(f"clz{_ll}", f"int32({_kind})", _count("ctlz"))
    _add(f"popc{_ll}", f"int32({_kind})", _count("ctpop"))
    _add(f"ffs{_ll}", f"int32({_kind})", emit_ffs)
    _add(f"{_ll}abs", f"{_kind}({_kind})", _abs)
    for _name in ("max", "min"):
        _add(f"{_ll}{_name}", f"{_kind}({_kind}, {_kind})", _llvm(f"s{_name}"))
        _add(f"u{_ll}{_name}", f"{_kind}({_kind}, {_kind})", _llvm(f"u{_name}"))
TWO = "int32(int32, int32)"
_add("mulhi", TWO, _high_half("sext"))
_add("umulhi", TWO, _high_half("zext"))
_add("mul64hi", "int64(int64, int64)", _high_half("sext"))
_add("umul64hi", "int64(int64, int64)", _high_half("zext"))
_add("mul24", TWO, _product_24("ashr"))
_add("umul24", TWO, _product_24("lshr"))
_add("hadd", TWO, _average("sext", 0))
_add("rhadd", TWO, _average("sext", 1))
_add("uhadd", TWO, _average("zext", 0))
_add("urhadd", TWO, _average("zext", 1))
_add("sad", "int32(int32, int32, int32)", _sad("icmp_signed"))
_add("usad", "int32(int32, int32, int32)", _sad("icmp_unsigned"))
_add("byte_perm", "int32(int32, int32, int32)", _byte_perm)


# -- the same bits as another type -----------------------------------------------------------------
def _cast(kind: Any) -> Generate:
    return lambda s, x: s.bld.bitcast(x, kind)


def _half_of(shift: int) -> Generate:
    def generate(s: Scalar, x: Any) -> Any:
        return s.bld.trunc(s.bld.lshr(s.bld.bitcast(x, I64), I64(shift)), I32)

    return generate


def _joined(s: Scalar, high: Any, low: Any) -> Any:
    bits = s.bld.or_(s.bld.shl(s.bld.zext(high, I64), I64(32)), s.bld.zext(low, I64))
    return s.bld.bitcast(bits, F64)


_add("float_as_int", "int32(float32)", _cast(I32))
_add("int_as_float", "float32(int32)", _cast(F32))
_add("double_as_longlong", "int64(float64)", _cast(I64))
_add("longlong_as_double", "float64(int64)", _cast(F64))
_add("double2hiint", "int32(float64)", _half_of(32))
_add("double2loint", "int32(float64)", _half_of(0))
_add("hiloint2double", "float64(int32, int32)", _joined)


# -- conversions -----------------------------------------------------------------------------------
def _to_integer(mode: str, kind: Any, signed: bool) -> Generate:
    """Values out of range become the nearest limit, NaN becomes 0."""

    def generate(s: Scalar, x: Any) -> Any:
        whole = s.llvm(f"llvm.{WHOLE[mode]}", x)
        return s.integer(whole, kind) if signed else s.unsigned(whole, kind)

    return generate


def _from_integer(mode: str, kind: Any, signed: bool) -> Generate:
    operation = "sitofp" if signed else "uitofp"
    if mode == "rn":
        return lambda s, x: getattr(s.bld, operation)(x, kind)
    return lambda s, x: rounded(s.bld, mode, operation, kind, x)


def _narrow(mode: str) -> Generate:
    if mode == "rn":
        return lambda s, x: s.bld.fptrunc(x, F32)
    return lambda s, x: rounded(s.bld, mode, "fptrunc", F32, x)


def _round_away(s: Scalar, x: Any) -> Any:
    return s.integer(s.llvm("llvm.round", x), I64)


INTEGERS = {
    "int": ("int32", I32, True),
    "uint": ("int32", I32, False),
    "ll": ("int64", I64, True),
    "ull": ("int64", I64, False),
}
for _mode in WHOLE:
    _add(f"double2float_{_mode}", "float32(float64)", _narrow(_mode))
    for _float, (_real, _type) in FLOATS.items():
        for _int, (_kind, _bits, _signed) in INTEGERS.items():
            _to = _to_integer(_mode, _bits, _signed)
            _add(f"{_float}2{_int}_{_mode}", f"{_kind}({_real})", _to)
            if _mode == "rn" or (_float, _bits) != ("double", I32):
                _from = _from_integer(_mode, _type, _signed)
                _add(f"{_int}2{_float}_{_mode}", f"{_real}({_kind})", _from)
_add("float2half_rn", "int16(float32)", lambda s, x: narrow(s.ctx, s.bld, x))
_add("half2float", "float32(int16)", lambda s, x: widen(s.ctx, s.bld, x))
_add("llrint", "int64(float64)", _to_integer("rn", I64, True))
_add("llrintf", "int64(float32)", _to_integer("rn", I64, True))
_add("llround", "int64(float64)", _round_away)
_add("llroundf", "int64(float32)", _round_away)
