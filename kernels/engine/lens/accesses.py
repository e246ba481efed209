"""Rewrite expressions so that every access is checked (a part of ``instrument``)."""

from __future__ import annotations

import ast
from typing import Any

from numba.core import types

from ..cpu.tree import (
    Names,
    call,
    clone,
    const,
    function_name,
    index_list,
    is_field,
    is_shape_item,
    literal,
    load,
)
from .sites import Site


class Accesses(ast.NodeTransformer):
    """The transformer of expressions; ``sites`` gets an entry for each place."""

    def __init__(self, variable_types: dict[str, Any], names: Names, sites: list[Site]) -> None:
        self.types, self.names, self.sites = variable_types, names, sites

    def site(self, node: ast.AST, what: str, array: str = "", repeats: bool = False) -> ast.expr:
        """The number of a new place."""
        name = array.split("__")[0].rstrip("_")
        file, line = getattr(node, "file", ""), getattr(node, "lineno", 0)
        instruction = getattr(node, "instruction", 0)
        self.sites.append(Site(file, line, what, name, repeats, instruction))
        return const(len(self.sites))

    def type_of(self, e: ast.expr) -> Any:
        return self.types.get(e.id) if isinstance(e, ast.Name) else None

    def name_of(self, e: ast.expr) -> str:
        while isinstance(e, (ast.Subscript, ast.Attribute)):
            e = e.value
        return e.id if isinstance(e, ast.Name) else ""

    def is_view(self, n: ast.Subscript) -> bool:
        """True where the subscript selects more than one number, or a record."""
        kind = self.type_of(n.value)
        if any(isinstance(i, ast.Slice) for i in index_list(n)):
            return True
        return isinstance(kind, types.Array) and len(index_list(n)) < kind.ndim

    def is_record(self, n: ast.Subscript) -> bool:
        """True for one element of an array of records: a place, of which fields are read."""
        kind = self.type_of(n.value)
        return isinstance(kind, types.Array) and isinstance(kind.dtype, types.Record)

    def index(self, n: ast.Subscript) -> ast.expr:
        """The index; a negative number that is written out counts from the end on purpose."""
        out: list[ast.expr] = []
        for k, i in enumerate(index_list(n)):
            known = literal(i)
            if isinstance(known, int) and known < 0:
                shape = ast.Attribute(clone(n.value), "shape", ast.Load())
                size = ast.Subscript(shape, const(k), ast.Load())
                out.append(ast.BinOp(size, ast.Add(), const(known)))
            else:
                out.append(self.visit(i))
        if isinstance(n.slice, ast.Tuple):
            return ast.Tuple(out, ast.Load())
        return out[0]

    def view(self, n: ast.Subscript) -> ast.Subscript:
        """Check the parts of the index that are numbers."""
        if not isinstance(self.type_of(n.value), types.Array):
            self.generic_visit(n)
            return n
        array, parts = clone(n.value), []
        for k, i in enumerate(index_list(n)):
            plain = isinstance(i, (ast.Slice, ast.Constant)) and not literal(i)
            if plain:
                parts.append(self.visit(i))
                continue
            known = literal(i)
            if isinstance(known, int) and known < 0:
                parts.append(i)
                continue
            site = self.site(n, "select", self.name_of(n.value))
            parts.append(call("inside_", load("lens_"), site, array, self.visit(i), const(k)))
        n.slice = ast.Tuple(parts, ast.Load()) if len(parts) > 1 else parts[0]
        return n

    def visit_Subscript(self, n: ast.Subscript) -> ast.expr:
        kind = self.type_of(n.value)
        field = self.field(n)
        if field:
            return self.read_field(n, field)
        if (
            is_shape_item(n)
            or field_name(n)
            or (kind is not None and not isinstance(kind, types.Array))
        ):
            self.generic_visit(n)
            return n
        if self.is_view(n) or self.is_record(n):
            return self.view(n)
        site = self.site(n, "read", self.name_of(n.value))
        return call("read_", load("lens_"), site, self.visit(n.value), self.index(n))

    def field(self, n: ast.expr) -> str:
        """The field that ``a[i].x`` or ``a[i]['x']`` selects, if it is one number."""
        if isinstance(n, ast.Attribute):
            name = n.attr if is_field(n) else ""
        else:
            name = field_name(n)
        base = n.value if name else None  # type: ignore[attr-defined]
        if not isinstance(base, ast.Subscript) or not self.is_record(base) or self.is_view(base):
            return ""
        fields = self.type_of(base.value).dtype
        inner = (
            fields.typeof(name) if name in fields.fields else types.NestedArray(types.int8, (1,))
        )
        return "" if isinstance(inner, (types.Record, types.NestedArray)) else name

    def read_field(self, n: Any, field: str) -> ast.expr:
        site = self.site(n, "read", self.name_of(n))
        place = self.visit(n.value.value), self.index(n.value)
        return call("read_field_", load("lens_"), site, *place, const(field))

    def visit_Attribute(self, n: ast.Attribute) -> ast.expr:
        field = self.field(n)
        if field:
            return self.read_field(n, field)
        self.generic_visit(n)
        return n

    def visit_Call(self, n: ast.Call) -> ast.expr:
        name = function_name(n)
        if name == "exchange_":
            return self.visit(n.args[0])
        if name == "effect_fence_":
            return call("checked_fence_", load("lens_"), self.site(n, "fence"))
        if not name.startswith("atomic_"):
            self.generic_visit(n)
            return n
        array, index, *values = n.args
        site = self.site(n, name, self.name_of(array))
        given = [self.visit(a) for a in (array, index, *values)]
        return call(name.replace("atomic_", "checked_"), load("lens_"), site, *given)


def field_name(n: ast.AST) -> str:
    """The name in ``record['x']``."""
    named = isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Constant)
    name = n.slice.value if named else ""  # type: ignore[attr-defined]
    return name if isinstance(name, str) else ""
