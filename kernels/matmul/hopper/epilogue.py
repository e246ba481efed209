"""How a warp stores its sums: bias, activation, and whole lines of 128 bytes.

After ``wgmma`` a thread holds pairs of columns, eight apart, of two rows. A warp's sums go through
a part of shared memory of its own, 16 rows of 32 columns at a time, and each thread takes four
columns of a row from there. So a warp stores 128 bytes of each of four rows at once, and the
activation is in the code only once for each of the eight parts.
"""

from __future__ import annotations

import math
from typing import Any

from numba import cuda, float32, uint32

from ...activations.functions import value_function
from ...elementwise.functions import identity
from ...engine.ptx.memory import load4, store2
from ...engine.ptx.numbers import quick_divide
from ..sgemm import RUN, put_narrow, put_wide

WARP_ROWS = 16
BLOCKS = 4  # of eight columns that are stored together: 32 x 4 bytes of a row
PITCH = 40  # 8 more than that, so that the 64-bit stores of 16 lanes meet 32 banks
WARP_ITEMS = WARP_ROWS * PITCH  # of shared memory to a warp
HELD = 8 * WARP_ITEMS  # and to both consumers


@cuda.jit(device=True)
def quick_sigmoid(x):
    """Sigmoid with a division to 2 ulp: a call of the exact one would make all products wait."""
    e = math.exp(-abs(x))
    return quick_divide(e if x < float32(0.0) else float32(1.0), float32(1.0) + e)


@cuda.jit(device=True)
def quick_silu(x):
    s = quick_sigmoid(x)
    return -s if s == float32(0.0) else x * s


QUICK = {"sigmoid": quick_sigmoid, "silu": quick_silu}


def finishing(activation: str | None) -> Any:
    """The device function for an activation, one that needs no call."""
    if activation is None:
        return identity
    return QUICK.get(activation) or value_function(activation, float32)


@cuda.jit(device=True)
def bias_of(bias, at, n):
    """The bias of columns ``at`` to ``at + 3``; beyond the last column, that of the last one."""
    last = uint32(n - uint32(1))
    p1, p2 = bias[min(uint32(at + uint32(1)), last)], bias[min(uint32(at + uint32(2)), last)]
    return bias[at], p1, p2, bias[min(uint32(at + uint32(3)), last)]


@cuda.jit(device=True)
def no_bias(bias, at, n):
    """Zeros in the place of :func:`bias_of`: the bias of slices is added by ``..split``, once."""
    return float32(0.0), float32(0.0), float32(0.0), float32(0.0)


def make_put(wide: bool, activation: str | None, split: bool = False):
    """The function that stores the sums of ``BLOCKS`` blocks of eight columns from ``first`` on.

    Args:
        wide: c begins at a multiple of 16 bytes and n is a multiple of four.
        activation: None, or a name known to ``activations.functions.value_function``.
        split: the sums are those of a slice (see ``..slicing``), stored without bias.

    Returns:
        A device function of (total, first, held, own, bias, c, above, row, column, m, n): the sums
        of the tile whose first row and column are given, of a matrix that begins ``above`` rows
        further in c; the warp's part of ``held`` begins at ``own``.
    """
    put = put_wide if wide else put_narrow
    finish = finishing(activation)
    added = no_bias if split else bias_of

    @cuda.jit(device=True)
    def put_blocks(total, first, held, own, bias, c, above, row, column, m, n):
        lane = uint32(uint32(cuda.threadIdx.x) & uint32(31))
        slot = own + (lane >> uint32(2)) * uint32(PITCH) + (lane & uint32(3)) * uint32(2)
        cuda.syncwarp()
        for j in range(BLOCKS):
            k = 4 * (first + j)
            store2(held, slot + uint32(8 * j), total[k], total[k + 1])
            store2(held, slot + uint32(8 * PITCH + 8 * j), total[k + 2], total[k + 3])
        cuda.syncwarp()
        right = uint32((lane & uint32(7)) * uint32(RUN))
        at = uint32(column + uint32(8 * first) + right)
        down = uint32(lane >> uint32(3))
        if at < n:
            p0, p1, p2, p3 = added(bias, at, n)
            while down < uint32(WARP_ROWS):
                at_row = uint32(row + down)
                if at_row < m:
                    x0, x1, x2, x3 = load4(held, own + uint32(down * uint32(PITCH)) + right)
                    x0, x1, x2, x3 = (
                        finish(x0 + p0),
                        finish(x1 + p1),
                        finish(x2 + p2),
                        finish(x3 + p3),
                    )
                    start = uint32(uint32(above + at_row) * n + at)
                    put(c, start, uint32(n - at), x0, x1, x2, x3)
                down = uint32(down + uint32(4))

    return put_blocks
