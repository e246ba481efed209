"""What records requests and what counts them, as machine code from the cache on disk."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from numba import types

from ...cpu.native import address, compiled_functions
from .. import shadow, state
from . import recorder, requests

INT = types.int64
POINTER = types.CPointer(INT)
LINE, TABLE, CUBE, SAMPLES = (types.Array(INT, n, "C") for n in (1, 2, 3, 4))
TOUCHED = types.Array(types.uint8, 1, "C")
COUNTED = (LINE, CUBE, SAMPLES, TABLE, TABLE, INT, TOUCHED, LINE)
KINDS = {
    recorder.record: INT(POINTER, POINTER, INT, INT, INT, INT),
    requests.count: types.void(*COUNTED),
}


class Functions(NamedTuple):
    """``recorder.record`` by its address, ``requests.count`` to call; ``kept`` holds both."""

    record: int
    add: Callable[..., None]
    kept: Any


@functools.cache
def functions() -> Functions:
    files = [str(module.__file__) for module in (shadow, state, recorder, requests)]
    kept = compiled_functions("profiler", KINDS, *files, allocates=True)
    return Functions(address(kept[0]), kept[1].entry_point, kept)
