"""Evaluates what is known when a kernel is compiled.

Before::                                 After::

    if FLAG and n > 0: ...                   if n > 0: ...       (FLAG is True)
    y = a if MODE == 2 else b                y = b               (MODE is 1)
    t = TILE * TILE                          t = 256

Branches that cannot run disappear, as Numba prunes them, so that a kernel factory can switch parts
of a kernel on and off with closure variables.
"""

from __future__ import annotations

import ast
from typing import Any

from .debug import mark_checked
from .refuse import Refuser
from .tree import clone, const, fail, literal, load, locate, text_of


def call_np(name: str, *args: Any) -> ast.Call:
    """``np.float32(x)``; Numba for CPUs does not know ``np.float16``."""
    if name == "float16":
        return ast.Call(load("half_"), list(args), [])
    return ast.Call(ast.Attribute(load("np"), name, ast.Load()), list(args), [])


def replace(node: ast.AST, new: ast.expr) -> ast.expr:
    locate(new, node)
    return new


def fold(node: ast.expr) -> ast.expr:
    """Evaluate an expression of literals; errors stay for run time."""
    try:
        code = compile(ast.fix_missing_locations(ast.Expression(clone(node))), "", "eval")
        return replace(node, const(eval(code, {})))
    except Exception:
        return node


class Folding(Refuser):
    """The part of ``Canonical`` that folds constants."""

    def statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for s in body:
            new = self.visit(s)
            out.extend(new if isinstance(new, list) else [new])
        return out

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(literal(node.left), int) and isinstance(literal(node.right), int):
            return fold(node)
        mark_checked(self, node)  # type: ignore[arg-type]
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        sides = [node.left, *node.comparators]
        identity = any(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops)
        constants = [e.value for e in sides if isinstance(e, ast.Constant)]
        alone = not any(v is None or isinstance(v, bool) for v in constants)
        if identity and alone and len(constants) < len(sides):
            fail(node, text_of(node), "values have no identity; compare them with ==")
        if all(isinstance(e, ast.Constant) for e in (node.left, *node.comparators)):
            return fold(node)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and isinstance(node.operand, ast.Constant):
            return fold(node)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        neutral = isinstance(node.op, ast.And)
        values: list[ast.expr] = []
        for v in node.values:
            known = isinstance(v, ast.Constant) and isinstance(v.value, bool)
            if known and v.value is neutral:  # type: ignore[attr-defined]
                continue
            values.append(v)
            if known:
                break
        if not values:
            return replace(node, const(neutral))
        node.values = values
        return values[0] if len(values) == 1 else node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        node.test = self.visit(node.test)
        if isinstance(node.test, ast.Constant):
            return self.visit(node.body if node.test.value else node.orelse)
        node.body, node.orelse = self.visit(node.body), self.visit(node.orelse)
        return node

    def visit_If(self, node: ast.If) -> Any:
        node.test = self.visit(node.test)
        if isinstance(node.test, ast.Constant):
            return self.statements(node.body if node.test.value else node.orelse)
        node.body = self.statements(node.body) or [locate(ast.Pass(), node)]  # type: ignore[list-item]
        node.orelse = self.statements(node.orelse)
        return node
