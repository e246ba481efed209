"""Barriers, votes and shuffles in terms of a few primitives.

A primitive is something the threads of a warp or block do together; ``flatten`` gives each its own
statement, at which the kernel is split (see ``hoisting``)::

    cuda.ballot_sync(m, p)      np.int32(warp_bits_(p != 0) & np.uint32(m))
    cuda.all_sync(m, p)         (warp_bits_(p == 0) & np.uint32(m)) == 0
    cuda.syncthreads_and(p)     np.int32(block_count_(p == 0) == 0)

``warp_bits_(p)`` has a bit for every active lane whose ``p`` is true, ``warp_match_(v)`` for every
active lane with the same ``v``; ``block_count_(p)`` counts the active threads of the block whose
``p`` is true.  Types are those of numba-cuda: votes give booleans, ballots int32, the active mask
uint32.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .folding import call_np
from .tree import COLLECTIVES, call, clone, const, fail, function_name, parse, text_of

if TYPE_CHECKING:
    from .canonical import Canonical

Args = list[ast.expr]

LANE = "np.int32(tid_x_ + bdim_x_ * (tid_y_ + bdim_y_ * tid_z_) & 31)"
WARP_SIZE = 32
EVERY_LANE = 0xFFFFFFFF


def _handler(names: tuple[str, ...], optional: int, make: Callable[[Args], ast.expr]) -> Any:
    """A handler with the parameters ``names``; the last ``optional`` of them may be absent."""

    def handle(
        canonical: Canonical, node: ast.Call, args: Args, keywords: dict[str, ast.expr]
    ) -> ast.expr:
        given = dict(zip(names, args)) | keywords
        required = names[: len(names) - optional]
        unknown = [k for k in keywords if k not in names[len(args) :]]
        if len(args) > len(names) or unknown or any(n not in given for n in required):
            name = text_of(node.func)
            fail(node, text_of(node), f"{name} takes the arguments ({', '.join(names)})")
        made = make([given[n] for n in names if n in given])
        if canonical.unit.masks:
            keep_mask(made, given.get("mask", const(EVERY_LANE if "mask" in names else 0)))
        return made

    return handle


def keep_mask(made: ast.expr, mask: ast.expr) -> None:
    """Give warp operations the mask as their last argument (for the checker).

    Those inside the arguments have one already.
    """
    n: Any
    for n in list(ast.walk(made)):
        meets = function_name(n) in (COLLECTIVES - {"block_count_"}) | {"sync_warp_"}
        if meets and not hasattr(n, "masked"):
            n.args.append(clone(mask))
            n.masked = True


def _compare(left: ast.expr, op: ast.cmpop, right: ast.expr) -> ast.Compare:
    return ast.Compare(left, [op], [right])


def _true(p: ast.expr) -> ast.expr:
    return _compare(p, ast.NotEq(), const(0))


def _false(p: ast.expr) -> ast.expr:
    return _compare(p, ast.Eq(), const(0))


def _within(bits: ast.expr, mask: ast.expr) -> ast.expr:
    """The bits of lanes that the mask names."""
    return ast.BinOp(bits, ast.BitAnd(), call_np("uint32", clone(mask)))


def _none(bits: ast.expr, mask: ast.expr) -> ast.expr:
    return _compare(_within(bits, mask), ast.Eq(), const(0))


def _vote_all(a: Args) -> ast.expr:
    return _none(call("warp_bits_", _false(a[1])), a[0])


def _vote_any(a: Args) -> ast.expr:
    return _compare(_within(call("warp_bits_", _true(a[1])), a[0]), ast.NotEq(), const(0))


def _vote_eq(a: Args) -> ast.expr:
    no_true = _none(call("warp_bits_", _true(a[1])), a[0])
    no_false = _none(call("warp_bits_", _false(clone(a[1]))), a[0])
    return ast.BinOp(no_true, ast.BitOr(), no_false)


def _ballot(a: Args) -> ast.expr:
    return call_np("int32", _within(call("warp_bits_", _true(a[1])), a[0]))


def _match_any(a: Args) -> ast.expr:
    return call_np("int32", _within(call("warp_match_", a[1]), a[0]))


def _match_all(a: Args) -> ast.expr:
    """(active lanes of the mask, True) when all of them have the value, else (0, False)."""
    same = _within(call("warp_match_", a[1]), a[0])
    return call("match_all_", same, _within(call("warp_bits_", const(True)), a[0]))


def _count(a: Args) -> ast.expr:
    return call("block_count_", _true(a[0]))


def _and(a: Args) -> ast.expr:
    nobody = _compare(call("block_count_", _false(a[0])), ast.Eq(), const(0))
    return call_np("int32", nobody)


def _or(a: Args) -> ast.expr:
    return call_np("int32", _compare(call("block_count_", _true(a[0])), ast.NotEq(), const(0)))


def _shuffle(kind: str) -> Callable[[Args], ast.expr]:
    return lambda a: call(f"shfl_{kind}_", a[1], a[2])


COLLECTIVE_HANDLERS: dict[str, Any] = {
    "syncthreads": _handler((), 0, lambda a: call("sync_")),
    "syncwarp": _handler(("mask",), 1, lambda a: call("sync_warp_")),
    "syncthreads_count": _handler(("predicate",), 0, _count),
    "syncthreads_and": _handler(("predicate",), 0, _and),
    "syncthreads_or": _handler(("predicate",), 0, _or),
    "shfl_sync": _handler(("mask", "value", "src_lane"), 0, _shuffle("idx")),
    "shfl_up_sync": _handler(("mask", "value", "delta"), 0, _shuffle("up")),
    "shfl_down_sync": _handler(("mask", "value", "delta"), 0, _shuffle("down")),
    "shfl_xor_sync": _handler(("mask", "value", "lane_mask"), 0, _shuffle("xor")),
    "all_sync": _handler(("mask", "predicate"), 0, _vote_all),
    "any_sync": _handler(("mask", "predicate"), 0, _vote_any),
    "eq_sync": _handler(("mask", "predicate"), 0, _vote_eq),
    "ballot_sync": _handler(("mask", "predicate"), 0, _ballot),
    "match_any_sync": _handler(("mask", "value"), 0, _match_any),
    "match_all_sync": _handler(("mask", "value"), 0, _match_all),
    "activemask": _handler((), 0, lambda a: call("warp_bits_", const(True))),
    "lanemask_lt": _handler((), 0, lambda a: parse(f"np.uint32((1 << {LANE}) - 1)")),
    "cg.this_grid": _handler((), 0, lambda a: const(0)),
}

VALUES: dict[str, Callable[[], ast.expr]] = {
    "laneid": lambda: parse(LANE),
    "warpsize": lambda: const(WARP_SIZE),
}
"""Names of ``numba.cuda`` that are values, not functions."""
