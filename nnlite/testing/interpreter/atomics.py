"""``cuda.atomic``: one thread runs at a time, so an atomic operation is an ordinary one.

Each changes one element and returns what it held before.  The operand is cast to the type of the
array.  ``max`` and ``min`` leave the element alone when either side is NaN, ``nanmax`` and
``nanmin`` when the operand is (numba-cuda's own definitions).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arithmetic import binary, cast


def _inc(old: Any, value: Any) -> Any:
    return 0 if old >= value else int(old) + 1


def _dec(old: Any, value: Any) -> Any:
    return value if old == 0 or old > value else int(old) - 1


def _nan_wins(choose: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda old, value: old if old != old or value != value else choose(old, value)


def _nan_loses(choose: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def operation(old: Any, value: Any) -> Any:
        return value if old != old else old if value != value else choose(old, value)

    return operation


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda old, value: binary("+", old, value),
    "sub": lambda old, value: binary("-", old, value),
    "and_": lambda old, value: old & value,
    "or_": lambda old, value: old | value,
    "xor": lambda old, value: old ^ value,
    "exch": lambda old, value: value,
    "inc": _inc,
    "dec": _dec,
    "max": _nan_wins(max),
    "min": _nan_wins(min),
    "nanmax": _nan_loses(max),
    "nanmin": _nan_loses(min),
}


def _atomic(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    def atomic(array: np.ndarray, index: Any, value: Any) -> Any:
        old = array[index]
        array[index] = cast(operation(old, cast(value, array.dtype)), array.dtype)
        return old

    return atomic


def cas(array: np.ndarray, index: Any, old: Any, value: Any) -> Any:
    """Store ``value`` where the element equals ``old``."""
    found = array[index]
    if found == cast(old, array.dtype):
        array[index] = cast(value, array.dtype)
    return found


def compare_and_swap(array: np.ndarray, old: Any, value: Any) -> Any:
    """``cas`` on the first element."""
    return cas(array, 0, old, value)


ATOMICS: dict[str, Callable[..., Any]] = {
    **{name: _atomic(operation) for name, operation in OPERATIONS.items()},
    "cas": cas,
    "compare_and_swap": compare_and_swap,
}
