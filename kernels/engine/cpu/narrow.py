"""Kernels in which LLVM may take a number that repeats for one that counts up.

It does so where it assumes, under a check, that a number of fewer bits than an address does not
wrap: one that is part of an index, or in which a loop counts (see ``rt_bits.masked``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Set

from .flow import Variables
from .tree import SHUFFLES, function_name, has_load, is_shape_item, literal, reads, walk, writes

BYTES = frozenset(f"np.{sign}int{bits}" for sign in ("", "u") for bits in (8, 16))
NARROW = BYTES | {"np.uint32"}
Sources = dict[str, list[ast.expr]]


def narrow(variables: Variables, scalar: Set[str]) -> bool:
    """True for such a kernel.

    Args:
        variables: of the kernel.
        scalar: names of functions that use none of their arguments as an index.
    """
    casts = [n for n in walk(variables.body) if is_narrowing(n)]
    if not casts:
        return False
    sources = computed_from(variables.body)
    if any(counts(n.args[0], sources) for n in casts):  # type: ignore[attr-defined]
        return True
    indices = list(index_parts(variables.body, scalar))
    return any(is_narrowing(n) for n in walk([*indices, *behind(reads(indices), sources)]))


def is_narrowing(n: ast.AST) -> bool:
    """True for a cast to fewer bits of what is no literal."""
    return isinstance(n, ast.Call) and function_name(n) in NARROW and literal(n.args[0]) is None


def counts(e: ast.expr, sources: Sources) -> bool:
    """True for a variable that depends on its last value, or for it and a step that may be fixed.

    Casts and masks are left aside.
    """
    while isinstance(e, ast.Call) and len(e.args) == 1:
        e = e.args[0]
    if isinstance(e, ast.Name):
        return e.id in reads(behind({e.id}, sources))
    if not isinstance(e, ast.BinOp):
        return False
    if isinstance(e.op, (ast.Add, ast.Sub)):
        return not has_load(e) and (counts(e.left, sources) or counts(e.right, sources))
    masks = isinstance(e.op, (ast.BitAnd, ast.Mod))
    return masks and (counts(e.left, sources) or counts(e.right, sources))


def index_parts(body: list[ast.stmt], scalar: Set[str]) -> Iterator[ast.expr]:
    """What is an index, or may be used as one by a function."""
    for n in walk(body):
        name = function_name(n)
        if isinstance(n, ast.Subscript) and not is_shape_item(n):
            yield n.slice
        elif isinstance(n, ast.Call) and (name in SHUFFLES or name.startswith("atomic_")):
            yield n.args[1]
        elif isinstance(n, ast.Call) and name not in scalar:
            yield from n.args


def behind(names: Iterable[str], sources: Sources) -> list[ast.expr]:
    """All expressions from which the variables are computed, however far back."""
    found: list[ast.expr] = []
    seen, open_ = set(names), list(names)
    while open_:
        values = sources.get(open_.pop(), [])
        found += values
        more = reads(values) - seen
        seen |= more
        open_ += more
    return found


def computed_from(body: list[ast.stmt]) -> Sources:
    """The expressions that each variable is assigned."""
    found: Sources = {}
    for s in walk(body):
        if isinstance(s, ast.Assign):
            for name in writes(s.targets):
                found.setdefault(name, []).append(s.value)
        elif isinstance(s, ast.For):
            for name in writes(s.target):
                found.setdefault(name, []).append(s.iter)
    return found
