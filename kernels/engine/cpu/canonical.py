"""From the user's kernel to a syntax tree in which every name has one meaning.

Each global or closure variable is resolved as Numba resolves it (frozen now), each name of
``numba.cuda`` becomes a compiler name, and whatever the compiler cannot translate is refused
with its file and line.

Before::                                 After::

    i = cuda.grid(1)                         i = bid_x_ * bdim_x_ + tid_x_
    s = cuda.shared.array(TILE, float32)     s = shared_((16,), 'float32')
    v = float32(ALPHA)                       v = np.float32(0.5)
    if FLAG: ...                             (FLAG is False: gone)
"""

from __future__ import annotations

import ast
import builtins
import enum
import inspect
import math
from types import FunctionType
from typing import Any

import numpy as np

from . import calls, debug, local_calls
from . import names as table
from .calls_collective import VALUES
from .failures import Failure
from .folding import Folding, call_np, replace
from .iteration import lower_for, lower_while
from .source import environment, source_tree
from .tree import (
    MODULES,
    Names,
    clone,
    const,
    fail,
    load,
    parse,
    text_of,
    walk,
    writes,
)
from .tuples import make_tuple

MISSING = object()


class Unit:
    """What one kernel and the device functions it calls share during compilation."""

    def __init__(self, debug: bool = False, masks: bool = False) -> None:
        """``masks``: warp operations keep the masks that they are given."""
        self.debug, self.masks = debug, masks
        self.failures: list[Failure] = []
        self.names = Names()
        self.arrays: dict[str, np.ndarray] = {}
        self.devices: dict[str, ast.FunctionDef] = {}
        self._by_function: dict[tuple[Any, ...], str] = {}

    def hidden_array(self, array: np.ndarray) -> str:
        """The argument name of a global array."""
        for name, known in self.arrays.items():
            if known is array:
                return name
        name = f"array{len(self.arrays)}_"
        self.arrays[name] = array
        return name

    def device(self, function: FunctionType, node: ast.AST, known: dict[str, Any]) -> str:
        """Canonicalise a device function once; returns the name that calls use.

        ``known`` are the parameters that stand for functions, types and array sizes.
        """
        key = function, *((p, id(v) if callable(v) else repr(v)) for p, v in known.items())
        name = self._by_function.get(key)
        if name is None:
            name = f"{function.__name__}_{len(self._by_function)}_"
            self._by_function[key] = name
            self.devices[name] = canonical(function, self, known)
        elif name not in self.devices:
            fail(node, text_of(node), "recursive device functions cannot be inlined")
        return name


def canonical(
    function: FunctionType, unit: Unit, known: dict[str, Any] | None = None
) -> ast.FunctionDef:
    """Run the pass on one function; ``known`` parameters become constants."""
    definition = source_tree(function)
    definition.decorator_list, definition.returns = [], None
    a = definition.args
    if a.vararg or a.kwarg or a.kwonlyargs or a.posonlyargs:
        fail(definition, definition.name, "only ordinary positional parameters are translated")
    for parameter in a.args:
        parameter.annotation = None
    a.args = [p for p in a.args if p.arg not in (known or {})]
    pass_ = Canonical(function, definition, unit)
    pass_.env |= known or {}
    for name in sorted(pass_.locals.intersection(known or ())):
        fail(definition, name, "a parameter that stands for a type or function cannot be assigned")
    definition.body = pass_.statements(definition.body)
    for parameter in a.args:
        parameter.arg = pass_.renamed.get(parameter.arg, parameter.arg)
    definition.defaults = a.defaults  # type: ignore[attr-defined]
    a.defaults = []
    return definition


