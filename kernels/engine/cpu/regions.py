"""Split the kernel at its barriers into regions.

A region is a list of statements that contains no barrier; it runs as one loop over the threads of a
block.  Around the regions stands the control flow of the whole block, which runs once::

    s = bdim_x_ // 2                         s = bdim_x_ // 2             Uniform
    while s > 0:                             while s > 0:                 Loop
        if t < s: red[t] += red[t + s]           for t in threads: ...        Region
        sync_()
        s //= 2                                  s //= 2                      Uniform

A test that varies around a barrier or a warp operation becomes a mask (one bool per thread), and
the regions below run for the threads whose mask is set.  A barrier is only legal there when the
other threads have finished (an early return), or when the test happens to be the same for all
threads; where the compiler cannot know the latter, the kernel checks it when it runs.
"""

from __future__ import annotations

import ast

from numba.core import types

from .carried import exposed
from .exits import counting_loop
from .flow import Variables
from .intervals import stable
from .nodes import (
    Barrier,
    Branch,
    Collective,
    Count,
    Exit,
    GridBarrier,
    Loop,
    Masked,
    MaskedLoop,
    Node,
    Region,
    Uniform,
    walk_nodes,
)
from .tree import (
    SHUFFLES,
    Names,
    assign,
    blocks,
    clone,
    const,
    fail,
    function_name,
    has_load,
    is_sync,
    load,
    locate,
    negate,
    reads,
    text_of,
    walk,
    writes,
)

MAX_COPIED_NODES = 1500
Levels = tuple[tuple[str, "str | None"], ...]
"""(mask, mask around it) of each test above that may keep unfinished threads away."""


