"""Which variables still hold what an earlier turn of a loop gave them.

A value may be computed again, or looked through, only where its inputs are still the same::

    for k in range(n):
        if k == 0:
            v = t + k       # assigned in the first turn, read in all: v is carried
        s[t] = v            # t + k would be wrong here
    out[t] = k              # read after its loop: k is carried
"""

from __future__ import annotations

import ast

from .tree import reads, writes

Chain = tuple[int, ...]


def exposed(
    stmts: list[ast.stmt], given: frozenset[str] = frozenset()
) -> tuple[set[str], set[str]]:
    """(names read before they are certainly assigned, names certainly assigned)."""
    found: set[str] = set()
    known = set(given)
    for s in stmts:
        if isinstance(s, ast.Assign):
            found |= reads(s.value) - known
            target = s.targets[0]
            if isinstance(target, ast.Name):
                known.add(target.id)
            else:
                found |= reads(target) - known
        elif isinstance(s, ast.If):
            found |= reads(s.test) - known
            first, a = exposed(s.body, frozenset(known))
            second, b = exposed(s.orelse, frozenset(known))
            found |= first | second
            known |= a & b
        elif isinstance(s, ast.For):
            found |= reads(s.iter) - known
            found |= exposed(s.body, frozenset(known | writes(s.target)))[0]
        elif isinstance(s, ast.While):
            found |= reads(s.test) - known
            found |= exposed(s.body, frozenset(known))[0]
        else:
            found |= reads(s) - known
    return found, known


def starting(body: list[ast.stmt]) -> set[str]:
    """Variables whose value from before ``body`` may be read, although ``body`` assigns them."""
    return exposed(body)[0] & writes(body)


def carried(body: list[ast.stmt]) -> set[str]:
    """Variables read in another turn of a loop, or after the loop, in which they are assigned."""
    return _Carried(body).found


class _Carried:
    def __init__(self, body: list[ast.stmt]) -> None:
        self.found: set[str] = set()
        self.assigned: dict[str, set[Chain]] = {}
        self.used: dict[str, set[Chain]] = {}
        self.statements(body, ())
        for name, loops in self.assigned.items():
            uses = self.used.get(name, set())
            if any(use[: len(loop)] != loop for loop in loops for use in uses):
                self.found.add(name)

    def note(self, table: dict[str, set[Chain]], names: set[str], chain: Chain) -> None:
        for name in names:
            table.setdefault(name, set()).add(chain)

    def statements(self, stmts: list[ast.stmt], chain: Chain) -> None:
        for s in stmts:
            if isinstance(s, ast.If):
                self.note(self.used, reads(s.test), chain)
                self.statements(s.body, chain)
                self.statements(s.orelse, chain)
            elif isinstance(s, (ast.For, ast.While)):
                inner = (*chain, id(s))
                self.note(self.used, reads(s.iter if isinstance(s, ast.For) else s.test), chain)
                if isinstance(s, ast.For):
                    self.note(self.assigned, writes(s.target), inner)
                self.found |= starting(s.body)
                self.statements(s.body, inner)
            else:
                self.note(self.used, reads(s), chain)
                self.note(self.assigned, writes(s), chain)
