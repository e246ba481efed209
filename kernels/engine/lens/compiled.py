"""The functions of ``shadow`` as machine code, from the cache on disk if they are there.

Compiled kernels call them by address, as C functions, so that they are compiled once for all.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from numba import types

from ..cpu.native import address, compiled_functions
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
    found = compiled_functions("shadow", TYPES, shadow.__file__, state.__file__)
    return Compiled(address(found[0]), found[0]), Compiled(address(found[1]), found[1])
