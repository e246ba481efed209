"""The statements and expressions a kernel may not contain, each with its reason.

Kept apart from the translation so that the list can be read: every entry becomes an
``UnsupportedKernelError`` with the file and line of the construct.
"""

from __future__ import annotations

import ast
from typing import Any

from .tree import fail, locate, text_of

REASONS: dict[str, tuple[str, str]] = {
    "Lambda": ("lambda", "functions defined inside a kernel are not translated to the CPU"),
    "FunctionDef": ("def", "functions defined inside a kernel are not translated to the CPU"),
    "ListComp": ("list comprehension", "kernels have no lists"),
    "SetComp": ("set comprehension", "kernels have no sets"),
    "DictComp": ("dict comprehension", "kernels have no dictionaries"),
    "GeneratorExp": ("generator expression", "kernels have no generators"),
    "List": ("list", "kernels have no lists; use cuda.local.array"),
    "Set": ("set", "kernels have no sets"),
    "Dict": ("dict", "kernels have no dictionaries"),
    "Try": ("try", "a kernel cannot catch exceptions"),
    "With": ("with", "a kernel has no context managers"),
    "Raise": ("raise", "a kernel on the CPU cannot raise"),
    "Assert": ("assert", "assertions are not translated to the CPU"),
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
    "NamedExpr": (":=", "write the assignment as a statement"),
    "Starred": ("*", "unpacking into several variables is not translated to the CPU"),
    "Slice": ("slice", "slices of arrays are not translated to the CPU; index single elements"),
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

    def visit_For(self, node: ast.For) -> Any:
        if node.orelse:
            fail(node, "for ... else", "the else of a loop is not translated to the CPU")
        if not isinstance(node.target, ast.Name):
            fail(node, text_of(node.target), "the loop variable must be a plain name")
        it = node.iter
        if not isinstance(it, (ast.Call, ast.Tuple)):
            fail(node, f"for ... in {text_of(it)}", "loops run over range(...) or a literal tuple")
        new = self.generic_visit(node)
        it = node.iter
        if isinstance(it, ast.Call) and not (
            isinstance(it.func, ast.Name) and it.func.id == "range" and 1 <= len(it.args) <= 3
        ):
            fail(node, f"for ... in {text_of(it)}", "loops run over range(...) or a literal tuple")
        node.body = node.body or [locate(ast.Pass(), node)]  # type: ignore[list-item]
        return new

    def visit_While(self, node: ast.While) -> Any:
        if node.orelse:
            fail(node, "while ... else", "the else of a loop is not translated to the CPU")
        new = self.generic_visit(node)
        node.body = node.body or [locate(ast.Pass(), node)]  # type: ignore[list-item]
        return new

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
