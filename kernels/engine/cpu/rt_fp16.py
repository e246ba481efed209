"""``cuda.fp16`` and the two libdevice functions for float16: ``hadd_``, ``hfma_``, ``hsin_`` ...

Functions other than + - * / and fused multiply-add compute in float32 and round the result, which
is within 0.51 units in the last place of a float16.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import rt_half
from .rt_math import Emit, emit_exp, emit_log, emit_tanh
from .rt_scalar import F32, F64, I16, I64, Scalar, scalar_function

Generate = Callable[..., Any]


def _rounded(compute: Generate) -> Generate:
    """``compute(Scalar, *float32)``, rounded to float16."""

    def generate(s: Scalar, *bits: Any) -> Any:
        return rt_half.in_float32(s.ctx, s.bld, lambda *wide: compute(s, *wide), *bits)

    return generate


def _compared(order: str) -> Generate:
    def generate(s: Scalar, a: Any, b: Any) -> Any:
        x, y = (rt_half.widen(s.ctx, s.bld, v) for v in (a, b))
        compare = s.bld.fcmp_unordered if order == "!=" else s.bld.fcmp_ordered
        return compare(order, x, y)

    return generate


def _fma(s: Scalar, a: Any, b: Any, c: Any) -> Any:
    """The product is exact in float64; the sum is rounded to odd, then once to float16."""
    x, y, z = (s.bld.fpext(rt_half.widen(s.ctx, s.bld, v), F64) for v in (a, b, c))
    product = s.bld.fmul(x, y)
    total = s.bld.fadd(product, z)
    # What the addition lost (Knuth's two-sum); the fences keep LLVM from simplifying it to zero.
    fence = "llvm.arithmetic.fence"
    total = s.llvm(fence, total)
    part = s.llvm(fence, s.bld.fsub(total, product))
    rest = s.llvm(fence, s.bld.fsub(total, part))
    lost = s.bld.fadd(s.llvm(fence, s.bld.fsub(product, rest)), s.bld.fsub(z, part))
    bits = s.bld.bitcast(total, I64)
    inexact = s.bld.fcmp_ordered("!=", lost, F64(0.0))
    even = s.bld.icmp_unsigned("==", s.bld.and_(bits, I64(1)), I64(0))
    same_sign = s.bld.icmp_signed(">=", s.bld.xor(s.bld.bitcast(lost, I64), bits), I64(0))
    odd = s.bld.select(same_sign, s.bld.or_(bits, I64(1)), s.bld.sub(bits, I64(1)))
    bits = s.bld.select(s.bld.and_(inexact, even), odd, bits)
    return rt_half.narrow(s.ctx, s.bld, s.bld.bitcast(bits, F64))


def _llvm(name: str) -> Generate:
    return lambda s, *args: s.llvm(f"llvm.{name}", *args)


def _exp10(s: Scalar, x: Any) -> Any:
    return s.llvm("llvm.pow", F32(10.0), x)


def _hrsqrt(s: Scalar, x: Any) -> Any:
    return s.bld.fdiv(F32(1.0), s.llvm("llvm.sqrt", x))


UNARY: dict[str, Generate] = {
    "hsin": _llvm("sin"),
    "hcos": _llvm("cos"),
    "hlog": lambda s, x: emit_log(Emit(s.bld), x),
    "hlog2": _llvm("log2"),
    "hlog10": _llvm("log10"),
    "hexp": lambda s, x: emit_exp(Emit(s.bld), x),
    "hexp2": _llvm("exp2"),
    "hexp10": _exp10,
    "hsqrt": _llvm("sqrt"),
    "hrsqrt": _hrsqrt,
    "hrcp": lambda s, x: s.bld.fdiv(F32(1.0), x),
    "hfloor": _llvm("floor"),
    "hceil": _llvm("ceil"),
    "htrunc": _llvm("trunc"),
    "hrint": _llvm("rint"),
    "htanh": lambda s, x: emit_tanh(Emit(s.bld), x),
}
UNARY["htanh_approx"] = UNARY["htanh"]
BINARY: dict[str, Generate] = {
    "hadd": lambda s, a, b: s.bld.fadd(a, b),
    "hsub": lambda s, a, b: s.bld.fsub(a, b),
    "hmul": lambda s, a, b: s.bld.fmul(a, b),
    "hdiv": lambda s, a, b: s.bld.fdiv(a, b),
    "hmax": _llvm("maxnum"),
    "hmin": _llvm("minnum"),
}
COMPARISONS = {"heq": "==", "hne": "!=", "hge": ">=", "hgt": ">", "hle": "<=", "hlt": "<"}
ONE, TWO = "float16(float16)", "float16(float16, float16)"

HALVES: dict[str, Any] = {
    **{name: scalar_function(ONE, _rounded(f)) for name, f in UNARY.items()},
    **{name: scalar_function(TWO, _rounded(f)) for name, f in BINARY.items()},
    **{
        name: scalar_function("boolean(float16, float16)", _compared(order))
        for name, order in COMPARISONS.items()
    },
    "hneg": scalar_function(ONE, lambda s, x: s.bld.xor(x, I16(0x8000))),
    "habs": scalar_function(ONE, lambda s, x: s.bld.and_(x, I16(0x7FFF))),
    "hfma": scalar_function("float16(float16, float16, float16)", _fma),
}
"""The functions of ``cuda.fp16``."""

FUNCTIONS: dict[str, Any] = {f"{name}_": function for name, function in HALVES.items()}
