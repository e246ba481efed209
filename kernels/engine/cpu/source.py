"""The syntax tree of a Python function, and the values its free names have now."""

from __future__ import annotations

import ast
import inspect
import textwrap
from types import FunctionType
from typing import Any

from .tree import fail


def source_tree(function: FunctionType) -> ast.FunctionDef:
    """The function's syntax tree; every node knows its file and true line."""
    file = inspect.getsourcefile(function) or function.__code__.co_filename
    where = ast.Pass()
    where.file, where.lineno = file, function.__code__.co_firstlineno  # type: ignore[attr-defined]
    if function.__name__ == "<lambda>":
        fail(where, "lambda", "a lambda has no statements to translate; use def")
    try:
        lines, first = inspect.getsourcelines(function)
        module = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):
        module = ast.Module([], [])
    definition = module.body[0] if module.body else None
    # Code made by exec has no text; Python 3.13 may then give that of another "<string>".
    if not isinstance(definition, ast.FunctionDef) or definition.name != function.__code__.co_name:
        fail(where, function.__name__, "its source text is not available; put it into a file")
    ast.increment_lineno(module, max(first, 1) - 1)
    for node in ast.walk(module):
        node.file = file  # type: ignore[attr-defined]
    return definition


def environment(function: FunctionType) -> dict[str, Any]:
    """Globals and closure variables that the function sees."""
    env = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            env[name] = cell.cell_contents
        except ValueError:
            continue
    return env
