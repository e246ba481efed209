"""Give each independent use of a variable its own name.

Users reuse names (``m`` for a row maximum per thread, then for the block's maximum).  A web is a
set of assignments and reads that belong together; every web gets its own name, so that one of them
can be uniform, or stay in a register, although the other cannot.

Before::                                 After::

    m = x[i]                                 m = x[i]
    red[t] = m                               red[t] = m
    sync_()                                  sync_()
    m = red[0]                               m__1 = red[0]
    out[i] = x[i] - m                        out[i] = x[i] - m__1
"""

from __future__ import annotations

import ast

from .tree import Names, assign, load, rename, writes

State = dict[str, frozenset[int]]


def split_webs(kernel: ast.FunctionDef, names: Names) -> None:
    """Rename the variables of the kernel in place."""
    Webs(kernel).rename(names)
    keep_parameters(kernel, names)


def keep_parameters(kernel: ast.FunctionDef, names: Names) -> None:
    """Assign to copies of parameters: every thread of every block starts with what was passed.

    Only parameters are left whose assignments join with the passed value (``if c: n = 5``).
    """
    for p in sorted(writes(kernel.body) & {a.arg for a in kernel.args.args}):
        copy = names.fresh(p)
        rename(kernel.body, {p: copy})
        kernel.body.insert(0, assign(copy, load(p), kernel))


class Webs:
    """Reaching definitions by one walk over the tree; loops are walked until nothing changes.

    ``reaching`` holds the definitions that each read may see, ``of_node`` the number of each.
    """

    def __init__(self, kernel: ast.FunctionDef) -> None:
        self.parent: list[int] = []
        self.base: list[str] = []
        self.of_node: dict[int, int] = {}
        self.references: list[tuple[ast.Name, int]] = []
        self.reaching: dict[int, tuple[ast.Name, set[int]]] = {}
        state: State = {}
        self.parameters = set()
        for a in kernel.args.args:
            d = self.new(a.arg)
            self.parameters.add(d)
            state[a.arg] = frozenset([d])
        self.statements(kernel.body, state, [])

    def rename(self, names: Names) -> None:
        first: dict[str, int] = {}
        chosen: dict[int, str] = {self.find(d): self.base[d] for d in self.parameters}
        for d in self.parameters:
            first[self.base[d]] = self.find(d)
        for _, d in self.references:
            root = self.find(d)
            if root not in chosen:
                base = self.base[root]
                chosen[root] = names.fresh(base) if base in first else base
                first.setdefault(base, root)
        for node, d in self.references:
            node.id = chosen[self.find(d)]

    # -- sets of definitions ---------------------------------------------------------------------
    def new(self, name: str) -> int:
        self.parent.append(len(self.parent))
        self.base.append(name)
        return len(self.parent) - 1

    def find(self, d: int) -> int:
        while self.parent[d] != d:
            self.parent[d] = self.parent[self.parent[d]]
            d = self.parent[d]
        return d

    def union(self, ds: frozenset[int]) -> int:
        roots = sorted({self.find(d) for d in ds})
        for r in roots[1:]:
            self.parent[r] = roots[0]
        return roots[0]

    @staticmethod
    def join(a: State | None, b: State | None) -> State | None:
        if a is None or b is None:
            return b if a is None else a
        return {v: a.get(v, frozenset()) | b.get(v, frozenset()) for v in a.keys() | b.keys()}

    # -- the walk --------------------------------------------------------------------------------
    def uses(self, e: ast.AST, state: State) -> None:
        for n in ast.walk(e):
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id in state:
                self.references.append((n, self.union(state[n.id])))
                self.reaching.setdefault(id(n), (n, set()))[1].update(state[n.id])

    def define(self, node: ast.Name, state: State) -> None:
        if id(node) not in self.of_node:
            self.of_node[id(node)] = self.new(node.id)
        d = self.of_node[id(node)]
        self.references.append((node, d))
        state[node.id] = frozenset([d])

    def statements(self, body: list[ast.stmt], state: State | None, loops: list) -> State | None:
        for s in body:
            if state is None:
                return None
            state = self.statement(s, state, loops)
        return state

    def statement(self, s: ast.stmt, state: State, loops: list) -> State | None:
        if isinstance(s, ast.Assign):
            self.uses(s.value, state)
            target = s.targets[0]
            if isinstance(target, ast.Name):
                state = dict(state)
                self.define(target, state)
            else:
                self.uses(target, state)
            return state
        if isinstance(s, ast.If):
            self.uses(s.test, state)
            return self.join(
                self.statements(s.body, dict(state), loops),
                self.statements(s.orelse, dict(state), loops),
            )
        if isinstance(s, (ast.For, ast.While)):
            return self.loop(s, state, loops)
        if isinstance(s, (ast.Break, ast.Continue)):
            kind = "break" if isinstance(s, ast.Break) else "continue"
            loops[-1][kind] = self.join(loops[-1][kind], dict(state))
            return None
        self.uses(s, state)
        return state

    def loop(self, s: ast.For | ast.While, state: State, loops: list) -> State | None:
        if isinstance(s, ast.For):
            self.uses(s.iter, state)
        head: State = dict(state)
        while True:
            exits: dict[str, State | None] = {"break": None, "continue": None}
            current = dict(head)
            if isinstance(s, ast.For):
                assert isinstance(s.target, ast.Name)
                self.define(s.target, current)
            else:
                self.uses(s.test, current)
            end = self.statements(s.body, current, [*loops, exits])
            again = self.join(self.join(head, end), exits["continue"])
            assert again is not None
            if again == head:
                break
            head = again
        endless = isinstance(s, ast.While) and isinstance(s.test, ast.Constant) and s.test.value
        return self.join(None if endless else head, exits["break"])
