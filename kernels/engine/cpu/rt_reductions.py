"""Reductions of a whole array by one thread that Numba's own functions allocate memory for.

Like NumPy's, ``max`` and ``min`` of an array with a NaN are NaN, and ``nanmax`` and ``nanmin``
ignore NaN unless there is nothing else.  The array must not be empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

_compiled = njit(nogil=True, error_model="numpy")


@_compiled
def largest(a):
    best = a.flat[0]
    for v in a.flat:
        if v > best or v != v:
            best = v
    return best


@_compiled
def smallest(a):
    best = a.flat[0]
    for v in a.flat:
        if v < best or v != v:
            best = v
    return best


@_compiled
def largest_number(a):
    best = a.flat[0]
    for v in a.flat:
        if v > best or best != best:
            best = v
    return best


@_compiled
def smallest_number(a):
    best = a.flat[0]
    for v in a.flat:
        if v < best or best != best:
            best = v
    return best


@_compiled
def count_nonzero(a):
    count = 0
    for v in a.flat:
        if v != 0:
            count += 1
    return count


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "max_of_": largest,
    "min_of_": smallest,
    "nanmax_of_": largest_number,
    "nanmin_of_": smallest_number,
    "count_nonzero_of_": count_nonzero,
}
