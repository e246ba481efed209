"""Takes calls that need statements of their own out of expressions (a part of ``flatten``).

Before::                                 After::

    y = gelu(x[i]) + shfl_down_(v, 1)        result__2 = ...        # the body of gelu
                                             given__3 = exchange_(v)
                                             got__4 = shfl_down_(given__3, 1)
                                             y = result__2 + got__4
    if (n := x[i]) > 2: ...                  n = x[i]
                                             if n > 2: ...

What Python would have evaluated before the call keeps its place, and what ``and``, ``or`` and
``if ... else`` would not evaluate stays unevaluated.
"""

from __future__ import annotations

import ast
from typing import Any

from .folding import call_np
from .tree import (
    COLLECTIVES,
    DECLARATIONS,
    Names,
    assign,
    call,
    clone,
    const,
    function_name,
    has_load,
    if_,
    load,
    locate,
    negate,
)

HOISTED = COLLECTIVES | {*DECLARATIONS, "match_all_"}
"""Calls that become statements of their own."""


class Hoister:
    """Rewrites expressions; ``out`` is always the list that receives what must run before."""

    def __init__(self, devices: dict[str, ast.FunctionDef], names: Names) -> None:
        self.devices, self.names = devices, names

    def must_hoist(self, e: ast.AST) -> bool:
        return any(
            isinstance(n, ast.NamedExpr)
            or hasattr(n, "checked")
            or (
                isinstance(n, ast.Call)
                and (function_name(n) in self.devices or function_name(n) in HOISTED)
            )
            for n in ast.walk(e)
        )

    def hoist(self, e: ast.expr, out: list[ast.stmt]) -> ast.expr:
        """The expression without device calls; the statements that compute them go to ``out``."""
        if not self.must_hoist(e):
            return e
        if isinstance(e, ast.IfExp):
            return self.hoist_choice(e, out)
        if isinstance(e, ast.BoolOp):
            return self.hoist_boolean(e, out)
        if isinstance(e, ast.NamedExpr):
            out.append(assign(e.target.id, self.hoist(e.value, out), e))
            return self.load(e.target.id, e)
        if isinstance(e, ast.Call) and function_name(e):
            e.args = self.hoist_all(e.args, out)
            name = function_name(e)
            if name in self.devices:
                return self.inline(e, name, out)
            if name in DECLARATIONS:
                result = self.names.fresh("array")
                out.append(assign(result, e, e))
                return self.load(result, e)
            if name in COLLECTIVES:
                return self.collective(e, name, out)
            if name == "match_all_":
                return self.match_all(e, out)
            return e
        if hasattr(e, "checked"):
            return self.check(e, out)
        fields = [f for f, v in ast.iter_fields(e) if isinstance(v, ast.expr)]
        parts = self.hoist_all([getattr(e, f) for f in fields], out)
        for f, part in zip(fields, parts):
            setattr(e, f, part)
        for f, v in ast.iter_fields(e):
            if isinstance(v, list) and v and isinstance(v[0], ast.expr):
                setattr(e, f, self.hoist_all(v, out))
        return e

    def hoist_all(self, parts: list[ast.expr], out: list[ast.stmt]) -> list[ast.expr]:
        """Hoist siblings in order of evaluation; loads before a device call keep their place."""
        last = max((i for i, p in enumerate(parts) if self.must_hoist(p)), default=-1)
        result = []
        for i, p in enumerate(parts):
            p = self.hoist(p, out)
            if i < last and (has_load(p) or any(isinstance(n, ast.Call) for n in ast.walk(p))):
                name = self.names.fresh("part")
                out.append(assign(name, p, p))
                p = self.load(name, p)
            result.append(p)
        return result

    def hoist_choice(self, e: ast.IfExp, out: list[ast.stmt]) -> ast.expr:
        result = self.names.fresh("choice")
        test = self.hoist(e.test, out)
        body: list[ast.stmt] = []
        body.append(assign(result, self.hoist(e.body, body), e))
        orelse: list[ast.stmt] = []
        orelse.append(assign(result, self.hoist(e.orelse, orelse), e))
        out.append(if_(test, body, orelse, e))
        return self.load(result, e)

    def hoist_boolean(self, e: ast.BoolOp, out: list[ast.stmt]) -> ast.expr:
        result = self.names.fresh("both" if isinstance(e.op, ast.And) else "either")
        out.append(assign(result, self.hoist(e.values[0], out), e))
        for v in e.values[1:]:
            inner: list[ast.stmt] = []
            inner.append(assign(result, self.hoist(v, inner), v))
            test = load(result) if isinstance(e.op, ast.And) else negate(load(result))
            out.append(if_(test, inner, [], v))
        return self.load(result, e)

    def load(self, name: str, like: ast.AST) -> ast.expr:
        node = load(name)
        locate(node, like)
        return node

    def collective(self, e: ast.Call, name: str, out: list[ast.stmt]) -> ast.expr:
        """``given = exchange_(value)``, then ``got = shfl_down_(given, 16)``."""
        given, result = self.names.fresh("given"), self.names.fresh("got")
        out.append(assign(given, call("exchange_", e.args[0]), e))
        out.append(assign(result, call(name, load(given), *e.args[1:]), e))
        return self.load(result, e)

    def match_all(self, e: ast.Call, out: list[ast.stmt]) -> ast.expr:
        """The tuple (mask or 0, predicate) of ``cuda.match_all_sync``."""
        same, active = self.names.fresh("same"), self.names.fresh("active")
        out.append(assign(same, e.args[0], e))
        out.append(assign(active, e.args[1], e))
        equal = ast.Compare(load(same), [ast.Eq()], [load(active)])
        mask = ast.IfExp(equal, call_np("int32", load(same)), call_np("int32", const(0)))
        pair = ast.Tuple([mask, clone(equal)], ast.Load())
        locate(pair, e)
        return pair

    def check(self, e: Any, out: list[ast.stmt]) -> ast.expr:
        """Test a divisor, or the number of an axis, before it is used (see ``debug``)."""
        code = e.checked
        del e.checked
        if isinstance(e, ast.Subscript):
            number = self.names.fresh("axis")
            e.value = self.hoist(e.value, out)
            out.append(assign(number, self.hoist(e.slice, out), e))
            e.slice = load(number)
            length = call("len", clone(e.value))
            low = ast.Compare(load(number), [ast.Lt()], [ast.UnaryOp(ast.USub(), length)])
            high = ast.Compare(load(number), [ast.GtE()], [clone(length)])
            self.fails(ast.BoolOp(ast.Or(), [low, high]), code, e, out)
        else:
            names = [self.names.fresh("left"), self.names.fresh("right")]
            for name, part in zip(names, (e.left, e.right)):
                out.append(assign(name, self.hoist(part, out), e))
            e.left, e.right = load(names[0]), load(names[1])
            self.fails(ast.Compare(load(names[1]), [ast.Eq()], [const(0)]), code, e, out)
        locate(e, e)
        return e

    def fails(self, test: ast.expr, code: int, like: ast.AST, out: list[ast.stmt]) -> None:
        """Raise the exception of place ``code`` where ``test`` holds."""
        raise NotImplementedError

    def inline(self, e: ast.Call, name: str, out: list[ast.stmt]) -> ast.expr:
        """The result of a device function whose body has gone to ``out``."""
        raise NotImplementedError
