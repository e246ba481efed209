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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
    text_of,
    walk,
    writes,
)

VECTOR = "vector_"
"""``vector_('float32', 4, a, b, ...)`` is a CUDA vector made of scalars and smaller vectors."""

FIELDS = ("x", "y", "z", "w")


def split_tuples(body: list[ast.stmt], names: Names) -> list[ast.stmt]:
    """Split every tuple variable of a function body."""
    while True:
        known = known_tuples(body)
        parts = {v: _parts(v, shape, names) for v, shape in sorted(known.items())}
        body = _Split(parts, names).statements(body)
        if not known and not known_tuples(body):
            return body


def require_known(body: list[ast.stmt]) -> None:
    """Refuse what can only be done with tuples of known items."""
    for n in walk(body):
        if function_name(n) in (VECTOR, UNROLL):
            fail(n, text_of(n), "the items of this tuple must be known when the kernel is compiled")


def make_tuple(items: list[ast.expr], fields: tuple[str, ...] = ()) -> ast.Tuple:
    """A tuple literal, with names for its items if it has any."""
    node = ast.Tuple(items, ast.Load())
    node.fields = fields  # type: ignore[attr-defined]
    return node


def fields_of(e: ast.AST) -> tuple[str, ...]:
    return getattr(e, "fields", ())


@dataclass(frozen=True)
class Shape:
    """What is known of a tuple: the names of its items, and which of them are tuples."""

    fields: tuple[str, ...]
    items: tuple[Shape | None, ...]


def known_tuples(body: list[ast.stmt]) -> dict[str, Shape]:
    """The variables that always hold a tuple of known items."""
    values: dict[str, list[ast.expr]] = {}
    for n in walk(body):
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name):
            values.setdefault(n.targets[0].id, []).append(n.value)
    known: dict[str, Shape] = {}
    before: dict[str, Shape] | None = None
    while before != known:
        before = dict(known)
        for v, defs in values.items():
            shape = _common([_shape(d, known) for d in defs])
            if shape is not None:
                known[v] = shape
    return known


def _shape(e: ast.expr, known: dict[str, Shape]) -> Shape | None:
    if isinstance(e, ast.Tuple):
        return Shape(fields_of(e), tuple(_shape(i, known) for i in e.elts))
    if isinstance(e, ast.Name):
        return known.get(e.id)
    if function_name(e) == VECTOR:
        n = e.args[1].value  # type: ignore[attr-defined]
        return Shape(FIELDS[:n], (None,) * n)
    return None


def _common(shapes: list[Shape | None]) -> Shape | None:
    """The shape of all of them, where one is known and the lengths agree."""
    first = shapes[0]
    same = [s for s in shapes if s is not None and first and len(s.items) == len(first.items)]
    if first is None or len(same) != len(shapes):
        return None
    return Shape(
        first.fields, tuple(_common(list(items)) for items in zip(*(s.items for s in same)))
    )


def changes_length(body: list[ast.stmt]) -> bool:
    """True when a variable holds tuples of several lengths, one after the other."""
    lengths: dict[str, set[int]] = {}
    known = known_tuples(body)
    for n in walk(body):
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name):
            shape = _shape(n.value, known)
            if shape is not None:
                lengths.setdefault(n.targets[0].id, set()).add(len(shape.items))
    return any(len(found) > 1 for found in lengths.values())


def _parts(v: str, shape: Shape | None, names: Names) -> ast.expr:
    """Fresh variables for the items of a tuple."""
    if shape is None:
        return load(names.fresh(v))
    return make_tuple([_parts(v, item, names) for item in shape.items], shape.fields)


class _Split(ast.NodeTransformer):
    def __init__(self, parts: dict[str, ast.expr], names: Names) -> None:
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
        pairs = list(_pairs(target, s.value))
        before: list[ast.stmt] = []
        if reads(s.value) & writes(target):
            spilled = [self.names.fresh("item") for _ in pairs]
            before = [assign(name, item, s) for name, (_, item) in zip(spilled, pairs)]
            pairs = [(t, load(name)) for name, (t, _) in zip(spilled, pairs)]
        return [*before, *(assign(t, v, s) for t, v in pairs)]

    def visit_For(self, s: ast.For) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(s)
        if function_name(s.iter) == UNROLL and isinstance(s.iter.args[0], ast.Tuple):  # type: ignore[attr-defined]
            return unroll(s, s.iter.args[0].elts, self.names)  # type: ignore[attr-defined]
        return s

    # -- expressions ------------------------------------------------------------------------------
    def visit_Name(self, n: ast.Name) -> ast.expr:
        if n.id not in self.parts:
            return n
        new = clone(self.parts[n.id])
        if isinstance(n.ctx, ast.Store):
            for part in ast.walk(new):
                if isinstance(part, (ast.Name, ast.Tuple)):
                    part.ctx = ast.Store()
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


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """(variable, value) for each variable of a tuple."""
    if isinstance(target, ast.Name):
        yield target.id, value
        return
    assert isinstance(target, ast.Tuple)
    known = isinstance(value, ast.Tuple)
    for i, t in enumerate(target.elts):
        item = value.elts[i] if known else ast.Subscript(value, const(i), ast.Load())  # type: ignore[attr-defined]
        yield from _pairs(t, item)


def _like(old: ast.AST, new: ast.expr) -> ast.expr:
    locate(new, old)
    return new
