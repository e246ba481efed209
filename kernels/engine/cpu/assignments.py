"""Assignments in their simplest form (a part of ``flatten``).

Before::                                 After::

    a = b = x[i]                             value__1 = x[i]
                                             a = value__1
                                             b = value__1
    x[i], x[j] = x[j], x[i]                  item__2 = x[j]
                                             item__3 = x[i]
                                             x[i] = item__2
                                             x[j] = item__3
    n += 1                                   n = n + 1
"""

from __future__ import annotations

import ast

from .hoisting import Hoister
from .tree import (
    DECLARATIONS,
    assign,
    clone,
    const,
    fail,
    function_name,
    load,
    locate,
    reads,
    text_of,
    writes,
)


class Assignments(Hoister):
    """The statements that give something a value."""

    def on_Assign(self, s: ast.Assign, out: list[ast.stmt]) -> None:
        declared = function_name(s.value) in DECLARATIONS
        value = s.value if declared else self.hoist(s.value, out)
        if len(s.targets) > 1:
            name = self.names.fresh("value")
            out.append(assign(name, value, s))
            for target in s.targets:
                one = ast.Assign([target], load(name))
                locate(one, s)
                self.on_Assign(one, out)
            return
        self.store(s.targets[0], value, s, out)

    def store(self, target: ast.expr, value: ast.expr, s: ast.stmt, out: list[ast.stmt]) -> None:
        """``target = value`` for any form of target."""
        if isinstance(target, (ast.Tuple, ast.List)):
            self.unpack(target, value, s, out)
            return
        if self.must_hoist(target):
            out.append(assign(self.names.fresh("value"), value, s))
            value = load(out[-1].targets[0].id)  # type: ignore[attr-defined]
        self.hoist_target(target, s, out)
        new = ast.Assign([target], value)
        locate(new, s)
        out.append(new)

    def hoist_target(self, target: ast.expr, s: ast.stmt, out: list[ast.stmt]) -> None:
        """Evaluate what an element or field is selected by."""
        if isinstance(target, ast.Subscript):
            target.value, target.slice = self.hoist_all([target.value, target.slice], out)
        elif isinstance(target, ast.Attribute):
            target.value = self.hoist(target.value, out)
        elif not isinstance(target, ast.Name):
            fail(s, text_of(target), "only variables, array elements and fields can be assigned")

    def unpack(
        self, target: ast.Tuple | ast.List, value: ast.expr, s: ast.stmt, out: list[ast.stmt]
    ) -> None:
        if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
            parts = value.elts
            plain = all(isinstance(t, ast.Name) for t in target.elts)
            if not plain or reads(value) & writes(target):
                spilled = []
                for part in parts:
                    spilled.append(self.names.fresh("item"))
                    out.append(assign(spilled[-1], part, s))
                parts = [load(name) for name in spilled]
        elif isinstance(value, ast.Attribute) and value.attr in ("shape", "strides"):
            parts = [
                ast.Subscript(clone(value), const(i), ast.Load()) for i in range(len(target.elts))
            ]
        else:
            name = self.names.fresh("tuple")
            out.append(assign(name, value, s))
            parts = [
                ast.Subscript(load(name), const(i), ast.Load()) for i in range(len(target.elts))
            ]
        for t, part in zip(target.elts, parts):
            locate(part, s)
            self.store(t, part, s, out)

    def on_AugAssign(self, s: ast.AugAssign, out: list[ast.stmt]) -> None:
        if isinstance(s.target, ast.Name):
            value = ast.BinOp(load(s.target.id), s.op, s.value)
            self.keep_check(s, value)
            locate(value, s)
            out.append(assign(s.target.id, self.hoist(value, out), s))
            return
        checked = hasattr(s, "checked")
        if not checked and not self.must_hoist(s.target) and not self.must_hoist(s.value):
            self.hoist_target(s.target, s, out)
            out.append(s)
            return
        self.hoist_target(s.target, s, out)
        old = clone(s.target)
        old.ctx = ast.Load()
        value = ast.BinOp(old, s.op, s.value)
        self.keep_check(s, value)
        locate(value, s)
        new = ast.Assign([s.target], self.hoist(value, out))
        locate(new, s)
        out.append(new)

    def keep_check(self, s: ast.AugAssign, value: ast.BinOp) -> None:
        """A division that is checked stays so (see ``debug``)."""
        if hasattr(s, "checked"):
            value.checked = s.checked  # type: ignore[attr-defined]
