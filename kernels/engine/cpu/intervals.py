"""What is known about integers before the kernel runs: bounds over the threads, signs.

``bounds`` gives block-uniform expressions between which a varying index lies::

    lo = tid_x_ + 4     (block of 128)      ->   (4, 131)

``Signs`` finds the expressions that cannot be negative.  An index of which this is known needs no
test for Python's negative indexing, without which LLVM would not vectorise the access.  It assumes
that index arithmetic does not overflow 64 bits; products and shifts that feed on themselves
(hashes, random number generators) and large constants are not taken for indices.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from numba.core import types

from .tree import (
    BLOCK_VALUES,
    THREAD_INDICES,
    clone,
    const,
    function_name,
    has_load,
    is_shape_item,
    literal,
    range_bounds,
    reads,
    walk,
    writes,
)
from .uniform import Uniformity

NONNEGATIVE_CALLS = frozenset(
    {"len", "np.uint8", "np.uint16", "np.uint32", "np.uint64", "popc_", "clz_", "ffs_"}
)
Definitions = dict[str, list[ast.Assign | ast.For]]


def definitions(body: list[ast.stmt]) -> Definitions:
    """Every assignment and loop that gives a variable its value."""
    found: Definitions = {}
    for n in walk(body):
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name):
            found.setdefault(n.targets[0].id, []).append(n)
        elif isinstance(n, ast.For) and isinstance(n.target, ast.Name):
            found.setdefault(n.target.id, []).append(n)
    return found


def single(defs: Definitions, name: str) -> ast.expr | None:
    """The value of a variable that is assigned once."""
    found = defs.get(name, [])
    return found[0].value if len(found) == 1 and isinstance(found[0], ast.Assign) else None


class Folder:
    """Evaluates expressions of literals and block dimensions."""

    def __init__(self, block: tuple[int, int, int]) -> None:
        self.known = {f"bdim_{d}_": n for d, n in zip("xyz", block)}
        self.block = block

    def fold(self, e: ast.expr) -> ast.expr:
        names = {"max": max, "min": min, **self.known}
        if not reads(e) <= names.keys():
            return e
        try:
            tree = ast.fix_missing_locations(ast.Expression(clone(e)))
            return const(eval(compile(tree, "", "eval"), {"__builtins__": {}}, names))
        except Exception:
            return e

    def bounds(
        self, e: ast.expr, uniform: Uniformity, defs: Definitions, fixed: set[str], depth: int = 0
    ) -> tuple[ast.expr, ast.expr] | None:
        """Uniform expressions (low, high) around ``e`` over the threads of a block, or None.

        Definitions are looked through, so what they read must be ``fixed`` since then.
        """
        if not uniform.varies(e):
            changed = any(v in defs and v not in fixed for v in reads(e))
            return None if depth and (changed or has_load(e)) else (e, e)
        if isinstance(e, ast.Name):
            if e.id in THREAD_INDICES:
                return const(0), const(self.block["xyz".index(e.id[4])] - 1)
            value = single(defs, e.id)
            if value is None or e.id not in fixed or depth > 20:
                return None
            return self.bounds(value, uniform, defs, fixed, depth + 1)
        if not isinstance(e, ast.BinOp):
            return None
        a = self.bounds(e.left, uniform, defs, fixed, depth + 1)
        b = self.bounds(e.right, uniform, defs, fixed, depth + 1)
        if a is None or b is None:
            return None

        def combine(x: ast.expr, y: ast.expr) -> ast.expr:
            return self.fold(ast.BinOp(x, e.op, y))

        right = literal(e.right)
        positive = isinstance(right, int) and right > 0
        if isinstance(e.op, ast.Add):
            return combine(a[0], b[0]), combine(a[1], b[1])
        if isinstance(e.op, ast.Sub):
            return combine(a[0], b[1]), combine(a[1], b[0])
        if isinstance(e.op, ast.Mult) and plainly_nonnegative(a[0]) and plainly_nonnegative(b[0]):
            return combine(a[0], b[0]), combine(a[1], b[1])
        if isinstance(e.op, (ast.FloorDiv, ast.RShift)) and positive:
            return combine(a[0], e.right), combine(a[1], e.right)
        if isinstance(e.op, ast.Mod) and positive:
            return const(0), const(right - 1)  # type: ignore[operator]
        if isinstance(e.op, ast.BitAnd) and positive:
            return const(0), const(right)
        return None


def plainly_nonnegative(e: ast.expr) -> bool:
    """Block and thread numbers, literals, and their sums and products."""
    if isinstance(e, ast.Name):
        return e.id in THREAD_INDICES or e.id in BLOCK_VALUES
    if isinstance(e, ast.BinOp) and isinstance(e.op, (ast.Add, ast.Mult, ast.FloorDiv)):
        return plainly_nonnegative(e.left) and plainly_nonnegative(e.right)
    value = literal(e)
    return isinstance(value, int) and value >= 0


def positive(e: ast.expr, defs: Definitions, depth: int = 0) -> bool:
    """True for what is certainly > 0: block and grid dimensions, positive literals, products."""
    if isinstance(e, ast.Name):
        if e.id in BLOCK_VALUES:
            return not e.id.startswith("bid_")
        value = single(defs, e.id)
        return value is not None and depth < 20 and positive(value, defs, depth + 1)
    if isinstance(e, ast.BinOp) and isinstance(e.op, (ast.Add, ast.Mult)):
        return positive(e.left, defs, depth + 1) and positive(e.right, defs, depth + 1)
    number = literal(e)
    return isinstance(number, int) and number > 0


class Signs:
    """``nonnegative(e)`` for the expressions of one kernel."""

    def __init__(
        self, defs: Definitions, variable_types: dict, parameters: set[str], arguments: set[str]
    ) -> None:
        """``arguments`` are the parameters whose value is >= 0 in this launch."""
        self.types, self.defs = variable_types, defs
        self.axis = ""  # the extent of the axis that is being indexed
        self.depth = 0
        integers = {v for v in defs if isinstance(variable_types.get(v), types.Integer)}
        integers -= parameters - arguments
        self.names = integers | arguments
        self.facts: list[str] = []
        changed = True
        while changed:
            changed = False
            for v in sorted(integers & self.names):
                if not all(self._definition(d, v) for d in defs[v]):
                    self.names.discard(v)
                    changed = True

    def _definition(self, d: ast.Assign | ast.For, name: str) -> bool:
        if isinstance(d, ast.Assign):
            grows = [
                n
                for n in ast.walk(d.value)
                if isinstance(n, ast.BinOp)
                and isinstance(n.op, (ast.Mult, ast.LShift))
                and name in reads(n)
            ]
            slow = all(any(literal(x) in (1, 2) for x in (n.left, n.right)) for n in grows)
            return slow and self.nonnegative(d.value)
        start, stop, step = range_bounds(d)
        by = literal(step)
        if isinstance(by, int) and by < 0:
            return literal(stop) == -1 or self.nonnegative(stop)
        return self.nonnegative(start) and self.nonnegative(step)

    def nonnegative(self, e: ast.expr) -> bool:
        if self.facts and ast.unparse(e) in self.facts:
            return True
        value = literal(e)
        if value is not None:
            return isinstance(value, int) and 0 <= value < 2**31
        if isinstance(e, ast.Name):
            unsigned = self.types.get(e.id)
            if isinstance(unsigned, types.Integer) and not unsigned.signed:
                return True
            certain = e.id in self.names or e.id == "t_" or plainly_nonnegative(e)
            return certain or (bool(self.axis) and self.by_definition(e.id, self.nonnegative))
        if isinstance(e, ast.BinOp):
            return self._operation(e)
        if isinstance(e, ast.IfExp):
            return self.nonnegative(e.body) and self.nonnegative(e.orelse)
        if isinstance(e, ast.Attribute):
            array = isinstance(e.value, ast.Name) and self.types.get(e.value.id)
            return e.attr in ("size", "ndim") and isinstance(array, types.Array)
        if isinstance(e, ast.Subscript):
            return is_shape_item(e) and e.value.attr == "shape"  # type: ignore[attr-defined]
        if isinstance(e, ast.Call):
            return self._call(e)
        return False

    def index(self, e: ast.expr, array: str, axis: int) -> bool:
        """``nonnegative`` for an index: the axis it looks into cannot be empty."""
        self.axis = f"{array}.shape[{axis}]"
        known = self.nonnegative(e)
        self.axis = ""
        return known

    def by_definition(self, name: str, holds: Callable[[ast.expr], bool]) -> bool:
        """Whether something holds for the only value of a variable, or its first in a loop.

        What is known where the variable is read may not have been so where it was assigned.
        """
        found = self.defs.get(name, [])
        if len(found) != 1 or self.depth > 8:
            return False
        value = found[0].value if isinstance(found[0], ast.Assign) else None
        if isinstance(found[0], ast.For):
            start, _, step = range_bounds(found[0])
            value = start if positive(step, self.defs) else None
        facts, self.facts = self.facts, []
        self.depth += 1
        known = value is not None and holds(value)
        self.depth -= 1
        self.facts = facts
        return known

    def _operation(self, e: ast.BinOp) -> bool:
        a, b = self.nonnegative(e.left), self.nonnegative(e.right)
        if isinstance(e.op, ast.BitAnd):
            return a or b
        if isinstance(e.op, ast.Mod):
            return b
        if isinstance(e.op, ast.Sub):
            return a and b and at_most(e.right, e.left, self)
        both = (ast.Add, ast.Mult, ast.FloorDiv, ast.RShift, ast.LShift, ast.BitOr, ast.BitXor)
        return isinstance(e.op, both) and a and b

    def _call(self, e: ast.Call) -> bool:
        name = function_name(e)
        if name in ("min", "min_"):
            return all(self.nonnegative(a) for a in e.args)
        if name in ("max", "max_"):
            return any(self.nonnegative(a) for a in e.args)
        if name in ("int", "np.int32", "np.int64"):
            return len(e.args) == 1 and self.nonnegative(e.args[0])
        return name in NONNEGATIVE_CALLS

    def known_under(self, test: ast.expr) -> list[str]:
        """What is >= 0 wherever ``test`` holds: ``a >= b`` gives ``a - b``, ``a > 0`` ``a - 1``."""
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            return [f for v in test.values for f in self.known_under(v)]
        found: list[str] = []
        if isinstance(test, ast.Compare) and not has_load(test):
            sides = [test.left, *test.comparators]
            for low, op, high in zip(sides, test.ops, sides[1:]):
                if isinstance(op, (ast.Gt, ast.GtE)):
                    low, high = high, low
                elif not isinstance(op, (ast.Lt, ast.LtE)):
                    continue
                if self.nonnegative(low):
                    found.append(ast.unparse(high))
                least = literal(low)
                if isinstance(op, (ast.Lt, ast.Gt)) and isinstance(least, int):
                    low = const(least + 1)
                found.append(ast.unparse(ast.BinOp(high, ast.Sub(), low)))
        return found


def at_most(small: ast.expr, large: ast.expr, signs: Signs) -> bool:
    """True when ``small <= large`` is plain, both being >= 0: ``t & m <= t``, ``t <= 2 * t``."""
    text = ast.unparse(large)
    if ast.unparse(small) == text or (literal(small) == 1 and text == signs.axis):
        return True
    if isinstance(large, ast.Name):
        return signs.by_definition(large.id, lambda value: at_most(small, value, signs))
    if isinstance(small, ast.BinOp):
        parts = [small.left]
        if isinstance(small.op, ast.BitAnd):
            parts.append(small.right)
        shrinks = isinstance(small.op, (ast.FloorDiv, ast.Mod, ast.RShift))
        if isinstance(small.op, ast.BitAnd) or (shrinks and signs.nonnegative(small.right)):
            return any(signs.nonnegative(p) and at_most(p, large, signs) for p in parts)
    if isinstance(large, ast.BinOp) and isinstance(large.op, (ast.Add, ast.Mult)):
        for one, other in ((large.left, large.right), (large.right, large.left)):
            factor = literal(other)
            grows = isinstance(large.op, ast.Add) or (isinstance(factor, int) and factor >= 1)
            if grows and signs.nonnegative(other) and at_most(small, one, signs):
                return True
    return False


def stable(test: ast.expr, body: list[ast.stmt]) -> bool:
    """True when nothing that the test reads is assigned in the body it guards."""
    return not reads(test) & writes(body)
