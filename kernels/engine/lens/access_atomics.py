"""Checked atomics and fences.

    old = cuda.atomic.add(a, i, v)           old = checked_add_(lens_, 7, a, i, v)
    cuda.threadfence()                       checked_fence_(lens_, 8)

Threads run one at a time, so the plain forms of ``rt_atomics`` do the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..cpu import rt_atomics
from .access import INT, Access, Lens, bytes_of, zero_slot
from .state import ATOMIC, FENCE


def checked_atomic(plain: Any) -> Any:
    """The checked form of one of ``rt_atomics``' plain functions."""

    def typed(tyctx: Any, array: Any, index: Any, values: tuple[Any, ...]) -> Any:
        inner, make = plain._defn(tyctx, array, index, *values)

        def codegen(ctx: Any, bld: Any, sig: Any, args: Any) -> Any:
            lens, kind = Lens.of(ctx, bld, sig, args), inner.return_type
            slot = zero_slot(ctx, bld, kind)
            access = Access(bytes_of(ctx, kind), ATOMIC)
            with lens.element(sig.args[2], args[2], sig.args[3], args[3], access) as p:
                old = make(ctx, bld, inner, args[2:])
                bits = ir.IntType(kind.bitwidth)
                now = bld.load(bld.bitcast(p, bits.as_pointer()))
                with bld.if_then(bld.icmp_unsigned("!=", now, bld.bitcast(old, bits))):
                    lens.changed()
                bld.store(old, slot)
            return bld.load(slot)

        return inner, codegen

    return typed


def _atomic_functions() -> dict[str, Callable[..., Any]]:
    found: dict[str, Any] = {}
    for name, function in rt_atomics.FUNCTIONS.items():
        if not name.startswith("plain_"):
            continue
        typed = checked_atomic(function)
        found[name.replace("plain_", "checked_")] = (
            _with_two(typed) if name == "plain_cas_" else _with_one(typed)
        )
    return found


def _with_one(typed: Any) -> Any:
    @intrinsic
    def atomic(tyctx, state, site, array, index, value):
        inner, codegen = typed(tyctx, array, index, (value,))
        return inner.return_type(state, site, *inner.args), codegen

    return atomic


def _with_two(typed: Any) -> Any:
    @intrinsic
    def atomic(tyctx, state, site, array, index, expected, value):
        inner, codegen = typed(tyctx, array, index, (expected, value))
        return inner.return_type(state, site, *inner.args), codegen

    return atomic


@intrinsic
def fence(tyctx, state, site):
    """``cuda.threadfence()``."""

    def codegen(ctx, bld, sig, args):
        Lens.of(ctx, bld, sig, args).touch(INT(0), INT(0), INT(FENCE))
        return ctx.get_dummy_value()

    return types.none(state, site), codegen


FUNCTIONS: dict[str, Any] = {"checked_fence_": fence, **_atomic_functions()}
