"""What a launch's arguments mean for the compiler.

``launch_key`` runs at every launch and is kept cheap; two launches with one key run one compiled
function.  ``argument_types`` runs when a key is new.  Layout counts (C, Fortran or any strides), as
does whether integers are ordinary sizes (0 to 2**47): an index from such arguments needs no test
for negative indexing.  Read-only arrays are taken for writable ones, as CUDA does.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
from numba import typeof
from numba.core import types
from numba.np import numpy_support

from ..errors import ArgumentError, DtypeError
from ..layout import TOO_LARGE, kind_of

_INTEGERS = frozenset(
    {int, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64}
    | {np.intc, np.uintc, np.longlong, np.ulonglong}
)
_DTYPES = frozenset("?bhilqBHILQefdFDmMV")


def launch_key(block: tuple[int, int, int], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """A hashable summary of the block shape and the arguments."""
    key: list[Any] = [block]
    add = key.append
    for a in args:
        kind = type(a)
        if kind is np.ndarray:
            add(kind_of(a))
            continue
        add(kind)
        if kind in _INTEGERS:
            add(0 <= a < TOO_LARGE)
        elif isinstance(a, np.ndarray):
            add(kind_of(a))
        elif isinstance(a, tuple):
            add(launch_key(block, a))
        elif isinstance(a, (np.void, np.datetime64, np.timedelta64)):
            add(a.dtype)
    return tuple(key)


def leaves(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with the items of tuples in place of the tuples, as kernels take them."""
    if not any(isinstance(a, tuple) for a in args):
        return args
    return tuple(x for a in args for x in (leaves(a) if isinstance(a, tuple) else (a,)))


def leaf_types(kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same for the types of the arguments."""
    tuples = types.BaseTuple
    return tuple(
        t for k in kinds for t in (leaf_types(tuple(k)) if isinstance(k, tuples) else (k,))
    )


def described(t: Any) -> str:
    """A type as text that tells it from every other."""
    fields = getattr(t, "fields", ()) if isinstance(t, types.BaseNamedTuple) else ()
    if isinstance(t, types.BaseTuple):
        return f"({', '.join(described(item) for item in t)}; {fields})"
    return str(t)


def argument_types(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The Numba type of every argument.

    Raises:
        DtypeError: an array or scalar has a dtype that kernels on the CPU do not take.
        ArgumentError: an argument is neither an array nor a number.
    """
    return tuple(_type(name, i, a) for i, a in enumerate(args))


def nonnegative(args: tuple[Any, ...]) -> tuple[bool, ...]:
    """For each argument and item of a tuple: is it an integer that may be a size or an index?"""
    return tuple(type(a) in _INTEGERS and bool(0 <= a < TOO_LARGE) for a in leaves(args))


def _type(name: str, i: int, a: Any) -> Any:
    if isinstance(a, np.ndarray):
        return array_type(a, f"{name}: argument {i}")
    if isinstance(a, (bool, np.bool_)):
        return types.boolean
    if isinstance(a, np.generic):
        if _supported(a.dtype):
            return numpy_support.from_dtype(a.dtype)
        raise DtypeError(f"{name}: argument {i} is a {a.dtype}, expected a number or a record")
    if type(a) is int:
        if -(2**63) <= a < 2**63:
            return types.int64
        raise ArgumentError(f"{name}: argument {i} is {a}, expected an integer of 64 bits")
    if type(a) is float:
        return types.float64
    if type(a) is complex:
        return types.complex128
    if isinstance(a, enum.Enum):
        return typeof(a)
    if isinstance(a, tuple):
        items = tuple(_type(name, i, item) for item in a)
        if hasattr(a, "_fields"):
            return types.NamedTuple(items, type(a))
        return types.Tuple(items)
    raise ArgumentError(
        f"{name}: argument {i} is of type {type(a).__name__}, expected an array, a number "
        "or a tuple of them"
    )


def _supported(dtype: np.dtype) -> bool:
    """Numbers, bool, dates with a unit, and structures of them."""
    if dtype.names is not None:
        fields = [dtype[name] for name in dtype.names]
        return all(_supported(f.subdtype[0] if f.subdtype else f) for f in fields)
    if dtype.char in "mM":
        return "[" in dtype.str
    return dtype.char in _DTYPES and dtype.char != "V" and dtype.isnative


def array_type(a: np.ndarray, what: str) -> Any:
    """The Numba type of an array, as a writable one."""
    if not _supported(a.dtype):
        raise DtypeError(
            f"{what} has dtype {a.dtype}, expected bool, an integer type, float32, float64, "
            "a complex type or a structure of these"
        )
    flags = a.flags
    layout = "C" if flags.c_contiguous else "F" if flags.f_contiguous else "A"
    dtype = numpy_support.from_dtype(a.dtype)
    return types.Array(dtype, a.ndim, layout, aligned=bool(flags.aligned))
