"""The statements and expressions a kernel may not contain, each with its reason.

Kept apart from the translation so that the list can be read: every entry becomes an
``UnsupportedKernelError`` with the file and line of the construct.
"""

from __future__ import annotations

import ast
from typing import Any

from .tree import fail, locate, text_of

REASONS: dict[str, tuple[str, str]] = {
    "ListComp": ("list comprehension", "kernels have no lists"),
    "SetComp": ("set comprehension", "kernels have no sets"),
    "DictComp": ("dict comprehension", "kernels have no dictionaries"),
    "GeneratorExp": ("generator expression", "kernels have no generators"),
    "List": ("list", "kernels have no lists; use cuda.local.array"),
    "Set": ("set", "kernels have no sets"),
    "Dict": ("dict", "kernels have no dictionaries"),
    "Try": ("try", "a kernel cannot catch exceptions"),
    "With": ("with", "a kernel has no context managers"),
    "Delete": ("del", "variables cannot be deleted in a kernel"),
    "Global": ("global", "a kernel cannot change globals"),
    "Nonlocal": ("nonlocal", "a kernel cannot change closure variables"),
    "Import": ("import", "a kernel cannot import"),
    "ImportFrom": ("import", "a kernel cannot import"),
    "ClassDef": ("class", "a kernel cannot define classes"),
    "Yield": ("yield", "a kernel is not a generator"),
    "YieldFrom": ("yield from", "a kernel is not a generator"),
    "Await": ("await", "a kernel is not a coroutine"),
    "JoinedStr": ("f-string", "kernels have no strings"),
    "Starred": ("*", "unpacking into several variables is not translated to the CPU"),
    "Match": ("match", "match statements are not translated to the CPU"),
    "MatMult": ("@", "matrix products of arrays are not translated to the CPU"),
}


class Refuser(ast.NodeTransformer):
    """A transformer that refuses every construct listed in ``REASONS``."""

    def visit(self, node: ast.AST) -> Any:
        entry = REASONS.get(type(node).__name__)
        if entry is not None:
            construct, why = entry
            if not hasattr(node, "lineno"):
                fail(self._near, construct, why)
            fail(node, construct, why)
        if isinstance(node, (ast.stmt, ast.expr)):
            self._near: ast.AST = node
        return super().visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            fail(node, text_of(node), "a declaration without a value is not translated")
        new = ast.Assign([node.target], node.value)
        locate(new, node)
        return self.visit(new)

    def visit_Expr(self, node: ast.Expr) -> Any:
        if isinstance(node.value, ast.Constant):
            return []
        return self.generic_visit(node)
