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
from dataclasses import dataclass
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
REPORT_TYPE = ir.FunctionType(INT, [WORDS, *[INT] * 9])
REPORTED_INDICES = 4


class Lens:
    """Writes the code of checked accesses at one place."""

    def __init__(self, ctx: Any, bld: Any, words: Any, site: Any) -> None:
        self.ctx, self.bld, self.words, self.site = ctx, bld, words, site

    @classmethod
    def of(cls, ctx: Any, bld: Any, sig: Any, args: Any) -> Lens:
        """For an intrinsic whose arguments start with the state and the site."""
        words = field(ctx, bld, sig.args[0], args[0], "data")
        return cls(ctx, bld, words, ctx.cast(bld, args[1], sig.args[1], types.int64))

    def word(self, number: int) -> Any:
        return self.bld.load(self.bld.gep(self.words, [INT(number)]))

    def function(self, number: int, kind: Any) -> Any:
        return self.bld.inttoptr(self.word(number), kind.as_pointer())

    def touch(self, address: Any, size: Any, kind: Any) -> Any:
        """Whether the access may be carried out, as a number."""
        shadow = self.bld.inttoptr(self.word(SHADOW), WORDS)
        given = [self.words, shadow, self.site, address, size, kind]
        return self.bld.call(self.function(TOUCH, TOUCH_TYPE), given)

    def changed(self) -> None:
        """Count a change of memory."""
        place = self.bld.gep(self.words, [INT(CHANGES)])
        self.bld.store(self.bld.add(self.bld.load(place), INT(1)), place)

    def index(self, given: list[Any], signed: list[bool], shape: list[Any], axis: int = 0) -> Any:
        """(every index lies inside, the indices counted from zero); reports what is wrong."""
        bld, inside = self.bld, ir.IntType(1)(1)
        wrapped = []
        for k, (i, below_zero, extent) in enumerate(zip(given, signed, shape)):
            below = bld.icmp_signed("<", i, INT(0)) if below_zero else ir.IntType(1)(0)
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

    def place(
        self, array_type: Any, array: Any, index_type: Any, index: Any, access: Access
    ) -> Any:
        """The address of an element that may be used now, or 0."""
        ctx, bld, ndim = self.ctx, self.bld, array_type.ndim
        kinds, values = parts(bld, index_type, index)
        signed = [bool(getattr(k, "signed", True)) for k in kinds]
        given = [ctx.cast(bld, v, t, types.intp) for v, t in zip(values, kinds)]
        data = address_of(bld, field(ctx, bld, array_type, array, "data"))
        shape = [field(ctx, bld, array_type, array, "shape", k) for k in range(ndim)]
        strides = [field(ctx, bld, array_type, array, "strides", k) for k in range(ndim)]
        first = [data, access.size, access.offset, INT(access.kind), access.bits]
        function = _place_function(ctx, bld.module, signed, access.width)
        return bld.call(function, [self.words, self.site, *first, *shape, *strides, *given])

    @contextlib.contextmanager
    def element(
        self, array_type: Any, array: Any, index_type: Any, index: Any, access: Access
    ) -> Iterator[Any]:
        """The pointer to bytes, in code that only runs when the access may be carried out."""
        address = self.place(array_type, array, index_type, index, access)
        allowed = self.bld.icmp_unsigned("!=", address, INT(0))
        with self.bld.if_then(allowed, likely=True):
            yield self.bld.inttoptr(address, ir.IntType(8).as_pointer())


@dataclass
class Access:
    """What an access does: ``size`` bytes, ``offset`` bytes into the element.

    ``bits`` is the value to store as a number of ``width`` bits; 0 where it is not compared.
    """

    size: Any
    kind: int
    offset: Any = INT(0)
    bits: Any = INT(0)
    width: int = 0


