"""Tuples given to kernels and device functions become several parameters.

Before::                                 After::

    def k(p, out):                           def k(p__1, p__2, out):
        out[0] = p.x                             out[0] = (p__1, p__2).x       # see ``tuples``
"""

from __future__ import annotations

import ast
from typing import Any

from numba.core import types

from .tree import Names, assign, clone, load, locate, writes
from .tuples import make_tuple


def spread_arguments(
    kernel: ast.FunctionDef, argument_types: tuple[Any, ...], names: Names
) -> None:
    """Give each item of a tuple argument a parameter of its own, in place."""
    parameters: list[ast.arg] = []
    given: dict[str, ast.expr] = {}

    def spread(name: str, t: Any) -> ast.expr:
        if not isinstance(t, types.BaseTuple):
            parameters.append(ast.arg(name))
            return load(name)
        fields = t.fields if isinstance(t, types.BaseNamedTuple) else ()
        return make_tuple([spread(names.fresh(name), item) for item in t], tuple(fields))

    for a, t in zip(kernel.args.args, argument_types):
        value = spread(a.arg, t)
        if isinstance(t, types.BaseTuple):
            locate(value, kernel)
            given[a.arg] = value
    kernel.args.args = parameters
    stored = writes(kernel.body)
    substitute(kernel.body, {name: v for name, v in given.items() if name not in stored})
    kernel.body[:0] = [assign(name, v, kernel) for name, v in given.items() if name in stored]


def is_plain_tuple(e: ast.expr) -> bool:
    """A tuple literal of variables and constants, which may be repeated at will."""
    if isinstance(e, ast.Tuple):
        return all(isinstance(i, (ast.Name, ast.Constant)) or is_plain_tuple(i) for i in e.elts)
    return False


def substitute(body: list[ast.stmt], given: dict[str, ast.expr]) -> None:
    """Put expressions in the place of variables that are only read, in place."""
    for i, s in enumerate(body):
        body[i] = _Substitute(given).visit(s)


class _Substitute(ast.NodeTransformer):
    def __init__(self, given: dict[str, ast.expr]) -> None:
        self.given = given

    def visit_Name(self, n: ast.Name) -> ast.expr:
        return clone(self.given[n.id]) if n.id in self.given else n
