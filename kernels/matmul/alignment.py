"""Whether 128-bit accesses can be made to the rows of a matrix."""

from __future__ import annotations

from ..engine import Array

ALIGNMENT = 16  # bytes of a 128-bit access


def is_wide(x: Array) -> bool:
    """Whether every row of a contiguous matrix begins at a multiple of 16 bytes.

    Memory of a GPU does, so only the offset of a view counts.
    """
    row = x.shape[1] * x.dtype.itemsize
    return row % ALIGNMENT == 0 and row > 0 and getattr(x, "offset", 0) % ALIGNMENT == 0
