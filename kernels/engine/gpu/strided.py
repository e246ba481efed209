"""Copies inside a GPU between arrays of any strides.

Kernels: ``copy_items``, one thread per item of up to four axes, in the order of the target.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import cuda, types

from ..kernel import kernel

if TYPE_CHECKING:
    from .arrays import GpuArray

BLOCK = 256
AXES = 4
WIDEST = 8  # bytes; wider items are copied in parts
Axis = tuple[int, int, int]  # size, and steps in the source and in the target


@kernel
def copy_items(source, target, s0, t0, n, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3):
    """source, target (m,): all items between; s0, t0: the first; n: how many; then the last three
    sizes, and the steps of the four axes in the source and in the target."""
    i = cuda.grid(1)
    if i < n:
        l3 = i % n3
        i //= n3
        l2 = i % n2
        i //= n2
        l1 = i % n1
        l0 = i // n1
        target[t0 + l0 * b0 + l1 * b1 + l2 * b2 + l3 * b3] = source[
            s0 + l0 * a0 + l1 * a1 + l2 * a2 + l3 * a3
        ]


def copy_strided(source: GpuArray, target: GpuArray) -> None:
    """Copy the items of an array to another of the same shape; they must not share memory."""
    size = target.dtype.itemsize
    unit = math.gcd(size, WIDEST)
    axes: list[Axis] = list(zip(target.shape, source.strides, target.strides))
    if size > unit:
        axes.append((size // unit, unit, unit))
    axes = merged(axes)
    outer = math.prod(n for n, _, _ in axes[:-AXES])
    inner = [(1, 0, 0)] * AXES + axes[-AXES:]
    _, n1, n2, n3 = (np.int64(n) for n, _, _ in inner[-AXES:])
    steps = [np.int64(axis[k] // unit) for k in (1, 2) for axis in inner[-AXES:]]
    n = math.prod(n for n, _, _ in inner)
    items = np.dtype(f"u{unit}")
    (a, s0), (b, t0) = source.stretch(items), target.stretch(items)
    for k in range(outer):
        s, t = _start(axes[:-AXES], k, unit)
        copy_items[-(-n // BLOCK), BLOCK](
            a, b, np.int64(s0 + s), np.int64(t0 + t), np.int64(n), n1, n2, n3, *steps
        )


def merged(axes: list[Axis]) -> list[Axis]:
    """The same items with as few axes as can be: without those of size 1, neighbours joined."""
    kept: list[Axis] = []
    for n, a, b in axes:
        if n == 1:
            continue
        if kept and kept[-1][1:] == (n * a, n * b):
            kept[-1] = kept[-1][0] * n, a, b
        else:
            kept.append((n, a, b))
    return kept


def _start(axes: list[Axis], k: int, unit: int) -> tuple[int, int]:
    """Where in the source and in the target the k-th of the outer places begins."""
    places = np.unravel_index(k, [n for n, _, _ in axes]) if axes else ()
    starts = [sum(int(p) * axis[j] for p, axis in zip(places, axes)) for j in (1, 2)]
    return starts[0] // unit, starts[1] // unit


# For the compile gate: items of all sizes.
SIGNATURES = tuple(
    (copy_items, (types.Array(u, 1, "C"), types.Array(u, 1, "C"), *[types.int64] * 14))
    for u in (types.uint8, types.uint16, types.uint32, types.uint64)
)
