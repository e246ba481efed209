"""One kernel for one block shape and one set of argument types: from cache, or compiled now."""

from __future__ import annotations

import contextlib
import gc
import linecache
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any, NoReturn

import numpy as np
from numba.core.errors import NumbaError
from numba.core.types import int64

from ..errors import UnsupportedKernelError
from . import cache, signature
from .failures import Failure, loaded, stored
from .fingerprint import Fingerprint

FORMAT = 2


@dataclass
class Compiled:
    """A kernel that can be called.

    Attributes:
        entry: takes the arguments, the hidden arrays, the scratch buffer and the launch array.
        source: the generated Python source.
        arrays: hidden arguments, the kernel's global arrays.
        scratch_bytes: size of the scratch buffer each OS thread needs, 0 for none.
        failures: the places that may report an error.
        cooperative: one call is a generator for one block, which yields at each grid barrier.
        dynamic: the scratch buffer ends with the launch's dynamic shared memory.
        from_cache: True when nothing had to be compiled.
    """

    entry: Any
    source: str
    arrays: tuple[np.ndarray, ...]
    scratch_bytes: int
    failures: tuple[Failure, ...]
    cooperative: bool
    dynamic: bool
    from_cache: bool


def compiled(
    function: FunctionType,
    mark: Fingerprint,
    frozen: list[np.ndarray],
    block: tuple[int, int, int],
    args: tuple[Any, ...],
    fastmath: bool,
    debug: bool,
) -> Compiled:
    """Load or compile; ``frozen`` are the copies of ``mark.arrays`` that the kernel will read."""
    name = function.__name__
    kinds = signature.argument_types(name, args)
    signs = signature.nonnegative(args)
    key = cache.file_key(
        FORMAT, mark.digest, block, [signature.described(t) for t in kinds], signs, fastmath, debug
    )
    record = cache.read(name, key)
    if record is not None:
        try:
            return Compiled(
                cache.load_code(record["code"]),
                record["source"],
                tuple(frozen[i] for i in record["arrays"]),
                record["scratch_bytes"],
                loaded(record["failures"], mark.exceptions),
                record["cooperative"],
                record["dynamic"],
                True,
            )
        except Exception:
            record = None
    with paused_collection():
        return _compile(function, mark, frozen, block, kinds, signs, fastmath, debug, key)


@contextlib.contextmanager
def paused_collection() -> Iterator[None]:
    """No search for cyclic garbage, which takes a fifth of a compilation and finds little."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _compile(
    function: FunctionType,
    mark: Fingerprint,
    frozen: list[np.ndarray],
    block: tuple[int, int, int],
    kinds: tuple[Any, ...],
    signs: tuple[bool, ...],
    fastmath: bool,
    debug: bool,
    key: str,
) -> Compiled:
    from . import runtime
    from .translate import LAUNCH_TYPE, SCRATCH_TYPE, translate

    def hidden_type(a: np.ndarray) -> Any:
        return signature.array_type(a, f"{function.__name__}: a global array")

    program = translate(function, block, kinds, signs, fastmath, debug, hidden_type, key)
    file = f"<nnlite {program.name}>"
    linecache.cache[file] = (len(program.source), None, program.source.splitlines(True), file)
    namespace = runtime.namespace()
    exec(compile(program.source, file, "exec"), namespace)
    dispatcher = namespace[program.name]
    hidden = tuple(hidden_type(a) for a in program.arrays)
    scratch = (SCRATCH_TYPE,) if program.scratch_bytes or program.dynamic else ()
    number = (int64,) if program.cooperative else ()
    types = (*signature.leaf_types(kinds), *hidden, *scratch, LAUNCH_TYPE, *number)
    try:
        dispatcher.compile(types)
    except (NumbaError, NotImplementedError) as error:
        _refuse(function, program.source, error)
    result = dispatcher.overloads[types]
    order = [_position(mark.arrays, a) for a in program.arrays]
    arrays = tuple(program.arrays if None in order else (frozen[i] for i in order if i is not None))
    code = None if None in order else cache.dump_code(result)
    failures = stored(program.failures, mark.exceptions)
    if code is not None and failures is not None:
        record = {
            "source": program.source,
            "arrays": order,
            "scratch_bytes": program.scratch_bytes,
            "failures": failures,
            "cooperative": program.cooperative,
            "dynamic": program.dynamic,
            "code": code,
        }
        cache.write(function.__name__, key, record)
    return Compiled(
        result.entry_point,
        program.source,
        arrays,
        program.scratch_bytes,
        program.failures,
        program.cooperative,
        program.dynamic,
        False,
    )


def _refuse(function: FunctionType, source: str, error: Exception) -> NoReturn:
    """What Numba cannot lower, at the line that the generated source notes for its region."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    at = [int(n) for n in re.findall(r"\((\d+)\)\s*$", text, re.MULTILINE)]
    noted = re.findall(r"# lines (\d+)-", "\n".join(source.splitlines()[: at[-1]])) if at else []
    code = function.__code__
    line = int(noted[-1]) if noted else code.co_firstlineno
    said = [part.strip() for part in text.splitlines() if part.strip()]
    reason = " ".join(part for part in said if not part.startswith("Failed in"))[:300]
    raise UnsupportedKernelError(
        code.co_filename, line, function.__name__, f"Numba cannot compile this: {reason}"
    ) from error


def _position(arrays: list[np.ndarray], wanted: np.ndarray) -> int | None:
    return next((i for i, a in enumerate(arrays) if a is wanted), None)
