"""The type of every variable, from Numba's own inference.

The normalised kernel is one ordinary serial function: barriers are left out, thread and block
indices are int32 parameters.  Numba infers its types with the same rules as for a GPU
(``float32 * 2.0`` is float64, ``int32 * int32`` is int64); the types decide how variables are
stored between barriers.  The function is compiled from the tree, not from text, so that a typing
error names the user's file and line.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from numba.core import compiler, errors, types
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import FunctionPass, PassManager, register_pass
from numba.core.registry import cpu_target

from . import runtime
from .dtypes import type_named
from .pipeline import UNTYPED, TypeInference, manager
from .rt_storage import stack_array
from .tree import BLOCK_VALUES, THREAD_INDICES, Names, clone, fail, function_name, is_sync, load
from .versions import split_versions

INDEX_PARAMETERS = [*THREAD_INDICES, *BLOCK_VALUES]


class _Stop(Exception):
    """Ends Numba's pipeline once the types are known."""

    def __init__(self, typemap: dict[str, Any]) -> None:
        super().__init__()
        self.typemap = typemap


@register_pass(mutates_CFG=False, analysis_only=True)
class _TakeTypes(FunctionPass):
    _name = "nnlite_take_types"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        raise _Stop(dict(state.typemap))


class _TypesOnly(CompilerBase):
    def define_pipelines(self) -> list[PassManager]:
        return [manager("types only", *UNTYPED, TypeInference, _TakeTypes)]


class _Serial(ast.NodeTransformer):
    """Barriers away, array declarations to stand-ins of the same type."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace

    def visit_Expr(self, s: ast.Expr) -> ast.stmt:
        gone = is_sync(s) or function_name(s.value) in ("effect_raise_", "effect_returned_")
        return ast.copy_location(ast.Pass(), s) if gone else self.generic_visit(s)  # type: ignore[return-value]

    def visit_Call(self, n: ast.Call) -> ast.expr:
        self.generic_visit(n)
        if function_name(n) not in ("shared_", "local_"):
            return n
        shape, dtype = declared(n)
        name = f"new_{len(self.namespace)}_"
        self.namespace[name] = stack_array(shape, dtype)
        return ast.Call(load(name), [], [])


def declared(n: ast.expr) -> tuple[tuple[int, ...], Any]:
    """(shape, Numba type) of a ``shared_((4, 4), 'float32')`` call."""
    assert isinstance(n, ast.Call)
    return ast.literal_eval(n.args[0]), type_named(ast.literal_eval(n.args[1]))


def variable_types(
    kernel: ast.FunctionDef, hidden: list[str], argument_types: tuple[Any, ...], names: Names
) -> dict[str, Any]:
    """Infer the type of every variable of the normalised kernel, which may get new ones."""
    found = assignment_types(kernel, hidden, argument_types)
    mixed = {name for name, ts in found.items() if len(set(ts)) > 1}
    if mixed and split_versions(kernel, mixed, names):
        found = assignment_types(kernel, hidden, argument_types)
    context = cpu_target.typing_context
    return {name: context.unify_types(*ts) for name, ts in found.items()}


def assignment_types(
    kernel: ast.FunctionDef, hidden: list[str], argument_types: tuple[Any, ...]
) -> dict[str, list[Any]]:
    """The types that Numba infers for the assignments of every variable."""
    namespace = runtime.namespace()
    serial = clone(kernel)
    serial.args.args += [ast.arg(name) for name in [*hidden, *INDEX_PARAMETERS]]
    serial = _Serial(namespace).visit(serial)
    module = ast.fix_missing_locations(ast.Module([serial], []))
    file = getattr(kernel, "file", "<kernel>")
    exec(compile(module, file, "exec"), namespace)
    signature = argument_types + (types.int32,) * len(INDEX_PARAMETERS)
    flags = compiler.Flags()
    flags.error_model = "numpy"
    try:
        compiler.compile_extra(
            cpu_target.typing_context,
            cpu_target.target_context,
            namespace[kernel.name],
            signature,
            None,
            flags,
            {},
            pipeline_class=_TypesOnly,
        )
    except _Stop as stop:
        return by_variable(stop.typemap)
    except errors.NumbaError as error:
        refuse(kernel, error)
    raise AssertionError("Numba's pipeline ended without types")


def refuse(kernel: ast.FunctionDef, error: errors.NumbaError) -> None:
    """Turn Numba's error into one that names the user's line."""
    where = ast.Pass()
    text = str(error)
    found = re.search(r'File "([^"]*)", line (\d+)', text)
    line = getattr(getattr(error, "loc", None), "line", None) or (found and int(found[2]))
    where.file = getattr(kernel, "file", "")  # type: ignore[attr-defined]
    where.lineno = line or kernel.lineno
    lines = [part.strip() for part in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()]
    said = [part for part in lines if part and not part.startswith(("Failed in", "File "))]
    own = [part.partition("NumbaTypeError: ")[2] for part in said if "NumbaTypeError: " in part]
    if own:  # said by one of our intrinsics
        fail(where, kernel.name, own[0])
    fail(where, kernel.name, "Numba cannot type this: " + " ".join(said[:4])[:300])


def by_variable(typemap: dict[str, Any]) -> dict[str, list[Any]]:
    """The types of all static single assignments, by variable."""
    versions: dict[str, list[Any]] = {}
    for name, t in typemap.items():
        if not name.startswith(("$", "arg.")):
            versions.setdefault(name.split(".")[0], []).append(types.unliteral(t))
    return versions
