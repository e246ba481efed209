"""Where LLVM must not know the numbers of the threads.

LLVM 22.1.0 writes too many bytes where a vector of integers is narrowed and stored under a mask of
which it knows that one lane is set (https://github.com/llvm/llvm-project/issues/179489, mended in
February 2026; needs AVX-512)::

    if tid % 5 == 1:
        bytes_[tid] = a % 3          # int64 -> uint8: eight bytes are written instead of one

LLVM knows the mask when the tests around the store read nothing but thread indices and constants.
In regions with such a store the indices get a zero added that only the running program knows; in
all regions where stores have masks that another region computes.
"""

from __future__ import annotations

import ast

from numba.core import types

from .flow import Variables
from .intervals import single
from .tree import THREAD_INDICES, blocks, function_name, range_bounds, reads, walk

TRANSPARENT = ("int", "bool", "np.int32", "np.int64", "min_", "max_", "mod_", "floordiv_")
THREAD, UNKNOWN = "thread", "unknown"


def stores_narrow_lanes(stmts: list[ast.stmt], variables: Variables) -> bool:
    """True if there is a narrow integer store under tests of which LLVM knows the result."""
    return _Search(variables).found(stmts, False)


class _Search:
    def __init__(self, variables: Variables) -> None:
        self.v = variables
        self.origins: dict[str, set[str]] = {}

    def found(self, stmts: list[ast.stmt], tested: bool) -> bool:
        """``tested``: a test of thread indices alone stands around the statements."""
        for s in stmts:
            if tested and any(self.stores_narrow(n) for n in walk(s)):
                return True
            inside: bool | None = tested
            if isinstance(s, (ast.If, ast.While)):
                inside = self.after(s.test, tested)
            if inside is not None and any(self.found(b, inside) for b in blocks(s)):
                return True
        return False

    def after(self, test: ast.expr, tested: bool) -> bool | None:
        """``tested`` for what stands under the test; None if the mask is not known there."""
        kinds = [self.origin(part) for part in self.parts(test)]
        if {THREAD, UNKNOWN} in kinds:
            return None
        return tested or {THREAD} in kinds

    def parts(self, test: ast.expr) -> list[ast.expr]:
        """What is tested one by one; LLVM takes tests that are the same for all lanes apart."""
        value = single(self.v.defs, test.id) if isinstance(test, ast.Name) else None
        if value is not None and test.id not in reads(value):  # type: ignore[attr-defined]
            return self.parts(value)
        if isinstance(test, ast.BoolOp):
            return [p for v in test.values for p in self.parts(v)]
        if isinstance(test, ast.BinOp) and isinstance(test.op, (ast.BitAnd, ast.BitOr)):
            return [*self.parts(test.left), *self.parts(test.right)]
        if isinstance(test, ast.UnaryOp):
            return self.parts(test.operand)
        return [test]

    def origin(self, e: ast.expr) -> set[str]:
        """Whether a value is made from thread indices, and from what LLVM does not know."""
        if isinstance(e, ast.Name):
            return self.origin_of(e.id)
        if isinstance(e, (ast.Subscript, ast.Attribute)):
            inner = [n for n in ast.walk(e) if isinstance(n, ast.Name)]
            return {UNKNOWN}.union(*(self.origin_of(n.id) & {THREAD} for n in inner))
        found: set[str] = set()
        if isinstance(e, ast.Call):
            found |= set() if function_name(e) in TRANSPARENT else {UNKNOWN}
            return found.union(*map(self.origin, e.args))
        children = [n for n in ast.iter_child_nodes(e) if isinstance(n, ast.expr)]
        return found.union(*map(self.origin, children))

    def origin_of(self, name: str) -> set[str]:
        if name in THREAD_INDICES:
            return {THREAD}
        if name not in self.origins:
            self.origins[name] = set()  # while its own definition is followed
            found = self.v.defs.get(name, [])
            values = [d.value if isinstance(d, ast.Assign) else d for d in found]
            made: set[str] = set() if found or name.startswith("bdim_") else {UNKNOWN}
            for value in values:
                ends = range_bounds(value) if isinstance(value, ast.For) else (value,)
                made = made.union(*map(self.origin, ends))
            self.origins[name] = made
        return self.origins[name]

    def stores_narrow(self, n: ast.AST) -> bool:
        if isinstance(n, ast.Assign):
            target = n.targets[0]
            name = target.value if isinstance(target, ast.Subscript) else target
        elif isinstance(n, ast.Call) and function_name(n).startswith(("plain_", "atomic_")):
            name = n.args[0]
        else:
            return False
        return isinstance(name, ast.Name) and self.narrow(name.id)

    def narrow(self, name: str) -> bool:
        declared = self.v.shared.get(name) or self.v.local.get(name)
        kind = declared[1] if declared else self.v.types.get(name)
        element = kind.dtype if isinstance(kind, types.Array) else kind
        return isinstance(element, types.Integer) and element.bitwidth < 64