class Splitter:
    """The tree of one kernel.  ``block_level`` holds the uniform variables that live outside."""

    def __init__(self, variables: Variables, names: Names) -> None:
        self.v, self.names, self.copies = variables, names, 1
        self.block_level: set[str] = set()
        self.count_apart(variables)
        while True:
            self.masks: set[str] = set()
            self.used_outside: set[str] = set()
            self.tree = self.build(clone(self.v.body), None, ())
            needed = set(self.used_outside)
            for n in walk_nodes(self.tree):
                if isinstance(n, Region):
                    needed |= self.v.with_remade(exposed(n.stmts)[0])
            new = {
                v for v in needed if v in self.v.defs and v not in self.v.varying
            } - self.block_level
            if not new:
                break
            self.block_level |= new
        self.stored = self.masks | {
            v for v in needed if v in self.v.defs and v in self.v.varying and v not in self.v.remade
        }

    def count_apart(self, v: Variables) -> None:
        """A loop variable that threads also change gets its value from one that counts."""
        for s in list(walk(v.body)):
            if not isinstance(s, ast.For) or v.uniform.varies(s.iter):
                continue
            name = s.target.id  # type: ignore[attr-defined]
            if name not in v.varying:
                continue
            count = self.names.fresh(name)
            copy = assign(name, load(count), s)
            s.target = ast.Name(count, ast.Store())
            s.body.insert(0, copy)
            v.types[count] = types.int64
            v.defs[count] = [s]
            v.defs[name] = [copy if d is s else d for d in v.defs[name]]

    # -- what must stand outside the thread loop -------------------------------------------------
    def splits(self, s: ast.stmt) -> bool:
        if is_sync(s) or getattr(s, "hoist", False):
            return True
        if isinstance(s, ast.Assign):
            target = s.targets[0]
            return isinstance(target, ast.Name) and target.id in self.block_level
        if isinstance(s, ast.For) and s.target.id in self.block_level:  # type: ignore[attr-defined]
            return True
        return any(self.splits(x) for b in blocks(s) for x in b)

    # -- building --------------------------------------------------------------------------------
    def build(self, stmts: list[ast.stmt], mask: str | None, levels: Levels) -> list[Node]:
        """The nodes of ``stmts``, which run for the threads of ``mask``."""
        out: list[Node] = []
        current: list[ast.stmt] = []

        def flush(clear: list[str] | None = None) -> None:
            if current:
                out.append(Region(list(current), mask, clear or []))
                current.clear()

        for s in stmts:
            if not self.splits(s):
                current.append(s)
            elif is_sync(s):
                flush()
                out.extend(self.synchronise(s, mask, levels, current))
            elif isinstance(s, (ast.Break, ast.Continue)):
                flush()
                out.append(Exit(s))
            elif isinstance(s, ast.Assign):
                touched = reads(current) | writes(current)
                self.used_outside |= reads(s.value)
                if writes(s) & touched or has_load(s.value):
                    flush()
                out.append(Uniform(s))
            elif isinstance(s, ast.If):
                if self.v.uniform.varies(s.test):
                    current.extend(self.set_masks(s))
                    flush(self.fresh_masks)
                    out.extend(self.masked(s, mask, levels))
                else:
                    flush()
                    self.used_outside |= reads(s.test)
                    body = self.build(s.body, mask, levels)
                    out.append(Branch(s.test, body, self.build(s.orelse, mask, levels)))
            elif isinstance(s, ast.While):
                flush()
                out.append(self.while_loop(s, mask, levels))
            elif isinstance(s, ast.For):
                if self.v.uniform.varies(s.iter):
                    init, loop = self.as_while(s)
                    current.extend(init)
                    flush()
                    out.append(self.masked_loop(loop, mask, levels, check=True))
                else:
                    flush()
                    self.used_outside |= reads(s.iter)
                    mark_exits(s.body)
                    out.append(Loop(s, self.build(s.body, mask, levels)))
            else:
                fail(s, text_of(s), "this statement cannot stand around a barrier")
        flush()
        return out

    def synchronise(
        self, s: ast.stmt, mask: str | None, levels: Levels, current: list[ast.stmt]
    ) -> list[Node]:
        """A barrier or collective; a shuffle by a varying distance begins the next region."""
        if isinstance(s, ast.Expr):
            name = function_name(s.value)
            if name == "sync_warp_":
                return []
            return [Barrier(s, levels), *([GridBarrier()] if name == "grid_sync_" else [])]
        assert isinstance(s, ast.Assign)
        assert isinstance(s.value, ast.Call)
        name, target = function_name(s.value), s.targets[0].id  # type: ignore[attr-defined]
        source, *by = s.value.args
        assert isinstance(source, ast.Name)
        self.used_outside |= {source.id}
        if name == "block_count_":
            return [Barrier(s, levels), Count(target, source.id, mask)]
        if name in SHUFFLES:
            if self.v.uniform.varies(by[0]) or has_load(by[0]):
                current.append(s)
                return []
            self.used_outside |= reads(by[0])
        return [Collective(name, source.id, target, by[0] if by else None, mask)]

    # -- varying tests ---------------------------------------------------------------------------
    def new_mask(self) -> str:
        mask = self.names.fresh("mask")
        self.masks.add(mask)
        self.v.types[mask] = types.boolean
        return mask

    def set_masks(self, s: ast.If) -> list[ast.stmt]:
        first = self.new_mask()
        out: list[ast.stmt] = [assign(first, truth(s.test), s)]
        self.fresh_masks = [first]
        if s.orelse:
            self.fresh_masks.append(self.new_mask())
            out.append(assign(self.fresh_masks[1], negate(load(first)), s))
        return out

    def masked(self, s: ast.If, mask: str | None, levels: Levels) -> list[Node]:
        fresh = self.fresh_masks
        alone = getattr(s, "alone", "")
        inside = levels if alone == "body" else (*levels, (fresh[0], mask))
        full: list[Node] = []
        if mask is None and not s.orelse and self.worth_a_copy(s):
            self.copies *= 2
            full = self.build(clone(s.body), None, levels)
            self.copies //= 2
        test = s.test if stable(s.test, s.body) else None
        out: list[Node] = [Masked(fresh[0], self.build(s.body, fresh[0], inside), full, test)]
        if s.orelse:
            inside = levels if alone == "orelse" else (*levels, (fresh[1], mask))
            out.append(Masked(fresh[1], self.build(s.orelse, fresh[1], inside), []))
        return out

    def worth_a_copy(self, s: ast.If) -> bool:
        """Loops and barriers gain from running without a mask; code must not grow without end."""
        size = sum(1 for _ in walk(s.body))
        return not self.v.scalar_only(s) and size * self.copies <= MAX_COPIED_NODES

    def while_loop(self, s: ast.While, mask: str | None, levels: Levels) -> Node:
        if self.v.uniform.varies(s.test):
            return self.masked_loop(s, mask, levels, check=not hasattr(s, "base_test"))
        self.used_outside |= reads(s.test)
        mark_exits(s.body)
        return Loop(s, self.build(s.body, mask, levels))

    def masked_loop(
        self, s: ast.While, outer: str | None, levels: Levels, check: bool
    ) -> MaskedLoop:
        """Threads that return inside the loop leave it early, which no barrier may blame."""
        mask = self.new_mask()
        test = Region([assign(mask, truth(s.test), s)], mask, refine=True)
        inside = (*levels, (mask, outer)) if check else levels
        return MaskedLoop(mask, outer, test, self.build(s.body, mask, inside))

    def as_while(self, s: ast.For) -> tuple[list[ast.stmt], ast.While]:
        """A varying range around a barrier or a moved loop."""
        init, test, head, step = counting_loop(s, self.names)
        loop = ast.While(test, [*head, *s.body, *step], [])
        locate(loop, s)
        for x in [*init, *step, *head]:
            self.v.add(x)  # type: ignore[arg-type]
        return init, loop


def mark_exits(stmts: list[ast.stmt]) -> None:
    """A block-level loop is left at block level: its exits are uniform (see ``Uniformity``)."""
    for s in stmts:
        if isinstance(s, (ast.Break, ast.Continue)):
            s.hoist = True  # type: ignore[union-attr]
        elif isinstance(s, ast.If):
            mark_exits(s.body)
            mark_exits(s.orelse)


def truth(test: ast.expr) -> ast.expr:
    """The test as a bool, for a mask."""
    if isinstance(test, (ast.Compare, ast.BoolOp)) or (
        isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    ):
        return test
    new = ast.IfExp(test, const(True), const(False))
    locate(new, test)
    return new
