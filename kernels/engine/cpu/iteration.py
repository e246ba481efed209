"""Loops over anything become loops over ``range`` (a part of ``canonical``).

Before::                                 After::

    for v in x:                              for k__1 in range(len(x)):
        ...                                      v = x[k__1]; ...
    for i, (a, b) in enumerate(zip(x, y)):   for k__1 in range(min(len(x), len(y))):
        ...                                      i, (a, b) = k__1, (x[k__1], y[k__1]); ...
    for d in (-1, 0, 1):                     d = -1; ...; d = 0; ...; d = 1; ...   (in ``flatten``)
    for ...: break                           broken__1 = False; for ...: broken__1 = True; break
    else: ...                                if not broken__1: ...
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .exits import exit_kinds
from .tree import (
    Names,
    assign,
    call,
    clone,
    const,
    fail,
    if_,
    load,
    locate,
    negate,
    text_of,
    writes,
)

if TYPE_CHECKING:
    from .canonical import Canonical

UNROLL = "literal_unroll_"
Element = Callable[[ast.expr], ast.expr]


@dataclass
class Sequence:
    """What a loop runs over: known ``items``, or ``count`` elements by number."""

    items: list[ast.expr] | None = None
    count: ast.expr | None = None
    element: Element = clone
    before: list[ast.stmt] = field(default_factory=list)


def lower_for(canonical: Canonical, node: ast.For) -> list[ast.stmt]:
    """The statements for one ``for`` loop, canonicalised."""
    target = canonical.visit(node.target)
    flag, before = _else_flag(canonical, node)
    first: list[ast.stmt] = []
    if _is(canonical, node.iter, "literal_unroll"):
        over: ast.expr = call(UNROLL, *map(canonical.visit, node.iter.args))  # type: ignore[attr-defined]
    elif _is(canonical, node.iter, "range") and isinstance(target, ast.Name):
        over = canonical.visit(node.iter)
    else:
        sequence = sequence_of(canonical, node.iter, writes(node.body))
        before += sequence.before
        if sequence.items is not None:
            over = ast.Tuple(sequence.items, ast.Load())
        else:
            assert sequence.count is not None
            k = canonical.unit.names.fresh("k")
            first.append(ast.Assign([target], sequence.element(load(k))))
            target, over = ast.Name(k, ast.Store()), call("range", sequence.count)
    new = ast.For(target, over, [], [], None)
    new.body = [*first, *canonical.statements(node.body)] or [ast.Pass()]
    locate(new, node)
    return [*before, new, *_else(node, flag, canonical)]


def lower_while(canonical: Canonical, node: ast.While) -> list[ast.stmt]:
    """The statements for one ``while`` loop, canonicalised."""
    flag, before = _else_flag(canonical, node)
    new = ast.While(canonical.visit(node.test), canonical.statements(node.body), [])
    new.body = new.body or [ast.Pass()]
    locate(new, node)
    return [*before, new, *_else(node, flag, canonical)]


# -- what a loop runs over ------------------------------------------------------------------------
def sequence_of(canonical: Canonical, e: ast.expr, changed: set[str]) -> Sequence:
    """The elements of an expression; ``changed`` are variables that the loop assigns."""
    if _is(canonical, e, "enumerate"):
        return _enumerate(canonical, e, changed)  # type: ignore[arg-type]
    if _is(canonical, e, "zip"):
        parts = [sequence_of(canonical, a, changed) for a in e.args]  # type: ignore[attr-defined]
        if parts:
            return _zip(parts)
    if _is(canonical, e, "range"):
        numbers = canonical.visit(e)
        return Sequence(
            count=call("len", numbers),
            element=lambda k: ast.Subscript(clone(numbers), k, ast.Load()),
        )
    if isinstance(e, ast.Constant):
        fail(e, f"for ... in {text_of(e)}", "loops run over range(...), arrays and tuples")
    new = canonical.visit(e)
    if isinstance(new, ast.Tuple):
        return Sequence(items=new.elts)
    before: list[ast.stmt] = []
    if not isinstance(new, ast.Name) or new.id in {canonical.renamed.get(v, v) for v in changed}:
        before.append(assign(canonical.unit.names.fresh("items"), new, e))
        new = load(before[0].targets[0].id)  # type: ignore[attr-defined]
    return Sequence(
        count=call("len", clone(new)),
        element=lambda k: ast.Subscript(clone(new), k, ast.Load()),
        before=before,
    )


def _enumerate(canonical: Canonical, e: ast.Call, changed: set[str]) -> Sequence:
    start = [*e.args[1:], *(k.value for k in e.keywords)]
    if not e.args or len(start) > 1:
        fail(e, text_of(e), "enumerate takes something to loop over and a start")
    first = canonical.visit(start[0]) if start else None
    inner = sequence_of(canonical, e.args[0], changed)

    def number(k: ast.expr) -> ast.expr:
        return k if first is None else ast.BinOp(k, ast.Add(), clone(first))

    if inner.items is not None:
        items: list[ast.expr] = [
            ast.Tuple([number(const(i)), item], ast.Load()) for i, item in enumerate(inner.items)
        ]
        return Sequence(items=items, before=inner.before)
    return Sequence(
        count=inner.count,
        element=lambda k: ast.Tuple([number(k), inner.element(clone(k))], ast.Load()),
        before=inner.before,
    )


def _zip(parts: list[Sequence]) -> Sequence:
    before = [s for p in parts for s in p.before]
    if all(p.items is not None for p in parts):
        rows = zip(*(p.items for p in parts if p.items is not None))
        return Sequence(items=[ast.Tuple(list(row), ast.Load()) for row in rows], before=before)
    parts = [p if p.items is None else _by_number(p.items) for p in parts]
    count: Any = parts[0].count
    for p in parts[1:]:
        count = call("min", count, p.count)  # type: ignore[arg-type]
    return Sequence(
        count=count,
        element=lambda k: ast.Tuple([p.element(clone(k)) for p in parts], ast.Load()),
        before=before,
    )


def _by_number(items: list[ast.expr]) -> Sequence:
    """Known items, to be selected by a run-time number."""
    whole = ast.Tuple(items, ast.Load())
    return Sequence(
        count=const(len(items)), element=lambda k: ast.Subscript(clone(whole), k, ast.Load())
    )


def _is(canonical: Canonical, e: ast.expr, name: str) -> bool:
    """True for a call of the builtin ``name``, or of Numba's ``literal_unroll``."""
    if not isinstance(e, ast.Call):
        return False
    obj = canonical.resolve(e.func)
    if name == "literal_unroll":
        return getattr(obj, "__name__", "") == name and "misc" in getattr(obj, "__module__", "")
    return obj is {"range": range, "enumerate": enumerate, "zip": zip}[name]


