"""128-bit access to memory, and copies from global to shared memory that run by themselves.

All of them take arrays of one axis and the number of an element, so that a kernel computes
addresses in 32 bits; a matrix is passed as its items in a row and the length of its rows.

Source: PTX ISA, sections "Data Movement and Conversion Instructions: ld, st, cp.async".
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types, uint16

from .instruction import (
    INT32,
    VOLATILE,
    assembler,
    element_pointer,
    global_address,
    instruction,
    literal_number,
    require_array,
    require_integer,
    shared_address,
)

WIDE = 4  # elements of 4 bytes in 128 bits
HALVES = 8  # and of 2 bytes
ALL = 16  # bytes
FOUR_BYTES = (types.float32, types.int32, types.uint32)


def _load4(array, index):
    return array[index], array[index + 1], array[index + 2], array[index + 3]


@instruction(_load4)
def load4(typing: Any, array: Any, index: Any) -> Any:
    """``load4(array, index)``: the elements ``index`` to ``index + 3``, as a tuple.

    PTX: ``ld.global.v4.f32`` or ``ld.shared.v4.f32`` (SASS ``LDG.E.128``, ``LDS.128``); every
    architecture. The address must be a multiple of 16 bytes: on a GPU another one faults.

    Args:
        array: float32, int32 or uint32, one axis, in global, shared or local memory.
        index: of the first element.
    """
    require_array("load4", "array", array, *FOUR_BYTES)
    require_integer("load4", "index", index)
    signature = types.UniTuple(array.dtype, WIDE)(array, index)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        items = load_vector(builder, element_pointer(context, builder, sig.args, args))
        return context.make_tuple(builder, sig.return_type, items)

    return signature, generate


def load_vector(builder: Any, pointer: Any) -> list[Any]:
    """The four elements from a pointer on, by one access."""
    vector = ir.VectorType(pointer.type.pointee, WIDE)
    wide = builder.bitcast(pointer, vector.as_pointer(pointer.type.addrspace))
    value = builder.load(wide, align=16)
    return [builder.extract_element(value, INT32(i)) for i in range(WIDE)]


def _store4(array, index, a, b, c, d):
    array[index] = a
    array[index + 1] = b
    array[index + 2] = c
    array[index + 3] = d


@instruction(_store4)
def store4(typing: Any, array: Any, index: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """``store4(array, index, a, b, c, d)``: writes four elements from ``index`` on.

    PTX: ``st.global.v4.f32`` or ``st.shared.v4.f32`` (SASS ``STG.E.128``, ``STS.128``); every
    architecture. The address must be a multiple of 16 bytes, as for :func:`load4`.
    """
    return _store("store4", array, index, a, b, c, d)


def _store(name: str, array: Any, index: Any, *items: Any) -> Any:
    """The signature and the code of an access that writes all of ``items``."""
    require_array(name, "array", array, *FOUR_BYTES)
    require_integer(name, "index", index)
    count = len(items)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, sig.args, args)
        vector = ir.VectorType(pointer.type.pointee, count)
        value = ir.Constant(vector, ir.Undefined)
        for i, item in enumerate(args[2:]):
            value = builder.insert_element(value, item, INT32(i))
        wide = builder.bitcast(pointer, vector.as_pointer(pointer.type.addrspace))
        builder.store(value, wide, align=4 * count)
        return context.get_dummy_value()

    return types.void(array, index, *[array.dtype] * count), generate


def _store2(array, index, a, b):
    array[index] = a
    array[index + 1] = b


@instruction(_store2)
def store2(typing: Any, array: Any, index: Any, a: Any, b: Any) -> Any:
    """``store2(array, index, a, b)``: writes two elements, at a multiple of 8 bytes.

    PTX: ``st.global.v2.f32`` or ``st.shared.v2.f32`` (SASS ``STG.E.64``, ``STS.64``); every
    architecture.
    """
    return _store("store2", array, index, a, b)


# -- copies that run by themselves -----------------------------------------------------------------
def _cp_async4(shared, at, source, index, inside):
    shared[at] = source[index] if inside else shared.dtype.type(0)


@instruction(_cp_async4)
def cp_async4(typing: Any, shared: Any, at: Any, source: Any, index: Any, inside: Any) -> Any:
    """``cp_async4(shared, at, source, index, inside)``: ``shared[at] = source[index]``, later.

    PTX: ``cp.async.ca.shared.global`` of 4 bytes (SASS ``LDGSTS.E``); sm_80 and later. The copy is
    complete for this thread after :func:`cp_async_wait` and for the others after the barrier
    behind it. On the CPU it happens at once.

    Args:
        shared: array in shared memory; float32, int32 or uint32, one axis.
        at: element that is written.
        source: array in global memory of the same dtype, one axis.
        index: element that is read.
        inside: boolean; if False nothing is read and the element becomes 0.
    """
    return _copy("cp_async4", 4, shared, at, source, index, inside)


def _cp_async16(shared, at, source, index, inside):
    shared[at] = source[index] if inside else shared.dtype.type(0)
    shared[at + 1] = source[index + 1] if inside else shared.dtype.type(0)
    shared[at + 2] = source[index + 2] if inside else shared.dtype.type(0)
    shared[at + 3] = source[index + 3] if inside else shared.dtype.type(0)


@instruction(_cp_async16)
def cp_async16(typing: Any, shared: Any, at: Any, source: Any, index: Any, inside: Any) -> Any:
    """:func:`cp_async4` for four elements at once, past the L1 cache.

    PTX: ``cp.async.cg.shared.global`` of 16 bytes (SASS ``LDGSTS.E.BYPASS.128``); sm_80 and later.
    Both addresses must be multiples of 16 bytes.
    """
    return _copy("cp_async16", ALL, shared, at, source, index, inside)


def _cp_async16_halves(shared, at, source, index, inside):
    for i in range(HALVES):
        shared[at + i] = source[index + i] if inside else uint16(0)


@instruction(_cp_async16_halves)
def cp_async16_halves(
    typing: Any, shared: Any, at: Any, source: Any, index: Any, inside: Any
) -> Any:
    """:func:`cp_async16` for eight elements of 16 bits, arrays of uint16."""
    return _copy("cp_async16_halves", ALL, shared, at, source, index, inside, types.uint16)


def _copy(
    name: str,
    size: int,
    shared: Any,
    at: Any,
    source: Any,
    index: Any,
    inside: Any,
    *dtypes: Any,
) -> Any:
    require_array(name, "shared", shared, *(dtypes or FOUR_BYTES))
    require_array(name, "source", source, shared.dtype)
    require_integer(name, "at", at)
    require_integer(name, "index", index)
    cache = "cg" if size == ALL else "ca"

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        target = shared_address(builder, element_pointer(context, builder, sig.args, args))
        origin = global_address(builder, element_pointer(context, builder, sig.args[2:], args[2:]))
        read = builder.select(args[4], INT32(size), INT32(0))
        text = f"cp.async.{cache}.shared.global [$0], [$1], {size}, $2;"
        assembler(builder, text, (), (target, origin, read), f"r,l,r,{VOLATILE}")
        return context.get_dummy_value()

    return types.void(shared, at, source, index, types.boolean), generate


def _nothing():
    pass


@instruction(_nothing)
def cp_async_commit(typing: Any) -> Any:
    """``cp_async_commit()``: the copies begun since the last call are one group from now on.

    PTX: ``cp.async.commit_group`` (SASS ``LDGDEPBAR``); sm_80 and later.
    """
    return types.void(), _statement("cp.async.commit_group;")


def _wait(groups):
    pass


@instruction(_wait)
def cp_async_wait(typing: Any, groups: Any) -> Any:
    """``cp_async_wait(n)``: waits until at most the ``n`` youngest groups are under way.

    PTX: ``cp.async.wait_group n`` (SASS ``DEPBAR.LE``); sm_80 and later. ``n`` is a number, or the
    name of a global one. A barrier has to follow before other threads read what was copied.
    """
    number = literal_number("cp_async_wait", "groups", groups)
    return types.void(groups), _statement(f"cp.async.wait_group {number};")


def _statement(text: str) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        assembler(builder, text, (), (), VOLATILE)
        return context.get_dummy_value()

    return generate
