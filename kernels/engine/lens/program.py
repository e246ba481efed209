"""Compile the checked form of a kernel: all passes in order, from cache if possible."""

from __future__ import annotations

import ast
import functools
import hashlib
import linecache
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from numba.core.errors import NumbaError
from numba.core.types import int64

from ..cpu import cache, runtime, signature
from ..cpu.arguments import spread_arguments
from ..cpu.canonical import Unit, canonical
from ..cpu.compile import _refuse, paused_collection
from ..cpu.failures import Failure, loaded, stored
from ..cpu.fingerprint import Fingerprint
from ..cpu.flatten import flatten
from ..cpu.infer import variable_types
from ..cpu.records import name_fields
from ..cpu.translate import LAUNCH_TYPE, SCRATCH_TYPE
from ..cpu.tree import THREAD_INDICES, reads
from ..cpu.tuples import require_known
from ..cpu.webs import split_webs
from . import access, access_atomics, access_fields, exchange
from .instrument import Instrument
from .sites import Declared, Site, detach_masks, mark_returns
from .state import BLOCK_DIM, GRID_DIM, SLOT, THREAD

FORMAT = 1
BUFFERS = (SCRATCH_TYPE, SCRATCH_TYPE, LAUNCH_TYPE, LAUNCH_TYPE)


@dataclass
class Program:
    """A kernel in its checked form.

    Attributes:
        entry: takes the arguments, global arrays, shared and local memory, state, launch array,
            thread and block. A generator for one thread if ``waits``, else it runs a whole block.
        sites: the places that findings name, the first has number 1.
        shared, local: the arrays that the kernel declares; ``shared_bytes``, ``local_bytes``: what
            they need per block and per thread.
        parameters: names of the array arguments.
        arrays: the kernel's global arrays.
        failures: errors that the kernel itself raises.
        source: the generated Python source.
    """

    entry: Any
    sites: tuple[Site, ...]
    shared: tuple[Declared, ...]
    local: tuple[Declared, ...]
    shared_bytes: int
    local_bytes: int
    parameters: tuple[str, ...]
    arrays: tuple[np.ndarray, ...]
    failures: tuple[Failure, ...]
    waits: bool
    source: str


@functools.cache
def _own_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _lines(mark: Fingerprint) -> list[Any]:
    """Where the kernel and its device functions stand: reports name lines, the fingerprint none."""
    codes = [f.__code__ for f in mark._seen]
    return [(c.co_filename, c.co_firstlineno, list(c.co_lines())) for c in codes]


def program(
    function: FunctionType,
    args: tuple[Any, ...],
    fastmath: bool = False,
    debug: bool = False,
    instrument: type[Instrument] = Instrument,
) -> Program:
    """The form of a kernel that ``instrument`` makes, for these argument types.

    Raises:
        UnsupportedKernelError: the kernel uses a construct that is not translated.
    """
    kinds = signature.argument_types(function.__name__, args)
    mark = Fingerprint(function)
    described = [signature.described(t) for t in kinds]
    key = cache.file_key(
        instrument.__name__,
        FORMAT,
        _own_digest(),
        mark.digest,
        _lines(mark),
        described,
        fastmath,
        debug,
    )
    name = f"{function.__name__}-{instrument.label}"
    record = cache.read(name, key)
    if record is not None:
        try:
            arrays = tuple(mark.arrays[i] for i in record.pop("order"))
            failures = loaded(record.pop("failures"), mark.exceptions)
            entry = cache.load_code(record.pop("code"))
            return Program(entry=entry, arrays=arrays, failures=failures, **record)
        except Exception:
            record = None
    with paused_collection():
        return _compile(function, mark, kinds, fastmath, debug, instrument, name, key)