# -- leaving loops --------------------------------------------------------------------------------
def _else_flag(canonical: Canonical, node: ast.For | ast.While) -> tuple[str, list[ast.stmt]]:
    """A flag that ``break`` sets, for a loop with ``else``."""
    if not node.orelse or "break" not in exit_kinds(node.body):
        return "", []
    flag = canonical.unit.names.fresh("broken")
    canonical.locals.add(flag)
    _set_before_break(node.body, flag)
    return flag, [assign(flag, const(False), node)]


def _set_before_break(body: list[ast.stmt], flag: str) -> None:
    for i, s in reversed(list(enumerate(body))):
        if isinstance(s, ast.Break):
            body.insert(i, assign(flag, const(True), s))
        elif isinstance(s, ast.If):
            _set_before_break(s.body, flag)
            _set_before_break(s.orelse, flag)


def _else(node: ast.For | ast.While, flag: str, canonical: Canonical) -> list[ast.stmt]:
    after = canonical.statements(node.orelse)
    if not after or not flag:
        return after
    return [if_(negate(load(flag)), after, [], node)]


def unroll(s: ast.For, items: list[ast.expr], names: Names) -> list[ast.stmt]:
    """The loop written out, once per item.

    A body that is left early becomes a loop of one turn, which ``break`` and ``continue`` leave.
    """
    kinds = exit_kinds(s.body)
    broken = names.fresh("broken") if "break" in kinds else ""
    out: list[ast.stmt] = [assign(broken, const(False), s)] if broken else []
    place = out
    for item in items:
        turn: list[ast.stmt] = [ast.Assign([clone(s.target)], clone(item)), *clone(s.body)]
        locate(turn[0], s)
        if kinds:
            _leave_turn(turn, broken)
            once = ast.For(
                ast.Name(names.fresh("once"), ast.Store()), call("range", const(1)), turn, []
            )
            locate(once, s)
            turn = [once]
        place += turn
        if broken and item is not items[-1]:
            guard = if_(negate(load(broken)), [], [], s)
            guard.body = []
            place.append(guard)
            place = guard.body
    return out


def _leave_turn(body: list[ast.stmt], broken: str) -> None:
    for i, s in reversed(list(enumerate(body))):
        if isinstance(s, ast.Continue):
            body[i] = ast.Break()
            locate(body[i], s)
        elif isinstance(s, ast.Break):
            body.insert(i, assign(broken, const(True), s))
        elif isinstance(s, ast.If):
            _leave_turn(s.body, broken)
            _leave_turn(s.orelse, broken)
