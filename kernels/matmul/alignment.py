"""How factors of a product are stored, and whether 128-bit accesses can be made to their rows."""

from __future__ import annotations

from typing import NamedTuple

from ..engine import Array

ALIGNMENT = 16  # bytes of a 128-bit access


class Factor(NamedTuple):
    """A factor of a product of k steps, as a contiguous matrix.

    Args:
        matrix: (size, k) if ``along``, else (k, size); size is m for a and n for b.
        along: its rows run along k.
    """

    matrix: Array
    along: bool

    @property
    def k(self) -> int:
        """The number of steps."""
        return self.matrix.shape[1 if self.along else 0]


def is_wide(x: Array) -> bool:
    """Whether every row of a contiguous matrix begins at a multiple of 16 bytes.

    Memory of a GPU does, so only the offset of a view counts.
    """
    row = x.shape[1] * x.dtype.itemsize
    return row % ALIGNMENT == 0 and row > 0 and getattr(x, "offset", 0) % ALIGNMENT == 0
