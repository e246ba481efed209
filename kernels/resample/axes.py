"""Which elements each element of a resampled axis is made from, and the reverse; the reference.

Along an axis of n elements resampled to m, element o of the result lies at

    s = o r                   nearest; the element is floor(s)
    s = (o + 1/2) r           nearest-exact; the element is floor(s)
    s = (o + 1/2) r - 1/2     linear, r = n / m, or 1 / scale where a scale is given; s >= 0
    s = o (n - 1) / (m - 1)   linear with align_corners: the first and last elements stay

of the n, and linear interpolation takes the elements k = floor(s) and k + 1 with weights
1 - (s - k) and s - k. As in PyTorch, linear interpolation leaves an axis alone that keeps its size,
whatever the scale, and s of the nearest element is rounded to float32 before floor. The axes of an
image are independent of each other, so a table for each is all that the kernels need.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..engine import Array, Device, array, cached_constant

Scales = tuple[float | None, float | None]


@dataclass(frozen=True, eq=False)
class Axis:
    """How an axis is resampled.

    Args:
        places: int32 (2, m): the two elements that each element of the result is made from.
        weights: float64 (2, m): their weights.
        owners: int32 (2, n): the first and last element of the result made from each element.
        most: most elements of the result made from one.
    """

    places: np.ndarray
    weights: np.ndarray
    owners: np.ndarray
    most: int

    @property
    def size(self) -> int:
        """Elements of the result."""
        return self.places.shape[1]

    @cached_constant(1024)  # axes are cached themselves, and stay
    def on(self, device: Device, dtype: np.dtype) -> tuple[Array, Array, Array]:
        """Places, weights and owners on a device."""
        weights = array(self.weights.astype(dtype), device=device)
        return array(self.places, device=device), weights, array(self.owners, device=device)


@functools.lru_cache(maxsize=1024)
def axis_of(n: int, m: int, mode: str, align: bool, scale: float | None) -> Axis:
    """The table that resamples n elements to m."""
    if mode == "bilinear":
        # As fractions, because the weights are what is left of s without its whole part.
        ratio = Fraction(n, m) if scale is None or n == m else 1 / Fraction(float(scale))
        step = Fraction(n - 1, max(m - 1, 1))
        half, zero = Fraction(1, 2), Fraction(0)
        s = [o * step if align else max((o + half) * ratio - half, zero) for o in range(m)]
        low = np.array([min(int(at), n - 1) for at in s], np.int32)
        high = np.minimum(low + 1, n - 1)
        part = np.array([float(at - int(at)) for at in s])
    else:
        o = np.arange(m).astype(np.float32) + np.float32(0.5 if mode == "nearest-exact" else 0.0)
        at = o * np.float32(n / m if scale is None else 1.0 / scale)
        low = high = np.minimum(np.floor(at).astype(np.int32), n - 1)
        part = np.zeros(m)
    where = np.arange(n)
    owners = np.array([np.searchsorted(high, where), np.searchsorted(low, where, "right") - 1])
    most = int(np.max(owners[1] - owners[0] + 1, initial=0))
    places = np.array([low, high], np.int32)
    return Axis(places, np.array([1.0 - part, part]), owners.astype(np.int32), most)


def resample_reference(
    x: np.ndarray,
    size: Any,
    mode: str = "nearest",
    align_corners: bool = False,
    scale: Scales = (None, None),
) -> np.ndarray:
    """Resampling in float64, as a product with a matrix for each axis."""

    def matrix(n: int, m: int, factor: float | None) -> np.ndarray:
        found = np.zeros((m, n))
        ratio = Fraction(n, m) if factor is None else 1 / Fraction(factor)
        for o in range(m):
            if mode == "bilinear":
                s = Fraction(o) if m == n else (o + Fraction(1, 2)) * ratio - Fraction(1, 2)
                if align_corners:
                    s = Fraction(o * (n - 1), m - 1) if m > 1 else Fraction(0)
                s = min(max(s, Fraction(0)), Fraction(n - 1))
                found[o, int(s)] += 1 - float(s - int(s))
                found[o, min(int(s) + 1, n - 1)] += float(s - int(s))
            else:
                half = np.float32(0.5 if mode == "nearest-exact" else 0)
                found[o, min(int((np.float32(o) + half) * np.float32(float(ratio))), n - 1)] = 1
        return found

    rows, columns = (matrix(*each) for each in zip(x.shape[-2:], size, scale))
    if mode != "bilinear":  # an index, as a product would make NaN of 0 * inf
        return x[..., rows.argmax(axis=1), :][..., columns.argmax(axis=1)]
    return np.einsum("oh,...hw,qw->...oq", rows, x, columns)
