"""Where shared memory, local arrays and per-thread variables live.

A local array has one copy per thread.  When the kernel only touches single elements, the thread
number becomes the last index (``acc_all_[i, j, t_]``), so that the same element of neighbouring
threads lies side by side and a vector load fetches it.  Otherwise each thread's copy is one piece.

Small arrays go to the stack (``stack_array``), the rest into the scratch buffer of the launch.
"""

from __future__ import annotations

import ast
import math
from typing import Any

from numba.core import types

from .dtypes import itemsize, source_of, type_text
from .regions import Splitter
from .rt_views import words
from .tree import SHUFFLES, fail, function_name, index_list, walk

STACK_BYTES = 192 * 1024
ALIGNMENT = 64


class Storage:
    """The plan for one kernel: ``makers`` stand before the function, ``lines`` in it."""

    def __init__(self, split: Splitter, threads: int, stack: bool = True) -> None:
        """``stack`` is False for a block that is interrupted: what it leaves there is lost."""
        self.v = split.v
        self.stack_limit = STACK_BYTES if stack else 0
        self.stack_bytes = self.scratch_bytes = 0
        self.makers: list[str] = []
        self.lines: list[str] = []
        self.by_element: set[str] = set()
        self.dynamic = False
        for name, (shape, dtype) in self.v.shared.items():
            if 0 not in shape:
                self.add(name, shape, dtype, "shared memory")
        for name, (shape, dtype) in self.v.local.items():
            if self.only_elements(name, len(shape)):
                self.by_element.add(name)
                self.add(f"{name}_all_", (*shape, threads), dtype, "a local array per thread")
            else:
                self.add(f"{name}_all_", (threads, *shape), dtype, "a local array per thread")
        self.views: set[str] = set()
        for name in sorted(split.stored):
            t = self.v.types.get(name)
            if isinstance(t, types.Array):
                self.add_view(name, t, threads)
            else:
                self.add(f"{name}_all_", (threads,), self.dtype_of(name), "a variable per thread")
        for name, (shape, dtype) in self.v.shared.items():
            if 0 in shape:
                self.add_dynamic(name, dtype)

    def add(self, name: str, shape: tuple[int, ...], dtype: Any, what: str) -> None:
        size = math.prod(shape) * itemsize(dtype)
        size += -size % ALIGNMENT
        kind = source_of(dtype)
        if self.stack_bytes + size <= self.stack_limit:
            self.stack_bytes += size
            self.make(name, f"stack_array({shape!r}, {kind})", "", what)
        else:
            maker = f"scratch_array({self.scratch_bytes}, {shape!r}, {kind})"
            self.make(name, maker, "scratch_", what)
            self.scratch_bytes += size

    def add_view(self, name: str, t: types.Array, threads: int) -> None:
        """Where each thread keeps a view that cannot be computed again."""
        self.views.add(name)
        self.add(f"{name}_all_", (threads, words(t)), types.int64, "a view per thread")
        kind = f"types.Array({source_of(t.dtype)}, {t.ndim}, {t.layout!r}, aligned={t.aligned})"
        self.makers.append(f"view_{name}_ = stored_view({kind})")

    def add_dynamic(self, name: str, dtype: Any) -> None:
        """A view of the dynamic shared memory, which lies behind all other scratch memory."""
        self.dynamic = True
        maker = f"dynamic_array({self.scratch_bytes}, {source_of(dtype)})"
        self.make(name, maker, "scratch_", "dynamic shared memory")

    def make(self, name: str, maker: str, given: str, what: str) -> None:
        new = f"new_{name.rstrip('_')}_"
        self.makers.append(f"{new} = {maker}")
        self.lines.append(f"{name} = {new}({given})  # {what}")

    def dtype_of(self, name: str) -> Any:
        """The type of a variable; one of code that Numba knows to be dead has none of its own."""
        where = (self.v.defs.get(name) or self.v.body)[0]
        t = self.v.types.get(name) or self.dead(where)
        if isinstance(t, types.Record):
            fail(where, name, "a record that depends on memory cannot be kept across a barrier")
        if type_text(t) is None:
            fail(where, name, f"a variable of type {t} cannot keep its value across a barrier")
        return t

    def dead(self, where: ast.stmt) -> Any:
        """A type for a variable of dead code: warp operations are compiled there, too."""
        if is_flag(where):
            return types.boolean
        made = where.value if isinstance(where, ast.Assign) else None
        if not isinstance(made, ast.Call):
            return types.int64
        name = function_name(made)
        if name in SHUFFLES and isinstance(made.args[0], ast.Name):
            return self.dtype_of(made.args[0].id)
        return types.uint32 if name in ("warp_bits_", "warp_match_") else types.int64

    def only_elements(self, name: str, ndim: int) -> bool:
        """True when every use of a local array is a full index (or an atomic on one element)."""
        total = single = 0
        for n in walk(self.v.body):
            if isinstance(n, ast.Name) and n.id == name:
                total += 1
            elif isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name):
                full = len(index_list(n)) == ndim and not has_slice(n)
                single += n.value.id == name and full
        return total == single


def is_flag(n: ast.AST) -> bool:
    """True for ``given = exchange_(a != b)`` or ``exchange_(True)``, which a vote counts."""
    if not isinstance(n, ast.Assign) or not isinstance(n.value, ast.Call):
        return False
    given = n.value.args[0] if n.value.args else None
    known = isinstance(given, ast.Constant) and isinstance(given.value, bool)
    return function_name(n.value) == "exchange_" and (known or isinstance(given, ast.Compare))


def has_slice(n: ast.Subscript) -> bool:
    return any(isinstance(i, ast.Slice) for i in index_list(n))
