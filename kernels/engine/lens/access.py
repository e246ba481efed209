"""Checked accesses: what a kernel's subscripts become.

    y = a[i, j]              y = read_(lens_, 3, a, (i, j))
    a[i] = v                 write_(lens_, 4, a, i, v)
    row = a[i, 2:]           row = a[inside_(lens_, 6, a, i, 0), 2:]

Each function tests the index against the array's own shape, then tells ``shadow.touch`` of the
access. An access outside the array, or outside all memory of the launch, is not carried out: a read
gives zero. The number is the place in the kernel (``sites.Site``).
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import NumbaTypeError
from numba.extending import intrinsic

from .state import (
    CHANGES,
    NEGATIVE,
    OUT_OF_BOUNDS,
    READ,
    REPORT,
    REWRITE,
    SHADOW,
    TOUCH,
    WRITE,
)

INT = ir.IntType(64)
WORDS = INT.as_pointer()
TOUCH_TYPE = ir.FunctionType(INT, [WORDS, WORDS, INT, INT, INT, INT])
REPORT_TYPE = ir.FunctionType(ir.VoidType(), [WORDS, *[INT] * 9])
REPORTED_INDICES = 4


class Lens:
    """Writes the calls of one checked access; ``args`` start with the state and the site."""

    def __init__(self, ctx: Any, bld: Any, sig: Any, args: Any) -> None:
        self.ctx, self.bld = ctx, bld
        self.words = ctx.make_array(sig.args[0])(ctx, bld, args[0]).data
        self.site = ctx.cast(bld, args[1], sig.args[1], types.int64)

    def word(self, number: int) -> Any:
        return self.bld.load(self.bld.gep(self.words, [INT(number)]))

    def function(self, number: int, kind: Any) -> Any:
        return self.bld.inttoptr(self.word(number), kind.as_pointer())

    def touch(self, address: Any, size: int, kind: Any) -> Any:
        """Whether the access may be carried out, as one bit."""
        kind = INT(kind) if isinstance(kind, int) else kind
        shadow = self.bld.inttoptr(self.word(SHADOW), WORDS)
        given = [self.words, shadow, self.site, address, INT(size), kind]
        allowed = self.bld.call(self.function(TOUCH, TOUCH_TYPE), given)
        return self.bld.icmp_unsigned("!=", allowed, INT(0))

    def changed(self) -> None:
        """Count a change of memory."""
        place = self.bld.gep(self.words, [INT(CHANGES)])
        self.bld.store(self.bld.add(self.bld.load(place), INT(1)), place)

    def index(self, kinds: list[Any], values: list[Any], shape: list[Any], axis: int = 0) -> Any:
        """(every index lies inside, the indices counted from zero); reports what is wrong."""
        bld, inside = self.bld, ir.IntType(1)(1)
        given = [self.ctx.cast(bld, v, t, types.intp) for v, t in zip(values, kinds)]
        wrapped = []
        for k, (i, kind, extent) in enumerate(zip(given, kinds, shape)):
            below = bld.icmp_signed("<", i, INT(0)) if kind.signed else ir.IntType(1)(0)
            real = bld.select(below, bld.add(i, extent), i)
            good = bld.icmp_unsigned("<", real, extent)
            with bld.if_then(bld.not_(good), likely=False):
                self.report(OUT_OF_BOUNDS, axis + k, extent, given)
            with bld.if_then(bld.and_(good, below), likely=False):
                self.report(NEGATIVE, axis + k, extent, given)
            inside = bld.and_(inside, good)
            wrapped.append(real)
        return inside, wrapped

    def report(self, kind: int, axis: int, extent: Any, given: list[Any]) -> None:
        shown = [*given, *[INT(0)] * REPORTED_INDICES][:REPORTED_INDICES]
        numbers = [INT(kind), self.site, INT(axis), extent, INT(len(given))]
        self.bld.call(self.function(REPORT, REPORT_TYPE), [self.words, *numbers, *shown])

    @contextlib.contextmanager
    def element(self, array_type: Any, array: Any, index_type: Any, index: Any) -> Iterator[Any]:
        """The pointer to an element, in code that only runs when there is one."""
        ctx, bld = self.ctx, self.bld
        kinds, values = parts(bld, index_type, index)
        struct = ctx.make_array(array_type)(ctx, bld, array)
        shape = cgutils.unpack_tuple(bld, struct.shape, array_type.ndim)
        inside, wrapped = self.index(kinds, values, shape)
        with bld.if_then(inside, likely=True):
            yield cgutils.get_item_pointer(ctx, bld, array_type, struct, wrapped, wraparound=False)


def parts(bld: Any, index_type: Any, index: Any) -> tuple[list[Any], list[Any]]:
    """The types and values of an index, which may be one number or a tuple."""
    if isinstance(index_type, types.BaseTuple):
        return list(index_type), cgutils.unpack_tuple(bld, index, len(index_type))
    return [index_type], [index]


def is_element(array: Any, index: Any) -> bool:
    """True for a full index of whole numbers."""
    kinds = list(index) if isinstance(index, types.BaseTuple) else [index]
    whole = all(isinstance(k, types.Integer) for k in kinds)
    return isinstance(array, types.Array) and len(kinds) == array.ndim and whole


def bytes_of(ctx: Any, kind: Any) -> int:
    return int(ctx.get_abi_sizeof(ctx.get_data_type(kind)))


def address_of(bld: Any, pointer: Any) -> Any:
    return bld.ptrtoint(pointer, INT)


def zero_slot(ctx: Any, bld: Any, kind: Any) -> Any:
    """A place for the result, zero unless the access is carried out."""
    slot = cgutils.alloca_once(bld, ctx.get_value_type(kind))
    bld.store(ir.Constant(ctx.get_value_type(kind), None), slot)
    return slot


def is_scalar(kind: Any) -> bool:
    """True unless a value of the type is several numbers with places of their own."""
    return not isinstance(kind, (types.Record, types.NestedArray))


@intrinsic
def read(tyctx, state, site, array, index):
    """``array[index]``; indexes other than of one element are left to Numba."""
    if not is_element(array, index) or not is_scalar(array.dtype):
        function = tyctx.resolve_value_type(operator.getitem)
        found = function.get_call_type(tyctx, (array, index), {})

        def plain(ctx, bld, sig, args):
            return ctx.get_function(function, found)(bld, args[2:])

        return found.return_type(state, site, *found.args), plain

    def codegen(ctx, bld, sig, args):
        lens, kind = Lens(ctx, bld, sig, args), sig.args[2].dtype
        slot = zero_slot(ctx, bld, kind)
        with lens.element(sig.args[2], args[2], sig.args[3], args[3]) as p:
            allowed = lens.touch(address_of(bld, p), bytes_of(ctx, kind), READ)
            with bld.if_then(allowed, likely=True):
                bld.store(ctx.unpack_value(bld, kind, p), slot)
        return bld.load(slot)

    return array.dtype(state, site, array, index), codegen


def store_value(lens: Lens, kind: Any, p: Any, value: Any) -> None:
    """Store a value unless the memory is not the kernel's, and tell whether it changes anything."""
    ctx, bld = lens.ctx, lens.bld
    access: Any = WRITE
    data = ctx.get_data_type(kind)
    if isinstance(data, (ir.IntType, ir.FloatType, ir.DoubleType)):
        bits = ir.IntType(8 * bytes_of(ctx, kind))
        packed = ctx.data_model_manager[kind].as_data(bld, value)
        before = bld.load(bld.bitcast(p, bits.as_pointer()))
        if isinstance(data, ir.IntType) and data.width != bits.width:
            packed = bld.zext(packed, bits)
        same = bld.icmp_unsigned("==", bld.bitcast(packed, bits), before)
        access = bld.select(same, INT(REWRITE), INT(WRITE))
    allowed = lens.touch(address_of(bld, p), bytes_of(ctx, kind), access)
    with bld.if_then(allowed, likely=True):
        ctx.pack_value(bld, kind, value, p)


