"""In which order the tiles of a product are computed, for kernels that number them themselves.

Blocks that run at the same time should read the same rows of a and columns of b, so that most reads
hit the L2 cache. So tiles are numbered in strips of a few tile rows: down the strip, then on to its
next tile column. With 128 blocks at a time, a strip of 16 tile rows gives 16 x 8 tiles, which read
16 + 8 = 24 panels of a and b; a single row of 128 tiles would read 1 + 128 = 129.

Source: NVIDIA, CUTLASS documentation, "Efficient GEMM in CUDA", "Threadblock Rasterization".
"""

from __future__ import annotations

from typing import Any

from numba import cuda, uint32

from ..engine import Device
from ..engine.tuning import Choice

STRIP = 16  # tile rows; NOT measured: as near to a square as 132 multiprocessors come
STRIPS = (4, 8, 16, 32)


@cuda.jit(device=True)
def place_of(tile, rows, columns, strip):
    """Tile row and tile column of a number, strip by strip, of ``rows`` x ``columns`` tiles."""
    each = uint32(strip * columns)
    band = uint32(tile // each)
    rest = uint32(tile - band * each)
    first = uint32(band * strip)
    height = min(uint32(rows - first), uint32(strip))
    return uint32(first + rest % height), uint32(rest // height)


def _strips(device: Device, problem: Any) -> tuple[int, ...]:
    """Heights to try; of those that hold all tile rows, all alike, only the lowest."""
    rows = problem[0]
    return tuple(strip for strip in STRIPS if strip < 2 * rows)


# A problem is (tile rows, tile columns, k, format of the numbers). The order changes no result.
ORDER = Choice(
    "matmul tile order", _strips, lambda device, problem: STRIP,
    sources=(__name__, f"{__package__}.hopper", f"{__package__}.halves"),
)  # fmt: skip
