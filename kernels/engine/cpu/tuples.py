"""Tuples become separate variables, so that their items can live across a barrier.

Before::                                 After::

    pos = (a, b)                             pos__1 = a
                                             pos__2 = b
    y = x[pos] + pos[1] + len(pos)           y = x[pos__1, pos__2] + pos__2 + 2
    v = float4(x[i], 0, 0, 1); v.x           v__1 = np.float32(x[i]) ...; v__1
    if k in (1, 2): ...                      if k == 1 or k == 2: ...

A variable is split when every assignment gives it a tuple of known items of one length, or copies
another variable that is split.  Named tuples and CUDA's vectors are tuples with ``fields``.  Other
tuples (``x.shape``) stay variables.
"""

from __future__ import annotations

import ast
from typing import Any

from numba.core import types

from .folding import call_np
from .iteration import UNROLL, unroll
from .tree import (
    Names,
    assign,
    clone,
    const,
    fail,
    function_name,
    has_effect,
    literal,
    load,
    locate,
    reads,
    store,
    text_of,
    walk,
    writes,
)

VECTOR = "vector_"
"""``vector_('float32', 4, a, b, ...)`` is a CUDA vector made of scalars and smaller vectors."""

FIELDS = ("x", "y", "z", "w")


def split_tuples(body: list[ast.stmt], names: Names) -> list[ast.stmt]:
    """Split every tuple variable of a function body."""
    body = _Split({}, names).statements(body)
    while True:
        found = known_tuples(body)
        if not found:
            break
        parts = {
            v: make_tuple([load(names.fresh(v)) for _ in range(n)], fields)
            for v, (n, fields) in sorted(found.items())
        }
        body = _Split(parts, names).statements(body)
    return body


def require_known(body: list[ast.stmt]) -> None:
    """Refuse what can only be done with tuples of known items."""
    for n in walk(body):
        if function_name(n) in (VECTOR, UNROLL):
            fail(n, text_of(n), "the items of this tuple must be known when the kernel is compiled")


def spread_arguments(
    kernel: ast.FunctionDef, argument_types: tuple[Any, ...], names: Names
) -> None:
    """Give each item of a tuple argument a parameter of its own, in place."""
    parameters: list[ast.arg] = []
    given: dict[str, ast.expr] = {}

    def spread(name: str, t: Any) -> ast.expr:
        if not isinstance(t, types.BaseTuple):
            parameters.append(ast.arg(name))
            return load(name)
        fields = t.fields if isinstance(t, types.BaseNamedTuple) else ()
        return make_tuple([spread(names.fresh(name), item) for item in t], tuple(fields))

    for a, t in zip(kernel.args.args, argument_types):
        value = spread(a.arg, t)
        if isinstance(t, types.BaseTuple):
            locate(value, kernel)
            given[a.arg] = value
    kernel.args.args = parameters
    stored = writes(kernel.body)
    substitute(kernel.body, {name: v for name, v in given.items() if name not in stored})
    kernel.body[:0] = [assign(name, v, kernel) for name, v in given.items() if name in stored]


def make_tuple(items: list[ast.expr], fields: tuple[str, ...] = ()) -> ast.Tuple:
    """A tuple literal, with names for its items if it has any."""
    node = ast.Tuple(items, ast.Load())
    node.fields = fields  # type: ignore[attr-defined]
    return node


def fields_of(e: ast.AST) -> tuple[str, ...]:
    return getattr(e, "fields", ())


def is_plain_tuple(e: ast.expr) -> bool:
    """A tuple literal of variables and constants, which may be repeated at will."""
    if isinstance(e, ast.Tuple):
        return all(isinstance(i, (ast.Name, ast.Constant)) or is_plain_tuple(i) for i in e.elts)
    return False


def substitute(body: list[ast.stmt], given: dict[str, ast.expr]) -> None:
    """Put expressions in the place of variables that are only read, in place."""
    for i, s in enumerate(body):
        body[i] = _Substitute(given).visit(s)


class _Substitute(ast.NodeTransformer):
    def __init__(self, given: dict[str, ast.expr]) -> None:
        self.given = given

    def visit_Name(self, n: ast.Name) -> ast.expr:
        return clone(self.given[n.id]) if n.id in self.given else n


def known_tuples(body: list[ast.stmt]) -> dict[str, tuple[int, tuple[str, ...]]]:
    """(length, fields) of the variables that always hold a tuple of known items."""
    values: dict[str, list[ast.expr]] = {}
    for n in walk(body):
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name):
            values.setdefault(n.targets[0].id, []).append(n.value)
    known: dict[str, tuple[int, tuple[str, ...]]] = {}
    changed = True
    while changed:
        changed = False
        for v, defs in values.items():
            found = [_length(d, known) for d in defs]
            if v not in known and len({f[0] if f else -1 for f in found}) == 1 and found[0]:
                known[v] = found[0][0], found[0][1]
                changed = True
    return known


def _length(e: ast.expr, known: dict[str, Any]) -> tuple[int, tuple[str, ...]] | None:
    if isinstance(e, ast.Tuple):
        return len(e.elts), fields_of(e)
    if isinstance(e, ast.Name):
        return known.get(e.id)
    if function_name(e) == VECTOR:
        n = e.args[1].value  # type: ignore[attr-defined]
        return n, FIELDS[:n]
    return None


