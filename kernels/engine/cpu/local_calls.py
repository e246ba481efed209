"""Calls of the user's own functions, and of methods (a part of ``canonical``).

Before::                                 After::

    y = gelu(x[i], scale=2)                  y = gelu_0_(x[i], 2)      # inlined by ``flatten``
    add = lambda v: v + n; add(1)            add_1_(1, n)
    y = f(*pair)                             y = f_2_(pair[0], pair[1])
    p = Point(y=1, x=2)                      p = (2, 1)                # with the fields x and y
    w = x.view(float32)                      w = x.view(np.float32)
"""

from __future__ import annotations

import ast
import functools
import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
from numba.core import types

from .calls_collective import VALUES
from .dtypes import type_text
from .folding import call_np
from .names import CudaPath, cuda_name
from .source import source_tree
from .tree import call, clone, const, fail, function_name, load, locate, reads, text_of, writes
from .tuples import make_tuple

if TYPE_CHECKING:
    from .canonical import Canonical

METHODS = frozenset(
    {"view", "reshape", "transpose", "conjugate", "item"}
    | {"sum", "prod", "mean", "var", "std", "argmin", "argmax", "any", "all"}
)
"""Methods of arrays and numbers that numba-cuda has in a kernel too."""


def as_function(name: str, e: ast.Lambda) -> ast.FunctionDef:
    """``name = lambda ...`` as ``def name(...)``."""
    body: list[ast.stmt] = [ast.Return(e.body)]
    new = ast.FunctionDef(name, e.args, body, [])
    locate(new, e)
    return new


def is_named_tuple(obj: object) -> bool:
    return isinstance(obj, type) and issubclass(obj, tuple) and hasattr(obj, "_fields")


def arguments(
    canonical: Canonical, node: ast.Call, function: FunctionType | None
) -> list[ast.expr]:
    """The positional arguments, with ``*tuple`` written out."""
    args: list[ast.expr] = []
    starred = sum(isinstance(a, ast.Starred) for a in node.args)
    for a in node.args:
        if not isinstance(a, ast.Starred):
            args.append(canonical.visit(a))
            continue
        items = canonical.visit(a.value)
        if isinstance(items, ast.Tuple):
            args += items.elts
            continue
        count = canonical.tuple_lengths.get(getattr(a.value, "id", ""))
        if function_name(items) in ("cmath.polar", "divmod"):
            count = 2
        if count is None and function is not None and starred == 1:
            parameters = inspect.signature(function).parameters.values()
            if all(p.default is p.empty for p in parameters):
                count = len(parameters) - (len(node.args) - 1 + len(node.keywords))
        if count is None:
            fail(node, text_of(node), "the length of the unpacked tuple is not known here")
        for i in range(count):
            args.append(ast.Subscript(clone(items), const(i), ast.Load()))
    return args


def literal_lengths(definition: ast.FunctionDef) -> dict[str, int]:
    """The variables that are only ever assigned tuple literals of one length."""
    found: dict[str, set[int]] = {}
    for n in ast.walk(definition):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store):
            found.setdefault(n.id, set())
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name):
            known = isinstance(n.value, ast.Tuple)
            found.setdefault(n.targets[0].id, set()).add(len(n.value.elts) if known else -1)  # type: ignore[attr-defined]
    return {v: min(ns) for v, ns in found.items() if len(ns) == 1 and min(ns) >= 0}


def literal_numbers(definition: ast.FunctionDef) -> dict[str, int]:
    """The variables that are assigned once, and an integer literal: ``N = 100``."""
    names = [n for n in ast.walk(definition) if isinstance(n, ast.Name)]
    stores = [n.id for n in names if isinstance(n.ctx, ast.Store)]
    found: dict[str, int] = {}
    for n in ast.walk(definition):
        if isinstance(n, ast.Assign) and isinstance(n.value, ast.Constant):
            for t in n.targets:
                once = isinstance(t, ast.Name) and stores.count(t.id) == 1
                if once and type(n.value.value) is int:
                    found[t.id] = n.value.value  # type: ignore[attr-defined]
    return {v: n for v, n in found.items() if v not in {p.arg for p in definition.args.args}}


def known_arguments(canonical: Canonical, node: ast.Call, function: Any) -> dict[str, Any]:
    """The parameters of a device function that are given a function, a type, or an array size.

    A device function is inlined, so that it can be made for each of them; they are taken out of
    the call.
    """
    if any(isinstance(a, ast.Starred) for a in node.args):
        return {}
    given = [*zip(inspect.signature(function).parameters, node.args)]
    given += [(str(k.arg), k.value) for k in node.keywords]
    sizes = size_parameters(function)
    known: dict[str, Any] = {}
    for p, a in given:
        obj = _constant(canonical, a)
        number = all(map(_is_size, obj if isinstance(obj, tuple) and obj else (obj,)))
        made_of = callable(obj) and not isinstance(obj, (np.ndarray, np.generic))
        if (number and p in sizes) or made_of or isinstance(obj, (CudaPath, types.Type, np.dtype)):
            known[p] = obj
    if known:
        node.args = []
        node.keywords = [ast.keyword(p, a) for p, a in given if p not in known]
    return known


def _constant(canonical: Canonical, a: ast.expr) -> Any:
    """The object that an argument stands for, if that is known now."""
    if isinstance(a, ast.Tuple):
        return tuple(_constant(canonical, item) for item in a.elts)
    if isinstance(a, ast.Constant):
        return a.value
    obj = canonical.resolve(a)
    return None if cuda_name(obj) in VALUES else obj