class Canonical(Folding):
    """The tree transformer of this pass; ``Folding`` evaluates constants."""

    def __init__(self, function: FunctionType, definition: ast.FunctionDef, unit: Unit) -> None:
        self.function, self.unit = function, unit
        self.env = environment(function)
        self.locals = {p.arg for p in definition.args.args} | writes(definition.body)
        self.locals |= {n.name for n in walk(definition.body) if isinstance(n, ast.FunctionDef)}
        self.nested: dict[str, ast.FunctionDef] = {}
        self.tuple_lengths = local_calls.literal_lengths(definition)
        self.numbers = local_calls.literal_numbers(definition)
        self.active: frozenset[str] = frozenset()
        self.renamed = {
            name: unit.names.fresh(name if name.strip("_") else "v")
            for name in sorted(self.locals)
            if name.endswith("_") or "__" in name or hasattr(builtins, name) or name in MODULES
        }

    def enter(self, name: str, definition: ast.FunctionDef, own: set[str]) -> Canonical:
        """The pass for a function defined inside this one; ``own`` are its own variables."""
        inside = Canonical(self.function, definition, self.unit)
        outer = self.locals - own
        inside.locals |= outer
        inside.renamed |= {v: new for v, new in self.renamed.items() if v in outer}
        inside.nested, inside.active = self.nested, self.active | {name}
        return inside

    # -- resolving names ----------------------------------------------------------------------
    def resolve(self, node: ast.expr) -> Any:
        """The Python object behind a dotted global name, or MISSING."""
        if isinstance(node, ast.Name):
            if node.id in self.locals:
                return MISSING
            if node.id in self.env:
                return self.env[node.id]
            if hasattr(builtins, node.id):
                return getattr(builtins, node.id)
            fail(node, node.id, "the name is not defined")
        if isinstance(node, ast.Attribute):
            base = self.resolve(node.value)
            if base is MISSING or not table.is_namespace(base):
                return MISSING
            return table.member(base, node.attr, MISSING)
        return MISSING

    def constant(self, node: ast.expr, what: str) -> Any:
        """The value of an expression that Numba wants to know when it compiles."""
        for n in ast.walk(node):
            if isinstance(n, ast.Name) and n.id in self.locals - self.numbers.keys():
                fail(node, text_of(node), f"{what} must be a compile-time constant")
        try:
            code = compile(ast.Expression(clone(node)), "<constant>", "eval")
            return eval(code, self.env, self.numbers)
        except Exception as error:
            fail(node, text_of(node), f"{what} must be a compile-time constant ({error})")

    def value(self, obj: Any, node: ast.expr) -> ast.expr | None:
        """The literal for a frozen global, or None when it is no value."""
        if isinstance(obj, np.generic) and table.scalar_type_name(obj.dtype):
            return call_np(obj.dtype.name, self.value(obj.item(), node))
        if isinstance(obj, (bool, str)) or obj is None:
            return const(obj)
        if isinstance(obj, int):
            return const(int(obj))
        if isinstance(obj, enum.Enum):  # compared with other members only, as their values are
            return self.value(obj.value, node)
        if isinstance(obj, complex):
            return const(complex(obj))
        if isinstance(obj, float):
            return parse("np.nan") if math.isnan(obj) else const(obj)
        if isinstance(obj, tuple):
            items = [self.value(item, node) for item in obj]
            if all(item is not None for item in items):
                return make_tuple(items, getattr(obj, "_fields", ()))  # type: ignore[arg-type]
        array = table.global_array(obj)
        return None if array is None else load(self.unit.hidden_array(array))

    # -- expressions --------------------------------------------------------------------------
    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.locals:
            node.id = self.renamed.get(node.id, node.id)
            return node
        return self.global_value(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        base = self.resolve(node.value)
        if isinstance(base, enum.Enum) and node.attr in ("value", "name"):
            value = self.value(getattr(base, node.attr), node)
            if value is not None:
                return replace(node, value)
        prefix = None if base is MISSING else table.index_prefix(base)
        if prefix is not None:
            if node.attr not in ("x", "y", "z"):
                fail(node, text_of(node), "an index has the parts x, y and z")
            return replace(node, load(f"{prefix}_{node.attr}_"))
        if base is not MISSING and table.is_namespace(base):
            return self.global_value(node)
        node.value = self.visit(node.value)
        return node

    # -- statements ---------------------------------------------------------------------------
    def visit_For(self, node: ast.For) -> list[ast.stmt]:
        return lower_for(self, node)

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        return debug.raise_statement(self, node)

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        return debug.assert_statement(self, node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AugAssign:
        self.generic_visit(node)
        debug.mark_checked(self, node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        debug.mark_checked(self, node)
        return node

    def visit_While(self, node: ast.While) -> list[ast.stmt]:
        return lower_while(self, node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> list[ast.stmt]:
        self.nested[node.name] = node
        return []

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        fail(node, "lambda", "give it a name by an assignment of its own, and call that")

    def visit_Assign(self, node: ast.Assign) -> Any:
        name = node.targets[0]
        if not isinstance(node.value, ast.Lambda) or not isinstance(name, ast.Name):
            return self.generic_visit(node)
        self.nested[name.id] = local_calls.as_function(name.id, node.value)
        return []

    def global_value(self, node: ast.expr) -> ast.expr:
        obj = self.resolve(node)
        if obj is MISSING:
            fail(node, text_of(node), "the name is not defined")
        name = table.cuda_name(obj)
        if name in VALUES:
            return replace(node, VALUES[name]())
        prefix = table.index_prefix(obj)
        if prefix is not None:
            parts: list[ast.expr] = [load(f"{prefix}_{d}_") for d in "xyz"]
            return replace(node, make_tuple(parts, ("x", "y", "z")))
        value = self.value(obj, node)
        if value is None:
            if table.is_cuda_object(obj):
                fail(node, text_of(node), table.why_unsupported(text_of(node)))
            kind = type(obj).__name__
            fail(node, text_of(node), f"a global of type {kind} cannot be used as a value")
        return replace(node, value)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        obj = self.resolve(node.func)
        if obj is MISSING:
            return replace(node, local_calls.local_call(self, node))
        name = table.cuda_name(obj)
        if name in calls.UNEVALUATED:
            return replace(node, calls.UNEVALUATED[name](self, node))
        function = table.python_function(obj)
        if self.unit.masks and hasattr(obj, "watched"):
            function = obj.watched
        if name is not None and name not in calls.HANDLERS:
            fail(node, text_of(node.func), table.why_unsupported(name))
        if name is None and table.is_cuda_object(function or obj) and not table.is_jitted(obj):
            fail(node, text_of(node.func), table.why_unsupported(text_of(node.func)))
        if inspect.isfunction(obj) and name is None and not table.is_cuda_object(obj):
            why = "a plain Python function, which no GPU takes; decorate it: @cuda.jit(device=True)"
            fail(node, text_of(node.func), why)
        if name is None and function is None and local_calls.is_named_tuple(obj):
            return replace(node, local_calls.named_tuple(self, node, obj))
        known = local_calls.known_arguments(self, node, function) if function else {}
        args = local_calls.arguments(self, node, function)
        keywords = {str(k.arg): self.visit(k.value) for k in node.keywords}
        if name is not None:
            return replace(node, calls.HANDLERS[name](self, node, args, keywords))
        if function is not None:
            made = local_calls.device_call(self, node, function, args, keywords, known)
            return replace(node, made)
        if keywords:
            fail(node, text_of(node), "keyword arguments are not translated for this function")
        return replace(node, calls.library_call(node, obj, args))