class _Split(ast.NodeTransformer):
    def __init__(self, parts: dict[str, ast.Tuple], names: Names) -> None:
        self.parts, self.names = parts, names

    def statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for s in body:
            new = self.visit(s)
            out.extend(new if isinstance(new, list) else [new])
        return out

    def visit_Assign(self, s: ast.Assign) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(s)
        target = s.targets[0]
        if not isinstance(target, ast.Tuple):
            return s
        assert isinstance(s.value, ast.Tuple)
        items, before = s.value.elts, []
        if reads(s.value) & writes(target):
            spilled = [self.names.fresh("item") for _ in items]
            before = [assign(name, item, s) for name, item in zip(spilled, items)]
            items = [load(name) for name in spilled]
        pairs = zip(target.elts, items)
        return [*before, *(assign(t.id, v, s) for t, v in pairs)]  # type: ignore[attr-defined]

    def visit_For(self, s: ast.For) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(s)
        if function_name(s.iter) == UNROLL and isinstance(s.iter.args[0], ast.Tuple):  # type: ignore[attr-defined]
            return unroll(s, s.iter.args[0].elts, self.names)  # type: ignore[attr-defined]
        return s

    # -- expressions ------------------------------------------------------------------------------
    def visit_Name(self, n: ast.Name) -> ast.expr:
        if n.id not in self.parts:
            return n
        make = store if isinstance(n.ctx, ast.Store) else load
        names = [make(p.id) for p in self.parts[n.id].elts]  # type: ignore[attr-defined]
        new = make_tuple(names, fields_of(self.parts[n.id]))  # type: ignore[arg-type]
        new.ctx = n.ctx
        locate(new, n)
        return new

    def visit_Subscript(self, n: ast.Subscript) -> ast.expr:
        self.generic_visit(n)
        if not isinstance(n.value, ast.Tuple):
            return n
        position = literal(n.slice)
        if isinstance(position, int) and -len(n.value.elts) <= position < len(n.value.elts):
            return n.value.elts[position]
        if isinstance(n.slice, ast.Slice):
            bounds = [n.slice.lower, n.slice.upper, n.slice.step]
            known: list[Any] = [None if b is None else literal(b) for b in bounds]
            if all(b is None or isinstance(k, int) for b, k in zip(bounds, known)):
                return _like(n, make_tuple(n.value.elts[slice(*known)]))
        return n

    def visit_Attribute(self, n: ast.Attribute) -> ast.expr:
        self.generic_visit(n)
        names = fields_of(n.value)
        if isinstance(n.value, ast.Tuple) and n.attr in names:
            return n.value.elts[names.index(n.attr)]
        return n

    def visit_Call(self, n: ast.Call) -> ast.expr:
        self.generic_visit(n)
        if function_name(n) == "len" and isinstance(n.args[0], ast.Tuple):
            return _like(n, const(len(n.args[0].elts)))
        if function_name(n) == VECTOR:
            kind, count, *given = n.args
            items = [i for g in given for i in (g.elts if isinstance(g, ast.Tuple) else [g])]
            size = count.value  # type: ignore[attr-defined]
            if len(items) == size:
                made: list[ast.expr] = [call_np(kind.value, i) for i in items]  # type: ignore[attr-defined]
                return _like(n, make_tuple(made, FIELDS[:size]))
        return n

    def visit_BinOp(self, n: ast.BinOp) -> ast.expr:
        self.generic_visit(n)
        both = isinstance(n.left, ast.Tuple) and isinstance(n.right, ast.Tuple)
        if both and isinstance(n.op, ast.Add):
            return _like(n, make_tuple([*n.left.elts, *n.right.elts]))  # type: ignore[attr-defined]
        return n

    def visit_IfExp(self, n: ast.IfExp) -> ast.expr:
        self.generic_visit(n)
        a, b = n.body, n.orelse
        if not (isinstance(a, ast.Tuple) and isinstance(b, ast.Tuple)) or has_effect(n.test):
            return n
        if len(a.elts) != len(b.elts):
            return n
        pairs = zip(a.elts, b.elts)
        items: list[ast.expr] = [ast.IfExp(clone(n.test), x, y) for x, y in pairs]
        return _like(n, make_tuple(items, fields_of(a)))

    def visit_Compare(self, n: ast.Compare) -> ast.expr:
        """Membership in a tuple of known items."""
        self.generic_visit(n)
        op, items = n.ops[0], n.comparators[0]
        if not isinstance(op, (ast.In, ast.NotIn)) or not isinstance(items, ast.Tuple):
            return n
        if len(n.ops) > 1 or has_effect(n.left):
            fail(n, text_of(n), "write this membership test as a comparison of its own")
        absent = isinstance(op, ast.NotIn)
        join, each = (ast.And(), ast.NotEq) if absent else (ast.Or(), ast.Eq)
        tests: list[ast.expr] = [
            ast.Compare(clone(n.left), [each()], [item]) for item in items.elts
        ]
        if len(tests) < 2:
            return _like(n, tests[0] if tests else const(absent))
        return _like(n, ast.BoolOp(join, tests))


def _like(old: ast.AST, new: ast.expr) -> ast.expr:
    locate(new, old)
    return new
