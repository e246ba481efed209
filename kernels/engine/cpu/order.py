"""Which thread dimension becomes the innermost loop.

LLVM vectorises the innermost loop, so it should run along the dimension in which neighbouring
threads touch neighbouring elements.  That is ``x`` in most kernels, but not in this one::

    row, col = cuda.grid(2)          # x counts rows
    c[row, col] = ...                # y runs along memory

Every array access votes, weighted by the depth of the loops around it.
"""

from __future__ import annotations

import ast

from numba.core import types

from .flow import Variables
from .tree import COLLECTIVES, THREAD_INDICES, function_name, index_list, literal, walk

Linear = dict[str, "int | str"]
UNKNOWN = "unknown"
DEPTH = 20
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
    steps = [linear(i, variables).get(thread, 0) for i in indices]
    if not any(steps):
        return 1
    last = steps[-1] if isinstance(steps[-1], int) and not any(steps[:-1]) else 0
    return {1: 2, 2: 1}.get(last, -2)  # every other element still shares cache lines


def stepped_by_extents(variables: Variables, parameters: list[str], inner: str) -> list[str]:
    """Parameters of which neighbouring threads touch elements an extent apart: ``a[i, 0]``."""
    thread, found = f"tid_{inner}_", set()
    for n in walk(variables.body):
        if not isinstance(n, ast.Subscript) or not isinstance(n.value, ast.Name):
            continue
        name, indices = n.value.id, index_list(n)
        kind = variables.types.get(name)
        if isinstance(kind, types.Array) and kind.layout in "CF" and kind.ndim == len(indices):
            order = indices if kind.layout == "C" else indices[::-1]
            steps = [linear(i, variables).get(thread, 0) for i in order]
            if any(steps[:-1]) and steps[-1] == 0:
                found.add(name)
    return [p for p in parameters if p in found and p not in variables.defs]


def linear(e: ast.expr, variables: Variables, depth: int = 0) -> Linear:
    """What one more of each thread index adds to an index expression; "unknown" if no constant."""
    if isinstance(e, ast.Name):
        if e.id in THREAD_INDICES:
            return {e.id: 1}
        if e.id in variables.remade and depth < DEPTH:
            return linear(variables.remade[e.id], variables, depth + 1)
        found = variables.defs.get(e.id, []) if e.id in variables.varying else []
        if len(found) == 1 and isinstance(found[0], ast.Assign) and depth < DEPTH:
            return linear(found[0].value, variables, depth + 1)
        return {}
    if isinstance(e, ast.BinOp):
        return _operation(e, variables, depth)
    parts = [c for c in ast.iter_child_nodes(e) if isinstance(c, ast.expr)]
    return {name: UNKNOWN for c in parts for name in linear(c, variables, depth)}


def _operation(e: ast.BinOp, variables: Variables, depth: int) -> Linear:
    a, b = linear(e.left, variables, depth), linear(e.right, variables, depth)
    out: Linear = {}
    for name in a.keys() | b.keys():
        left, right = a.get(name, 0), b.get(name, 0)
        factor = literal(e.right if a else e.left)
        step: int | str = UNKNOWN
        if not isinstance(left, int) or not isinstance(right, int):
            pass
        elif isinstance(e.op, (ast.Add, ast.Sub)):
            step = left + right if isinstance(e.op, ast.Add) else left - right
        elif isinstance(e.op, ast.Mult) and isinstance(factor, int) and not (a and b):
            step = (left + right) * factor
        out[name] = step
    return out
