"""What threads hand over where they meet: values, masks, results.

    got = shfl_down_(v, 1, mask)             give_(lens_, v, mask, 1)
                                             yield 7
                                             got = take_(lens_, v)

A thread gives and stops; ``schedule`` answers when all threads that must come have come.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.errors import NumbaTypeError
from numba.extending import intrinsic

from .state import BY, GIVEN, MASKS, RESULTS, RETURNED, SLOT, TAKEN

INT = ir.IntType(64)


def _place(ctx: Any, bld: Any, sig: Any, args: Any, table: int, words: int = 1) -> Any:
    """The current thread's entry of a table."""
    data = ctx.make_array(sig.args[0])(ctx, bld, args[0]).data
    slot = bld.load(bld.gep(data, [INT(SLOT)]))
    start = bld.load(bld.gep(data, [INT(table)]))
    return bld.gep(data, [bld.add(start, bld.mul(slot, INT(words)))])


def _as_kind(ctx: Any, bld: Any, place: Any, kind: Any) -> Any:
    return bld.bitcast(place, ctx.get_data_type(kind).as_pointer())


@intrinsic
def give(tyctx, state, value, mask, by):
    """Leave a value, the mask of lanes that must come, and a distance or lane."""

    def codegen(ctx, bld, sig, args):
        kind = sig.args[1]
        if ctx.get_abi_sizeof(ctx.get_data_type(kind)) > 16:
            raise NumbaTypeError(f"a value of type {kind} cannot be handed over")
        place = _place(ctx, bld, sig, args, GIVEN, 2)
        bld.store(INT(0), place)
        bld.store(INT(0), bld.gep(place, [INT(1)]))
        ctx.pack_value(bld, kind, args[1], _as_kind(ctx, bld, place, kind))
        for table, value_, t in ((MASKS, args[2], sig.args[2]), (BY, args[3], sig.args[3])):
            bld.store(ctx.cast(bld, value_, t, types.int64), _place(ctx, bld, sig, args, table))
        return ctx.get_dummy_value()

    return types.none(state, value, mask, by), codegen


@intrinsic
def take(tyctx, state, like):
    """The value that a shuffle hands to this thread, of the type of ``like``."""
    kind = types.unliteral(like)

    def codegen(ctx, bld, sig, args):
        place = _place(ctx, bld, sig, args, TAKEN, 2)
        return ctx.unpack_value(bld, kind, _as_kind(ctx, bld, place, kind))

    return kind(state, kind), codegen


@intrinsic
def result(tyctx, state):
    """The number that a vote or a match gives this thread."""

    def codegen(ctx, bld, sig, args):
        return bld.load(_place(ctx, bld, sig, args, RESULTS))

    return types.int64(state), codegen


@intrinsic
def returned(tyctx, state, site):
    """Remember that this thread has come to a ``return``."""

    def codegen(ctx, bld, sig, args):
        number = ctx.cast(bld, args[1], sig.args[1], types.int64)
        bld.store(number, _place(ctx, bld, sig, args, RETURNED))
        return ctx.get_dummy_value()

    return types.none(state, site), codegen


FUNCTIONS: dict[str, Any] = {
    "give_": give,
    "take_": take,
    "result_": result,
    "effect_returned_": returned,
}
