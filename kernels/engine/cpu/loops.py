"""Choose which loops run outside the loop over threads.

LLVM vectorises an innermost loop.  The best innermost loop of a CUDA kernel is the one over
threads, because neighbouring threads touch neighbouring elements.  Threads do not depend on each
other between barriers, so a loop that all threads run equally often may move outside::

    for t in threads:                        for k in range(n):
        for k in range(n):          ->           for t in threads:
            acc += a[row, k] * b[k, t]               acc_[t] += a[row, k] * b[k, t]

The pass marks loops with ``hoist``; the split into regions then treats them like loops with a
barrier.  How loops are rewritten so that they can move is in ``loop_forms``.
"""

from __future__ import annotations

import ast
from typing import Any

from numba.core import types

from .carried import carried, exposed, starting
from .exits import counting_loop, exit_kinds, lower_loop
from .intervals import Folder, definitions, positive, single
from .loop_facts import is_effect, leaves, takes_locks
from .loop_forms import Forms, constant_trips, cost, mark
from .tree import (
    THREAD_INDICES,
    Names,
    blocks,
    has_load,
    has_sync,
    literal,
    range_bounds,
    reads,
    walk,
    while_,
    writes,
)
from .uniform import Uniformity

UNROLL = 8
SMALL_TRIPS = 32
SMALL_WORK = 200
STRIP_WORK = 128
LOCKSTEP_WORK = 80
MAX_SPLIT_WORK = 200
MAX_NODES = 2500


def schedule(
    body: list[ast.stmt], variable_types: dict[str, Any], names: Names, block: tuple[int, int, int]
) -> list[ast.stmt]:
    """Run the pass; new variables get their types in ``variable_types``.

    Very large kernels are left alone, because moved loops multiply the code to compile.  So are
    those in which a thread may wait for a lock: a loop moved out of the critical section would
    have all threads of the block take the lock before the first one gives it back.
    """
    if sum(1 for _ in walk(body)) > MAX_NODES or takes_locks(body):
        return body
    return _Scheduler(body, variable_types, names, block).statements(body, scalar=False)


