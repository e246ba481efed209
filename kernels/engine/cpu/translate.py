"""From a Python function to the source text of its CPU version: all passes in order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np
from numba.core import types

from .arguments import spread_arguments
from .canonical import Unit, canonical
from .dtypes import itemsize
from .emit import Emitter
from .failures import Failure
from .flatten import flatten
from .flow import Variables
from .infer import declared, variable_types
from .intervals import Signs
from .loops import schedule
from .magnitudes import Magnitudes
from .records import name_fields
from .regions import Splitter
from .signature import leaf_types
from .tree import function_name, walk
from .tuples import require_known
from .webs import split_webs

LAUNCH_TYPE = types.Array(types.int64, 1, "C")
SCRATCH_TYPE = types.Array(types.uint8, 1, "C")


@dataclass(frozen=True)
class Program:
    """A translated kernel: readable source, and what a launch must pass besides the arguments.

    ``dynamic``: the dynamic shared memory of the launch follows the scratch bytes.
    """

    name: str
    source: str
    arrays: list[np.ndarray]
    scratch_bytes: int
    failures: tuple[Failure, ...]
    cooperative: bool
    dynamic: bool


def translate(
    function: FunctionType,
    block: tuple[int, int, int],
    argument_types: tuple[Any, ...],
    nonnegative: tuple[bool, ...],
    fastmath: bool,
    debug: bool,
    typeof: Any,
    suffix: str,
) -> Program:
    """Translate for one block shape, one set of argument types and argument signs.

    ``typeof`` gives the Numba type of a global array, which becomes a hidden argument.  ``suffix``
    makes the name of the result unique: machine code from disk is linked by name.
    """
    unit = Unit(debug)
    kernel = canonical(function, unit)
    if len(kernel.args.args) != len(argument_types):
        raise TypeError(
            f"{function.__name__} takes {len(kernel.args.args)} arguments, "
            f"got {len(argument_types)}"
        )
    spread_arguments(kernel, argument_types, unit.names)
    argument_types = leaf_types(argument_types)
    parameters = [a.arg for a in kernel.args.args]
    kernel = flatten(kernel, unit.devices, unit.names)
    require_known(kernel.body)
    split_webs(kernel, unit.names)
    hidden_types = tuple(typeof(a) for a in unit.arrays.values())
    types_of = variable_types(kernel, list(unit.arrays), argument_types + hidden_types, unit.names)
    name_fields(kernel, types_of)
    body = schedule(kernel.body, types_of, unit.names, block)
    variables = Variables(body, types_of, set(parameters))
    splitter = Splitter(variables, unit.names)
    positive = {p for p, known in zip(parameters, nonnegative) if known}
    signs = Signs(variables.defs, types_of, set(parameters), positive)
    magnitudes = Magnitudes(variables.defs, types_of, positive)
    emitter = Emitter(splitter, signs, magnitudes, block, [*parameters, *unit.arrays])
    emitter.failures += unit.failures
    options = True if fastmath else {"contract"}
    checked = ", boundscheck=True" if debug else ""
    decorator = f"@native(fastmath={options!r}{checked})"
    name = f"{kernel.name}_{suffix}"
    source = emitter.function(name, decorator)
    header = f"# {function.__module__}.{function.__qualname__} for blocks of {block}\n"
    for parameter, kind in zip(parameters, argument_types):
        header += f"#   {parameter}: {kind}\n"
    return Program(
        name,
        header + source,
        list(unit.arrays.values()),
        emitter.storage.scratch_bytes,
        tuple(emitter.failures),
        emitter.cooperative,
        emitter.storage.dynamic,
    )


def shared_bytes(function: FunctionType) -> int:
    """Bytes of shared memory that a kernel and its device functions declare."""
    unit = Unit()
    kernel = canonical(function, unit)
    total = 0
    for n in walk([kernel, *unit.devices.values()]):
        if function_name(n) == "shared_":
            shape, dtype = declared(n)  # type: ignore[arg-type]
            total += math.prod(shape) * itemsize(dtype)
    return total
