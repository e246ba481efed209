"""float16 for Numba's CPU compiler, which has its type but can neither store nor compute with it.

A value is its 16 bits (``HalfModel``).  Arithmetic widens to float32, computes, and rounds back;
for + - * / and sqrt that gives the correctly rounded float16, since float32 has more than twice its
digits.  The type rules are numba-cuda's: float16 with float16, bool or int8 stays float16, with
anything else it becomes float32 or float64.

Processors with conversion instructions (F16C, every 64-bit ARM) use them; for others the
conversions are written out in integers, because the helper functions that LLVM would call are not
part of every system.
"""

from __future__ import annotations

import math
import operator
import platform
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import boxing, cgutils, types  # noqa: F401  (boxing fills the tables below)
from numba.core.datamodel import default_manager, models
from numba.core.imputils import Registry
from numba.core.pythonapi import NativeValue, _unboxers
from numba.core.registry import cpu_target
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic

from .rt_scalar import F32, F64, I16, I32, I64

HALF = types.float16
# Of the CPU only: numba-cuda, with its own float16, reads what Numba registers for all targets.
REGISTRY = Registry("float16 of nnlite")
lower_builtin, lower_cast = REGISTRY.lower, REGISTRY.lower_cast
NATIVE_MACHINES = ("aarch64", "arm64")


class HalfModel(models.PrimitiveModel):
    """The bits of a float16."""

    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, I16)


def _float_model(dmm: Any, fe_type: Any) -> Any:
    return HalfModel(dmm, fe_type) if fe_type == HALF else models.FloatModel(dmm, fe_type)


default_manager.register(types.Float, _float_model)

_unbox_other = _unboxers.functions[types.Float]


def _unbox_float(typ: Any, obj: Any, c: Any) -> Any:
    if typ != HALF:
        return _unbox_other(typ, obj, c)
    number = c.pyapi.number_float(obj)
    value = c.pyapi.float_as_double(number)
    c.pyapi.decref(number)
    bits = narrow(c.context, c.builder, value)
    return NativeValue(bits, is_error=c.pyapi.c_api_error())


_unboxers.functions[types.Float] = _unbox_float


# -- conversions -----------------------------------------------------------------------------------
def _has_instructions(ctx: Any) -> bool:
    features = ctx.codegen()._tm_features or ""
    return "+f16c" in features or platform.machine().lower() in NATIVE_MACHINES


def widen(ctx: Any, bld: Any, bits: Any) -> Any:
    """The bits of a float16 as a float32, which is exact."""
    if _has_instructions(ctx):
        return bld.fpext(bld.bitcast(bits, ir.HalfType()), F32)
    wide = bld.zext(bits, I32)
    size = bld.shl(bld.and_(wide, I32(0x7FFF)), I32(13))
    # The exponent is off by 112: a multiplication mends it, for subnormal numbers too.
    finite = bld.bitcast(bld.fmul(bld.bitcast(size, F32), F32(2.0**112)), I32)
    special = bld.icmp_unsigned(">=", size, I32(0x7C00 << 13))
    size = bld.select(special, bld.or_(size, I32(0x7F800000)), finite)
    sign = bld.shl(bld.and_(wide, I32(0x8000)), I32(16))
    return bld.bitcast(bld.or_(size, sign), F32)


def narrow(ctx: Any, bld: Any, value: Any) -> Any:
    """A float32 or float64 rounded once to a float16."""
    if value.type == F64:
        value = _rounded_to_odd(bld, value)
    if _has_instructions(ctx):
        return bld.bitcast(bld.fptrunc(value, ir.HalfType()), I16)
    bits = bld.bitcast(value, I32)
    sign = bld.and_(bits, I32(0x80000000))
    size = bld.xor(bits, sign)
    odd = bld.and_(bld.lshr(size, I32(13)), I32(1))
    normal = bld.add(bld.add(size, I32(0xC8000FFF)), odd)  # exponent - 112, round half to even
    normal = bld.lshr(normal, I32(13))
    # Adding 0.5 shifts the digits of a small number to where the addition rounds them.
    small = bld.fadd(bld.bitcast(size, F32), F32(0.5))
    small = bld.sub(bld.bitcast(small, I32), I32(0x3F000000))
    special = bld.select(bld.icmp_unsigned(">", size, I32(0x7F800000)), I32(0x7E00), I32(0x7C00))
    result = bld.select(bld.icmp_unsigned("<", size, I32(0x38800000)), small, normal)
    result = bld.select(bld.icmp_unsigned(">=", size, I32(0x47800000)), special, result)
    return bld.trunc(bld.or_(result, bld.lshr(sign, I32(16))), I16)


def _rounded_to_odd(bld: Any, value: Any) -> Any:
    """A float64 as a float32 whose last digit remembers that digits were lost.

    Rounding it again, to fewer digits, then gives what rounding the float64 would give.
    """
    near = bld.fptrunc(value, F32)
    bits, back = bld.bitcast(near, I32), bld.fpext(near, F64)
    above = bld.fcmp_ordered(">", _absolute(bld, back), _absolute(bld, value))
    odd = bld.select(above, bld.sub(bits, I32(1)), bld.or_(bits, I32(1)))
    even = bld.icmp_unsigned("==", bld.and_(bits, I32(1)), I32(0))
    lost = bld.and_(bld.fcmp_ordered("!=", back, value), even)
    return bld.bitcast(bld.select(lost, odd, bits), F32)


def _absolute(bld: Any, value: Any) -> Any:
    return bld.bitcast(bld.and_(bld.bitcast(value, I64), I64(2**63 - 1)), F64)


