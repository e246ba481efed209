"""The functions of ``numba.cuda`` on one value, with the types that numba-cuda gives them."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from .arithmetic import cast, dtype_of, rule


def _bits(value: Any) -> tuple[int, int]:
    """(the value as an unsigned integer, how many bits its type has)."""
    width = 8 * dtype_of(value).itemsize
    return int(value) & ((1 << width) - 1), width


def popc(value: Any) -> Any:
    """How many bits are set."""
    return cast(bin(_bits(value)[0]).count("1"), dtype_of(value))


def clz(value: Any) -> Any:
    """How many zeros stand before the highest bit that is set."""
    n, width = _bits(value)
    return cast(width - n.bit_length(), dtype_of(value))


def ffs(value: Any) -> Any:
    """The number of the lowest bit that is set, from 1; 0 for none."""
    n, _ = _bits(value)
    return np.uint32((n & -n).bit_length())


def brev(value: Any) -> Any:
    """The bits in the opposite order, of a uint32 or a uint64."""
    n, width = _bits(value)
    unsigned = np.dtype(np.uint64 if width == 64 else np.uint32)
    return cast(int(f"{n:0{8 * unsigned.itemsize}b}"[::-1], 2), unsigned)


def fma(a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, rounded once."""
    wanted: np.dtype = np.dtype(np.float32)
    if any(dtype_of(v) != wanted for v in (a, b, c)):
        wanted = np.dtype(np.float64)
    x, y, z = (float(cast(v, wanted)) for v in (a, b, c))
    if not all(map(math.isfinite, (x, y, z))):
        return cast(x * y + z, wanted)
    return _rounded(Fraction(x) * Fraction(y) + Fraction(z), wanted)


def _rounded(exact: Fraction, wanted: np.dtype) -> Any:
    """The nearest float.  A double near the middle of two float32 must not be rounded twice."""
    near = cast(float(exact), wanted)
    candidates = [near, np.nextafter(near, wanted.type(-np.inf))]
    candidates.append(np.nextafter(near, wanted.type(np.inf)))
    even = [int(np.asarray(c).view(f"u{wanted.itemsize}")) & 1 for c in candidates]
    if not all(map(math.isfinite, candidates)):
        return near
    distance = [(abs(Fraction(float(c)) - exact), e) for c, e in zip(candidates, even)]
    return candidates[min(range(3), key=distance.__getitem__)]


def selp(test: Any, a: Any, b: Any) -> Any:
    """``a`` where the test holds, else ``b``."""
    return a if test else b


def cbrt(value: Any) -> Any:
    """The cube root."""
    _, result = rule(math.sqrt, (dtype_of(value),))
    return cast(np.cbrt(float(value)), result)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "popc": popc,
    "clz": clz,
    "ffs": ffs,
    "brev": brev,
    "fma": fma,
    "selp": selp,
    "cbrt": cbrt,
    "nanosleep": lambda nanoseconds: None,
    "threadfence": lambda: None,
    "threadfence_block": lambda: None,
    "threadfence_system": lambda: None,
}