class _Scheduler:
    def __init__(
        self,
        body: list[ast.stmt],
        variable_types: dict[str, Any],
        names: Names,
        block: tuple[int, int, int],
    ) -> None:
        self.root, self.types, self.names = body, variable_types, names
        self.uniform = Uniformity(body)
        self.defs = definitions(body)
        self.folder = Folder(block)
        once = {v for v, found in self.defs.items() if len(found) == 1}
        self.fixed = once - carried(body) - starting(body)
        self.forms = Forms(names, variable_types, self.folder)

    def statements(self, body: list[ast.stmt], scalar: bool) -> list[ast.stmt]:
        """``scalar`` is true inside loops that stay inside the loop over threads."""
        out: list[ast.stmt] = []
        for s in body:
            if isinstance(s, ast.While):
                s = self.as_range(s)
            if isinstance(s, ast.For) and not scalar and self.movable(s):
                out += self.move(s)
            elif isinstance(s, ast.For) and has_sync(s) and self.uniform.varies(s.iter):
                out += self.varying_with_barrier(s)
            elif not scalar and self.lockstep(s):
                out += self.run_in_lockstep(s)  # type: ignore[arg-type]
            else:
                out.append(self.inside(s, scalar))
        return out

    def inside(self, s: ast.stmt, scalar: bool) -> ast.stmt:
        """Schedule the bodies of a statement that stays as it is."""
        inner = scalar
        if isinstance(s, (ast.For, ast.While)) and not has_sync(s):
            head = s.iter if isinstance(s, ast.For) else s.test
            inner = inner or self.uniform.varies(head) or bool(exit_kinds(s.body))
        for b in blocks(s):
            b[:] = self.statements(b, inner)
        guard = isinstance(s, ast.If) and not scalar and self.uniform.varies(s.test)
        if guard and any(isinstance(n, ast.For) for n in walk(s)):
            mark(s)
        return s

    def used_outside(self, name: str, s: ast.stmt) -> bool:
        inside = {id(n) for n in ast.walk(s)}
        return any(
            isinstance(n, ast.Name)
            and n.id == name
            and isinstance(n.ctx, ast.Load)
            and id(n) not in inside
            for n in walk(self.root)
        )

    def goes_on(self, name: str, s: ast.stmt) -> bool:
        """True when a later turn of a loop around ``s`` starts with the value that ``s`` left."""
        loops = [n for n in walk(self.root) if isinstance(n, (ast.For, ast.While)) and n is not s]
        around = [n for n in loops if any(x is s for x in walk(n.body))]
        return any(name in exposed(n.body)[0] for n in around)

    def signed(self, name: str) -> bool:
        t = self.types.get(name)
        return isinstance(t, types.Integer) and t.signed

    # -- loops that all threads run equally often ------------------------------------------------
    def movable(self, s: ast.For) -> bool:
        assert isinstance(s.target, ast.Name)
        return (
            not has_sync(s)
            and not leaves(s)
            and self.signed(s.target.id)
            and not self.used_outside(s.target.id, s)
            and s.target.id not in writes(s.body)
        )

    def move(self, s: ast.For) -> list[ast.stmt]:
        start, stop, step = range_bounds(s)
        if self.uniform.varies(s.iter):
            return self.move_varying_start(s, start, stop, step)
        if self.guarded_copies(s):
            return [mark(s)]
        by = literal(step)
        trips = constant_trips(s)
        if (
            trips is not None
            and trips <= SMALL_TRIPS
            and trips * max(1, cost(s.body)) <= SMALL_WORK
        ):
            return [s]
        if not isinstance(by, int) or by <= 0:
            return [s]
        inner = [n for n in walk(s.body) if isinstance(n, (ast.For, ast.While))]
        counts = [constant_trips(n) if isinstance(n, ast.For) else None for n in inner]
        if any(c is None for c in counts):
            s.body = self.statements(s.body, False)
            return [mark(s)]
        work = max(1, cost(s.body))
        for c in counts:
            work *= max(1, c or 1)
        strip = min(UNROLL, STRIP_WORK // work)
        if strip < 2:
            return [mark(s)]
        return self.forms.strip_mine(s, start, stop, by, 1 << (strip.bit_length() - 1))

    def guarded_copies(self, s: ast.For) -> bool:
        """Turns that only test and store: outside, the test becomes the bounds of a thread loop.

        That is the loop of a transpose by tiles. Nothing is carried from turn to turn, and what
        the turns read of the thread can be computed again.
        """
        *before, last = s.body
        if not isinstance(last, ast.If) or last.orelse or not self.uniform.varies(last.test):
            return False
        own = writes(s.body) | {s.target.id}  # type: ignore[attr-defined]
        targets = [n.targets[0] for n in last.body if isinstance(n, ast.Assign)]
        if len(targets) < len(last.body) or any(isinstance(t, ast.Name) for t in targets):
            return False
        if exposed(s.body)[0] & (own - {s.target.id}):  # type: ignore[attr-defined]
            return False
        if any(self.used_outside(v, s) for v in own):
            return False
        return all(self.made_again(v) for v in reads(s.body) & self.uniform.varying - own)

    def made_again(self, name: str) -> bool:
        """A thread index or a plain integer made from them, not an array of the thread."""
        if name in THREAD_INDICES:
            return True
        value = single(self.defs, name)
        if value is None or has_load(value) or name not in self.fixed or not self.signed(name):
            return False
        return not any(isinstance(n, ast.Call) for n in walk(value))

    def move_varying_start(
        self, s: ast.For, start: ast.expr, stop: ast.expr, step: ast.expr
    ) -> list[ast.stmt]:
        """``range(tid, n, stride)``: iterations that all threads run, then guarded ones."""
        simple = not self.uniform.varies(stop) and not self.uniform.varies(step)
        if not simple or not positive(step, self.defs) or cost(s.body) > MAX_SPLIT_WORK:
            return [s]
        if (reads(stop) | reads(step) | reads(start)) & writes(s.body) or has_load(s.iter):
            return [s]
        bounds = self.folder.bounds(start, self.uniform, self.defs, self.fixed)
        if bounds is None:
            return [s]
        whole, guarded = self.forms.split_range(s, bounds, start, stop, step)
        if isinstance(whole[-1], ast.For):
            whole[-1].body = self.statements(whole[-1].body, False)
        return [*whole, *guarded]

    # -- loops that threads leave at different times ---------------------------------------------
    def lockstep(self, s: ast.stmt) -> bool:
        """A divergent loop of plain arithmetic: all threads run it together under a mask."""
        if not isinstance(s, (ast.For, ast.While)) or has_sync(s):
            return False
        head = s.iter if isinstance(s, ast.For) else s.test
        if isinstance(s, ast.For):
            assert isinstance(s.target, ast.Name)
            divergent = not self.uniform.varies(head) and bool(exit_kinds(s.body))
            divergent = divergent and self.signed(s.target.id)
        else:
            divergent = self.uniform.varies(head) or self.uniform.varying_exit(s.body)
        if not divergent or cost(s.body) >= LOCKSTEP_WORK:
            return False
        for n in walk([*s.body, head]):
            if isinstance(n, (ast.For, ast.While)):
                return False
            if is_effect(n):
                return False
        return True

    def run_in_lockstep(self, s: ast.For | ast.While) -> list[ast.stmt]:
        new: list[ast.stmt] = [s]
        if exit_kinds(s.body):
            before = writes(s)
            new = lower_loop(s, self.names, "")
            for name in sorted(writes(new) - before):
                flag = name.split("__")[0] in ("skip", "broken")
                self.types[name] = types.boolean if flag else types.int64
        mark(new[-1])
        return new

    def varying_with_barrier(self, s: ast.For) -> list[ast.stmt]:
        before = writes(s)
        init, test, head, step = counting_loop(s, self.names)
        new = while_(test, [*head, *self.statements(s.body, False), *step], s)
        for name in writes([*init, new]) - before:
            self.types.setdefault(name, types.int64)
        return [*init, new]

    # -- while loops that count ------------------------------------------------------------------
    def as_range(self, s: ast.While) -> ast.For | ast.While:
        """``while i < n: ...; i += step`` is ``for i in range(i, n, step)``."""
        t, last = s.test, s.body[-1]
        if has_sync(s) or leaves(s) or not isinstance(t, ast.Compare) or len(t.ops) != 1:
            return s
        if not isinstance(t.ops[0], ast.Lt) or not isinstance(t.left, ast.Name):
            return s
        i, stop = t.left.id, t.comparators[0]
        counts = (
            isinstance(last, ast.Assign)
            and isinstance(last.targets[0], ast.Name)
            and last.targets[0].id == i
            and isinstance(last.value, ast.BinOp)
            and isinstance(last.value.op, ast.Add)
            and isinstance(last.value.left, ast.Name)
            and last.value.left.id == i
        )
        if not counts or not self.signed(i) or self.used_outside(i, s) or self.goes_on(i, s):
            return s
        step, body = last.value.right, s.body[:-1]  # type: ignore[attr-defined]
        changed = writes(body)
        if i in changed or (reads(stop) | reads(step)) & (changed | {i}) or not body:
            return s
        if self.uniform.varies(stop) or self.uniform.varies(step) or not positive(step, self.defs):
            return s
        if has_load(stop) or has_load(step):
            return s
        new = self.forms.range_loop(s, i, stop, step, body)
        if i in self.uniform.varying:
            self.uniform.varying.add(new.target.id)  # type: ignore[attr-defined]
        self.defs[i] = [d for d in self.defs[i] if d is not last]
        if len(self.defs[i]) == 1 and self.same_turn(self.defs[i][0], s):
            self.fixed.add(i)
        return new

    def same_turn(self, earlier: ast.stmt, s: ast.stmt) -> bool:
        """True when every loop around ``earlier`` is around ``s`` too."""
        loops = [walk(n.body) for n in walk(self.root) if isinstance(n, (ast.For, ast.While))]
        inside = [{id(x) for x in body} for body in loops]
        return all(id(s) in body for body in inside if id(earlier) in body)
