"""``cuda.atomic.add`` on the CPU.

Blocks run on several OS threads, so an atomic on global memory is a real atomic instruction.  One
block runs on one OS thread, so on shared and local memory an ordinary addition is enough.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

SUPPORTED = (types.int32, types.uint32, types.int64, types.uint64, types.float32, types.float64)


def _signature(array: Any, index: Any, value: Any) -> Any | None:
    """The type rule of numba-cuda: the value is cast to the array's type, which is returned."""
    if not isinstance(array, types.Array) or array.dtype not in SUPPORTED:
        return None
    parts = list(index) if isinstance(index, types.BaseTuple) else [index]
    if len(parts) != array.ndim or not all(isinstance(p, types.Integer) for p in parts):
        return None
    if not isinstance(value, (types.Number, types.Boolean)):
        return None
    return array.dtype(array, index, value)


def _pointer(ctx: Any, bld: Any, array_type: Any, index_type: Any, array: Any, index: Any) -> Any:
    if isinstance(index_type, types.BaseTuple):
        indices, kinds = cgutils.unpack_tuple(bld, index, len(index_type)), list(index_type)
    else:
        indices, kinds = [index], [index_type]
    struct = ctx.make_array(array_type)(ctx, bld, array)
    shape = cgutils.unpack_tuple(bld, struct.shape, array_type.ndim)
    wrapped = []
    for i, kind, extent in zip(indices, kinds, shape):
        i = ctx.cast(bld, i, kind, types.intp)
        if kind.signed:
            negative = bld.icmp_signed("<", i, ctx.get_constant(types.intp, 0))
            i = bld.select(negative, bld.add(i, extent), i)
        wrapped.append(i)
    return cgutils.get_item_pointer(ctx, bld, array_type, struct, wrapped, wraparound=False)


@intrinsic
def atomic_add(tyctx, array, index, value):
    """``array[index] += value`` in one step; returns the old element."""
    signature = _signature(array, index, value)
    if signature is None:
        return None

    def codegen(ctx, bld, sig, args):
        kind = sig.return_type
        p = _pointer(ctx, bld, sig.args[0], sig.args[1], args[0], args[1])
        v = ctx.cast(bld, args[2], sig.args[2], kind)
        operation = "fadd" if isinstance(kind, types.Float) else "add"
        return bld.atomic_rmw(operation, p, v, "monotonic")

    return signature, codegen


@intrinsic
def plain_add(tyctx, array, index, value):
    """The same for memory that one OS thread owns.

    Two threads of the block may hit one element, so the loads and stores are marked ``serial``:
    the loop over threads must not be taken for parallel (see ``rt_parallel``).
    """
    signature = _signature(array, index, value)
    if signature is None:
        return None

    def codegen(ctx, bld, sig, args):
        kind = sig.return_type
        p = _pointer(ctx, bld, sig.args[0], sig.args[1], args[0], args[1])
        v = ctx.cast(bld, args[2], sig.args[2], kind)
        old = bld.load(p)
        new = bld.fadd(old, v) if isinstance(kind, types.Float) else bld.add(old, v)
        old.serial = bld.store(new, p).serial = True
        return old

    return signature, codegen


FUNCTIONS: dict[str, Any] = {"atomic_add_": atomic_add, "plain_add_": plain_add}
