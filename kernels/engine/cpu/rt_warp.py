"""Shuffles: the threads of a warp read each other's values.

They run once per block, between two regions, on the storage of the variables involved: one element
per thread, ordered by thread number.  A warp is 32 neighbouring elements.  A full warp is one LLVM
vector, so that a shuffle by a constant is one permutation::

    shfl_down_16_(v_all_, w_all_)          # w_all_[t] = v_all_[t + 16] within the warp

Lanes that a shuffle reads outside the warp or block give the thread's own value, as CUDA does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

WARP = 32
INT32, INT64 = ir.IntType(32), ir.IntType(64)


def source_lane(kind: str, lane: int, by: int, lanes: int) -> int:
    """The lane from which ``lane`` reads, in a warp of which ``lanes`` exist.

    As in PTX (``shfl.sync``), only the five low bits of ``by`` count.
    """
    by &= WARP - 1
    source = {"idx": by, "up": lane - by, "down": lane + by, "xor": lane ^ by}[kind]
    return source if 0 <= source < lanes else lane


# -- vectors of one warp ---------------------------------------------------------------------------
def array_parts(ctx: Any, bld: Any, array_type: Any, array: Any) -> tuple[Any, Any]:
    """(data pointer, number of elements) of a one-dimensional array."""
    struct = ctx.make_array(array_type)(ctx, bld, array)
    (extent,) = cgutils.unpack_tuple(bld, struct.shape, 1)
    return struct.data, extent


def load_warp(bld: Any, data: Any, start: Any, lanes: int) -> Any:
    """``lanes`` elements as a vector of 32; the missing ones are undefined."""
    element = data.type.pointee
    p = bld.gep(data, [start])
    if lanes == WARP:
        whole = bld.load(bld.bitcast(p, ir.VectorType(element, WARP).as_pointer()))
        whole.align = 1
        return whole
    vector = ir.Constant(ir.VectorType(element, WARP), ir.Undefined)
    for i in range(lanes):
        item = bld.load(bld.gep(p, [INT64(i)]))
        vector = bld.insert_element(vector, item, INT32(i))
    return vector


def store_warp(bld: Any, vector: Any, data: Any, start: Any, lanes: int) -> None:
    p = bld.gep(data, [start])
    if lanes == WARP:
        whole = bld.store(vector, bld.bitcast(p, vector.type.as_pointer()))
        whole.align = 1
        return
    for i in range(lanes):
        bld.store(bld.extract_element(vector, INT32(i)), bld.gep(p, [INT64(i)]))


def each_warp(bld: Any, threads: int, body: Callable[[Any, int], None]) -> None:
    """Run ``body(first thread, lanes)`` for every warp of a block."""
    full, rest = divmod(threads, WARP)
    if full:
        with cgutils.for_range(bld, INT64(full), intp=INT64) as loop:
            body(bld.mul(loop.index, INT64(WARP)), WARP)
    if rest:
        body(INT64(full * WARP), rest)


# -- shuffles --------------------------------------------------------------------------------------
def _permute(kind: str, threads: int, bld: Any, source: Any, target: Any, distance: int) -> None:
    """A distance that is known: one permutation of the vector of a warp."""

    def body(start: Any, lanes: int) -> None:
        vector = load_warp(bld, source, start, lanes)
        order = [source_lane(kind, i, distance, lanes) if i < lanes else i for i in range(WARP)]
        places = ir.Constant(ir.VectorType(INT32, WARP), order)
        moved = bld.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), places)
        store_warp(bld, moved, target, start, lanes)

    each_warp(bld, threads, body)


def _one_by_one(kind: str, threads: int, bld: Any, source: Any, target: Any, distance: Any) -> None:
    """Any distance, and elements that are no vectors."""

    def body(start: Any, lanes: int) -> None:
        with cgutils.for_range(bld, INT64(lanes), intp=INT64) as loop:
            lane = _source(bld, kind, loop.index, distance, INT64(lanes))
            item = bld.load(bld.gep(source, [bld.add(start, lane)]))
            bld.store(item, bld.gep(target, [bld.add(start, loop.index)]))

    each_warp(bld, threads, body)


@functools.cache
def warp_shuffle(kind: str, threads: int, by: int | None = None) -> Any:
    """A function (source, target[, by]) that shuffles within each warp of a block of ``threads``.

    Without ``by`` the distance or lane is an argument, the same for all threads.
    """

    permute = functools.partial(_permute, kind, threads)
    anything = functools.partial(_one_by_one, kind, threads)

    def generate(ctx: Any, bld: Any, sig: Any, args: Any) -> Any:
        source, _ = array_parts(ctx, bld, sig.args[0], args[0])
        target, _ = array_parts(ctx, bld, sig.args[1], args[1])
        scalar = isinstance(source.type.pointee, (ir.IntType, ir.FloatType, ir.DoubleType))
        if by is not None and scalar:
            permute(bld, source, target, by)
            return ctx.get_dummy_value()
        distance = INT64(by) if by is not None else ctx.cast(bld, args[2], sig.args[2], types.int64)
        if not scalar or kind == "idx":
            anything(bld, source, target, distance)
            return ctx.get_dummy_value()
        done = bld.append_basic_block("shuffled")
        other = bld.append_basic_block("any_distance")
        choice = bld.switch(distance, other)
        for known in (1, 2, 4, 8, 16):
            place = bld.append_basic_block(f"distance_{known}")
            choice.add_case(INT64(known), place)
            bld.position_at_end(place)
            permute(bld, source, target, known)
            bld.branch(done)
        bld.position_at_end(other)
        anything(bld, source, target, distance)
        bld.branch(done)
        bld.position_at_end(done)
        return ctx.get_dummy_value()

    if by is not None:

        @intrinsic
        def shuffle(tyctx, source, target):
            return types.none(source, target), generate

        return shuffle

    @intrinsic
    def shuffle_by(tyctx, source, target, distance):
        return types.none(source, target, distance), generate

    return shuffle_by


def _source(bld: Any, kind: str, lane: Any, by: Any, lanes: Any) -> Any:
    """The run-time form of :func:`source_lane`."""
    by = bld.and_(by, INT64(WARP - 1))
    source = {
        "idx": lambda: by,
        "up": lambda: bld.sub(lane, by),
        "down": lambda: bld.add(lane, by),
        "xor": lambda: bld.xor(lane, by),
    }[kind]()
    return bld.select(bld.icmp_unsigned("<", source, lanes), source, lane)


@functools.cache
def lane_reader(kind: str, threads: int) -> Any:
    """A function (thread, by) that gives the thread whose value a shuffle returns.

    It is for distances and lanes that differ between threads.
    """

    @intrinsic
    def reader(tyctx, thread, by):
        def codegen(ctx, bld, sig, args):
            number = ctx.cast(bld, args[0], sig.args[0], types.int64)
            distance = ctx.cast(bld, args[1], sig.args[1], types.int64)
            lane = bld.and_(number, INT64(WARP - 1))
            start = bld.sub(number, lane)
            left = bld.sub(INT64(threads), start)
            lanes = bld.select(bld.icmp_unsigned("<", left, INT64(WARP)), left, INT64(WARP))
            return bld.add(start, _source(bld, kind, lane, distance, lanes))

        return types.uintp(thread, by), codegen

    return reader


FUNCTIONS: dict[str, Any] = {"warp_shuffle": warp_shuffle, "lane_reader": lane_reader}
