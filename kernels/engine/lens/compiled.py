"""The functions of ``shadow`` as machine code, from the cache on disk if they are there.

Compiled kernels call them by address, as C functions, so that they are compiled once for all.
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import Any, NamedTuple

from numba import njit, types
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target

from ..cpu import cache
from . import shadow, state
from .shadow import report, touch

POINTER = types.CPointer(types.int64)
INT = types.int64
TYPES = {touch: INT(POINTER, POINTER, INT, INT, INT, INT), report: INT(POINTER, *(INT,) * 9)}


class Compiled(NamedTuple):
    """A function of ``shadow`` as machine code; ``result`` keeps it in memory."""

    address: int
    result: Any


@functools.cache
def functions() -> tuple[Compiled, Compiled]:
    """``touch`` and ``report``."""
    own = [Path(file).read_bytes() for file in (shadow.__file__, state.__file__)]
    key = cache.file_key("shadow", own)
    record = cache.read("shadow", key)
    if record is not None:
        with contextlib.suppress(Exception):
            context = cpu_target.target_context
            found = [CompileResult._rebuild(context, *record[f.__name__]) for f in (touch, report)]
            return _addressed(found[0]), _addressed(found[1])
    results = [_compiled(f) for f in (touch, report)]
    codes = [cache.dump_code(r) for r in results]
    if None not in codes:
        cache.write("shadow", key, {"touch": codes[0], "report": codes[1]})
    return _addressed(results[0]), _addressed(results[1])


def _compiled(function: Any) -> Any:
    kind = TYPES[function]
    dispatcher = njit(kind, error_model="numpy", nogil=True, _nrt=False)(function)
    return dispatcher.overloads[kind.args]


def _addressed(result: Any) -> Compiled:
    name = result.fndesc.llvm_cfunc_wrapper_name
    return Compiled(result.library.get_pointer_to_function(name), result)
