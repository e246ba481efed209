"""``raise``, ``assert`` and ``print`` (a part of ``canonical``).

Before::                                 After::

    raise ValueError("negative")             raise_(1)          # place 1; 0 unless debug=True
    assert n > 0, "empty"                    if not n > 0: raise_(2)
    a / b              (debug=True)          left__1 = a; right__2 = b
                                             if right__2 == 0: raise_(3)
    print("x", i, x[i])                      effect_print_('x {} {}', i, x[i])

As on a GPU, a thread that raises leaves the kernel, and the others go on; the launch raises the
error in the end if the kernel was made with ``debug=True``.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from .failures import DividedByZero, Raised
from .tree import call, const, fail, if_, is_shape_item, literal, locate, negate, text_of

if TYPE_CHECKING:
    from .canonical import Canonical

RAISE = "raise_"
DIVISIONS = (ast.Div, ast.FloorDiv, ast.Mod)


def raise_statement(canonical: Canonical, node: ast.Raise) -> ast.stmt:
    """Leave the kernel; with debug=True, report the exception."""
    error = node.exc
    if error is None:
        fail(node, "raise", "there is no exception to raise again")
    kind = canonical.resolve(error.func if isinstance(error, ast.Call) else error)
    if not isinstance(kind, type) or not issubclass(kind, BaseException):
        fail(node, text_of(error), "only an exception class can be raised")
    given: list[ast.expr] = []
    if isinstance(error, ast.Call):
        if error.keywords:
            fail(node, text_of(error), "an exception takes positional arguments")
        given = error.args
    return _raise(canonical, node, kind, given)


def assert_statement(canonical: Canonical, node: ast.Assert) -> ast.stmt:
    """``if not test: raise AssertionError(message)``."""
    given = [] if node.msg is None else [node.msg]
    leave = _raise(canonical, node, AssertionError, given)
    return if_(negate(canonical.visit(node.test)), [leave], [], node)


def mark_checked(canonical: Canonical, node: ast.AST) -> None:
    """With debug=True: remember what to raise when a divisor is 0 or a shape has no such axis."""
    if not canonical.unit.debug:
        return
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, DIVISIONS):
        divisor = node.right if isinstance(node, ast.BinOp) else node.value
        if not literal(divisor):
            _mark(canonical, node, DividedByZero, "division by zero")
    elif isinstance(node, ast.Subscript) and literal(node.slice) is None and is_shape_item(node):
        _mark(canonical, node, IndexError, "tuple index out of range")


def _mark(canonical: Canonical, node: Any, kind: type[BaseException], text: str) -> None:
    node.checked = _place(canonical, node, kind, (text,))


def print_call(node: ast.Call, args: list[ast.expr]) -> ast.expr:
    """One line of output; ``{}`` in the format stands for a value."""
    parts: list[str] = []
    values: list[ast.expr] = []
    for a in args:
        if isinstance(a, ast.Constant) and isinstance(a.value, str):
            parts.append(a.value.replace("{", "{{").replace("}", "}}"))
        else:
            parts.append("{}")
            values.append(a)
    return call("effect_print_", const(" ".join(parts)), *values)


def _raise(
    canonical: Canonical, node: ast.stmt, kind: type[BaseException], given: list[ast.expr]
) -> ast.stmt:
    code = 0
    if canonical.unit.debug:
        what = "an argument of an exception"
        code = _place(canonical, node, kind, tuple(canonical.constant(a, what) for a in given))
    new = ast.Expr(call(RAISE, const(code)))
    locate(new, node)
    return new


def _place(
    canonical: Canonical, node: Any, kind: type[BaseException], args: tuple[Any, ...]
) -> int:
    failures = canonical.unit.failures
    function = canonical.function.__name__
    failures.append(Raised(node.file, node.lineno, "", function, kind, args))
    return len(failures)
