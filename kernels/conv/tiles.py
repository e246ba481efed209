"""What the kernels of a convolution share: the form of the sum, limits, the halo tile.

Every convolution here, its gradient for the input and the transposed convolution are one sum, a
*correlation* with the taps ``t = 0 .. T-1`` of a window::

    y[n, m, p, q] = b[m] + sum over c, t of
                    w[m, c T + t]  x[n, c, p u + i_t - top, q v + j_t - left]

where x is 0 outside of the image. ``u, v`` is the step, ``i_t, j_t >= 0`` is where tap t lies.

The halo tile. The outputs of a block need each pixel of x up to T times, so the block copies the
pixels it needs once into shared memory: ``rows`` x ``u (or v) x width`` of each of some channels,
with zeros where the image ends. Columns are stored by their remainder modulo v, so that threads
whose outputs are neighbours read neighbours whatever the step::

    step 2:   column 0 1 2 3 4 5 6 7   is stored as   0 2 4 6 | 1 3 5 7

Tap t of channel c of output (p, q) is then at ``p u pitch + q + offset[c T + t]``: the same offset
for all outputs, from a table that is made once for a plan (:func:`offset_table`).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import cuda, uint64

from ..engine import Array, Device, array, cached_constant

LANES = 16  # threads along a row of the image: one AVX-512 register, or half a warp
SHARED_BYTES = 40 * 1024  # of a tile: what every GPU gives to a block, with room to spare
MAX_GRID_Y = 65535


def shared_items(real: Any) -> int:
    """How many numbers of numba's type ``real`` a tile may hold."""
    return SHARED_BYTES * 8 // real.bitwidth


@dataclass(frozen=True)
class Window:
    """The taps of a correlation, in the terms of the formula above.

    Args:
        taps: (i_t, j_t) of each tap, all >= 0.
        step: (u, v).
        top, left: how far the window of the first output begins before the image; >= 0, as every
            number that a kernel is given, since the CPU compiler compiles for signs.
    """

    taps: tuple[tuple[int, int], ...]
    step: tuple[int, int]
    top: int
    left: int

    @property
    def span(self) -> tuple[int, int]:
        """Largest i_t and j_t."""
        return max((i for i, _ in self.taps), default=0), max((j for _, j in self.taps), default=0)

    def tile_width(self, columns: int) -> int:
        """Columns of a tile, of one remainder, for that many columns of outputs."""
        return columns + self.span[1] // self.step[1]

    def tile_rows(self, rows: int) -> int:
        """Rows of a tile for that many rows of outputs."""
        return (rows - 1) * self.step[0] + self.span[0] + 1


@cached_constant(1024)
def offset_table(window: Window, channels: int, rows: int, width: int, device: Device) -> Array:
    """Where tap t of channel c lies in the tile: (channels * T,), uint32; one 0 if there is no tap.

    Unsigned, so that compilers know that the index is not negative.
    """
    v = window.step[1]
    pitch = v * width
    found = [
        (c * rows + i) * pitch + j % v * width + j // v
        for c in range(channels)
        for i, j in window.taps
    ]
    return array(np.array(found or [0], np.uint32), device=device)


@functools.cache
def halo_filler(real: Any, unit: bool) -> Any:
    """A device function that copies the part of an image that a block needs into its tile.

    Args:
        real: numba's float32 or float64.
        unit: the step along the columns is 1.
    """

    @cuda.jit(device=True)
    def fill(tile, first, x, n, c0, channels, top, left, rows, width, v):
        # tile[first:]: (channels, rows, v, width); its first pixel is (-top, -left) of image n.
        high = x.shape[2]
        wide = x.shape[3]
        for c in range(channels):
            for group in range((rows + cuda.blockDim.y - 1) // cuda.blockDim.y):
                for remainder in range(v):
                    for start in range(0, width, LANES):
                        row = group * cuda.blockDim.y + cuda.threadIdx.y
                        column = start + cuda.threadIdx.x
                        i = row - top
                        j = column - left if unit else column * v + remainder - left
                        value = real(0.0)
                        if i >= 0 and i < high and j >= 0 and j < wide:
                            value = x[uint64(n), uint64(c0 + c), i, j]
                        if row < rows and column < width:
                            place = first + ((c * rows + row) * v + remainder) * width + column
                            tile[uint64(place)] = value

    return fill
