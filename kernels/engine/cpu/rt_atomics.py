"""``cuda.atomic`` on the CPU.

Blocks run on several OS threads, so an atomic on global memory is a real atomic instruction or a
compare-and-swap loop.  One block runs on one OS thread, so on shared and local memory an ordinary
load and store are enough (``plain_add_`` and so on).  Two threads of the block may hit one element:
those loads and stores are marked ``serial``, since the loop over threads must not be taken for
parallel (see ``rt_parallel``).

Each function takes the array, the index, the value (``cas``: the expected value, then the new one)
and returns the old element.  Types are numba-cuda's: the value is cast to the array's type, which
is returned; ``inc`` and ``dec`` take unsigned integers, the bitwise ones, ``exch`` and ``cas``
integers of 32 or 64 bits, the others float32 and float64 too.  Indices are cast to integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import NumbaTypeError
from numba.extending import intrinsic

from .failures import BLOCK, CODE, DETAIL

UNSIGNED = (types.uint32, types.uint64)
INTEGERS = (types.int32, types.int64, *UNSIGNED)
NUMBERS = (*INTEGERS, types.float32, types.float64)

REAL = (types.Integer, types.Float, types.Boolean)

Update = Callable[[Any, Any, Any, Any], Any]
"""(builder, Numba type, old, value) -> the new element."""


def _signature(name: str, allowed: tuple[Any, ...], array: Any, index: Any, *values: Any) -> Any:
    if not isinstance(array, types.Array):
        raise NumbaTypeError(f"atomic.{name} needs an array, not {array}")
    if array.dtype not in allowed:
        known = ", ".join(map(str, allowed))
        raise NumbaTypeError(f"atomic.{name} takes arrays of {known}, not {array.dtype}")
    parts = list(index) if isinstance(index, types.BaseTuple) else [index]
    if len(parts) != array.ndim or not all(isinstance(p, REAL) for p in parts):
        raise NumbaTypeError(f"atomic.{name} needs {array.ndim} indices, not {index}")
    if not all(isinstance(v, REAL) for v in values):
        raise NumbaTypeError(f"atomic.{name} cannot convert {values[-1]} to {array.dtype}")
    return array.dtype(array, index, *values)


def element_pointer(
    ctx: Any, bld: Any, array_type: Any, index_type: Any, array: Any, index: Any
) -> Any:
    if isinstance(index_type, types.BaseTuple):
        indices, kinds = cgutils.unpack_tuple(bld, index, len(index_type)), list(index_type)
    else:
        indices, kinds = [index], [index_type]
    struct = ctx.make_array(array_type)(ctx, bld, array)
    shape = cgutils.unpack_tuple(bld, struct.shape, array_type.ndim)
    wrapped = []
    for i, kind, extent in zip(indices, kinds, shape):
        i = ctx.cast(bld, i, kind, types.intp)
        if getattr(kind, "signed", True):
            negative = bld.icmp_signed("<", i, ctx.get_constant(types.intp, 0))
            i = bld.select(negative, bld.add(i, extent), i)
        wrapped.append(i)
    return cgutils.get_item_pointer(ctx, bld, array_type, struct, wrapped, wraparound=False)


def _element(ctx: Any, bld: Any, sig: Any, args: Any) -> tuple[Any, list[Any]]:
    """(pointer to the element, the values cast to its type)."""
    p = element_pointer(ctx, bld, sig.args[0], sig.args[1], args[0], args[1])
    return p, [ctx.cast(bld, v, t, sig.return_type) for v, t in zip(args[2:], sig.args[2:])]


# -- what each operation stores --------------------------------------------------------------------
def _add(bld: Any, kind: Any, old: Any, value: Any) -> Any:
    return (bld.fadd if isinstance(kind, types.Float) else bld.add)(old, value)


def _sub(bld: Any, kind: Any, old: Any, value: Any) -> Any:
    return (bld.fsub if isinstance(kind, types.Float) else bld.sub)(old, value)


def _extreme(order: str, replaces_nan: bool) -> Update:
    """The value if ``old order value``; a NaN in memory stays unless ``replaces_nan``.

    A value that is NaN never gets into memory.
    """

    def update(bld: Any, kind: Any, old: Any, value: Any) -> Any:
        if isinstance(kind, types.Float):
            better = bld.fcmp_ordered(order, old, value)
            if replaces_nan:
                number = bld.fcmp_ordered("ord", value, value)
                better = bld.and_(bld.fcmp_unordered(order, old, value), number)
        else:
            compare = bld.icmp_signed if kind.signed else bld.icmp_unsigned
            better = compare(order, old, value)
        return bld.select(better, value, old)

    return update


def _bitwise(operation: str) -> Update:
    return lambda bld, kind, old, value: getattr(bld, operation)(old, value)


def _exch(bld: Any, kind: Any, old: Any, value: Any) -> Any:
    return value


def _inc(bld: Any, kind: Any, old: Any, value: Any) -> Any:
    """Counts 0, 1, ..., value, 0, 1, ..."""
    one, zero = ir.Constant(old.type, 1), ir.Constant(old.type, 0)
    return bld.select(bld.icmp_unsigned("<", old, value), bld.add(old, one), zero)


def _dec(bld: Any, kind: Any, old: Any, value: Any) -> Any:
    """Counts value, ..., 1, 0, value, ...; what lies above the value becomes the value."""
    less = bld.sub(old, ir.Constant(old.type, 1))
    return bld.select(bld.icmp_unsigned("<", less, value), less, value)


# -- how it is stored ------------------------------------------------------------------------------
def _instruction(name: str, kind: Any) -> str | None:
    """The LLVM instruction that does it all, if there is one."""
    if isinstance(kind, types.Float):
        return {"add": "fadd", "sub": "fsub"}.get(name)
    sign = "" if kind.signed else "u"
    table = {"add": "add", "sub": "sub", "and_": "and", "or_": "or", "xor": "xor", "exch": "xchg"}
    table |= {"max": f"{sign}max", "min": f"{sign}min"}
    return table.get(name.removeprefix("nan"))


def _loop(bld: Any, kind: Any, p: Any, value: Any, update: Update) -> Any:
    """Compare and swap until no other thread came in between, or there is nothing to change."""
    floats = isinstance(kind, types.Float)
    bits = ir.IntType(kind.bitwidth)
    if floats:
        p = bld.bitcast(p, bits.as_pointer())
    first = bld.load_atomic(p, "monotonic", kind.bitwidth // 8)
    before = bld.block
    retry, swap, done = (bld.append_basic_block(name) for name in ("retry", "swap", "done"))
    bld.branch(retry)
    bld.position_at_end(retry)
    seen = bld.phi(bits)
    seen.add_incoming(first, before)
    old = bld.bitcast(seen, value.type) if floats else seen
    new = update(bld, kind, old, value)
    new = bld.bitcast(new, bits) if floats else new
    bld.cbranch(bld.icmp_unsigned("!=", new, seen), swap, done)
    bld.position_at_end(swap)
    swapped = bld.cmpxchg(p, seen, new, "monotonic", "monotonic")
    seen.add_incoming(bld.extract_value(swapped, 0), swap)
    bld.cbranch(bld.extract_value(swapped, 1), done, retry)
    bld.position_at_end(done)
    return old


def _pair(name: str, allowed: tuple[Any, ...], update: Update) -> tuple[Any, Any]:
    """The atomic function and the plain one."""

    def atomically(ctx: Any, bld: Any, sig: Any, args: Any) -> Any:
        p, (value,) = _element(ctx, bld, sig, args)
        instruction = _instruction(name, sig.return_type)
        if instruction is None:
            return _loop(bld, sig.return_type, p, value, update)
        order = "acq_rel" if name == "exch" else "monotonic"  # exch releases locks
        return bld.atomic_rmw(instruction, p, value, order)

    def plainly(ctx: Any, bld: Any, sig: Any, args: Any) -> Any:
        p, (value,) = _element(ctx, bld, sig, args)
        old = bld.load(p)
        new = update(bld, sig.return_type, old, value)
        old.serial = bld.store(new, p).serial = True
        return old

    @intrinsic
    def atomic(tyctx, array, index, value):
        return _signature(name, allowed, array, index, value), atomically

    @intrinsic
    def plain(tyctx, array, index, value):
        return _signature(name, allowed, array, index, value), plainly

    return atomic, plain


@intrinsic
def atomic_cas(tyctx, array, index, expected, value):
    """Store ``value`` if the element is ``expected``.

    Orders memory as a lock needs it: what a block does after it got the lock stays after it."""

    def codegen(ctx, bld, sig, args):
        p, (expected, value) = _element(ctx, bld, sig, args)
        return bld.extract_value(bld.cmpxchg(p, expected, value, "acq_rel", "acquire"), 0)

    return _signature("cas", INTEGERS, array, index, expected, value), codegen


@intrinsic
def plain_cas(tyctx, array, index, expected, value):
    """The same for memory that one OS thread owns."""

    def codegen(ctx, bld, sig, args):
        p, (expected, value) = _element(ctx, bld, sig, args)
        old = bld.load(p)
        new = bld.select(bld.icmp_unsigned("==", old, expected), value, old)
        old.serial = bld.store(new, p).serial = True
        return old

    return _signature("cas", INTEGERS, array, index, expected, value), codegen


OPERATIONS: dict[str, tuple[tuple[Any, ...], Update]] = {
    "add": (NUMBERS, _add),
    "sub": (NUMBERS, _sub),
    "max": (NUMBERS, _extreme("<", False)),
    "min": (NUMBERS, _extreme(">", False)),
    "nanmax": (NUMBERS, _extreme("<", True)),
    "nanmin": (NUMBERS, _extreme(">", True)),
    "and_": (INTEGERS, _bitwise("and_")),
    "or_": (INTEGERS, _bitwise("or_")),
    "xor": (INTEGERS, _bitwise("xor")),
    "exch": (INTEGERS, _exch),
    "inc": (UNSIGNED, _inc),
    "dec": (UNSIGNED, _dec),
}


@intrinsic
def fence(tyctx):
    """What the thread wrote before is seen before what it writes later."""

    def codegen(ctx, bld, sig, args):
        bld.fence("seq_cst")
        return ctx.get_dummy_value()

    return types.none(), codegen


@intrinsic
def sleep(tyctx, nanoseconds):
    """A thread that waits need not wait longer."""
    if not isinstance(nanoseconds, types.Integer):
        raise NumbaTypeError(f"nanosleep takes an integer, not {nanoseconds}")
    return types.none(nanoseconds), lambda ctx, bld, sig, args: ctx.get_dummy_value()


@intrinsic
def report(tyctx, launch, code, block, detail):
    """Note the first failure of a launch (see ``failures``)."""

    def codegen(ctx, bld, sig, args):
        data = ctx.make_array(sig.args[0])(ctx, bld, args[0]).data
        values = [ctx.cast(bld, a, t, types.int64) for a, t in zip(args[1:], sig.args[1:])]
        place = bld.gep(data, [ir.IntType(64)(CODE)])
        zero = ir.IntType(64)(0)
        swapped = bld.cmpxchg(place, zero, values[0], "monotonic", "monotonic")
        with bld.if_then(bld.extract_value(swapped, 1)):
            for at, value in ((BLOCK, values[1]), (DETAIL, values[2])):
                bld.store(value, bld.gep(data, [ir.IntType(64)(at)]))
        return ctx.get_dummy_value()

    return types.none(launch, code, block, detail), codegen


FUNCTIONS: dict[str, Any] = {
    "atomic_cas_": atomic_cas,
    "plain_cas_": plain_cas,
    "effect_fence_": fence,
    "effect_sleep_": sleep,
    "effect_raise_": report,
}
for _name, (_allowed, _update) in OPERATIONS.items():
    _atomic, _plain = _pair(_name, _allowed, _update)
    FUNCTIONS[f"atomic_{_name.rstrip('_')}_"] = _atomic
    FUNCTIONS[f"plain_{_name.rstrip('_')}_"] = _plain
