"""Additions of some elements, without a branch around the load.

Before::                                 After::

    for w in range(8):                       for w in range(8):
        if w < warp:                             sum = select_(w < warp, sum + s[u_(w)], sum)
            sum += s[w]

A branch around a load stays one in LLVM until the loop is unrolled, and what it then makes of a row
of such branches is long.  The element of a shared or local array may be loaded where it is not
needed when the index lies within the array whatever the test says.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from numba.core import types

from .flow import Variables
from .tree import (
    clone,
    const,
    function_name,
    index_list,
    is_shape_item,
    literal,
    range_bounds,
    reads,
)

Span = tuple[int, int]
NUMBERS = (types.Integer, types.Float)


class Selects:
    """Finds such additions; ``loops`` are the spans of the loop variables around a statement."""

    def __init__(
        self, variables: Variables, sizes: dict[str, int], safe: Callable[[ast.AST], bool]
    ) -> None:
        """``safe`` tells expressions without loads that may be computed where not needed."""
        self.v, self.safe = variables, safe
        self.known = {f"tid_{d}_": (0, n - 1) for d, n in sizes.items()}
        self.loops: dict[str, Span] = {}

    def enter(self, s: ast.For) -> None:
        """Note the values of a loop's variable that has no others."""
        name = s.target.id  # type: ignore[attr-defined]
        start, stop, step = map(literal, range_bounds(s))
        if len(self.v.defs.get(name, ())) != 1:
            return
        if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
            values = range(start, stop, step) if step else range(0)
            if values:
                self.loops[name] = (min(values[0], values[-1]), max(values[0], values[-1]))

    def leave(self, s: ast.For) -> None:
        self.loops.pop(s.target.id, None)  # type: ignore[attr-defined]

    def addition(self, s: ast.If) -> ast.Assign | None:
        """The assignment under the test, if its value may be computed for every thread."""
        one = s.body[0]
        if s.orelse or len(s.body) > 1 or not isinstance(one, ast.Assign):
            return None
        target = one.targets[0]
        if not isinstance(target, ast.Name) or target.id not in reads(one.value):
            return None
        kind = self.v.types.get(target.id)
        if not isinstance(kind, NUMBERS) or isinstance(kind, types.Boolean):
            return None
        without = WithoutLoads(self)
        rest = without.visit(clone(one.value))
        return one if without.found and self.safe(rest) else None

    def within(self, n: ast.Subscript) -> bool:
        """Whether an element of a shared or local array exists for every thread."""
        name = n.value.id if isinstance(n.value, ast.Name) else ""
        shape = (self.v.shared.get(name) or self.v.local.get(name) or ((), None))[0]
        indices = index_list(n)
        if not shape or len(indices) != len(shape):
            return False
        spans = [self.span(i) for i in indices]
        return all(s is not None and s[0] >= 0 and s[1] < e for s, e in zip(spans, shape))

    def span(self, e: ast.expr) -> Span | None:
        """The least and the greatest value of an index."""
        value = literal(e)
        if isinstance(value, int):
            return value, value
        if isinstance(e, ast.Name):
            return self.known.get(e.id) or self.loops.get(e.id)
        if isinstance(e, ast.Call) and function_name(e) in ("np.int32", "np.int64", "int"):
            return self.span(e.args[0])
        return self.operation(e) if isinstance(e, ast.BinOp) else None

    def operation(self, e: ast.BinOp) -> Span | None:
        a, b = self.span(e.left), self.span(e.right)
        if a is None or b is None:
            return None
        if isinstance(e.op, ast.Add):
            return a[0] + b[0], a[1] + b[1]
        if isinstance(e.op, ast.Sub):
            return a[0] - b[1], a[1] - b[0]
        if a[0] < 0 or b[0] < 0:
            return None
        if isinstance(e.op, ast.Mult):
            return a[0] * b[0], a[1] * b[1]
        if isinstance(e.op, ast.BitAnd):
            return 0, min(a[1], b[1])
        if b[0] != b[1]:
            return None
        if isinstance(e.op, ast.RShift):
            return a[0] >> b[0], a[1] >> b[0]
        if isinstance(e.op, ast.FloorDiv) and b[0]:
            return a[0] // b[0], a[1] // b[0]
        return (0, b[0] - 1) if isinstance(e.op, ast.Mod) and b[0] else None


class WithoutLoads(ast.NodeTransformer):
    """Takes out the loads of elements that certainly exist."""

    def __init__(self, selects: Selects) -> None:
        self.selects, self.found = selects, False

    def visit_Subscript(self, n: ast.Subscript) -> ast.expr:
        if is_shape_item(n) or not self.selects.within(n):
            return n
        self.found = True
        return const(0)