@intrinsic
def write(tyctx, state, site, array, index, value):
    """``array[index] = value``."""
    if not is_element(array, index) or not is_scalar(array.dtype):
        function = tyctx.resolve_value_type(operator.setitem)
        found = function.get_call_type(tyctx, (array, index, value), {})

        def plain(ctx, bld, sig, args):
            store = ctx.get_function(function, found)
            if not is_element(array, index):
                store(bld, args[2:])
                return ctx.get_dummy_value()
            lens, size = Lens(ctx, bld, sig, args), bytes_of(ctx, array.dtype)
            with lens.element(sig.args[2], args[2], sig.args[3], args[3]) as p:
                allowed = lens.touch(address_of(bld, p), size, WRITE)
                with bld.if_then(allowed, likely=True):
                    store(bld, args[2:])
            return ctx.get_dummy_value()

        return types.none(state, site, *found.args), plain

    if not tyctx.can_convert(value, array.dtype) and not isinstance(value, types.Array):
        raise NumbaTypeError(f"an element of {array} cannot hold {value}")

    def codegen(ctx, bld, sig, args):
        lens, kind = Lens(ctx, bld, sig, args), sig.args[2].dtype
        converted = ctx.cast(bld, args[4], sig.args[4], kind)
        with lens.element(sig.args[2], args[2], sig.args[3], args[3]) as p:
            store_value(lens, kind, p, converted)
        return ctx.get_dummy_value()

    return types.none(state, site, array, index, value), codegen


@intrinsic(prefer_literal=True)
def inside(tyctx, state, site, array, index, axis):
    """An index of one axis of a view, zero where it lies outside."""
    k = axis.literal_value

    def codegen(ctx, bld, sig, args):
        lens, kind = Lens(ctx, bld, sig, args), sig.args[2]
        struct = ctx.make_array(kind)(ctx, bld, args[2])
        extent = cgutils.unpack_tuple(bld, struct.shape, kind.ndim)[k]
        good, (real,) = lens.index([sig.args[3]], [args[3]], [extent], k)
        return bld.select(good, real, INT(0))

    return types.intp(state, site, array, types.unliteral(index), axis), codegen


FUNCTIONS: dict[str, Any] = {"read_": read, "write_": write, "inside_": inside}
