"""Integer division and remainder that vectorise.

No CPU divides integers in vectors, so ``i // w`` keeps a whole loop scalar.  For numbers below
2**49 the product of ``i`` and ``1 / w`` as doubles is off by less than ``1 / (4 w)``: it rounds to
the right integer or the next one, and the remainder's sign tells which.  Loops over one divisor
compute its reciprocal once.  Conversions between int64 and double are additions of a magic constant
(1.5 * 2**52), which every vector unit has.  As with Numba's ``error_model="numpy"``, division by
zero gives zero.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

LIMIT_BITS = 49
INT, DOUBLE = ir.IntType(64), ir.DoubleType()
MAGIC = 6755399441055744.0
MAGIC_BITS = 0x4338000000000000


def _to_double(bld: Any, value: Any) -> Any:
    shifted = bld.bitcast(bld.add(value, INT(MAGIC_BITS)), DOUBLE)
    return bld.fsub(shifted, DOUBLE(MAGIC))


def _to_nearest_int(bld: Any, value: Any) -> Any:
    shifted = bld.bitcast(bld.fadd(value, DOUBLE(MAGIC)), INT)
    return bld.sub(shifted, INT(MAGIC_BITS))


def _divide(bld: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """(floor of a / b, a - floor * b), both 0 where b is 0."""
    inverse = bld.fdiv(DOUBLE(1.0), _to_double(bld, b))
    quotient = _to_nearest_int(bld, bld.fmul(_to_double(bld, a), inverse))
    rest = bld.sub(a, bld.mul(quotient, b))
    zero = INT(0)
    opposite = bld.icmp_signed("<", bld.xor(rest, b), zero)
    above = bld.and_(bld.icmp_signed("!=", rest, zero), opposite)
    quotient = bld.select(above, bld.sub(quotient, INT(1)), quotient)
    rest = bld.select(above, bld.add(rest, b), rest)
    nothing = bld.icmp_signed("==", b, zero)
    return bld.select(nothing, zero, quotient), bld.select(nothing, zero, rest)


def _operation(position: int) -> Any:
    def typed(tyctx: Any, a: Any, b: Any) -> Any:
        if not isinstance(a, types.Integer) or not isinstance(b, types.Integer):
            return None

        def codegen(ctx: Any, bld: Any, sig: Any, args: Any) -> Any:
            wide = [ctx.cast(bld, v, t, types.int64) for v, t in zip(args, sig.args)]
            return _divide(bld, *wide)[position]

        return types.int64(a, b), codegen

    return typed


@intrinsic
def floor_divide(tyctx, a, b):
    """``a // b`` for signed integers below 2**49."""
    return _operation(0)(tyctx, a, b)


@intrinsic
def remainder(tyctx, a, b):
    """``a % b``, with the sign of ``b``, for signed integers below 2**49."""
    return _operation(1)(tyctx, a, b)


FUNCTIONS: dict[str, Any] = {"floordiv_": floor_divide, "mod_": remainder}
