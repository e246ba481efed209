"""Fields of records that are named like something else (after types are known).

Before::                                 After::

    r.size, a[i].shape[1]                    r['size'], a[i]['shape'][1]

``size``, ``shape`` or ``real`` of an array or a number is a value that never changes, and later
passes rely on that; a field of a record is memory.
"""

from __future__ import annotations

import ast
from typing import Any

from numba.core import types

from .tree import VALUE_ATTRIBUTES, const, index_list, locate


def name_fields(kernel: ast.FunctionDef, variable_types: dict[str, Any]) -> None:
    """Run the pass in place."""
    records = any(isinstance(getattr(t, "dtype", t), types.Record) for t in variable_types.values())
    if records:
        _Fields(variable_types).visit(kernel)


class _Fields(ast.NodeTransformer):
    def __init__(self, variable_types: dict[str, Any]) -> None:
        self.types = variable_types

    def visit_Attribute(self, n: ast.Attribute) -> ast.expr:
        record = n.attr in VALUE_ATTRIBUTES and isinstance(self.type_of(n.value), types.Record)
        self.generic_visit(n)
        if not record:
            return n
        new = ast.Subscript(n.value, const(n.attr), n.ctx)
        locate(new, n)
        return new

    def type_of(self, e: ast.expr) -> Any:
        """The type of what a record may be selected by; None where that is not known."""
        if isinstance(e, ast.Name):
            return self.types.get(e.id)
        if isinstance(e, ast.Attribute):
            return self.field(self.type_of(e.value), e.attr)
        if not isinstance(e, ast.Subscript):
            return None
        base = self.type_of(e.value)
        if isinstance(e.slice, ast.Constant) and isinstance(e.slice.value, str):
            if isinstance(base, types.Array) and isinstance(base.dtype, types.Record):
                inner = self.field(base.dtype, e.slice.value)
                return None if inner is None else types.Array(inner, base.ndim, "A")
            return self.field(base, e.slice.value)
        if not isinstance(base, types.Array):
            return None
        return base.dtype if len(index_list(e)) == base.ndim else None

    def field(self, base: Any, name: str) -> Any:
        known = isinstance(base, types.Record) and name in base.fields
        return base.typeof(name) if known else None
