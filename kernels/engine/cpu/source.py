"""The syntax tree of a Python function, and the values its free names have now."""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
import textwrap
from types import FunctionType
from typing import Any

from .tree import fail


def source_tree(function: FunctionType) -> ast.FunctionDef:
    """The function's syntax tree; every node knows its file and true line."""
    file = inspect.getsourcefile(function) or function.__code__.co_filename
    where = ast.Pass()
    where.file, where.lineno = file, function.__code__.co_firstlineno  # type: ignore[attr-defined]
    if function.__code__.co_name == "<lambda>":
        return _lambda_tree(function, where)
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


def _lambda_tree(function: FunctionType, where: ast.AST) -> ast.FunctionDef:
    """``lambda a, b: a + b`` as ``def lambda_(a, b): return a + b``."""
    code = function.__code__
    try:
        module = ast.parse("".join(inspect.findsource(function)[0]))
    except (OSError, SyntaxError):
        module = ast.Module([], [])
    names = list(code.co_varnames[: code.co_argcount])
    found = [
        n
        for n in ast.walk(module)
        if isinstance(n, ast.Lambda)
        and n.lineno == code.co_firstlineno
        and [a.arg for a in n.args.args] == names
    ]
    if len({ast.dump(n) for n in found}) != 1:
        fail(where, "lambda", "which lambda of its line this is cannot be told; use def")
    definition = ast.parse("def lambda_(): pass").body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.args = found[0].args
    definition.body = [ast.copy_location(ast.Return(found[0].body), found[0].body)]
    ast.copy_location(definition, found[0])
    for node in ast.walk(definition):
        node.file = where.file  # type: ignore[attr-defined]
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


def execute(text: str, scope: dict[str, Any]) -> None:
    """``exec`` for code made at run time, whose functions then have a source that can be found."""
    file = f"<nnlite {hashlib.sha256(text.encode()).hexdigest()[:16]}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    exec(compile(text, file, "exec"), scope)
