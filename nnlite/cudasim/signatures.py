"""Signatures given to ``cuda.jit``: which one a launch uses, and the scalars cast to it."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numba import typeof
from numba.core import errors, types
from numba.core.registry import cpu_target
from numba.np import numpy_support


class Declared:
    """The argument types that a kernel was declared for.

    Args:
        name: of the kernel, for errors.
        signatures: the argument types of each signature, with its result type or None.
        only: ``cuda.jit`` was given one signature and no list. A GPU launch then looks at no
            types: memory is read as the declared type, whatever it holds.

    Example:
        >>> Declared("k", {(types.float32[:], types.float32): None}, only=True).cast((x, 2))
        (x, np.float32(2.0))
    """

    def __init__(self, name: str, signatures: dict[tuple[Any, ...], Any], only: bool) -> None:
        self.name, self.results, self.only = name, signatures, only
        self.signatures = list(signatures)

    def cast(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments with scalars converted to the types of the best signature.

        Raises:
            TypeError: no signature takes these arguments, as on a GPU.
        """
        if self.only and len(values) == len(self.signatures[0]):
            values = tuple(_reread(t, v) for t, v in zip(self.signatures[0], values))
        ranked = [(rank, s) for s in self.signatures if (rank := _rank(s, values)) is not None]
        if not ranked:
            given = ", ".join(str(_type(v)) for v in values)
            raise TypeError(
                f"No matching definition for argument type(s) {given}; {self.name} is declared for "
                + " and ".join(f"({', '.join(map(str, s))})" for s in self.signatures)
            )
        _, best = min(ranked, key=lambda pair: pair[0])
        return tuple(_cast(t, v) for t, v in zip(best, values))


def _type(value: Any) -> Any:
    try:
        return typeof(value)
    except Exception:
        return types.pyobject


def _rank(signature: tuple[Any, ...], values: tuple[Any, ...]) -> tuple[int, int, int] | None:
    """Conversions needed (unsafe, safe, promotions); None when the arguments do not fit."""
    if len(signature) != len(values):
        return None
    counts = {"unsafe": 0, "safe": 0, "promote": 0, "exact": 0}
    for wanted, value in zip(signature, values):
        if isinstance(wanted, types.Array):
            if not _fits(wanted, value):
                return None
        elif wanted != (given := _type(value)):
            found = cpu_target.typing_context.can_convert(given, wanted)
            if found is None:
                return None
            counts[found.name] += 1
    return counts["unsafe"], counts["safe"], counts["promote"]


def _reread(wanted: Any, value: Any) -> Any:
    """An array of another dtype of the same size, its memory taken for the declared dtype."""
    if not isinstance(wanted, types.Array) or not isinstance(value, np.ndarray):
        return value
    try:
        dtype = numpy_support.as_dtype(wanted.dtype)
    except errors.NumbaError:
        return value
    return value.view(dtype) if dtype.itemsize == value.dtype.itemsize else value


def _fits(wanted: Any, value: Any) -> bool:
    """Arrays are never converted: dtype, dimensions and promised layout must be there."""
    if not isinstance(value, np.ndarray) or value.ndim != wanted.ndim:
        return False
    given = _type(value)
    flags = value.flags
    order = {"C": flags.c_contiguous, "F": flags.f_contiguous}.get(wanted.layout, True)
    return order and isinstance(given, types.Array) and given.dtype == wanted.dtype


def _cast(wanted: Any, value: Any) -> Any:
    """A scalar as the C type of the declaration, out of range as C has it."""
    if isinstance(wanted, types.Integer):
        # ctypes refuses a float and wraps an integer, as a GPU launch does.
        return np.dtype(str(wanted)).type(getattr(ctypes, f"c_{wanted}")(value).value)
    if isinstance(wanted, types.Boolean):
        return bool(value)
    if isinstance(wanted, (types.Float, types.Complex)):
        return np.dtype(str(wanted)).type(value)
    return value