def _place_function(ctx: Any, module: Any, signed: list[bool], width: int) -> Any:
    """The part of an access that depends on its number of axes only, once per kernel."""
    marks = "".join("s" if s else "u" for s in signed)
    name = f"nnlite_place_{marks}_{width}"
    if name in module.globals:
        return module.globals[name]
    n = len(signed)
    kind = ir.FunctionType(INT, [WORDS, *[INT] * (6 + 3 * n)])
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    words, site, data, size, offset, access, bits, *rest = function.args
    shape, strides, given = rest[:n], rest[n : 2 * n], rest[2 * n :]
    bld = ir.IRBuilder(function.append_basic_block())
    lens = Lens(ctx, bld, words, site)
    inside, wrapped = lens.index(given, signed, shape)
    with bld.if_then(bld.not_(inside), likely=False):
        bld.ret(INT(0))
    address = bld.add(data, offset)
    for i, stride in zip(wrapped, strides):
        address = bld.add(address, bld.mul(i, stride))
    if width:
        place = bld.inttoptr(address, ir.IntType(width).as_pointer())
        new = bits if width == 64 else bld.trunc(bits, ir.IntType(width))
        same = bld.icmp_unsigned("==", new, bld.load(place))
        access = bld.select(same, INT(REWRITE), access)
    allowed = bld.icmp_unsigned("!=", lens.touch(address, size, access), INT(0))
    bld.ret(bld.select(allowed, address, INT(0)))
    return function


def field(ctx: Any, bld: Any, kind: Any, array: Any, name: str, axis: int | None = None) -> Any:
    """A field of an array's description."""
    at = ctx.data_model_manager[kind].get_field_position(name)
    return bld.extract_value(array, at if axis is None else [at, axis])


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


def bytes_of(ctx: Any, kind: Any) -> Any:
    return INT(int(ctx.get_abi_sizeof(ctx.get_data_type(kind))))


def typed(ctx: Any, bld: Any, kind: Any, pointer: Any) -> Any:
    """The pointer as one to a value of this type in memory."""
    return bld.bitcast(pointer, ctx.get_data_type(kind).as_pointer())


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
        lens, kind = Lens.of(ctx, bld, sig, args), sig.args[2].dtype
        slot = zero_slot(ctx, bld, kind)
        access = Access(bytes_of(ctx, kind), READ)
        with lens.element(sig.args[2], args[2], sig.args[3], args[3], access) as p:
            bld.store(ctx.unpack_value(bld, kind, typed(ctx, bld, kind, p)), slot)
        return bld.load(slot)

    return array.dtype(state, site, array, index), codegen


def writing(ctx: Any, bld: Any, kind: Any, value: Any) -> Access:
    """The access that stores a value; a number is compared with what is there."""
    size, data = bytes_of(ctx, kind), ctx.get_data_type(kind)
    width = 8 * int(size.constant)
    if not isinstance(data, (ir.IntType, ir.FloatType, ir.DoubleType)) or width > 64:
        return Access(size, WRITE)
    packed = ctx.data_model_manager[kind].as_data(bld, value)
    if not isinstance(data, ir.IntType):
        packed = bld.bitcast(packed, ir.IntType(width))
    bits = packed if packed.type.width == 64 else bld.zext(packed, INT)
    return Access(size, WRITE, bits=bits, width=width)


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
            lens, access = Lens.of(ctx, bld, sig, args), Access(bytes_of(ctx, array.dtype), WRITE)
            with lens.element(sig.args[2], args[2], sig.args[3], args[3], access):
                store(bld, args[2:])
            return ctx.get_dummy_value()

        return types.none(state, site, *found.args), plain

    if not tyctx.can_convert(value, array.dtype) and not isinstance(value, types.Array):
        raise NumbaTypeError(f"an element of {array} cannot hold {value}")

    def codegen(ctx, bld, sig, args):
        lens, kind = Lens.of(ctx, bld, sig, args), sig.args[2].dtype
        converted = ctx.cast(bld, args[4], sig.args[4], kind)
        access = writing(ctx, bld, kind, converted)
        with lens.element(sig.args[2], args[2], sig.args[3], args[3], access) as p:
            ctx.pack_value(bld, kind, converted, typed(ctx, bld, kind, p))
        return ctx.get_dummy_value()

    return types.none(state, site, array, index, value), codegen


@intrinsic(prefer_literal=True)
def inside(tyctx, state, site, array, index, axis):
    """An index of one axis of a view, zero where it lies outside."""
    k = axis.literal_value

    def codegen(ctx, bld, sig, args):
        lens, kind = Lens.of(ctx, bld, sig, args), sig.args[3]
        extent = field(ctx, bld, sig.args[2], args[2], "shape", k)
        given = ctx.cast(bld, args[3], kind, types.intp)
        good, (real,) = lens.index([given], [bool(getattr(kind, "signed", True))], [extent], k)
        return bld.select(good, real, INT(0))

    return types.intp(state, site, array, types.unliteral(index), axis), codegen


FUNCTIONS: dict[str, Any] = {"read_": read, "write_": write, "inside_": inside}
