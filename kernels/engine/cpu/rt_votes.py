"""Votes, matches and counts: what the threads of a warp or block find out about each other.

They run once per block, between two regions, on the storage of the variables involved::

    warp_bits_(p_all_, b_all_)             # b_all_[t] = a bit per lane whose p_all_ is True
    n = count_true_(p_all_)                # how many threads of the block

A full warp is one LLVM vector, and a vote one comparison.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .rt_warp import INT32, INT64, WARP, array_parts, each_warp, load_warp, store_warp


def splat(bld: Any, value: Any) -> Any:
    vector_type = ir.VectorType(value.type, WARP)
    one = bld.insert_element(ir.Constant(vector_type, ir.Undefined), value, INT32(0))
    zeros = ir.Constant(ir.VectorType(INT32, WARP), [0] * WARP)
    return bld.shuffle_vector(one, ir.Constant(vector_type, ir.Undefined), zeros)


def _true_lanes(bld: Any, flags: Any, mask: Any, start: Any, lanes: int) -> Any:
    """A bit for each lane whose flag is set and, if there is a ``mask``, whose mask is set."""

    def true(data: Any) -> Any:
        vector = load_warp(bld, data, start, lanes)
        return bld.icmp_unsigned("!=", vector, ir.Constant(vector.type, [0] * WARP))

    bits = true(flags)
    if mask is not None:
        bits = bld.and_(bits, true(mask))
    whole = bld.bitcast(bits, INT32)
    return whole if lanes == WARP else bld.and_(whole, INT32((1 << lanes) - 1))


@functools.cache
def warp_bits(threads: int, masked: bool) -> Any:
    """A function (flags, target[, mask]): each thread gets the bits of its warp's true lanes."""

    def body_of(bld: Any, flags: Any, target: Any, mask: Any) -> Callable[[Any, int], None]:
        def body(start: Any, lanes: int) -> None:
            bits = _true_lanes(bld, flags, mask, start, lanes)
            store_warp(bld, splat(bld, bits), target, start, lanes)

        return body

    return _voter(threads, masked, body_of)


@functools.cache
def warp_match(threads: int, masked: bool) -> Any:
    """A function (values, target[, mask]): bits of the active lanes that have the same value."""

    def body_of(bld: Any, values: Any, target: Any, mask: Any) -> Callable[[Any, int], None]:
        def body(start: Any, lanes: int) -> None:
            vector = load_warp(bld, values, start, lanes)
            if not isinstance(vector.type.element, ir.IntType):
                width = {"float": INT32, "double": INT64}[str(vector.type.element)]
                vector = bld.bitcast(vector, ir.VectorType(width, WARP))
            active = INT32((1 << lanes) - 1) if lanes < WARP else INT32(-1)
            if mask is not None:
                active = _true_lanes(bld, mask, None, start, lanes)
            with cgutils.for_range(bld, INT64(lanes), intp=INT64) as loop:
                own = bld.extract_element(vector, loop.index)
                same = bld.bitcast(bld.icmp_unsigned("==", vector, splat(bld, own)), INT32)
                place = bld.gep(target, [bld.add(start, loop.index)])
                bld.store(bld.and_(same, active), place)

        return body

    return _voter(threads, masked, body_of)


def _voter(threads: int, masked: bool, body_of: Callable[..., Any]) -> Any:
    def generate(ctx: Any, bld: Any, sig: Any, args: Any) -> Any:
        parts = [array_parts(ctx, bld, t, a)[0] for t, a in zip(sig.args, args)]
        each_warp(bld, threads, body_of(bld, parts[0], parts[1], parts[2] if masked else None))
        return ctx.get_dummy_value()

    if masked:

        @intrinsic
        def vote_masked(tyctx, source, target, mask):
            return types.none(source, target, mask), generate

        return vote_masked

    @intrinsic
    def vote(tyctx, source, target):
        return types.none(source, target), generate

    return vote


@intrinsic
def count_both(tyctx, flags, mask):
    """How many elements are true in both boolean arrays."""

    def codegen(ctx, bld, sig, args):
        first, extent = array_parts(ctx, bld, sig.args[0], args[0])
        second, _ = array_parts(ctx, bld, sig.args[1], args[1])
        total = cgutils.alloca_once_value(bld, INT64(0))
        with cgutils.for_range(bld, extent) as loop:
            a, b = (bld.load(bld.gep(p, [loop.index])) for p in (first, second))
            bld.store(bld.add(bld.load(total), bld.zext(bld.and_(a, b), INT64)), total)
        return bld.load(total)

    return types.intp(flags, mask), codegen


# -- what type inference sees ----------------------------------------------------------------------
@intrinsic
def exchange(tyctx, value):
    """The value itself; marks what other threads will read."""

    def codegen(ctx, bld, sig, args):
        return ctx.cast(bld, args[0], sig.args[0], sig.return_type)

    return types.unliteral(value)(value), codegen


def _stub(name: str, result: Callable[[Any], Any], parameters: int) -> Any:
    """Types a collective; none of these reaches the generated code."""

    def codegen(ctx: Any, bld: Any, sig: Any, args: Any) -> Any:
        raise AssertionError(f"{name} is a statement of its own in generated code")

    if parameters == 1:

        @intrinsic
        def collective(tyctx, value):
            return result(types.unliteral(value))(value), codegen

        return collective

    @intrinsic
    def collective_by(tyctx, value, by):
        return result(types.unliteral(value))(value, by), codegen

    return collective_by


def _stubs() -> Iterator[tuple[str, Any]]:
    for kind in ("idx", "up", "down", "xor"):
        yield f"shfl_{kind}_", _stub(f"shfl_{kind}_", lambda t: t, 2)
    yield "warp_bits_", _stub("warp_bits_", lambda t: types.uint32, 1)
    yield "warp_match_", _stub("warp_match_", lambda t: types.uint32, 1)
    yield "block_count_", _stub("block_count_", lambda t: types.int32, 1)


FUNCTIONS: dict[str, Any] = {
    "warp_bits": warp_bits,
    "warp_match": warp_match,
    "count_both_": count_both,
    "exchange_": exchange,
    **dict(_stubs()),
}
