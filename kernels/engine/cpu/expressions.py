"""The last rewriting of statements, when they are written out for Numba.

Before::                                 After::

    a[row, k] (both known >= 0)              a[u_(row), u_(k)]
    acc[i, j] (a local array)                acc_all_[i, j, t_]
    i < n and j < m                          (i < n) & (j < m)
    atomic_add_(shared, k, 1)                plain_add_(shared, k, 1)
    i // w (both known to be small)          floordiv_(i, w)
    if p: n += s[3]                          n = select_(p, n + s[3], n)
    t & 31 (beside indices of 32 bits)       masked_(t & 31, ones_)

``&`` instead of ``and`` leaves straight-line code, which vectorises; it is only used where the
right-hand side may always be computed.
"""

from __future__ import annotations

import ast
import math

from numba.core import types

from .flow import Variables
from .intervals import Signs, stable
from .magnitudes import Magnitudes
from .narrow import BYTES, narrow
from .rt_angles import ANGLES
from .rt_bits import SCALARS
from .rt_libdevice import INLINE
from .rt_math import MATH
from .selects import Selects
from .tree import SHUFFLES, call, clone, function_name, has_load, index_list, load

SAFE_CALLS = frozenset(
    {"int", "float", "bool", "min", "max", "min_", "max_", "abs", "math.sqrt"}
    | {f"{name}_" for name in (*MATH, *ANGLES, "ceil", "floor", "trunc")}
    | SCALARS.keys()
    | {f"nv_{name}_" for name in INLINE}
    | {f"np.{kind}" for kind in ("float32", "float64", "bool_")}
    | {f"np.{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
    | SHUFFLES
    | {"exchange_"}
)
DEPTH = 20
REPEATING = (ast.BitAnd, ast.Mod, ast.RShift)


class Rewriter(ast.NodeTransformer):
    """Rewrites copies of statements.

    ``by_element`` are local arrays stored thread by thread; ``makers`` receives the functions that
    the text calls and that must be made for this block size."""

    def __init__(
        self,
        variables: Variables,
        signs: Signs,
        magnitudes: Magnitudes,
        by_element: set[str],
        sizes: dict[str, int],
        makers: dict[str, str],
    ) -> None:
        self.v, self.signs, self.by_element = variables, signs, by_element
        self.magnitudes, self.makers = magnitudes, makers
        self.threads = math.prod(sizes.values())
        self.selects = Selects(variables, sizes, self.safe)
        self.narrow = narrow(variables, SAFE_CALLS)
        self.thread = load("t_")

    def lines(self, s: ast.AST) -> list[str]:
        """The statement or expression as lines of source text."""
        new = self.visit(clone(s))
        return ast.unparse(ast.fix_missing_locations(new)).split("\n")

    def text(self, e: ast.AST) -> str:
        return self.lines(e)[0]

    def visit_For(self, s: ast.For) -> ast.stmt:
        self.selects.enter(s)
        self.generic_visit(s)
        self.selects.leave(s)
        return s

    def visit_If(self, s: ast.If) -> ast.stmt:
        chosen = self.selects.addition(s)
        if chosen is not None:
            old = load(chosen.targets[0].id)  # type: ignore[attr-defined]
            chosen.value = call("select_", self.visit(s.test), self.visit(chosen.value), old)
            return chosen
        known = self.signs.known_under(s.test) if stable(s.test, s.body) else []
        s.test = self.visit(s.test)
        self.signs.facts.extend(known)
        s.body = [self.visit(x) for x in s.body]
        del self.signs.facts[len(self.signs.facts) - len(known) :]
        s.orelse = [self.visit(x) for x in s.orelse]
        return s

    def visit_IfExp(self, e: ast.IfExp) -> ast.expr:
        known = self.signs.known_under(e.test)
        e.test = self.visit(e.test)
        self.signs.facts.extend(known)
        e.body = self.visit(e.body)
        del self.signs.facts[len(self.signs.facts) - len(known) :]
        e.orelse = self.visit(e.orelse)
        return e

    def visit_Subscript(self, n: ast.Subscript) -> ast.expr:
        if not isinstance(n.value, ast.Name) or not self.v.is_array(n.value.id):
            self.generic_visit(n)
            return n
        indices = [self.index(i, n.value.id, k) for k, i in enumerate(index_list(n))]
        if n.value.id in self.by_element:
            n.value = load(f"{n.value.id}_all_")
            indices.append(self.thread)
        n.slice = indices[0] if len(indices) == 1 else ast.Tuple(indices, ast.Load())
        return n

    def index(self, i: ast.expr, array: str, axis: int) -> ast.expr:
        plain = isinstance(i, ast.Constant) or not self.signs.index(i, array, axis)
        new = self.visit(i)
        return new if plain else call("u_", new)

    def visit_Call(self, n: ast.Call) -> ast.expr:
        name = function_name(n)
        if name in SHUFFLES:
            return self.shuffle(n, name)
        if name == "exchange_":
            return self.visit(n.args[0])
        if not name.startswith("atomic_"):
            repeats = name in BYTES and self.counts(n.args[0])
            self.generic_visit(n)
            return self.masked(n) if repeats else n
        array, index, *values = n.args
        indices = list(index.elts) if isinstance(index, ast.Tuple) else [index]
        indices = [self.index(i, ast.unparse(array), k) for k, i in enumerate(indices)]
        own = isinstance(array, ast.Name) and (
            array.id in self.v.shared or array.id in self.v.local
        )
        index = indices[0] if len(indices) == 1 else ast.Tuple(indices, ast.Load())
        function = name.replace("atomic_", "plain_") if own else name
        return call(function, self.visit(array), index, *map(self.visit, values))

    def visit_BinOp(self, e: ast.BinOp) -> ast.expr:
        exact = self.magnitudes.divides_exactly(e)
        repeating = e if isinstance(e.op, ast.BitAnd) else e.left
        repeats = isinstance(e.op, REPEATING) and self.counts(repeating)
        self.generic_visit(e)
        if not exact:
            return self.masked(e) if repeats else e
        return call("floordiv_" if isinstance(e.op, ast.FloorDiv) else "mod_", e.left, e.right)

    def masked(self, e: ast.expr) -> ast.expr:
        """Hide from LLVM that a number repeats, where that may mislead it (see ``rt_bits``)."""
        return call("masked_", e, load("ones_")) if self.narrow else e

    def counts(self, e: ast.AST, depth: int = 0) -> bool:
        """False only for a number that cannot count up with the threads or turns of a loop."""
        if isinstance(e, ast.Name):
            found = self.v.defs.get(e.id, [])
            if len(found) != 1 or not isinstance(found[0], ast.Assign) or depth == DEPTH:
                return True
            return self.counts(found[0].value, depth + 1)
        if isinstance(e, (ast.Constant, ast.Subscript)):
            return False
        parts = e.args if isinstance(e, ast.Call) else ast.iter_child_nodes(e)
        return any(self.counts(p, depth) for p in parts)

    def shuffle(self, n: ast.Call, name: str) -> ast.expr:
        """A shuffle whose distance differs between threads reads the element of another thread."""
        assert isinstance(n.args[0], ast.Name)
        reader = name.replace("shfl_", "lane_")
        self.makers[reader] = f"lane_reader({name[5:-1]!r}, {self.threads})"
        thread = call(reader, load("t_"), self.visit(n.args[1]))
        return ast.Subscript(load(f"{n.args[0].id}_all_"), thread, ast.Load())

    def visit_BoolOp(self, e: ast.BoolOp) -> ast.expr:
        eager = all(self.boolean(v) and (i == 0 or self.safe(v)) for i, v in enumerate(e.values))
        if not eager:
            self.generic_visit(e)
            return e
        values = [self.visit(v) for v in e.values]
        result = values[0]
        for v in values[1:]:
            op: ast.operator = ast.BitAnd() if isinstance(e.op, ast.And) else ast.BitOr()
            result = ast.BinOp(result, op, v)
        return result

    def boolean(self, e: ast.expr) -> bool:
        """True when the expression is certainly of type bool."""
        if isinstance(e, ast.Compare):
            return True
        if isinstance(e, ast.BoolOp):
            return all(self.boolean(v) for v in e.values)
        if isinstance(e, ast.UnaryOp):
            return isinstance(e.op, ast.Not)
        if isinstance(e, ast.Name):
            return self.v.types.get(e.id) == types.boolean
        return isinstance(e, ast.Constant) and isinstance(e.value, bool)

    def safe(self, e: ast.AST) -> bool:
        """True when computing the expression where it is not needed does no harm."""
        if has_load(e):
            return False
        for n in ast.walk(e):
            if isinstance(n, ast.Call) and function_name(n) not in SAFE_CALLS:
                return False
            division = isinstance(n, ast.BinOp) and isinstance(n.op, (ast.FloorDiv, ast.Mod))
            if division and not isinstance(n.right, ast.Constant):  # type: ignore[attr-defined]
                return False
        return True

    def speculative(self, s: ast.stmt) -> bool:
        """An assignment that may also run for threads that are masked off."""
        return (
            isinstance(s, ast.Assign)
            and isinstance(s.targets[0], ast.Name)
            and not isinstance(self.v.types.get(s.targets[0].id), types.Array)
            and self.safe(s.value)
        )
