"""Tuples become separate variables, so that their items can live across a barrier.

Before::                                 After::

    pos = (a, b)                             pos__1 = a
                                             pos__2 = b
    y = x[pos] + pos[1]                      y = x[pos__1, pos__2] + pos__2

A variable is split when every assignment gives it a tuple literal of one length, or copies another
variable that is split.  Other tuples (``x.shape``) stay variables.
"""

from __future__ import annotations

import ast

from .tree import Names, assign, load, locate, store, walk


def split_tuples(body: list[ast.stmt], names: Names) -> list[ast.stmt]:
    """Split every tuple variable of a function body."""
    lengths = tuple_lengths(body)
    if not lengths:
        return body
    parts = {v: [names.fresh(v) for _ in range(n)] for v, n in sorted(lengths.items())}
    return [new for s in body for new in _Split(parts).statement(s)]


def tuple_lengths(body: list[ast.stmt]) -> dict[str, int]:
    """Variables that always hold a literal tuple of one length."""
    values: dict[str, list[ast.expr]] = {}
    for n in walk(body):
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name):
            values.setdefault(n.targets[0].id, []).append(n.value)
    lengths: dict[str, int] = {}
    changed = True
    while changed:
        changed = False
        for v, defs in values.items():
            found = {
                len(d.elts)
                if isinstance(d, ast.Tuple)
                else lengths.get(d.id, -1)
                if isinstance(d, ast.Name)
                else -1
                for d in defs
            }
            if v not in lengths and len(found) == 1 and -1 not in found:
                lengths[v] = found.pop()
                changed = True
    return lengths


class _Split(ast.NodeTransformer):
    def __init__(self, parts: dict[str, list[str]]) -> None:
        self.parts = parts

    def statement(self, s: ast.stmt) -> list[ast.stmt]:
        new = self.visit(s)
        return new if isinstance(new, list) else [new]

    def visit_Assign(self, s: ast.Assign) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(s)
        target = s.targets[0]
        if isinstance(target, ast.Tuple):
            assert isinstance(s.value, ast.Tuple)
            pairs = zip(target.elts, s.value.elts)
            return [assign(t.id, v, s) for t, v in pairs]  # type: ignore[attr-defined]
        return s

    def visit_Name(self, n: ast.Name) -> ast.expr:
        if n.id not in self.parts:
            return n
        make = store if isinstance(n.ctx, ast.Store) else load
        new = ast.Tuple([make(p) for p in self.parts[n.id]], n.ctx)
        locate(new, n)
        return new

    def visit_Subscript(self, n: ast.Subscript) -> ast.expr:
        self.generic_visit(n)
        if isinstance(n.value, ast.Tuple) and isinstance(n.slice, ast.Constant):
            position = n.slice.value
            assert isinstance(position, int)
            return n.value.elts[position]
        return n
