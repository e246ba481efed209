"""Which thread dimension becomes the innermost loop.

LLVM vectorises the innermost loop, so it should run along the dimension in which neighbouring
threads touch neighbouring elements.  That is ``x`` in most kernels, but not in this one::

    row, col = cuda.grid(2)          # x counts rows
    c[row, col] = ...                # y runs along memory

Every array access votes, weighted by the depth of the loops around it.
"""

from __future__ import annotations

import ast

from .flow import Variables
from .tree import COLLECTIVES, THREAD_INDICES, function_name, index_list, literal, walk

Linear = dict[str, "int | str"] | None
UNKNOWN = "unknown"
LOOP_WEIGHT = 8


def innermost(variables: Variables, block: tuple[int, int, int]) -> str:
    """``"x"``, ``"y"`` or ``"z"``."""
    dims = [d for d, n in zip("xyz", block) if n > 1]
    if len(dims) < 2 or any(function_name(n) in COLLECTIVES for n in walk(variables.body)):
        return dims[0] if dims else "x"  # warps are counted along x first
    votes = dict.fromkeys(dims, 0)

    def visit(node: ast.AST, weight: int) -> None:
        for child in ast.iter_child_nodes(node):
            inner = isinstance(node, (ast.For, ast.While))
            visit(child, weight * LOOP_WEIGHT if inner else weight)
        if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
            return
        for d in dims if variables.is_array(node.value.id) else ():
            votes[d] += weight * vote(index_list(node), f"tid_{d}_", variables)

    for s in variables.body:
        visit(s, 1)
    return max(dims, key=lambda d: (votes[d], d == "x"))


def vote(indices: list[ast.expr], thread: str, variables: Variables) -> int:
    """2 for contiguous access along the thread index, 1 for none, negative for strided."""
    parts = [linear(i, variables) for i in indices]
    if any(p is None for p in parts):
        return -1
    steps = [p.get(thread, 0) for p in parts if p is not None]
    if not any(steps):
        return 1
    return 2 if steps[-1] == 1 and not any(steps[:-1]) else -2


def linear(e: ast.expr, variables: Variables, depth: int = 0) -> Linear:
    """Coefficients of the thread indices in an index expression; None when it is not linear."""
    if isinstance(e, ast.Name):
        if e.id in THREAD_INDICES:
            return {e.id: 1}
        if e.id in variables.remade and depth < 20:
            return linear(variables.remade[e.id], variables, depth + 1)
        return {}
    if isinstance(e, ast.BinOp):
        return _operation(e, variables, depth)
    parts = [
        linear(c, variables, depth) for c in ast.iter_child_nodes(e) if isinstance(c, ast.expr)
    ]
    return None if any(p is None or p for p in parts) else {}


def _operation(e: ast.BinOp, variables: Variables, depth: int) -> Linear:
    a, b = linear(e.left, variables, depth), linear(e.right, variables, depth)
    if a is None or b is None:
        return None
    if isinstance(e.op, (ast.Add, ast.Sub)):
        sign = 1 if isinstance(e.op, ast.Add) else -1
        out = dict(a)
        for name, step in b.items():
            old = out.get(name, 0)
            known = isinstance(step, int) and isinstance(old, int)
            out[name] = old + sign * step if known else UNKNOWN  # type: ignore[operator]
        return out
    if isinstance(e.op, ast.Mult) and not (a and b):
        factor = literal(e.right if a else e.left)
        known = isinstance(factor, int)
        return {
            name: step * factor if known and isinstance(step, int) else UNKNOWN  # type: ignore[operator]
            for name, step in (a or b).items()
        }
    return None if a or b else {}
