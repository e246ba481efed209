"""Which loops wait for other threads.

while cuda.atomic.cas(lock, 0, 0, 1) != 0:       # may end when another thread writes
    pass
while i < n:                                     # ends by itself
    ...
"""

from __future__ import annotations

import ast

from ..cpu.tree import function_name, has_load, has_sync, reads, walk, writes


def waits_for_memory(s: ast.While) -> bool:
    """True when what other threads write may decide how long the loop runs."""
    if has_sync(s):
        return False
    tests = [s.test, *leaving_tests(s.body)]
    loaded: set[str] = set()
    before: set[str] | None = None
    assigned = [n for n in walk(s.body) if isinstance(n, ast.Assign)]
    while loaded != before:
        before = set(loaded)
        for n in assigned:
            if from_memory(n.value) or reads(n.value) & loaded:
                loaded |= writes(n)
    return any(from_memory(t) or reads(t) & loaded for t in tests)


def from_memory(e: ast.AST) -> bool:
    return has_load(e) or any(function_name(n).startswith("atomic_") for n in ast.walk(e))


def leaving_tests(body: list[ast.stmt]) -> list[ast.expr]:
    """The tests under which a loop with this body is left."""
    found: list[ast.expr] = []
    for s in body:
        if isinstance(s, ast.If):
            if any(isinstance(n, ast.Break) for n in walk([*s.body, *s.orelse])):
                found.append(s.test)
            found += leaving_tests([*s.body, *s.orelse])
    return found
