"""Storage of shared memory, local arrays and per-thread variables; how LLVM sees indices.

Arrays live on the machine stack of the OS thread that runs the block: LLVM knows that a stack array
aliases nothing else, and nothing has to be freed.  What does not fit comes from one scratch buffer
that the launch passes in.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .dtypes import type_named

ALIGNMENT = 64


def _fill(ctx: Any, bld: Any, array_type: types.Array, shape: tuple[Any, ...], data: Any) -> Any:
    """A C-ordered array struct over ``data``; the first extent may be a run-time value."""
    element = ctx.get_data_type(array_type.dtype)
    size = ctx.get_abi_sizeof(element)
    strides: list[int] = []
    for extent in reversed(shape):
        strides.insert(0, size)
        size = size * extent if isinstance(extent, int) else size

    def number(value: Any) -> Any:
        return ctx.get_constant(types.intp, value) if isinstance(value, int) else value

    array = ctx.make_array(array_type)(ctx, bld)
    ctx.populate_array(
        array,
        data=data,
        shape=[number(n) for n in shape],
        strides=[number(n) for n in strides],
        itemsize=number(ctx.get_abi_sizeof(element)),
        meminfo=None,
    )
    return array._getvalue()


@functools.cache
def stack_array(shape: tuple[int, ...], dtype: Any) -> Any:
    """A function without arguments that returns an uninitialised array on the stack."""
    array_type = types.Array(dtype, len(shape), "C")

    @intrinsic
    def new_array(tyctx):
        def codegen(ctx, bld, sig, args):
            element = ctx.get_data_type(dtype)
            kind = ir.ArrayType(element, max(1, math.prod(shape)))
            # Not alloca_once: it stores zeros as one value, on which LLVM spends time quadratic in
            # the number of elements (5 s for 8192).
            with bld.goto_entry_block():
                p = bld.alloca(kind)
                p.align = ALIGNMENT
                cgutils.memset(bld, p, ir.IntType(64)(ctx.get_abi_sizeof(kind)), 0)
            return _fill(ctx, bld, array_type, shape, bld.bitcast(p, element.as_pointer()))

        return array_type(), codegen

    return new_array


@functools.cache
def scratch_array(offset: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """A function that returns an array ``offset`` bytes into the scratch buffer it is given."""
    array_type = types.Array(dtype, len(shape), "C")

    @intrinsic
    def view(tyctx, scratch):
        def codegen(ctx, bld, sig, args):
            base = ctx.make_array(sig.args[0])(ctx, bld, args[0]).data
            p = bld.gep(base, [ctx.get_constant(types.intp, offset)])
            data = bld.bitcast(p, ctx.get_data_type(dtype).as_pointer())
            return _fill(ctx, bld, array_type, shape, data)

        return array_type(scratch), codegen

    return view


@functools.cache
def dynamic_array(offset: int, dtype: Any) -> Any:
    """A function that returns the scratch buffer from ``offset`` on as an array of ``dtype``."""
    array_type = types.Array(dtype, 1, "C")

    @intrinsic
    def view(tyctx, scratch):
        def codegen(ctx, bld, sig, args):
            buffer = ctx.make_array(sig.args[0])(ctx, bld, args[0])
            p = bld.gep(buffer.data, [ctx.get_constant(types.intp, offset)])
            size = ctx.get_abi_sizeof(ctx.get_data_type(dtype))
            left = bld.sub(buffer.nitems, ctx.get_constant(types.intp, offset))
            length = bld.udiv(left, ctx.get_constant(types.intp, size))
            data = bld.bitcast(p, ctx.get_data_type(dtype).as_pointer())
            return _fill(ctx, bld, array_type, (length,), data)

        return array_type(scratch), codegen

    return view


@intrinsic
def any_extents(tyctx, array):
    """The same array, of whose extents LLVM does not guess that the one it steps by is 1.

    A loop over ``a[i, 0]`` steps by ``a.shape[1]``.  LLVM would write it twice: as vectors for an
    extent of 1, and one by one for all others.  It does not guess about sums, so the extents become
    sums with a 0 of which it knows nothing, from an assembly statement.
    """
    if not isinstance(array, types.Array):
        return None

    def codegen(ctx, bld, sig, args):
        found = ctx.make_array(sig.args[0])(ctx, bld, args[0])
        zero = bld.asm(
            ir.FunctionType(cgutils.intp_t, [cgutils.intp_t]),
            "",
            "=r,0",
            [cgutils.intp_t(0)],
            False,
        )
        extents = cgutils.unpack_tuple(bld, found.shape, array.ndim)
        found.shape = cgutils.pack_array(bld, [bld.add(n, zero) for n in extents])
        return found._getvalue()

    return array(array), codegen


@intrinsic
def unsigned(tyctx, index):
    """Reinterpret an index that is known to be >= 0; Numba then drops negative indexing."""
    if not isinstance(index, types.Integer):
        return None

    def codegen(ctx, bld, sig, args):
        return ctx.cast(bld, args[0], sig.args[0], types.intp)

    return types.uintp(index), codegen


@intrinsic
def count_true(tyctx, mask):
    """How many elements of a one-dimensional boolean array are true, 32 at a time."""
    if not isinstance(mask, types.Array) or mask.dtype != types.boolean:
        return None

    def codegen(ctx, bld, sig, args):
        array = ctx.make_array(sig.args[0])(ctx, bld, args[0])
        (extent,) = cgutils.unpack_tuple(bld, array.shape, 1)
        total = cgutils.alloca_once_value(bld, extent.type(0))
        many = ir.VectorType(ir.IntType(8), 32)

        def add(bits: Any) -> None:
            count = bld.zext(bld.ctpop(bits), extent.type)
            bld.store(bld.add(bld.load(total), count), total)

        chunks = bld.udiv(extent, extent.type(32))
        with cgutils.for_range(bld, chunks) as loop:
            p = bld.gep(array.data, [bld.mul(loop.index, extent.type(32))])
            flags = bld.load(bld.bitcast(p, many.as_pointer()))
            flags.align = 1
            true = bld.icmp_unsigned("!=", flags, ir.Constant(many, None))
            add(bld.bitcast(true, ir.IntType(32)))
        start = bld.mul(chunks, extent.type(32))
        with cgutils.for_range_slice(bld, start, extent, extent.type(1)) as (i, _):
            add(bld.load(bld.gep(array.data, [i])))
        return bld.load(total)

    return types.intp(mask), codegen


FUNCTIONS: dict[str, Any] = {
    "stack_array": stack_array,
    "scratch_array": scratch_array,
    "dynamic_array": dynamic_array,
    "dtype_": type_named,
    "u_": unsigned,
    "any_extents_": any_extents,
    "count_true_": count_true,
}
