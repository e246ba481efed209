"""Views as arithmetic: (shape, strides) of an array to those of its view, and the byte offset.

NumPy does this for host arrays; memory on a GPU needs it done by hand. Every function returns
``(offset, shape, strides)`` with strides and offset in bytes, as NumPy defines them.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .errors import ShapeError

View = tuple[int, tuple[int, ...], tuple[int, ...]]

TOO_LARGE = 2**47
"""No array has so many elements: an integer from 0 to here may be a size or an index."""

C, F, ALIGNED = 0x1, 0x2, 0x100  # bits of numpy.ndarray.flags.num

_kinds: dict[tuple[Any, int, int], int] = {}
_numbers = itertools.count()


def kind_of(a: np.ndarray) -> int:
    """A number for what code depends on: dtype, number of axes, C or Fortran order or neither."""
    kind = a.dtype, a.ndim, a.flags.num & (C | F | ALIGNED)
    found = _kinds.get(kind)
    return _kinds.setdefault(kind, next(_numbers)) if found is None else found


def contiguous_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Strides of a C-ordered array: the last axis steps by one item."""
    strides = []
    step = itemsize
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> bool:
    """True when the items lie in C order without gaps; axes of size 1 may step anyhow."""
    if 0 in shape:
        return True
    step = itemsize
    for size, stride in zip(reversed(shape), reversed(strides)):
        if size != 1:
            if stride != step:
                return False
            step *= size
    return True


def extent(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> tuple[int, int]:
    """Lowest byte of the items and the one after the highest, counted from the first item."""
    if 0 in shape:
        return 0, 0
    low = high = 0
    for size, stride in zip(shape, strides):
        reach = (size - 1) * stride
        low, high = low + min(reach, 0), high + max(reach, 0)
    return low, high + itemsize


def index(shape: tuple[int, ...], strides: tuple[int, ...], key: Any) -> View:
    """View of basic indexing with integers, slices, ``...`` and None."""
    keys = list(key) if isinstance(key, tuple) else [key]
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > len(shape):
        raise IndexError(f"too many indices: {used} given, the array has {len(shape)} axes")
    if Ellipsis not in keys:
        keys.append(Ellipsis)
    at = keys.index(Ellipsis)
    keys[at : at + 1] = [slice(None)] * (len(shape) - used)
    offset, new_shape, new_strides, axis = 0, [], [], 0
    for k in keys:
        if k is None:
            new_shape.append(1)
            new_strides.append(0)
            continue
        size, stride = shape[axis], strides[axis]
        if isinstance(k, slice):
            start, stop, step = k.indices(size)
            n = len(range(start, stop, step))
            offset += start * stride if n else 0
            new_shape.append(n)
            new_strides.append(stride * step)
        else:
            i = k.__index__()
            if not -size <= i < size:
                raise IndexError(f"index {i} is out of bounds for axis {axis} with size {size}")
            offset += (i % size) * stride
        axis += 1
    return offset, tuple(new_shape), tuple(new_strides)


def transpose(
    shape: tuple[int, ...], strides: tuple[int, ...], axes: tuple[int, ...] | None
) -> View:
    """View with permuted axes; None reverses them."""
    ndim = len(shape)
    order = tuple(reversed(range(ndim))) if axes is None else axes
    wrapped = tuple(a + ndim if a < 0 else a for a in order)
    if sorted(wrapped) != list(range(ndim)):
        raise ShapeError(f"transpose: axes {order} given, expected a permutation of {ndim} axes")
    return 0, tuple(shape[a] for a in wrapped), tuple(strides[a] for a in wrapped)


def broadcast(shape: tuple[int, ...], strides: tuple[int, ...], target: tuple[int, ...]) -> View:
    """View repeated to ``target``: axes of size 1, and new leading axes, get stride 0."""
    extra = len(target) - len(shape)
    if extra < 0 or any(s not in (1, t) for s, t in zip(shape, target[extra:])):
        raise ShapeError(f"broadcast_to: shape {shape} cannot be broadcast to {target}")
    moved = [0 if s == 1 != t else st for s, st, t in zip(shape, strides, target[extra:])]
    return 0, target, (0,) * extra + tuple(moved)


def resolve_shape(size: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """``shape`` with one -1 replaced by what ``size`` items leave for it."""
    known = 1
    for s in shape:
        known *= s if s != -1 else 1
    if shape.count(-1) == 1 and known > 0 and size % known == 0:
        return tuple(size // known if s == -1 else s for s in shape)
    if -1 in shape or min(shape, default=1) < 0 or known != size:
        raise ShapeError(f"reshape: {size} items cannot take the shape {shape}")
    return shape
