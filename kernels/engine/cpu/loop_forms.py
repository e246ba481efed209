"""The loop rewritings that ``loops`` chooses from.

Strip-mining keeps accumulators in registers for eight iterations of a moved loop::

    for k in range(n):              for k0 in range(0, n // 8 * 8, 8):     # moved outside
        acc += f(k)         ->          for kk in range(8):                # unrolled inside
                                            acc += f(k0 + kk)
                                    for k in range(n // 8 * 8, n): acc += f(k)

Splitting a range whose start differs between threads gives a loop without and one with a test::

    for j in range(tid, n, 128):    for it in range((n - 127 + 127) // 128):   j = tid + it * 128
                            ->      for it in range(..., (n + 127) // 128):    ... if j < n
"""

from __future__ import annotations

import ast
from typing import Any, TypeVar

from numba.core import types

from .intervals import Folder
from .tree import (
    Names,
    assign,
    call,
    clone,
    const,
    for_,
    if_,
    literal,
    load,
    locate,
    rename,
    walk,
)

Stmt = TypeVar("Stmt", bound=ast.stmt)
SHORT = 4


def mark(s: Stmt) -> Stmt:
    """The statement runs at block level, outside the loop over threads."""
    s.hoist = True  # type: ignore[attr-defined]
    return s


def cost(stmts: list[ast.stmt]) -> int:
    """A rough count of operations."""
    counted = (ast.BinOp, ast.Subscript, ast.Call, ast.Compare)
    return sum(isinstance(n, counted) for n in walk(stmts))


def constant_trips(s: ast.For) -> int | None:
    values = [literal(a) for a in s.iter.args]  # type: ignore[attr-defined]
    whole = [v for v in values if isinstance(v, int)]
    return len(range(*whole)) if len(whole) == len(values) else None


class Forms:
    """Builds the rewritten loops; the variables it makes are 64-bit integers."""

    def __init__(self, names: Names, variable_types: dict[str, Any], folder: Folder) -> None:
        self.names, self.types, self.folder = names, variable_types, folder

    def integer(self, base: str) -> str:
        name = self.names.fresh(base)
        self.types[name] = types.int64
        return name

    def copy_body(self, s: ast.For) -> tuple[str, list[ast.stmt]]:
        """The body once more under a new loop variable."""
        assert isinstance(s.target, ast.Name)
        name = self.integer(s.target.id)
        body = clone(s.body)
        rename(body, {s.target.id: name})
        return name, body

    def range_loop(
        self, s: ast.While, i: str, stop: ast.expr, step: ast.expr, body: list[ast.stmt]
    ) -> ast.For:
        name = self.integer(i)
        rename(body, {i: name})
        return for_(name, call("range", load(i), stop, step), body, s)

    def strip_mine(
        self, s: ast.For, start: ast.expr, stop: ast.expr, step: int, strip: int
    ) -> list[ast.stmt]:
        assert isinstance(s.target, ast.Name)
        low, high, middle = self.integer("low"), self.integer("high"), self.integer("middle")
        outer, inner = self.integer(s.target.id), self.integer(s.target.id)
        rest_name, rest_body = self.copy_body(s)
        stride = strip * step
        offset: ast.expr = load(inner)
        if step != 1:
            offset = ast.BinOp(load(inner), ast.Mult(), const(step))
        value = ast.BinOp(load(outer), ast.Add(), offset)
        unrolled = for_(
            inner, call("range", const(strip)), [assign(s.target.id, value, s), *s.body], s
        )
        main = for_(outer, call("range", load(low), load(middle), const(stride)), [unrolled], s)
        rest = for_(rest_name, call("range", load(middle), load(high), const(step)), rest_body, s)
        span = ast.BinOp(load(high), ast.Sub(), load(low))
        strips = call("max", const(0), ast.BinOp(span, ast.FloorDiv(), const(stride)))
        end = ast.BinOp(load(low), ast.Add(), ast.BinOp(strips, ast.Mult(), const(stride)))
        before = [assign(low, start, s), assign(high, stop, s), assign(middle, end, s)]
        return [*before, mark(main), mark(rest)]

    def split_range(
        self,
        s: ast.For,
        bounds: tuple[ast.expr, ast.expr],
        start: ast.expr,
        stop: ast.expr,
        step: ast.expr,
    ) -> tuple[list[ast.stmt], list[ast.stmt]]:
        """(first value and the loop all threads run, the guarded loop); either may be empty."""
        assert isinstance(s.target, ast.Name)
        first = self.integer("first")
        every, some = self.trips(bounds[1], stop, step), self.trips(bounds[0], stop, step)
        name, body = self.copy_body(s)
        n_every, n_some = literal(every), literal(some)
        short = n_every is not None and isinstance(n_some, int) and n_some <= SHORT

        def loop(target: str, trips: tuple[ast.expr, ...], inner: list[ast.stmt]) -> ast.For:
            count = self.integer("turn")
            at = ast.BinOp(load(first), ast.Add(), ast.BinOp(load(count), ast.Mult(), clone(step)))
            new = for_(count, call("range", *trips), [assign(target, at, s), *inner], s)
            return new if short else mark(new)

        whole: list[ast.stmt] = [assign(first, start, s)]
        if n_every != 0:
            whole.append(loop(s.target.id, (every,), s.body))
        guarded: list[ast.stmt] = []
        if n_every is None or n_every != n_some:
            test = ast.Compare(load(name), [ast.Lt()], [clone(stop)])
            locate(test, s)
            guarded.append(loop(name, (clone(every), some), [if_(test, body, [], s)]))
        return whole, guarded

    def trips(self, start: ast.expr, stop: ast.expr, step: ast.expr) -> ast.expr:
        """``max(0, (stop - start + step - 1) // step)`` for a positive step."""
        span = ast.BinOp(clone(stop), ast.Sub(), clone(start))
        span = ast.BinOp(ast.BinOp(span, ast.Add(), clone(step)), ast.Sub(), const(1))
        return self.folder.fold(call("max", const(0), ast.BinOp(span, ast.FloorDiv(), clone(step))))