def _is_size(obj: object) -> bool:
    return isinstance(obj, (int, np.integer)) and not isinstance(obj, bool)


@functools.cache
def size_parameters(function: FunctionType) -> frozenset[str]:
    """The names that the shapes of a function's shared and local arrays are made of."""
    found: set[str] = set()
    for n in ast.walk(source_tree(function)):
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr == "array":
            found |= reads([*n.args[:1], *n.keywords])
    return frozenset(found)


def device_call(
    canonical: Canonical,
    node: ast.Call,
    function: FunctionType,
    args: list[ast.expr],
    keywords: dict[str, ast.expr],
    known: dict[str, Any],
) -> ast.expr:
    """A call of a device function, with every argument in its place."""
    name = canonical.unit.device(function, node, known)
    signature = inspect.signature(function).parameters
    parameters = [p for p in signature.values() if p.name not in known]
    bound = list(args)
    for p in parameters[len(args) :]:
        default = None if p.default is p.empty else canonical.value(p.default, node)
        if p.name in keywords:
            bound.append(keywords.pop(p.name))
        elif default is not None:
            bound.append(default)
    if keywords or len(bound) != len(parameters):
        fail(node, text_of(node), f"{function.__name__} takes {len(parameters)} arguments")
    return call(name, *bound)


def named_tuple(canonical: Canonical, node: ast.Call, kind: Any) -> ast.expr:
    """``Point(1, y=2)`` as a tuple with fields."""
    given = dict(zip(kind._fields, arguments(canonical, node, None)))
    given |= {str(k.arg): canonical.visit(k.value) for k in node.keywords}
    if given.keys() != set(kind._fields) or len(node.args) > len(kind._fields):
        fail(node, text_of(node), f"{kind.__name__} takes the fields {', '.join(kind._fields)}")
    return make_tuple([given[f] for f in kind._fields], kind._fields)


def local_call(canonical: Canonical, node: ast.Call) -> ast.expr:
    """A call of a function defined in the kernel, or of a method."""
    f = node.func
    if isinstance(f, ast.Name) and f.id in canonical.nested:
        return _nested_call(canonical, node, f.id)
    if not isinstance(f, ast.Attribute):
        fail(node, text_of(f), "the value of a variable cannot be called")
    if f.attr == "bit_count" and not node.args:
        return call("popc_", canonical.visit(f.value))
    if f.attr == "sync" and not node.args:
        return call("grid_sync_")
    inner = f.value
    dtype = f.attr == "type" and isinstance(inner, ast.Attribute) and inner.attr == "dtype"
    if not dtype and f.attr not in METHODS:
        owner = canonical.resolve(inner)
        if inspect.ismodule(owner) and not hasattr(owner, f.attr):
            fail(node, text_of(f), f"{owner.__name__} has no {f.attr!r}")
        fail(node, text_of(f), f"the method {f.attr!r} is not translated to the CPU")
    if node.keywords:
        fail(node, text_of(node), "keyword arguments are not translated for methods")
    f.value = canonical.visit(inner)
    node.args = [_method_argument(canonical, a) for a in node.args]
    return node


def _method_argument(canonical: Canonical, a: ast.expr) -> ast.expr:
    """An argument of a method; the dtype of a view is named as NumPy names it."""
    text = type_text(canonical.resolve(a))
    if text is None:
        return canonical.visit(a)
    if text[0] in "[(":
        fail(a, text_of(a), "a view cannot have a structured dtype")
    return call_np({"boolean": "bool_"}.get(text, text)).func


def _nested_call(canonical: Canonical, node: ast.Call, name: str) -> ast.expr:
    """What a function inside the kernel reads of the kernel becomes further arguments."""
    definition = clone(canonical.nested[name])
    a = definition.args
    if a.vararg or a.kwarg or a.kwonlyargs or a.posonlyargs or definition.decorator_list:
        fail(definition, name, "only ordinary positional parameters are translated")
    parameters = [p.arg for p in a.args]
    defaults = dict(zip(parameters[::-1], a.defaults[::-1]))
    given = dict(zip(parameters, arguments(canonical, node, None)))
    given |= {str(k.arg): canonical.visit(k.value) for k in node.keywords}
    for p in parameters:
        if p not in given and p in defaults:
            given[p] = canonical.visit(clone(defaults[p]))
    if given.keys() != set(parameters) or len(node.args) > len(parameters):
        fail(node, text_of(node), f"{name} takes {len(parameters)} arguments")
    if name in canonical.active:
        fail(node, text_of(node), "recursive functions cannot be inlined")
    own = set(parameters) | writes(definition.body)
    inside = canonical.enter(name, definition, own)
    a.defaults = []
    for p in a.args:
        p.annotation, p.arg = None, inside.renamed.get(p.arg, p.arg)
    definition.body = inside.statements(definition.body) or [ast.Pass()]
    outer = {canonical.renamed.get(v, v) for v in canonical.locals - own}
    free = sorted(reads(definition.body) & outer)
    a.args += [ast.arg(v) for v in free]
    device = f"{name}_{len(canonical.unit.devices)}_"
    canonical.unit.devices[device] = definition
    return call(device, *(given[p] for p in parameters), *(load(v) for v in free))
