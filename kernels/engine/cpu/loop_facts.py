"""What decides whether a loop may move at all: does it wait for a lock, is it left early."""

from __future__ import annotations

import ast

from .tree import EFFECTS, function_name, walk


def takes_locks(body: list[ast.stmt]) -> bool:
    """A loop that may go on until an atomic gives the value that it waits for."""
    for loop in walk(body):
        if isinstance(loop, ast.While) or (isinstance(loop, ast.For) and leaves(loop)):
            unused = {id(n.value) for n in ast.walk(loop) if isinstance(n, ast.Expr)}
            if any(is_effect(n) and id(n) not in unused for n in ast.walk(loop)):
                return True
    return False


def is_effect(n: ast.AST) -> bool:
    return function_name(n).startswith(EFFECTS)


def leaves(s: ast.For | ast.While) -> bool:
    """break or continue anywhere below, inner loops included."""
    return any(isinstance(n, (ast.Break, ast.Continue)) for n in walk(s.body))
