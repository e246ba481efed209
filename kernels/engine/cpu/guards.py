"""Turn the guard of a region into the bounds of its thread loops.

Nearly every kernel asks whether its thread lies inside an array.  Asked in each turn of the
innermost loop, the question makes LLVM mask every access, and gather what is the same for all
threads: 2 to 4 times slower for transposes and outer products.

Before::                                     After::

    for ty_ in range(16):                        for ty_ in range(min(16, h - bid_y_ * bdim_y_)):
        for tx_ in range(16):                        for tx_ in range(min(16, w - ...)):
            x = bid_x_ * bdim_x_ + tid_x_                x = bid_x_ * bdim_x_ + tid_x_
            y = bid_y_ * bdim_y_ + tid_y_                y = bid_y_ * bdim_y_ + tid_y_
            if (x < w) & (y < h):                        out[x, y] = a[y, x]
                out[x, y] = a[y, x]

A comparison is taken out of the test when one side is a thread index plus something uniform and
the other side is uniform, all in signed integers; what is left of the test stays where it was. So
``if t == 0: ...`` becomes a loop of one turn.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass, field

from numba.core import types

from .flow import Variables
from .intervals import stable
from .tree import clone, conjunction, const, has_effect, is_shape_item, literal, reads

THREAD = {f"tid_{d}_": d for d in "xyz"}
MIRRORED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.Eq}
NEGATED = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.NotEq: ast.Eq}
DEPTH = 20
VECTOR = 16  # threads, at most


@dataclass
class Bounds:
    """First thread and the one after the last, per dimension: expressions to take the extreme of.

    ``tests`` are the comparisons themselves, which hold for every thread that is visited.
    """

    low: dict[str, list[ast.expr]] = field(default_factory=dict)
    high: dict[str, list[ast.expr]] = field(default_factory=dict)
    tests: list[ast.expr] = field(default_factory=list)

    def dimensions(self) -> set[str]:
        return self.low.keys() | self.high.keys()


def take_guard(
    stmts: list[ast.stmt],
    variables: Variables,
    stored: set[str],
    sizes: dict[str, int],
    inner: str,
) -> tuple[list[ast.stmt], Bounds]:
    """The statements without their guard, and what it says about the thread indices.

    Args:
        stmts: a region that is not masked; only pure assignments may stand before the guard.
        stored: variables that other regions read; every thread has to assign them.
        sizes: of the dimensions that have a thread loop.
        inner: the innermost of them.
    """
    bounds = Bounds()
    *before, guard = stmts or [ast.Pass()]
    known: dict[str, ast.expr] = {}
    seen: set[str] = set()
    for s in before:
        target = s.targets[0] if isinstance(s, ast.Assign) else None
        seen |= reads(s) | known.keys()
        if not isinstance(target, ast.Name) or has_effect(s) or target.id in stored | seen:
            return stmts, bounds
        known[target.id] = s.value  # type: ignore[attr-defined]
    if not isinstance(guard, ast.If) or guard.orelse or has_effect(guard.test):
        return stmts, bounds
    taker = Taker(variables, known, sizes, inner, bounds)
    rest = [part for part in parts(guard.test) if not taker.take(part)]
    if not bounds.dimensions():
        return stmts, bounds
    if not stable(guard.test, guard.body):
        bounds.tests.clear()
    if not rest:
        return [*before, *guard.body], bounds
    left = clone(guard)
    left.test = conjunction(*rest)
    return [*before, left], bounds


def folded(e: ast.expr) -> int | None:
    """The value of a sum of integer literals."""
    if isinstance(e, ast.BinOp) and isinstance(e.op, (ast.Add, ast.Sub)):
        left, right = folded(e.left), folded(e.right)
        if left is None or right is None:
            return None
        return left + right if isinstance(e.op, ast.Add) else left - right
    value = literal(e)
    return value if type(value) is int else None


def parts(test: ast.expr, negative: bool = False) -> list[ast.expr]:
    """The comparisons that must all hold; ``not (a or b)`` says ``not a and not b``."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return parts(test.operand, not negative)
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or if negative else ast.And):
        return [p for value in test.values for p in parts(value, negative)]
    if isinstance(test, ast.Compare) and negative and type(test.ops[0]) in NEGATED:
        if len(test.ops) == 1:
            return [ast.Compare(test.left, [NEGATED[type(test.ops[0])]()], test.comparators)]
    elif isinstance(test, ast.Compare) and not negative and len(test.ops) > 1:
        sides = [test.left, *test.comparators]
        return [ast.Compare(a, [op], [b]) for a, op, b in zip(sides, test.ops, sides[1:])]
    return [ast.UnaryOp(ast.Not(), test) if negative else test]


