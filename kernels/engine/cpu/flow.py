"""Facts about variables that the split into regions needs.

A variable that is needed in several regions is kept in an array with one element per thread, or,
if it is uniform, in one variable of the block.  A third way is better for integers computed from
thread indices: compute them again in each region (``remade``).  LLVM then sees ``row * 16 + tx``
instead of a load, and knows that neighbouring threads touch neighbouring elements.
"""

from __future__ import annotations

import ast
from typing import Any

from numba.core import types

from .carried import carried
from .infer import declared
from .intervals import Definitions, definitions
from .rt_nv_integer import INTEGER_TABLE
from .tree import (
    BLOCK_VALUES,
    THREAD_INDICES,
    function_name,
    has_sync,
    is_field,
    is_shape_item,
    locate,
    reads,
)
from .uniform import Uniformity

PURE_CALLS = frozenset(
    {"int", "bool", "min", "max", "min_", "max_", "abs", "len"}
    | {f"np.{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
    | {"popc_", "clz_", "ffs_", "brev_", "selp_"}
    | {f"nv_{name}_" for name in INTEGER_TABLE}
)
DIVISIONS = (ast.FloorDiv, ast.Mod, ast.Div)
MAX_REMADE_NODES = 60


def selection(e: ast.expr) -> set[int]:
    """The nodes of ``a[i].field[j:].view(t)`` that only compute an address."""
    found: set[int] = set()
    while isinstance(e, (ast.Subscript, ast.Attribute, ast.Call)):
        found.add(id(e))
        if isinstance(e, ast.Call):
            if not isinstance(e.func, ast.Attribute):
                return set()
            e = e.func
        else:
            e = e.value
    return found


class Variables:
    """The variables of one kernel body, after ``loops`` has run."""

    def __init__(
        self, body: list[ast.stmt], variable_types: dict[str, Any], parameters: set[str]
    ) -> None:
        self.types, self.parameters = variable_types, parameters
        self.shared: dict[str, tuple[tuple[int, ...], Any]] = {}
        self.local: dict[str, tuple[tuple[int, ...], Any]] = {}
        self.uniform = Uniformity(body)
        self.body = self.take_arrays(body)
        self.varying = self.uniform.varying
        self.defs: Definitions = definitions(self.body)
        self.remade = self.find_remade()

    def add(self, s: ast.Assign) -> None:
        """Register an integer that a later pass had to introduce."""
        name = s.targets[0].id  # type: ignore[attr-defined]
        self.types.setdefault(name, types.int64)
        known = self.defs.setdefault(name, [])
        if len(known) < 2:
            known.append(s)
        self.remade.pop(name, None)
        self.varying.add(name)

    def take_arrays(self, stmts: list[ast.stmt]) -> list[ast.stmt]:
        """Remove the array declarations and note them."""
        out: list[ast.stmt] = []
        for s in stmts:
            kind = function_name(s.value) if isinstance(s, ast.Assign) else ""
            if kind in ("shared_", "local_"):
                assert isinstance(s, ast.Assign)
                table = self.shared if kind == "shared_" else self.local
                table[s.targets[0].id] = declared(s.value)  # type: ignore[attr-defined]
                continue
            for part in ("body", "orelse"):
                inner = getattr(s, part, None)
                if inner:
                    kept = self.take_arrays(inner)
                    if not kept and part == "body":
                        kept = [ast.Pass()]
                        locate(kept[0], s)
                    setattr(s, part, kept)
            out.append(s)
        return out

    def is_array(self, name: str) -> bool:
        return (
            name in self.shared
            or name in self.local
            or isinstance(self.types.get(name), types.Array)
        )

    def scalar_only(self, s: ast.If) -> bool:
        """A guard around plain statements needs no copy for "all threads"."""
        loops = any(isinstance(n, (ast.For, ast.While)) for n in ast.walk(s))
        return not loops and not has_sync(s)

    # -- what is computed again in each region ---------------------------------------------------
    def find_remade(self) -> dict[str, ast.expr]:
        moving = carried(self.body)
        remade: dict[str, ast.expr] = {}
        changed = True
        while changed:
            changed = False
            for v, found in self.defs.items():
                if v in remade or v in moving or v not in self.varying or v in self.parameters:
                    continue
                if len(found) != 1 or not isinstance(found[0], ast.Assign):
                    continue
                e = found[0].value
                small = sum(1 for _ in ast.walk(e)) < MAX_REMADE_NODES
                if small and self.worth(v) and self.pure(v, e, moving, remade):
                    remade[v] = e
                    changed = True
        return remade

    def with_remade(self, names: set[str]) -> set[str]:
        """The names, and those from which the remade ones among them are computed again."""
        found, todo = set(names), list(names)
        while todo:
            name = todo.pop()
            new = reads(self.remade[name]) - found if name in self.remade else set()
            found |= new
            todo += new
        return found

    def worth(self, v: str) -> bool:
        kinds = (types.Integer, types.Boolean, types.Array, types.Record, types.BaseTuple)
        return isinstance(self.types.get(v), kinds)

    def pure(self, v: str, e: ast.expr, moving: set[str], remade: dict[str, ast.expr]) -> bool:
        """True when ``e`` has the same value wherever it is computed again."""
        view = isinstance(self.types.get(v), (types.Array, types.Record))
        steps = selection(e) if view else set()
        for n in ast.walk(e):
            if id(n) in steps:
                continue
            if is_field(n) or (isinstance(n, ast.Subscript) and not is_shape_item(n)):
                return False
            if isinstance(n, ast.Call) and function_name(n) not in PURE_CALLS:
                return False
            division = isinstance(n, ast.BinOp) and isinstance(n.op, DIVISIONS)
            if division and not isinstance(n.right, ast.Constant):  # type: ignore[attr-defined]
                return False
            if isinstance(n, ast.Name) and not self.fixed(n.id, moving, remade):
                return False
        return True

    def fixed(self, name: str, moving: set[str], remade: dict[str, ast.expr]) -> bool:
        """True when ``name`` cannot have changed between an assignment that reads it and a use.

        What is assigned has a value of this turn wherever it is read, since it is not ``moving``.
        """
        if name in THREAD_INDICES or name in BLOCK_VALUES or name in remade:
            return True
        if name not in self.defs:
            return True
        found = self.defs[name]
        known = name not in self.varying and name not in self.parameters
        return known and len(found) == 1 and name not in moving
