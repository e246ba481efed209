"""The type of what a device function returns, by the rules that its callers are compiled with."""

from __future__ import annotations

import ast
from types import FunctionType, SimpleNamespace
from typing import Any

from numba.core import types

from .canonical import Unit, canonical
from .flatten import flatten
from .infer import variable_types
from .source import execute, source_tree


def result_type(function: FunctionType, argument_types: tuple[Any, ...]) -> Any:
    """Infer it from a kernel that does nothing but keep the result::

        def keep(a0, a1):
            kept = function(a0, a1)

    Args:
        function: the device function, a plain Python function.
        argument_types: the Numba type of each argument.

    Returns:
        The Numba type; ``types.none`` when nothing is returned.

    Raises:
        UnsupportedKernelError: the function cannot be translated or typed.
    """
    values = [n.value for n in ast.walk(source_tree(function)) if isinstance(n, ast.Return)]
    if all(v is None or getattr(v, "value", v) is None for v in values):
        return types.none
    names = ", ".join(f"a{i}" for i in range(len(argument_types)))
    scope: dict[str, Any] = {"function": SimpleNamespace(py_func=function)}
    execute(f"def keep({names}):\n    kept = function({names})\n", scope)
    unit = Unit()
    kernel = flatten(canonical(scope["keep"], unit), unit.devices, unit.names)
    return variable_types(kernel, list(unit.arrays), argument_types, unit.names).get(
        "kept", types.none
    )
