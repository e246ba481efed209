"""Views that live across a barrier: each thread keeps the address, extents and strides of its own.

    keep_view_(row, row_all_, t_)          # before the barrier
    row = view_row_(row_all_, t_)          # after it

A view that can be computed again costs less, and most can (see ``flow.Variables.find_remade``).
"""

from __future__ import annotations

import functools
from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic


def words(t: types.Array) -> int:
    """How many 64-bit words describe a view."""
    return 1 + 2 * t.ndim


def _place(ctx: Any, bld: Any, store_type: Any, store: Any, thread: Any, count: int) -> Any:
    data = ctx.make_array(store_type)(ctx, bld, store).data
    return bld.gep(data, [bld.mul(thread, ctx.get_constant(types.intp, count))])


@intrinsic
def keep_view(tyctx, view, store, thread):
    """Write the description of ``view`` into row ``thread`` of ``store``, a table of int64."""

    def codegen(ctx, bld, sig, args):
        kind = sig.args[0]
        array = ctx.make_array(kind)(ctx, bld, args[0])
        address = bld.ptrtoint(array.data, cgutils.intp_t)
        parts = [address]
        for tuples in (array.shape, array.strides):
            parts += cgutils.unpack_tuple(bld, tuples, kind.ndim)
        place = _place(ctx, bld, sig.args[1], args[1], args[2], words(kind))
        for i, part in enumerate(parts):
            bld.store(part, bld.gep(place, [ctx.get_constant(types.intp, i)]))
        return ctx.get_dummy_value()

    return types.none(view, store, thread), codegen


@functools.cache
def stored_view(array_type: types.Array) -> Any:
    """A function (store, thread) that gives the view of this type which the thread has kept."""

    @intrinsic
    def view(tyctx, store, thread):
        def codegen(ctx, bld, sig, args):
            place = _place(ctx, bld, sig.args[0], args[0], args[1], words(array_type))
            parts = [
                bld.load(bld.gep(place, [ctx.get_constant(types.intp, i)]))
                for i in range(words(array_type))
            ]
            element = ctx.get_data_type(array_type.dtype)
            n = array_type.ndim
            array = ctx.make_array(array_type)(ctx, bld)
            ctx.populate_array(
                array,
                data=bld.inttoptr(parts[0], element.as_pointer()),
                shape=parts[1 : n + 1],
                strides=parts[n + 1 :],
                itemsize=ctx.get_constant(types.intp, ctx.get_abi_sizeof(element)),
                meminfo=None,
            )
            return array._getvalue()

        return array_type(store, thread), codegen

    return view


FUNCTIONS: dict[str, Any] = {"keep_view_": keep_view, "stored_view": stored_view}
