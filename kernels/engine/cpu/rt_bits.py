"""Bits and selections: ``cuda.popc clz ffs brev fma cbrt selp`` and loads and stores with a hint.

cuda.ffs(x)               ffs_(x)                  uint32
cuda.ldca(a, i)           a[i]
cuda.ldcv(a, i)           atomic_load_(a, i)       never kept in a register
cuda.stcg(a, i, v)        effect_store_(a, i, v)
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.errors import NumbaTypeError
from numba.extending import intrinsic

from .rt_atomics import element_pointer
from .rt_scalar import I1, I32, Scalar, scalar_function

INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
FLOATS = ("float32", "float64")


def emit_ffs(s: Scalar, x: Any) -> Any:
    """The place of the lowest set bit, counted from 1; 0 if there is none."""
    place = s.bld.add(s.bld.cttz(x, I1(0)), ir.Constant(x.type, 1))
    found = s.bld.select(s.bld.icmp_unsigned("==", x, x.type(0)), x.type(0), place)
    if x.type.width > 32:
        return s.bld.trunc(found, I32)
    return found if x.type.width == 32 else s.bld.zext(found, I32)


popc = scalar_function([f"{t}({t})" for t in INTEGERS], lambda s, x: s.bld.ctpop(x))
clz = scalar_function([f"{t}({t})" for t in INTEGERS], lambda s, x: s.bld.ctlz(x, I1(0)))
ffs = scalar_function([f"uint32({t})" for t in INTEGERS], emit_ffs)
brev = scalar_function(
    [f"{t}({t})" for t in ("uint32", "uint64")], lambda s, x: s.llvm("llvm.bitreverse", x)
)
fma = scalar_function(
    [f"{t}({t}, {t}, {t})" for t in FLOATS], lambda s, a, b, c: s.llvm("llvm.fma", a, b, c)
)
cbrt = scalar_function([f"{t}({t})" for t in FLOATS], lambda s, x: s.real("cbrt", x))

SELECTED = (types.int16, types.uint16, types.int32, types.uint32, types.int64, types.uint64)


@intrinsic
def selp(tyctx, test, a, b):
    """``a if test else b`` for two values of one type, without a branch."""
    kind = types.unliteral(a)
    if kind != types.unliteral(b) or kind not in (*SELECTED, types.float32, types.float64):
        raise NumbaTypeError(f"selp takes two numbers of one type, not {a} and {b}")

    def codegen(ctx, bld, sig, args):
        test, x, y = args
        return bld.select(ctx.is_true(bld, sig.args[0], test), x, y)

    return kind(types.unliteral(test), kind, kind), codegen


@intrinsic
def select(tyctx, test, a, b):
    """``a if test else b`` for two numbers, as Numba would type it, but without a branch."""
    kind = tyctx.unify_types(types.unliteral(a), types.unliteral(b))
    if not isinstance(kind, types.Number):
        return None

    def codegen(ctx, bld, sig, args):
        chosen, x, y = args
        x = ctx.cast(bld, x, sig.args[1], kind)
        y = ctx.cast(bld, y, sig.args[2], kind)
        return bld.select(ctx.is_true(bld, sig.args[0], chosen), x, y)

    return kind(types.unliteral(test), types.unliteral(a), types.unliteral(b)), codegen


def _accessible(array: Any, index: Any) -> Any:
    if not isinstance(array, types.Array) or not isinstance(
        array.dtype, (types.Integer, types.Float)
    ):
        raise NumbaTypeError(f"cache hints need an array of integers or floats, not {array}")
    parts = list(index) if isinstance(index, types.BaseTuple) else [index]
    if len(parts) != array.ndim or not all(isinstance(p, types.Integer) for p in parts):
        raise NumbaTypeError(f"cache hints need {array.ndim} integer indices, not {index}")
    return array.dtype


@intrinsic
def atomic_load(tyctx, array, index):
    """The element as it is in memory now: other threads may have changed it."""
    kind = _accessible(array, index)

    def codegen(ctx, bld, sig, args):
        p = element_pointer(ctx, bld, sig.args[0], sig.args[1], args[0], args[1])
        return bld.load_atomic(p, "monotonic", kind.bitwidth // 8)

    return kind(array, index), codegen


@intrinsic
def plain_load(tyctx, array, index):
    """The same for memory that one OS thread owns."""
    kind = _accessible(array, index)

    def codegen(ctx, bld, sig, args):
        p = element_pointer(ctx, bld, sig.args[0], sig.args[1], args[0], args[1])
        value = bld.load(p)
        value.serial = True
        return value

    return kind(array, index), codegen


@intrinsic
def effect_store(tyctx, array, index, value):
    """``array[index] = value``."""
    kind = _accessible(array, index)

    def codegen(ctx, bld, sig, args):
        p = element_pointer(ctx, bld, sig.args[0], sig.args[1], args[0], args[1])
        bld.store(ctx.cast(bld, args[2], sig.args[2], kind), p)
        return ctx.get_dummy_value()

    return types.none(array, index, value), codegen


@intrinsic
def any_bits(tyctx):
    """-1, of which LLVM knows nothing: it comes from an assembly statement."""

    def codegen(ctx, bld, sig, args):
        kind = ir.FunctionType(ir.IntType(64), [ir.IntType(64)])
        return bld.asm(kind, "", "=r,0", [ir.IntType(64)(-1)], False)

    return types.int64(), codegen


@intrinsic
def masked(tyctx, value, ones):
    """``value``, which LLVM cannot take for a number that counts up: ``ones`` is ``any_bits``.

    ``t & 31`` counts 0 to 31 again and again. LLVM 22 vectorises ``x[t & 31]`` as ``x[t]`` under a
    check that t stays below 32, and drops that check as implied when the loop has a like one for
    a wider number, such as that ``base + t`` does not leave 32 bits.
    """

    def codegen(ctx, bld, sig, args):
        if not isinstance(value, types.Integer):
            return args[0]
        return bld.and_(args[0], ctx.cast(bld, args[1], types.int64, value))

    return value(value, ones), codegen


SCALARS: dict[str, Any] = {
    "popc_": popc,
    "clz_": clz,
    "ffs_": ffs,
    "brev_": brev,
    "fma_": fma,
    "cbrt_": cbrt,
    "selp_": selp,
}
"""Without side effects, and defined for every value."""

FUNCTIONS: dict[str, Any] = {
    **SCALARS,
    "select_": select,
    "any_bits_": any_bits,
    "masked_": masked,
    "atomic_load_": atomic_load,
    "plain_load_": plain_load,
    "effect_store_": effect_store,
}
