"""Which axes are reduced: any axis, tuple of axes or all, as one (outer, n, inner) view."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

from ..elementwise import copy
from ..engine import ArgumentError, Array


@dataclass(frozen=True)
class Plan:
    """How to reduce some axes of one shape.

    Args:
        outer, n, inner: the array as (outer, n, inner), reduced over the middle.
        order: axes in the order that makes this a view; None if they are in order already.
        given: shape of the input.
        shape: shape of the result.
        kept: shape of the result with the reduced axes kept as size 1.
    """

    outer: int
    n: int
    inner: int
    order: tuple[int, ...] | None
    given: tuple[int, ...]
    shape: tuple[int, ...]
    kept: tuple[int, ...]

    def view(self, x: Array) -> Array:
        """``x`` as a contiguous (outer, n, inner); copies only if no view can be that."""
        if self.order is not None:
            x = x.transpose(*self.order)
        if not x.is_contiguous:
            x = copy(x)
        return x.reshape((self.outer, self.n, self.inner))

    def unview(self, y: Array) -> Array:
        """An (outer, n, inner) array as a view in the shape and axis order of the input."""
        if self.order is None:
            return y.reshape(self.given)
        moved = y.reshape(tuple(self.given[axis] for axis in self.order))
        back = [0] * len(self.order)
        for position, axis in enumerate(self.order):
            back[axis] = position
        return moved.transpose(*back)


@functools.lru_cache(maxsize=1024)
def _plan(op: str, shape: tuple[int, ...], axis: Any) -> Plan:
    rank = len(shape)
    axes = range(rank) if axis is None else (axis,) if isinstance(axis, int) else axis
    chosen: set[int] = set()
    for a in axes:
        if isinstance(a, bool) or not isinstance(a, int) or not -rank <= a < rank:
            raise ArgumentError(
                f"{op}: axis: {axis!r} given, expected integers in [{-rank}, {rank}) for the "
                f"{rank} axes of shape {shape}"
            )
        if a % rank in chosen:
            raise ArgumentError(f"{op}: axis: {axis!r} given, expected each axis at most once")
        chosen.add(a % rank)
    reduced = sorted(chosen)
    kept_axes = [a for a in range(rank) if a not in chosen]
    n = math.prod(shape[a] for a in reduced)
    # Axes of size 1 can lie anywhere: only the others must be neighbours.
    wide = [a for a in reduced if shape[a] != 1]
    adjacent = all(
        a in chosen or shape[a] == 1 for a in (range(wide[0], wide[-1] + 1) if wide else ())
    )
    if adjacent:
        order = None
        start, stop = (wide[0], wide[-1] + 1) if wide else (0, 0)
        outer = math.prod(shape[:start])
        inner = math.prod(shape[stop:])
    else:
        order = (*kept_axes, *reduced)
        outer, inner = math.prod(shape[a] for a in kept_axes), 1
    result = tuple(shape[a] for a in kept_axes)
    kept = tuple(1 if a in chosen else s for a, s in enumerate(shape))
    return Plan(outer, n, inner, order, shape, result, kept)


def plan(op: str, x: Array, axis: int | tuple[int, ...] | None) -> Plan:
    """The plan that reduces ``axis`` of ``x``.

    Raises:
        ArgumentError: an axis is not an integer, out of range, or named twice.
    """
    try:
        return _plan(op, x.shape, tuple(axis) if isinstance(axis, list) else axis)
    except TypeError:
        raise ArgumentError(
            f"{op}: axis: {axis!r} given, expected None, an integer or a tuple of integers"
        ) from None