class Taker:
    """Recognises comparisons of a thread index with something uniform."""

    def __init__(
        self,
        variables: Variables,
        known: dict[str, ast.expr],
        sizes: dict[str, int],
        inner: str,
        bounds: Bounds,
        outside: Collection[str] = (),
        inside: Collection[str] = (),
    ) -> None:
        """``outside``: uniform variables that count as lasting although a loop around the region
        changes them; ``inside``: those that the region assigns, which never do."""
        self.v, self.known, self.bounds = variables, known, bounds
        self.sizes, self.inner = sizes, inner
        self.outside, self.inside = outside, inside

    def take(self, test: ast.expr) -> bool:
        """Note what the comparison says; False when it has to stay."""
        if not isinstance(test, ast.Compare) or len(test.ops) > 1:
            return False
        kind = type(test.ops[0])
        if kind not in MIRRORED:
            return False
        left, right = self.resolved(test.left), self.resolved(test.comparators[0])
        if left is None or right is None:
            return False
        if reads(right) & THREAD.keys():
            left, right, kind = right, left, MIRRORED[kind]
        index, offset = self.split(left)
        if index is None or reads(right) & THREAD.keys():
            return False
        if kind is ast.Eq and (offset is not None or literal(right) is None):
            return False
        limit = right if offset is None else ast.BinOp(right, ast.Sub(), offset)
        known = folded(limit)
        above: ast.expr = ast.BinOp(limit, ast.Add(), const(1))
        if known is not None:
            limit, above = const(known), const(known + 1)
            if THREAD[index] == self.inner and self.ragged(kind, known):
                return False
        if kind is not ast.Lt and kind is not ast.LtE:
            low = above if kind is ast.Gt else limit
            self.bounds.low.setdefault(THREAD[index], []).append(low)
        if kind is not ast.Gt and kind is not ast.GtE:
            high = limit if kind is ast.Lt else above
            self.bounds.high.setdefault(THREAD[index], []).append(high)
        self.bounds.tests.append(test)
        return True

    def ragged(self, kind: type[ast.cmpop], known: int) -> bool:
        """True when the bound leaves most of a loop, but no whole vectors: a mask is faster."""
        last = known if kind is ast.Lt else known + 1
        first = known + 1 if kind is ast.Gt else known
        left = {ast.Eq: 1, ast.Lt: last, ast.LtE: last}.get(kind, self.sizes[self.inner] - first)
        return left > VECTOR and left % VECTOR != 0

    def resolved(self, e: ast.expr, depth: int = 0) -> ast.expr | None:
        """The expression over thread indices and what is uniform; None if there is more to it."""
        if isinstance(e, ast.Constant):
            return e if type(e.value) is int else None
        if isinstance(e, ast.Name):
            inner = self.known.get(e.id, self.v.remade.get(e.id))
            if inner is not None and depth < DEPTH:
                return self.resolved(inner, depth + 1) if self.signed(e.id) else None
            index = e.id in THREAD and THREAD[e.id] in self.sizes
            return e if index or (self.signed(e.id) and self.lasting(e.id)) else None
        if isinstance(e, ast.BinOp) and isinstance(e.op, (ast.Add, ast.Sub, ast.Mult)):
            left, right = self.resolved(e.left, depth), self.resolved(e.right, depth)
            if left is None or right is None:
                return None
            return ast.BinOp(left, e.op, right)
        size = isinstance(e, ast.Attribute) and e.attr == "size"
        if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub):
            inner = self.resolved(e.operand, depth)
            return None if inner is None else ast.BinOp(const(0), ast.Sub(), inner)
        whole = is_shape_item(e) or size
        return e if whole and not reads(e) & (self.v.varying | self.known.keys()) else None

    def signed(self, name: str) -> bool:
        """Block values and signed integers; mixed with them, uint64 would become float64."""
        if name.endswith("_") and name.startswith(("bid_", "bdim_", "gdim_")):
            return True
        kind = self.v.types.get(name)
        return isinstance(kind, types.Integer) and bool(kind.signed)

    def lasting(self, name: str) -> bool:
        """One value for all threads and regions; not ``s`` of ``while s > 0: if t < s: ...``.

        Loops over few threads, and over fewer in each turn, are slower than masks.
        """
        if name in self.outside or name in self.inside:
            return name in self.outside
        found = self.v.defs.get(name, [])
        moves = len(found) > 1 or any(isinstance(d, ast.For) for d in found)
        return name not in self.v.varying and not moves

    def split(self, e: ast.expr) -> tuple[str | None, ast.expr | None]:
        """(thread index, the uniform rest) of a sum that has one thread index once."""
        if isinstance(e, ast.Name) and e.id in THREAD:
            return e.id, None
        if not isinstance(e, ast.BinOp) or not isinstance(e.op, (ast.Add, ast.Sub)):
            return None, None
        first, second = reads(e.left) & THREAD.keys(), reads(e.right) & THREAD.keys()
        if first and second or not (first or second) or (second and isinstance(e.op, ast.Sub)):
            return None, None
        inner, other = (e.left, e.right) if first else (e.right, e.left)
        index, offset = self.split(inner)
        if index is None:
            return None, None
        if isinstance(e.op, ast.Sub):
            negative: ast.expr = ast.UnaryOp(ast.USub(), other)
            return index, negative if offset is None else ast.BinOp(offset, ast.Sub(), other)
        return index, other if offset is None else ast.BinOp(offset, ast.Add(), other)
