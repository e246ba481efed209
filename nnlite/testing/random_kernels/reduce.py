"""Make a failing kernel small: take parts away as long as it still fails in the same way."""

from __future__ import annotations

import ast
import contextlib
import copy
import dataclasses
import time
from collections.abc import Iterator

from .check import Outcome, check
from .kernels import RandomKernel


def reduced(kernel: RandomKernel, outcome: Outcome, seconds: float = 120) -> RandomKernel:
    """The smallest kernel found that has the same kind of outcome.

    Args:
        kernel: a kernel that fails, but does not crash or hang the process.
        outcome: of the kernel.
        seconds: to spend.
    """
    end = time.monotonic() + seconds
    last = outcome.message.splitlines()[-1:]

    def fails(smaller: RandomKernel) -> bool:
        if time.monotonic() > end:
            return False
        with contextlib.suppress(Exception):
            now = check(smaller)
            same = outcome.kind == "different" or now.message.splitlines()[-1:] == last
            return now.kind == outcome.kind and same
        return False

    once = dataclasses.replace(kernel, grid=(1, 1, 1))
    kernel = once if fails(once) else kernel
    progress = True
    while progress:
        progress = False
        for edit in (_drop, _unwrap, _simplify):
            position = 0
            while True:
                tree = ast.parse(kernel.source)
                candidate = next(_skip(edit(tree), position), None)
                if candidate is None:
                    break
                smaller = dataclasses.replace(kernel, source=ast.unparse(candidate) + "\n")
                if smaller.source != kernel.source and fails(smaller):
                    kernel, progress = smaller, True
                else:
                    position += 1
    return kernel


def _skip(candidates: Iterator[ast.Module], count: int) -> Iterator[ast.Module]:
    for _ in range(count):
        if next(candidates, None) is None:
            return
    yield from candidates


def _bodies(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for field in ("body", "orelse"):
            body = getattr(node, field, None)
            if isinstance(body, list) and (body or field == "body"):
                yield body


def _drop(tree: ast.Module) -> Iterator[ast.Module]:
    """Without a few statements, or without one."""
    for size in (8, 3, 1):
        for b in range(len(list(_bodies(tree)))):
            for start in range(0, len(list(_bodies(tree))[b]), size):
                new = copy.deepcopy(tree)
                body = list(_bodies(new))[b]
                gone = body[start : start + size]
                if any(isinstance(s, (ast.Import, ast.ImportFrom)) for s in gone):
                    continue
                if all(isinstance(s, ast.Pass) for s in gone):
                    continue
                body[start : start + size] = []
                if not body:
                    body.append(ast.Pass())
                yield new


def _unwrap(tree: ast.Module) -> Iterator[ast.Module]:
    """With the body in place of an ``if`` or a loop."""
    for b in range(len(list(_bodies(tree)))):
        for n, s in enumerate(list(_bodies(tree))[b]):
            for field in ("body", "orelse"):
                if isinstance(s, (ast.If, ast.For, ast.While)) and getattr(s, field):
                    new = copy.deepcopy(tree)
                    body = list(_bodies(new))[b]
                    inner = getattr(body[n], field)
                    if isinstance(s, ast.For) and field == "body":
                        zero = ast.Assign([s.target], ast.Constant(1), lineno=1)
                        inner = [zero, *inner]
                    body[n : n + 1] = inner
                    yield new


def _simplify(tree: ast.Module) -> Iterator[ast.Module]:
    """With an operand in place of an operation, or with a constant."""
    kinds = (ast.BinOp, ast.BoolOp, ast.Call, ast.IfExp, ast.Compare, ast.Subscript, ast.UnaryOp)
    for n, node in enumerate(ast.walk(tree)):
        if not isinstance(node, kinds) or isinstance(getattr(node, "ctx", None), ast.Store):
            continue
        parts = [x for x in ast.iter_child_nodes(node) if isinstance(x, ast.expr)]
        for part in [*parts, ast.Constant(1)]:
            new = copy.deepcopy(tree)
            old = list(ast.walk(new))[n]
            for parent in ast.walk(new):
                for field, value in ast.iter_fields(parent):
                    if value is old:
                        setattr(parent, field, copy.deepcopy(part))
                    elif isinstance(value, list) and any(v is old for v in value):
                        value[:] = [copy.deepcopy(part) if v is old else v for v in value]
            yield new