def in_float32(ctx: Any, bld: Any, compute: Callable[..., Any], *bits: Any) -> Any:
    """``compute`` on widened values, rounded back."""
    return narrow(ctx, bld, compute(*(widen(ctx, bld, b) for b in bits)))


@lower_cast(HALF, types.Float)
def _half_to_float(ctx: Any, bld: Any, source: Any, target: Any, value: Any) -> Any:
    wide = widen(ctx, bld, value)
    return wide if target == types.float32 else bld.fpext(wide, F64)


@lower_cast(HALF, types.Integer)
@lower_cast(HALF, types.Boolean)
@lower_cast(HALF, types.Complex)
def _half_to_other(ctx: Any, bld: Any, source: Any, target: Any, value: Any) -> Any:
    return ctx.cast(bld, widen(ctx, bld, value), types.float32, target)


@lower_cast(types.float32, HALF)
@lower_cast(types.float64, HALF)
def _float_to_half(ctx: Any, bld: Any, source: Any, target: Any, value: Any) -> Any:
    return narrow(ctx, bld, value)


@lower_cast(types.Integer, HALF)
@lower_cast(types.Boolean, HALF)
def _integer_to_half(ctx: Any, bld: Any, source: Any, target: Any, value: Any) -> Any:
    """No integer that a float16 can hold needs more digits than a float64 has."""
    return narrow(ctx, bld, ctx.cast(bld, value, source, types.float64))


@lower_cast(types.IntegerLiteral, HALF)
@lower_cast(types.BooleanLiteral, HALF)
def _literal_to_half(ctx: Any, bld: Any, source: Any, target: Any, value: Any) -> Any:
    number = float(source.literal_value)
    return narrow(ctx, bld, ir.Constant(F64, number))


# -- operators and functions -----------------------------------------------------------------------
STAYS = (HALF, types.int8, types.boolean)
"""What keeps the other operand of + - * / a float16."""


def _rule(function: Any, result: Callable[[tuple[Any, ...]], Any]) -> None:
    """Type ``function`` by ``result(args)`` where a float16 is among the arguments."""

    class HalfRule(AbstractTemplate):
        key = function
        metadata = {"target": "cpu"}  # tried before Numba's own rules

        def generic(self, args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
            return result(args) if HALF in args and not kws else None

    infer_global(function)(HalfRule)


def _arithmetic(name: str, operation: str) -> None:
    def result(args: tuple[Any, ...]) -> Any:
        stays = len(args) == 2 and all(a in STAYS for a in args)
        return signature(HALF, HALF, HALF) if stays else None

    def impl(ctx: Any, bld: Any, sig: Any, args: Any) -> Any:
        return in_float32(ctx, bld, getattr(bld, operation), *args)

    for function in (getattr(operator, name), getattr(operator, f"i{name}")):
        _rule(function, result)
        lower_builtin(function, HALF, HALF)(impl)


def _unary(function: Any, impl: Callable[..., Any], kind: Any = HALF) -> None:
    _rule(function, lambda args: signature(kind, HALF) if args == (HALF,) else None)
    lower_builtin(function, HALF)(impl)


def _through_float32(function: Any) -> Callable[..., Any]:
    def impl(ctx: Any, bld: Any, sig: Any, args: Any) -> Any:
        wide = ctx.get_function(function, types.float32(types.float32))
        return in_float32(ctx, bld, lambda x: wide(bld, [x]), *args)

    return impl


def _bits(operation: str, mask: int) -> Callable[..., Any]:
    return lambda ctx, bld, sig, args: getattr(bld, operation)(args[0], I16(mask))


def _cast(ctx: Any, bld: Any, sig: Any, args: Any) -> Any:
    return ctx.cast(bld, args[0], sig.args[0], sig.return_type)


def _both_small(args: tuple[Any, ...]) -> bool:
    return len(args) == 2 and all(a in (HALF, types.int8, types.uint8) for a in args)


def _truth(ctx: Any, bld: Any, sig: Any, args: Any) -> Any:
    return cgutils.is_not_null(bld, bld.and_(args[0], I16(0x7FFF)))


for _name, _operation in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul"), ("truediv", "fdiv")):
    _arithmetic(_name, _operation)
for _extreme in (max, min):
    _rule(_extreme, lambda args: signature(HALF, HALF, HALF) if _both_small(args) else None)
_unary(operator.neg, _bits("xor", 0x8000))
_unary(operator.pos, lambda ctx, bld, sig, args: args[0])
_unary(abs, _bits("and_", 0x7FFF))
_unary(math.fabs, _bits("and_", 0x7FFF))
_unary(float, lambda ctx, bld, sig, args: args[0])
_unary(int, _cast, types.int64)
_unary(bool, _truth, types.boolean)
for _name in ("sin", "cos", "sqrt", "log", "log2", "log10", "exp", "exp2"):
    if hasattr(math, _name):  # exp2 is new in Python 3.11
        _unary(getattr(math, _name), _through_float32(getattr(math, _name)))


@intrinsic
def half(tyctx, value):
    """``np.float16(value)``."""
    kind = types.unliteral(value)
    if not isinstance(kind, (types.Integer, types.Float, types.Boolean)):
        return None

    def codegen(ctx, bld, sig, args):
        return ctx.cast(bld, args[0], sig.args[0], HALF)

    return HALF(kind), codegen


FUNCTIONS: dict[str, Any] = {"half_": half}

cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
cpu_target.target_context.install_registry(REGISTRY)
