"""Read-only NumPy arrays in a launch on the CPU: never written to, whatever the kernel does.

What the source of a kernel says of a parameter decides. One that it only reads is handed over as it
is; one that it writes to is refused before the launch, as by Numba's types on a GPU; where the
source does not tell, the kernel gets a copy, and it is an error if that has changed afterwards.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .errors import ArgumentError

T = TypeVar("T")
ABOUT = frozenset({"shape", "size", "ndim", "strides", "dtype", "itemsize", "nbytes"})
SCOPES = ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.comprehension  # of names of their own


def launch_without_writing(
    function: Callable[..., None], values: tuple[Any, ...], launch: Callable[[tuple[Any, ...]], T]
) -> T:
    """Launch with arguments of which some may be read-only arrays.

    Args:
        function: the kernel.
        values: its arguments, arrays of NumPy among them.
        launch: called with them, or with copies in their place.

    Returns:
        What ``launch`` does.

    Raises:
        ArgumentError: the kernel writes to one of them; no read-only array has changed.
    """
    copies: list[tuple[str, np.ndarray, np.ndarray]] = []

    def safe(value: Any, number: int, inside: bool) -> Any:
        if isinstance(value, tuple):
            items = [safe(item, number, True) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        if not isinstance(value, np.ndarray) or value.flags.writeable:
            return value
        what = f"{function.__name__}: argument {number} is a read-only array"
        use = "unknown" if inside or value.dtype.names else _use(function, number, value.ndim)
        if use == "writes":
            raise ArgumentError(f"{what}, and the kernel writes to it; expected a writable one")
        if use == "reads":
            return value
        copies.append((what, value, value.copy(order="K")))
        return copies[-1][2]

    made = launch(tuple(safe(value, number, False) for number, value in enumerate(values)))
    for what, value, copy in copies:
        if copy.tobytes() != value.tobytes():
            raise ArgumentError(
                f"{what}, and the kernel wrote to the copy that it was given; expected a writable "
                "one"
            )
    return made


@functools.lru_cache(maxsize=256)
def _use(function: Callable[..., None], number: int, axes: int) -> str:
    """``"reads"``, ``"writes"`` or ``"unknown"``: what a kernel does to an array parameter."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, SyntaxError, TypeError):
        return "unknown"
    if not isinstance(body, ast.FunctionDef):
        return "unknown"
    parameters = [a.arg for a in (*body.args.posonlyargs, *body.args.args)]
    inner = [n for s in body.body for n in ast.walk(s) if isinstance(n, SCOPES)]
    if number >= len(parameters) or inner:
        return "unknown"
    uses = _Uses(parameters[number], axes)
    for statement in body.body:
        uses.visit(statement)
    if uses.rebound or (uses.unknown and not uses.writes):
        return "unknown"
    return "writes" if uses.writes else "reads"


class _Uses(ast.NodeVisitor):
    """Looks at every place where a name stands."""

    def __init__(self, name: str, axes: int) -> None:
        self.name, self.axes = name, axes
        self.writes = self.unknown = self.rebound = False

    def _is_it(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == self.name

    def visit_Name(self, node: ast.Name) -> None:
        if self._is_it(node):  # in a place that is none of those below
            self.unknown = True
            self.rebound |= not isinstance(node.ctx, ast.Load)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not self._is_it(node.value):
            self.generic_visit(node)
            return
        index = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        one_item = len(index) == self.axes and not any(
            isinstance(i, (ast.Slice, ast.Starred, ast.Constant)) and not _is_number(i)
            for i in index
        )
        if not isinstance(node.ctx, ast.Load):
            self.writes = True
        elif not one_item:
            self.unknown = True
        self.visit(node.slice)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not (self._is_it(node.value) and node.attr in ABOUT):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        first = node.args[0] if node.args else None
        if first is not None and self._is_it(first):
            parts = ast.unparse(node.func).split(".")
            if parts == ["len"]:
                return
            if "atomic" in parts[:-1]:
                self.writes = True
        self.generic_visit(node)


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int
