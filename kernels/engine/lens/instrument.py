"""Rewrite a flattened kernel so that one thread runs at a time and every access is checked.

Before::                                 After::

    s = shared_((32,), 'float32')            s = new_1_(shared_)
    s[t] = x[i]                              write_(lens_, 1, s, t, read_(lens_, 2, x, i))
    sync_()                                  yield 3
    got = shfl_down_(given, 1, mask)         give_(lens_, given, mask, 1)
                                             yield 4
                                             got = take_(lens_, given)

A thread stops at ``yield`` until ``schedule`` lets it go on; the number is the place. Loops that
wait for memory to change yield now and then too.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from ..cpu.carried import exposed
from ..cpu.dtypes import itemsize, source_of
from ..cpu.infer import declared
from ..cpu.tree import (
    COLLECTIVES,
    DECLARATIONS,
    SHUFFLES,
    Names,
    assign,
    call,
    clone,
    const,
    function_name,
    index_list,
    is_sync,
    literal,
    load,
    locate,
    parse,
    store,
    writes,
)
from .accesses import Accesses, field_name
from .sites import Declared, Site
from .waiting import waits_for_memory

TURNS = 1024
"""A loop that waits lets other threads run after this many turns; a power of two."""


class Instrument(Accesses):
    """The pass. ``makers`` are lines that stand before the function.

    Attributes:
        shared, local: the arrays that the kernel declares.
        sizes: bytes of each kind.
        waits: True when threads can stop on their way.
        label, functions: name of the form, and functions that only its code calls.
    """

    label: ClassVar[str] = "checked"
    functions: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, variable_types: dict[str, Any], names: Names, sites: list[Site]) -> None:
        super().__init__(variable_types, names, sites)
        self.shared: list[Declared] = []
        self.local: list[Declared] = []
        self.sizes = {"shared_": 0, "local_": 0}
        self.makers: list[str] = []
        self.waits = False

    def body(self, stmts: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for s in stmts:
            new = self.visit(s)
            for n in new if isinstance(new, list) else [new]:
                locate(n, s)
                out.append(n)
        return out

    def stop(self, node: ast.AST, what: str, repeats: bool = False) -> ast.stmt:
        self.waits = True
        return ast.Expr(ast.Yield(self.site(node, what, "", repeats)))

    def visit_If(self, s: ast.If) -> ast.stmt:
        s.test, s.body, s.orelse = self.visit(s.test), self.body(s.body), self.body(s.orelse)
        return s

    def visit_For(self, s: ast.For) -> ast.stmt:
        s.iter, s.body = self.visit(s.iter), self.body(s.body)
        return s

    def visit_While(self, s: ast.While) -> Any:
        waits = waits_for_memory(s)
        repeats = not exposed(s.body)[0] & writes(s.body)
        s.test, s.body = self.visit(s.test), self.body(s.body)
        if not waits:
            return s
        turns = self.names.fresh("turns")
        count: ast.stmt = ast.AugAssign(store(turns), ast.Add(), const(1))
        pause = ast.If(parse(f"{turns} & {TURNS - 1} == 0"), [self.stop(s, "loop", repeats)], [])
        s.body = [count, pause, *s.body]
        return [assign(turns, const(0), s), s]

    def visit_Expr(self, s: ast.Expr) -> Any:
        name = function_name(s.value)
        if not is_sync(s):
            self.generic_visit(s)
            return s
        if name != "sync_warp_":
            return self.stop(s, name)
        mask = self.visit(s.value.args[0])  # type: ignore[attr-defined]
        return [
            ast.Expr(call("give_", load("lens_"), const(0), mask, const(0))),
            self.stop(s, name),
        ]

    def visit_Assign(self, s: ast.Assign) -> Any:
        target, name = s.targets[0], function_name(s.value)
        if name in DECLARATIONS:
            return self.declare(s, name)
        if name in COLLECTIVES:
            return self.meet(s, name)
        return self.assignment(target, self.visit(s.value), s, "write")

    def assignment(self, target: ast.expr, value: ast.expr, s: ast.stmt, what: str) -> ast.stmt:
        field = self.field(target)
        element: Any = target.value if field else target  # type: ignore[attr-defined]
        if not field:
            if not isinstance(element, ast.Subscript) or field_name(element):
                return ast.Assign([self.generic_visit(target)], value)  # type: ignore[list-item]
            if self.is_view(element):
                return ast.Assign([self.view(element)], value)
        site = self.site(s, what, self.name_of(element))
        place = [load("lens_"), site, self.visit(element.value), self.index(element)]
        if field:
            return ast.Expr(call("write_field_", *place, const(field), value))
        return ast.Expr(call("write_", *place, value))

    def visit_AugAssign(self, s: ast.AugAssign) -> Any:
        """``a[i] += v`` as a read and a write of one element."""
        before: list[ast.stmt] = []
        target: Any = s.target
        element = target.value if self.field(target) else target
        if isinstance(element, ast.Subscript) and not isinstance(element.slice, ast.Constant):
            parts = index_list(element)
            for k, i in enumerate(parts):
                if not isinstance(i, (ast.Name, ast.Constant, ast.Slice)) and literal(i) is None:
                    name = self.names.fresh("at")
                    before.append(assign(name, self.visit(i), s))
                    parts[k] = load(name)
            many = isinstance(element.slice, ast.Tuple)
            element.slice = ast.Tuple(parts, ast.Load()) if many else parts[0]
        old = clone(target)
        for n in ast.walk(old):
            if isinstance(n, (ast.Subscript, ast.Attribute)):
                n.ctx = ast.Load()
        value = ast.BinOp(self.visit(old), s.op, self.visit(s.value))
        return [*before, self.assignment(target, value, s, "update")]

    def declare(self, s: ast.Assign, kind: str) -> ast.stmt:
        shape, dtype = declared(s.value)
        name = s.targets[0].id  # type: ignore[attr-defined]
        maker, element = f"new_{len(self.makers)}_", source_of(dtype)
        offset = self.sizes[kind]
        if 0 in shape:
            offset = -1
            self.makers.append(f"{maker} = dynamic_array(DYNAMIC, {element})")
        else:
            size = math.prod(shape) * itemsize(dtype)
            self.sizes[kind] += size + -size % 16
            self.makers.append(f"{maker} = scratch_array({offset}, {shape!r}, {element})")
        table = self.shared if kind == "shared_" else self.local
        table.append(Declared(name.split("__")[0].rstrip("_"), offset, shape, dtype))
        buffer = "shared_" if kind == "shared_" else "mine_"
        return ast.Assign([store(name)], call(maker, load(buffer)))

    def meet(self, s: ast.Assign, name: str) -> list[ast.stmt]:
        source, *rest = s.value.args  # type: ignore[attr-defined]
        rest = [self.visit(e) for e in rest]
        mask = load(s.mask) if hasattr(s, "mask") else const(0)
        by = rest[0] if name in SHUFFLES else const(0)
        give = ast.Expr(call("give_", load("lens_"), clone(source), mask, by))
        got: ast.expr = call("take_", load("lens_"), clone(source))
        if name not in SHUFFLES:
            kind = "np.int32" if name == "block_count_" else "np.uint32"
            got = parse(f"{kind}(result_(lens_))")
        return [give, self.stop(s, name), ast.Assign(s.targets, got)]
