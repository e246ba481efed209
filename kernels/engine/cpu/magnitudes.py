"""How large the integers of a kernel can be.

Indices and sizes are far below 2**49, and where that is certain a division by a run-time value
can be done in floating point, in vectors (see ``rt_division``)::

    row = i // w          ->          row = floordiv_(i, w)

What is known: thread and block indices, array extents, arguments that are ordinary sizes in this
launch, variables of at most 32 bits, and what is computed from them.
"""

from __future__ import annotations

import ast
from typing import Any

from numba.core import types

from .intervals import Definitions
from .rt_division import LIMIT_BITS
from .tree import function_name, is_shape_item, literal, range_bounds

SIZE_BITS = 47
"""Array extents (the address space), and the arguments that count as sizes."""

BLOCK_BITS = {"tid": 10, "bdim": 10, "bid": 31, "gdim": 31}
MAX_DEPTH = 40


class Magnitudes:
    """``bits(e)``: ``abs(e) < 2**bits`` for a signed integer expression, or None."""

    def __init__(self, defs: Definitions, variable_types: dict[str, Any], sizes: set[str]) -> None:
        self.defs, self.types, self.sizes = defs, variable_types, sizes
        self.known: dict[str, int | None] = {}

    def divides_exactly(self, e: ast.BinOp) -> bool:
        """True for a division or remainder that may run in floating point, and gains from it."""
        if not isinstance(e.op, (ast.FloorDiv, ast.Mod)):
            return False
        by = literal(e.right)
        if isinstance(by, int) and (by <= 0 or by & (by - 1) == 0):
            return False
        return all(s is not None and s <= LIMIT_BITS for s in self._pair(e, 0))

    def bits(self, e: ast.expr, depth: int = 0) -> int | None:
        value = literal(e)
        if value is not None:
            return value.bit_length() if type(value) is int else None
        if depth > MAX_DEPTH:
            return None
        if isinstance(e, ast.Name):
            return self._name(e.id, depth)
        if isinstance(e, ast.BinOp):
            return self._operation(e, depth)
        if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub):
            return self.bits(e.operand, depth + 1)
        if isinstance(e, ast.IfExp):
            return self._larger(depth, e.body, e.orelse)
        if isinstance(e, ast.Attribute):
            return SIZE_BITS if e.attr in ("size", "ndim") else None
        if isinstance(e, ast.Subscript):
            return self._element(e)
        if isinstance(e, ast.Call):
            return self._call(e, depth)
        return None

    def _larger(self, depth: int, *parts: ast.expr) -> int | None:
        found = [self.bits(p, depth + 1) for p in parts]
        return None if None in found else max(b for b in found if b is not None)

    def _typed(self, t: Any) -> int | None:
        """By type alone; other unsigned integers would turn a signed division into another."""
        small = isinstance(t, types.Integer) and t.signed and t.bitwidth <= 32
        return t.bitwidth - 1 if small else None

    def _name(self, name: str, depth: int) -> int | None:
        kind = name.split("_")[0]
        if kind in BLOCK_BITS and name.endswith("_"):
            return BLOCK_BITS[kind]
        t = self.types.get(name)
        if not isinstance(t, types.Integer) or not t.signed:
            return None
        if name in self.known:
            return self.known[name]
        self.known[name] = self._typed(t)  # also what a variable computed from itself gets
        if self.known[name] is None:
            self.known[name] = self._defined(name, depth)
        return self.known[name]

    def _defined(self, name: str, depth: int) -> int | None:
        found: list[int | None] = [SIZE_BITS] if name in self.sizes else []
        for d in self.defs.get(name, ()):
            if isinstance(d, ast.Assign):
                found.append(self.bits(d.value, depth + 1))
            else:
                found.append(self._larger(depth, *range_bounds(d)))
        return None if not found or None in found else max(b for b in found if b is not None)

    def _pair(self, e: ast.BinOp, depth: int) -> tuple[int | None, int | None]:
        """Of both operands. With a signed one, a small unsigned one gives an int64 too."""
        a, b = self.bits(e.left, depth + 1), self.bits(e.right, depth + 1)
        if not isinstance(e.op, (ast.LShift, ast.RShift)):
            if a is None and b is not None:
                a = self._unsigned(e.left)
            elif b is None and a is not None:
                b = self._unsigned(e.right)
        return a, b

    def _unsigned(self, e: ast.expr) -> int | None:
        """Of a variable or element of at most 32 bits without sign."""
        t = self.types.get(e.id) if isinstance(e, ast.Name) else self._element_type(e)
        small = isinstance(t, types.Integer) and not t.signed and t.bitwidth <= 32
        return t.bitwidth if small else None  # type: ignore[union-attr]

    def _element_type(self, e: ast.expr) -> Any:
        if not isinstance(e, ast.Subscript) or not isinstance(e.value, ast.Name):
            return None
        t = self.types.get(e.value.id)
        return t.dtype if isinstance(t, types.Array) else None

    def _operation(self, e: ast.BinOp, depth: int) -> int | None:
        a, b = self._pair(e, depth)
        if isinstance(e.op, ast.BitAnd):
            masks = [literal(x) for x in (e.left, e.right)]
            known = [m.bit_length() for m in masks if type(m) is int and m >= 0]
            if known and (a is not None) and (b is not None):
                return min(known)
        if a is None or b is None:
            return None
        if isinstance(e.op, (ast.Add, ast.Sub)):
            return max(a, b) + 1
        if isinstance(e.op, ast.Mult):
            return a + b
        if isinstance(e.op, (ast.FloorDiv, ast.RShift)):
            return a
        if isinstance(e.op, ast.Mod):
            return b
        return max(a, b) if isinstance(e.op, (ast.BitAnd, ast.BitOr, ast.BitXor)) else None

    def _element(self, e: ast.Subscript) -> int | None:
        if is_shape_item(e):
            return SIZE_BITS
        return self._typed(self._element_type(e))

    def _call(self, e: ast.Call, depth: int) -> int | None:
        name = function_name(e)
        if name in ("min_", "max_") or (name in ("np.int64", "int", "abs") and len(e.args) == 1):
            return self._larger(depth, *e.args)
        return {"np.int8": 7, "np.int16": 15, "np.int32": 31, "len": SIZE_BITS}.get(name)
