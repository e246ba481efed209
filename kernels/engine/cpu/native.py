"""Python functions as machine code that is compiled once for all processes: kept on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target

from . import cache


def compiled_functions(
    name: str, kinds: Mapping[Any, Any], *files: str, allocates: bool = False
) -> list[CompileResult]:
    """The functions, which release the GIL, from the cache if they are there.

    Args:
        name: of their common file in the cache.
        kinds: Numba signature of each function.
        files: Python files outside this folder that hold them or what they call.
        allocates: whether they make arrays.
    """
    signatures = [str(kind) for kind in kinds.values()]
    key = cache.file_key(name, signatures, [Path(file).read_bytes() for file in files])
    record = cache.read(name, key)
    if record is not None:
        with contextlib.suppress(Exception):
            context = cpu_target.target_context
            return [CompileResult._rebuild(context, *record[f.__name__]) for f in kinds]
    results = [_compiled(f, kind, allocates) for f, kind in kinds.items()]
    codes = {f.__name__: cache.dump_code(r) for f, r in zip(kinds, results)}
    if None not in codes.values():
        cache.write(name, key, codes)
    return results


def address(result: CompileResult) -> int:
    """Of the function as a C function; valid as long as ``result`` is kept."""
    return result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)


def _compiled(function: Callable[..., Any], kind: Any, allocates: bool) -> CompileResult:
    dispatcher = njit(kind, error_model="numpy", nogil=True, _nrt=allocates)(function)
    return dispatcher.overloads[kind.args]
