"""What a launch's arguments mean for the compiler.

``launch_key`` runs at every launch and is kept cheap; two launches with one key run one compiled
function.  ``argument_types`` runs when a key is new.  Layout counts (C, Fortran or any strides), as
does whether integers are ordinary sizes (0 to 2**47): an index from such arguments needs no test
for negative indexing.  Read-only arrays are taken for writable ones, as CUDA does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.np import numpy_support

from ..errors import ArgumentError, DtypeError

_C, _F, _ALIGNED = 0x1, 0x2, 0x100
_LAYOUT = _C | _F | _ALIGNED
_INTEGERS = frozenset(
    {int, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64}
    | {np.intc, np.uintc, np.longlong, np.ulonglong}
)
_DTYPES = frozenset("?bhilqBHILQfd")


TOO_LARGE = 2**47
"""No array has so many elements."""


def launch_key(block: tuple[int, int, int], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """A hashable summary of the block shape and the arguments."""
    key: list[Any] = [block]
    add = key.append
    for a in args:
        kind = type(a)
        add(kind)
        if kind is np.ndarray:
            add(a.dtype)
            add(a.ndim)
            add(a.flags.num & _LAYOUT)
        elif kind in _INTEGERS:
            add(0 <= a < TOO_LARGE)
        elif isinstance(a, np.ndarray):
            add((a.dtype, a.ndim, a.flags.num & _LAYOUT))
    return tuple(key)


def argument_types(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The Numba type of every argument.

    Raises:
        DtypeError: an array or scalar has a dtype that kernels on the CPU do not take.
        ArgumentError: an argument is neither an array nor a number.
    """
    return tuple(_type(name, i, a) for i, a in enumerate(args))


def nonnegative(args: tuple[Any, ...]) -> tuple[bool, ...]:
    """For each argument: is it an integer that may be a size or an index?"""
    return tuple(type(a) in _INTEGERS and bool(0 <= a < TOO_LARGE) for a in args)


def _type(name: str, i: int, a: Any) -> Any:
    if isinstance(a, np.ndarray):
        return array_type(a, f"{name}: argument {i}")
    if isinstance(a, (bool, np.bool_)):
        return types.boolean
    if isinstance(a, np.generic):
        if a.dtype.char in _DTYPES:
            return numpy_support.from_dtype(a.dtype)
        raise DtypeError(f"{name}: argument {i} is a {a.dtype}, expected a bool, integer or float")
    if type(a) is int:
        if -(2**63) <= a < 2**63:
            return types.int64
        raise ArgumentError(f"{name}: argument {i} is {a}, expected an integer of 64 bits")
    if type(a) is float:
        return types.float64
    raise ArgumentError(
        f"{name}: argument {i} is of type {type(a).__name__}, expected an array or a number"
    )


def array_type(a: np.ndarray, what: str) -> Any:
    """The Numba type of an array, as a writable one."""
    if a.dtype.char not in _DTYPES or not a.dtype.isnative:
        raise DtypeError(
            f"{what} has dtype {a.dtype}, expected bool, an integer type, float32 or float64"
        )
    flags = a.flags
    layout = "C" if flags.c_contiguous else "F" if flags.f_contiguous else "A"
    dtype = numpy_support.from_dtype(a.dtype)
    return types.Array(dtype, a.ndim, layout, aligned=bool(flags.aligned))
