"""Rewrite a kernel as the checker does, and note in addition where in its loops a thread stands.

Before::                          After::

    for q in range(n):                turn1_ = 0
        total += x[q] * y             for q in range(n):
    if i < n:                             turn1_ += 1
        ...                               path1_ = deeper_(path0_, turn1_)
                                          lens_[PATH] = path1_
                                          total = flop_(lens_, total + flop_(lens_, ...))
                                      lens_[PATH] = path0_
                                      if branch_(lens_, 7, i < n):
                                          ...

Lanes of a warp make one request together when they are at the same place in the same turn of all
loops around it, whatever turns others have left out. The path is the number of these turns.
"""

from __future__ import annotations

import ast
from typing import Any

from ...cpu.tree import assign, call, const, function_name, load, locate, parse, store
from ..instrument import Instrument
from .recorder import FUNCTIONS, PATH

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)
FUSED = "fma_"
ELEMENTS = {"read_": 3, "write_": 3, "read_field_": 3, "write_field_": 3}  # which argument is index


class ProfilerInstrument(Instrument):
    """The checker's pass, and the three additions after it."""

    label = "profiled"
    functions = FUNCTIONS

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.depth = 0

    def body(self, stmts: list[ast.stmt]) -> list[ast.stmt]:
        self.depth += 1
        out = super().body(stmts)
        self.depth -= 1
        if self.depth == 0:
            counted: list[Any] = [Arithmetic().visit(s) for s in out]
            out = [at_path("0"), *self.paths(counted, 0)]
        return out

    def visit_If(self, s: ast.If) -> ast.stmt:
        own = any(not n.id.endswith("_") for n in ast.walk(s.test) if isinstance(n, ast.Name))
        site = self.site(s, "branch") if own else None
        new: Any = super().visit_If(s)
        if site is not None:
            new.test = call("branch_", load("lens_"), site, new.test)
        return new

    def paths(self, stmts: list[ast.stmt], depth: int) -> list[ast.stmt]:
        """Number the turns of loops, and say again where a thread is when it goes on."""
        here = f"path{depth}_" if depth else "0"
        out: list[ast.stmt] = []
        for s in stmts:
            if isinstance(s, (ast.For, ast.While)):
                turn, path = f"turn{depth + 1}_", f"path{depth + 1}_"
                count = ast.AugAssign(store(turn), ast.Add(), const(1))
                locate(count, s)
                inside = assign(path, parse(f"deeper_({here}, {turn})"), s)
                s.body = [count, inside, at_path(path, s), *self.paths(s.body, depth + 1)]
                out += [assign(turn, const(0), s), s, at_path(here, s)]
                continue
            if isinstance(s, ast.If):
                s.body = self.paths(s.body, depth)
                s.orelse = self.paths(s.orelse, depth)
            out.append(s)
            if isinstance(s, ast.Expr) and isinstance(s.value, ast.Yield):
                out.append(at_path(here, s))
        return out


def at_path(path: str, like: ast.AST | None = None) -> ast.stmt:
    """Say where the thread is."""
    made = ast.parse(f"lens_[{PATH}] = {path}").body[0]
    if like is not None:
        locate(made, like)
    return made


class Arithmetic(ast.NodeTransformer):
    """Counts the operations on floating-point numbers; which they are, their types tell later."""

    def visit_BinOp(self, n: ast.BinOp) -> ast.expr:
        self.generic_visit(n)
        return call("flop_", load("lens_"), n, const(1)) if isinstance(n.op, ARITHMETIC) else n

    def visit_Call(self, n: ast.Call) -> ast.expr:
        name = function_name(n)
        if name in ELEMENTS:
            at = ELEMENTS[name]
            n.args = [a if k == at else self.visit(a) for k, a in enumerate(n.args)]
            return n
        if name == "range":
            return n
        self.generic_visit(n)
        return call("flop_", load("lens_"), n, const(2)) if name == FUSED else n

    def visit_Subscript(self, n: ast.Subscript) -> ast.expr:
        return n
