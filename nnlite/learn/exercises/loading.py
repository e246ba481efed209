"""From a learner's file to its kernel, or to what keeps it from being one."""

from __future__ import annotations

import ast
import inspect
import linecache
import traceback
from pathlib import Path
from types import FunctionType
from typing import Any

from ...errors import ArgumentError
from ...kernels.engine.cpu.names import python_function
from .exercise import Exercise


class NotYet(Exception):
    """The file has no kernel that could be run; the message says why."""


def kernel_of(exercise: Exercise, path: Path) -> FunctionType:
    """The kernel of an exercise in a file, as a plain function.

    The file is run as a module that is not imported: nothing is written beside it.

    Raises:
        ArgumentError: there is no such file.
        NotYet: it is no Python, raises, has holes, or no kernel of the right name and parameters.
    """
    if not path.is_file():
        raise ArgumentError(f"exercise: there is no file {path}")
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin with a mark
        tree = ast.parse(text, str(path))
        code = compile(tree, str(path), "exec", dont_inherit=True)
    except UnicodeDecodeError:
        raise NotYet("the file is no text in UTF-8") from None
    except SyntaxError as error:
        place = f"line {error.lineno}: " if error.lineno else ""
        raise NotYet(f"{place}this is no Python: {error.msg}") from None
    except ValueError as error:  # null bytes, in some versions of Python
        raise NotYet(f"this is no Python: {error}") from None
    kernel = function_of(exercise, names_of(code, path))
    holes = holes_of(tree)
    if holes:
        lines = ", ".join(map(str, holes))
        many = f"lines {lines} are holes" if len(holes) > 1 else f"line {lines} is a hole"
        raise NotYet(f"{many}: replace each '...' by your code")
    return kernel


def names_of(code: Any, path: Path) -> dict[str, Any]:
    """The names that the file defines."""
    linecache.checkcache(str(path))  # the file may have been graded, and changed since
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(code, names)
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f.lineno for f in frames if f.filename == str(path)]
        raise NotYet(f"line {own[-1]}: the file raises {described(error)}") from None
    return names


def function_of(exercise: Exercise, names: dict[str, Any]) -> FunctionType:
    """The exercise's kernel among the names of a file."""
    kernel = python_function(names.get(exercise.kernel))
    if kernel is None:
        raise NotYet(f"there is no kernel {exercise.kernel!r} in the file")
    parameters = inspect.signature(kernel).parameters
    if len(parameters) != len(exercise.parameters):
        raise NotYet(
            f"{exercise.kernel} takes {len(parameters)} parameters ({', '.join(parameters)}), "
            f"expected {len(exercise.parameters)} ({', '.join(exercise.parameters)})"
        )
    return kernel


def holes_of(tree: ast.Module) -> list[int]:
    """Lines with a hole: ``...`` anywhere in a function but as an index."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    body = [n for f in functions for s in f.body for n in ast.walk(s)]
    indices = {id(n) for s in body if isinstance(s, ast.Subscript) for n in ast.walk(s.slice)}
    holes = [n for n in body if isinstance(n, ast.Constant) and n.value is ...]
    return sorted({n.lineno for n in holes if id(n) not in indices})


def described(error: BaseException) -> str:
    """Kind and message of an error, in one line; of its own kind, the built-in one."""
    kind = next(c for c in type(error).__mro__ if c.__module__ == "builtins")
    message = " ".join(str(error).split())
    return f"{kind.__name__}: {message}" if message else kind.__name__