def _compile(
    function: FunctionType,
    mark: Fingerprint,
    kinds: tuple[Any, ...],
    fastmath: bool,
    debug: bool,
    form: type[Instrument],
    name: str,
    key: str,
) -> Program:
    unit = Unit(debug, masks=True)
    kernel = canonical(function, unit)
    if len(kernel.args.args) != len(kinds):
        raise TypeError(
            f"{function.__name__} takes {len(kernel.args.args)} arguments, got {len(kinds)}"
        )
    spread_arguments(kernel, kinds, unit.names)
    leaves = signature.leaf_types(kinds)
    parameters = [a.arg for a in kernel.args.args]
    sites: list[Site] = []
    kernel.body = mark_returns(kernel.body, sites)
    kernel = flatten(kernel, unit.devices, unit.names)
    require_known(kernel.body)
    kernel.body = detach_masks(kernel.body, unit.names)
    split_webs(kernel, unit.names)

    def typeof(a: np.ndarray) -> Any:
        return signature.array_type(a, f"{function.__name__}: a global array")

    hidden = tuple(typeof(a) for a in unit.arrays.values())
    types_of = variable_types(kernel, list(unit.arrays), leaves + hidden, unit.names)
    name_fields(kernel, types_of)
    for parameter, kind in zip([*parameters, *unit.arrays], leaves + hidden):
        types_of.setdefault(parameter, kind)
    instrument = form(types_of, unit.names, sites)
    body = instrument.body(kernel.body)
    text_name = f"{form.label}_{function.__name__}_{key}"
    options = True if fastmath else {"contract"}
    source = _source(text_name, [*parameters, *unit.arrays], body, instrument, options)
    types = (*leaves, *hidden, *BUFFERS, int64, int64)
    result = _native(function, source, text_name, types, instrument.functions)
    order = [_position(mark.arrays, a) for a in unit.arrays.values()]
    made: dict[str, Any] = {
        "sites": tuple(sites),
        "shared": tuple(instrument.shared),
        "local": tuple(instrument.local),
        "shared_bytes": instrument.sizes["shared_"],
        "local_bytes": instrument.sizes["local_"],
        "parameters": (*parameters, *_global_names(function, unit.arrays)),
        "waits": instrument.waits,
        "source": source,
    }
    code = None if None in order else cache.dump_code(result)
    failures = stored(tuple(unit.failures), mark.exceptions)
    if code is not None and failures is not None:
        cache.write(name, key, {**made, "order": order, "code": code, "failures": failures})
    return Program(
        entry=result.entry_point,
        arrays=tuple(unit.arrays.values()),
        failures=tuple(unit.failures),
        **made,
    )


def _source(
    name: str, parameters: list[str], body: list[ast.stmt], instrument: Instrument, options: Any
) -> str:
    """The text of the function: one thread, or a loop over all threads of a block."""
    dynamic = instrument.sizes["shared_"]
    used = reads(body)
    depth = 1 if instrument.waits else 2
    lines = [m.replace("DYNAMIC", str(dynamic)) for m in instrument.makers]
    given = [*parameters, "shared_", "local_", "lens_", "launch_", "t_", "b_"]
    lines += ["", f"@native(fastmath={options!r})", f"def {name}({', '.join(given)}):"]
    for k, d in enumerate("xyz"):
        for kind, at in (("bdim", BLOCK_DIM), ("gdim", GRID_DIM)):
            if f"{kind}_{d}_" in used:
                lines.append(f"    {kind}_{d}_ = np.int32(lens_[{at + k}])")
        if f"bid_{d}_" in used:
            lines.append(f"    bid_{d}_ = np.int32({_part('b_', GRID_DIM, k)})")
    if not instrument.waits:
        sizes = " * ".join(f"lens_[{BLOCK_DIM + k}]" for k in range(3))
        lines.append(f"    for t_ in range({sizes}):")
        lines.append(f"        lens_[{THREAD}] = lens_[{SLOT}] = t_")
    indent = "    " * depth
    for k, tid in enumerate(THREAD_INDICES):
        if tid in used:
            lines.append(f"{indent}{tid} = np.int32({_part('t_', BLOCK_DIM, k)})")
    size = instrument.sizes["local_"]
    if size:
        slot = f"lens_[{SLOT}]"
        lines.append(f"{indent}mine_ = local_[{slot} * {size} : ({slot} + 1) * {size}]")
    for s in body:
        text = ast.unparse(ast.fix_missing_locations(s))
        lines += [indent + line for line in text.split("\n")]
    return "\n".join(lines) + "\n"


def _part(number: str, sizes: int, axis: int) -> str:
    """The position along an axis of a block or thread with this number."""
    x, y = f"lens_[{sizes}]", f"lens_[{sizes + 1}]"
    return (f"{number} % {x}", f"{number} // {x} % {y}", f"{number} // ({x} * {y})")[axis]


def _native(
    function: FunctionType,
    source: str,
    name: str,
    types: tuple[Any, ...],
    functions: Mapping[str, Any],
) -> Any:
    file = f"<nnlite {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    namespace = runtime.namespace()
    for family in (access, access_atomics, access_fields, exchange):
        namespace.update(family.FUNCTIONS)
    namespace.update(functions)
    exec(compile(source, file, "exec"), namespace)
    dispatcher = namespace[name]
    try:
        dispatcher.compile(types)
    except (NumbaError, NotImplementedError) as error:
        _refuse(function, source, error)
    return dispatcher.overloads[types]


def _position(arrays: list[np.ndarray], wanted: np.ndarray) -> int | None:
    return next((i for i, a in enumerate(arrays) if a is wanted), None)


def _global_names(function: FunctionType, arrays: dict[str, np.ndarray]) -> list[str]:
    """The names by which the kernel's module knows its global arrays."""
    names = {id(v): k for k, v in function.__globals__.items() if isinstance(v, np.ndarray)}
    return [names.get(id(a), hidden.rstrip("_")) for hidden, a in arrays.items()]
