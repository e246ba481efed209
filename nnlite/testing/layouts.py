"""Put NumPy values on a device in every memory layout that a view can have.

The values are the same in each layout; strides and offset differ. Gaps between the elements of a
sliced array hold poison, so that a kernel that ignores strides is found out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .compare import same_bits

LAYOUTS = ("contiguous", "transposed", "sliced", "reversed", "broadcast")


@dataclass(frozen=True)
class Placed:
    """An array on a device and the memory behind it.

    Attributes:
        array: the view that is handed to the op.
        base: the array that owns the memory of the view.
        before: the bytes of ``base`` at the start.
    """

    array: Any
    base: Any
    before: np.ndarray

    def unchanged(self) -> bool:
        """True if no bit of the memory, gaps included, has changed."""
        return same_bits(self.base.numpy(), self.before)


def fits(layout: str, value: np.ndarray) -> bool:
    """True if ``value`` can be laid out so; broadcast needs equal values along the first axis."""
    if layout == "contiguous":
        return True
    if layout == "transposed":
        return value.ndim >= 2
    if value.ndim == 0 or value.size == 0:
        return False
    if layout == "broadcast":
        return all(same_bits(row, value[0]) for row in value)
    return True


def place(value: np.ndarray, layout: str = "contiguous", device: Any = None) -> Placed:
    """Copy ``value`` to a device in one of :data:`LAYOUTS`.

    Args:
        value: the elements, any shape.
        layout: ``contiguous`` (C order), ``transposed`` (Fortran order), ``sliced`` (every second
            element along the last axis), ``reversed`` (negative stride along the first axis),
            ``broadcast`` (stride 0 along the first axis) or ``shifted`` (C order, one element
            behind the start of its memory, so that 128 bits do not lie at a multiple of 16 bytes).
        device: a device or its name; the default device if None.
    """
    from nnlite.kernels.engine import array

    if not fits(layout, value):
        raise ValueError(f"values of shape {value.shape} cannot be laid out as {layout!r}")
    if layout == "contiguous":
        base = array(value, device=device)
        view = base
    elif layout == "transposed":
        base = array(np.ascontiguousarray(value.T), device=device)
        view = base.transpose()
    elif layout == "sliced":
        spread = np.full((*value.shape[:-1], 2 * value.shape[-1]), _poison(value.dtype))
        spread[..., ::2] = value
        base = array(spread, device=device)
        view = base[(slice(None),) * (value.ndim - 1) + (slice(None, None, 2),)]
    elif layout == "reversed":
        base = array(np.ascontiguousarray(value[::-1]), device=device)
        view = base[::-1]
    elif layout == "shifted":
        base = array(
            np.concatenate([np.full(1, _poison(value.dtype)), value.ravel()]), device=device
        )
        view = base[1:].reshape(value.shape)
    elif layout == "broadcast":
        base = array(np.ascontiguousarray(value[:1]), device=device)
        view = base.broadcast_to(value.shape)
    else:
        raise ValueError(f"layout must be one of {(*LAYOUTS, 'shifted')}, not {layout!r}")
    return Placed(view, base, base.numpy())


def _poison(dtype: np.dtype) -> Any:
    """A value that cannot pass unnoticed: NaN, or the smallest integer (never a valid index)."""
    return dtype.type(np.nan) if dtype.kind == "f" else dtype.type(np.iinfo(dtype).min)
