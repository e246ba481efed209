"""Which variables have one value for all threads of a block.

``k`` in ``for k in range(n)`` is uniform, ``i = cuda.grid(1)`` varies.  Uniform values steer loops
and branches of the whole block, so that the loop over threads can stand inside them.

Uniformity is relative to the threads that are active: a counter of a loop that only some threads
enter is uniform among those.  A variable therefore varies when it gets a value that varies, or when
it is assigned under a varying test and also used outside of that test::

    if t < 8:
        k = 1        # assigned under a varying test ...
    y = x[k]         # ... and used outside: k varies

Threads that have returned do not count, since they never come back: after ``if i >= n: return`` the
rest of the kernel is as uniform as before.
"""

from __future__ import annotations

import ast

from .carried import Chain, starting
from .tree import COLLECTIVES, EFFECTS, THREAD_INDICES, function_name, writes

VARYING_CALLS = (COLLECTIVES - {"block_count_"}) | {"exchange_"}


class Uniformity:
    """The analysis of one function body; ``varying`` holds the names that vary."""

    def __init__(self, body: list[ast.stmt]) -> None:
        self.varying = set(THREAD_INDICES)
        self.local_arrays: set[str] = set()
        first = starting(body)  # parameters, for example, have a value from the beginning on
        before: set[str] = set()
        while before != self.varying:
            before = set(self.varying)
            self.assigned: dict[str, list[Chain]] = {name: [()] for name in first}
            self.used: dict[str, list[Chain]] = {}
            self.statements(body, ())
            for name, chains in self.assigned.items():
                common = common_prefix(chains + self.used.get(name, []))
                if any(len(c) > common for c in chains):
                    self.varying.add(name)

    def varies(self, e: ast.AST) -> bool:
        """True when threads may compute different values for the expression."""
        for n in ast.walk(e):
            if isinstance(n, ast.Name):
                if n.id in self.varying or n.id in VARYING_CALLS or n.id.startswith(EFFECTS):
                    return True
                if n.id in self.local_arrays and isinstance(n.ctx, ast.Load):
                    return True
        return False

    def use(self, e: ast.AST, chain: Chain) -> None:
        for n in ast.walk(e):
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load):
                self.used.setdefault(n.id, []).append(chain)

    def statements(self, stmts: list[ast.stmt], chain: Chain) -> None:
        for s in stmts:
            if isinstance(s, ast.Assign):
                self.assign(s, chain)
            elif isinstance(s, ast.If):
                self.use(s.test, chain)
                alone = getattr(s, "alone", "") if self.varies(s.test) else "both"
                for name, stmts in (("body", s.body), ("orelse", s.orelse)):
                    same = alone in (name, "both")
                    self.statements(stmts, chain if same else (*chain, id(stmts)))
            elif isinstance(s, (ast.For, ast.While)):
                self.loop(s, chain)
            else:
                self.use(s, chain)

    def assign(self, s: ast.Assign, chain: Chain) -> None:
        self.use(s.value, chain)
        target = s.targets[0]
        if not isinstance(target, ast.Name):
            self.use(target, chain)
            return
        self.assigned.setdefault(target.id, []).append(chain)
        if function_name(s.value) == "local_":
            self.local_arrays.add(target.id)
        elif self.varies(s.value) and function_name(s.value) != "block_count_":
            self.varying.add(target.id)

    def loop(self, s: ast.For | ast.While, chain: Chain) -> None:
        head = s.iter if isinstance(s, ast.For) else s.test
        varies = self.varies(head)
        exits = self.varying_exit(s.body)
        if exits:
            self.varying |= writes(s)
        if exits or self.varies(getattr(s, "base_test", head)):
            chain = (*chain, id(s))
        self.use(head, chain)
        if isinstance(s, ast.For):
            assert isinstance(s.target, ast.Name)
            self.assigned.setdefault(s.target.id, []).append(chain)
            if varies:
                self.varying.add(s.target.id)
        self.statements(s.body, chain)

    def varying_exit(self, body: list[ast.stmt], varies: bool = False) -> bool:
        """A break or continue of this loop that only some threads take."""
        for s in body:
            if isinstance(s, (ast.Break, ast.Continue)) and varies:
                return True
            if isinstance(s, ast.If):
                inner = varies or self.varies(s.test)
                if self.varying_exit(s.body, inner) or self.varying_exit(s.orelse, inner):
                    return True
        return False


def common_prefix(chains: list[Chain]) -> int:
    shortest = min(len(c) for c in chains)
    for k in range(shortest):
        if len({c[k] for c in chains}) > 1:
            return k
    return shortest
