"""Arguments of a launch, as numba-cuda's kernels take them: types, values, and bytes in a row.

An array is 5 + 2 ndim parameters: two pointers that are 0 on a GPU (meminfo, parent), the number of
items, the bytes of one, the address, the sizes of the axes and their strides in bytes. A complex
number is two, a tuple is its items one after the other. Source: numba-cuda 0.30,
``numba/cuda/dispatcher.py``, ``_Kernel._prepare_args``.

``cuda.core`` makes each parameter as wide as its type says: an ``int``, and a ``bool``, has 64 bits
with a sign, a ``float`` is a double, a NumPy scalar what its dtype is. So the values here have the
types of what the kernel declares. Graphs compare parameters and replace them, for which they are
packed (:class:`Packer`).
"""

from __future__ import annotations

import ctypes
import itertools
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import types
from numba.np import numpy_support

from .. import layout
from .arrays import GpuArray

ARRAY = 5  # parameters of an array besides its sizes and strides

_SCALARS: dict[Any, tuple[Any, str]] = {
    int: (types.int64, "q"),
    bool: (types.boolean, "?"),
    np.bool_: (types.boolean, "?"),
    float: (types.float64, "d"),
    complex: (types.complex128, "dd"),
    np.float16: (types.float16, "e"),
    np.float32: (types.float32, "f"),
    np.float64: (types.float64, "d"),
    np.complex64: (types.complex64, "ff"),
    np.complex128: (types.complex128, "dd"),
    np.int8: (types.int8, "b"),
    np.int16: (types.int16, "h"),
    np.int32: (types.int32, "i"),
    np.int64: (types.int64, "q"),
    np.uint8: (types.uint8, "B"),
    np.uint16: (types.uint16, "H"),
    np.uint32: (types.uint32, "I"),
    np.uint64: (types.uint64, "Q"),
}
PLAIN = frozenset(t for t, (_, code) in _SCALARS.items() if len(code) == 1) - {int}
"""Types of which a value is its own parameter; an int is one from -``LARGE`` up to ``LARGE``."""

LARGE = 2**63  # from here on a Python integer is a uint64


class Packer:
    """Bytes of the parameters of one tuple of argument types.

    Args:
        code: of the parameters, as ``struct`` has it.

    Attributes:
        offsets: where each parameter begins.
    """

    def __init__(self, code: str) -> None:
        self.offsets = _offsets(code)
        self.pack: Callable[..., bytes] = struct.Struct("@" + code).pack


class Packed:
    """Parameters where the driver reads them.

    Attributes:
        table: address of the addresses of the parameters.
    """

    def __init__(self, packer: Packer, parameters: bytes) -> None:
        self._data = ctypes.create_string_buffer(parameters, len(parameters) + 1)
        start = ctypes.addressof(self._data)
        offsets = packer.offsets
        self._addresses = (ctypes.c_void_p * max(len(offsets), 1))(*(start + o for o in offsets))
        self.table = ctypes.addressof(self._addresses)


def _offsets(code: str) -> list[int]:
    """Where each item begins, as ``struct`` aligns it."""
    ends = (struct.calcsize("@" + code[: i + 1]) for i in range(len(code)))
    return [end - struct.calcsize(c) for end, c in zip(ends, code)]


def kind_of(a: GpuArray) -> int:
    """A number for the type of an array: dtype, number of axes, order."""
    key = a.dtype, len(a.shape), _order(a)
    found = _kinds.get(key)
    if found is None:
        found = _kinds.setdefault(key, next(_numbers))
        _types[found] = types.Array(numpy_support.from_dtype(key[0]), key[1], key[2])
    return found


_kinds: dict[Any, int] = {}
_types: dict[int, Any] = {}
_numbers = itertools.count()


def _order(a: GpuArray) -> str:
    """C, F or A, as Numba calls them; an array that is both is C."""
    if a.is_contiguous:
        return "C"
    mirrored = layout.is_contiguous(a.shape[::-1], a.strides[::-1], a.dtype.itemsize)
    return "F" if mirrored else "A"


def describe(value: Any, values: list[Any]) -> Any:
    """Append the parameters of an argument; returns its key, None for what no kernel here takes."""
    kind = type(value)
    if kind is GpuArray:
        values += value.parameters
        return value.kind
    if kind in _SCALARS:
        if kind is int and not -LARGE <= value < LARGE:
            if not 0 <= value < 2 * LARGE:
                return None
            values.append(np.uint64(value))
            return np.uint64
        values += (value.real, value.imag) if "complex" in kind.__name__ else (value,)
        return kind
    if isinstance(value, tuple):
        keys = tuple(describe(item, values) for item in value)
        return None if None in keys else (kind, keys)
    return None


def signature(keys: Sequence[Any]) -> tuple[tuple[Any, ...], str]:
    """Numba types of the arguments with these keys, and the ``struct`` code of their parameters."""
    found, code = [], ""
    for key in keys:
        if isinstance(key, tuple):
            inner, more = signature(key[1])
            found.append(types.BaseTuple.from_types(inner, None if key[0] is tuple else key[0]))
            code += more
        elif isinstance(key, int):
            found.append(_types[key])
            code += "QQqqQ" + "q" * (2 * _types[key].ndim)
        else:
            found.append(_SCALARS[key][0])
            code += _SCALARS[key][1]
    return tuple(found), code
