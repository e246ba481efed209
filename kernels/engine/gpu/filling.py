"""Arrays filled with one value, where they are.

Kernels: ``fill_items``, one thread per 2, 4 or 8 bytes.
"""

from __future__ import annotations

import math

import numpy as np
from numba import cuda, types

from ..device import Device
from ..kernel import kernel
from . import work
from .arrays import GpuArray, empty

BLOCK = 256
WIDEST = 8  # bytes that a thread writes; wider items are two of them


@kernel
def fill_items(target, even, odd):
    """target (m,): what its items at even and at odd places are set to."""
    i = cuda.grid(1)
    if i < target.size:
        target[i] = odd if i & 1 else even


def full(shape: tuple[int, ...], value: np.ndarray, device: Device) -> GpuArray:
    """A new C-contiguous array with every item ``value``, a NumPy array without axes.

    It is set on GPU ``device``, so that a graph can hold it, and without waiting for it.
    """
    new = empty(shape, value.dtype, device)
    raw = value.tobytes()
    if len(set(raw)) == 1 and new.nbytes:
        work.fill(device.index, new.pointer, raw[0], new.nbytes)
    elif new.nbytes:
        unit = np.dtype(f"u{math.gcd(len(raw), WIDEST)}")
        parts = np.frombuffer(raw, unit)
        target, _ = new.stretch(unit)
        fill_items[-(-target.size // BLOCK), BLOCK](target, parts[0], parts[-1])
    return new


# For the compile gate: items of all sizes; those of one byte are set by the driver.
SIGNATURES = tuple(
    (fill_items, (types.Array(u, 1, "C"), u, u)) for u in (types.uint16, types.uint32, types.uint64)
)
