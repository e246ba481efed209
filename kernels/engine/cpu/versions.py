"""Keep the types of variables that change their type on the way.

Numba types every single assignment by itself; a variable that lives across a barrier is stored
in one type.  Where a use can only see one of several assignments, it gets a variable of its own::

    v = x[i]           # float32                  v__1 = x[i]        # float32
                                                  v = v__1           # float64
    w = v * v          # float32 product    ->    w = v__1 * v__1
    for _ in range(n):                            for _ in range(n):
        v = v * 2.0    # float64                      v = v * 2.0
"""

from __future__ import annotations

import ast

from .tree import Names, assign, blocks, load
from .webs import Webs


def split_versions(kernel: ast.FunctionDef, mixed: set[str], names: Names) -> bool:
    """Split the variables ``mixed``, whose assignments differ in type; True when any was."""
    return _Versions(kernel, mixed, names).changed


class _Versions:
    def __init__(self, kernel: ast.FunctionDef, mixed: set[str], names: Names) -> None:
        self.names, self.changed = names, False
        webs = Webs(kernel)
        self.own: dict[int, list[ast.Name]] = {}
        for node, found in webs.reaching.values():
            if node.id in mixed and len(found) == 1:
                self.own.setdefault(next(iter(found)), []).append(node)
        self.definition = webs.of_node
        kernel.body = self.statements(kernel.body, mixed)

    def statements(self, body: list[ast.stmt], mixed: set[str]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for s in body:
            for inner in blocks(s):
                inner[:] = self.statements(inner, mixed)
            out.append(s)
            target = s.targets[0] if isinstance(s, ast.Assign) else None
            if isinstance(target, ast.Name) and target.id in mixed:
                uses = self.own.get(self.definition.get(id(target), -1), [])
                if uses:
                    out.append(self.split(target, uses, s))
        return out

    def split(self, target: ast.Name, uses: list[ast.Name], s: ast.stmt) -> ast.stmt:
        name, new = target.id, self.names.fresh(target.id)
        for node in [target, *uses]:
            node.id = new
        self.changed = True
        return assign(name, load(new), s)
