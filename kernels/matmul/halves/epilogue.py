"""How a warp stores its 64 x 64 sums: bias, activation, and whole lines.

After ``mma.sync`` a thread holds pairs of columns, eight apart, of rows eight apart. Half of a
warp's sums at a time, 32 rows, go through a part of shared memory of its own, and each thread takes
four columns of a row from there. So a warp stores 256 bytes of each of two rows at once, and the
activation is in the code only twice.

Blocks of eight columns, 32 bytes, change places within their row: block j of row r lies at ``j ^ (r
% 8)``. So four rows of a block, which 16 lanes write, meet every bank once, and so do the four
blocks of a row that eight lanes read.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, uint32

from ...engine.ptx import load4, store2
from ..hopper.epilogue import bias_of, finishing, no_bias
from ..sgemm import RUN, put_narrow, put_wide

HIGH, WIDE = 32, 64  # rows that are stored together, and columns
WARP_ITEMS = HIGH * WIDE  # of shared memory to a warp
LANES = WIDE // RUN  # threads to a row
BLOCK = 8  # columns
HALF = HIGH * WIDE // 32  # sums of a thread


@cuda.jit(device=True)
def lay(total, first, held, own):
    """A thread's sums from ``first`` on, those of 32 rows, into shared memory."""
    lane = uint32(uint32(cuda.threadIdx.x) & uint32(31))
    g, t = uint32(lane >> uint32(2)), uint32(lane & uint32(3))
    slot = uint32(own + uint32(g * uint32(WIDE)) + t * uint32(2))
    for i in range(HIGH // 16):
        for j in range(WIDE // BLOCK):
            k = first + 4 * (i * (WIDE // BLOCK) + j)
            block = uint32((uint32(j) ^ g) * uint32(BLOCK))
            place = uint32(slot + block + uint32(16 * WIDE * i))
            store2(held, place, total[k], total[k + 1])
            store2(held, uint32(place + uint32(8 * WIDE)), total[k + 2], total[k + 3])


def make_store(wide: bool, activation: str | None, split: bool = False) -> Any:
    """The function that stores the sums of a warp.

    Args:
        wide: c begins at a multiple of 16 bytes and n is a multiple of four.
        activation: None, or a name known to ``activations.functions.value_function``.
        split: the sums are those of a slice (see ``..slicing``), stored without bias.

    Returns:
        A device function of (total, held, own, bias, c, above, row, column, m, n): the sums of the
        64 rows and columns from the given ones on, of a matrix that begins ``above`` rows further
        in c; the warp's part of ``held`` begins at ``own``.
    """
    put = put_wide if wide else put_narrow
    finish = finishing(activation)
    added = no_bias if split else bias_of

    @cuda.jit(device=True)
    def put_rows(held, own, bias, c, above, row, column, m, n):
        lane = uint32(uint32(cuda.threadIdx.x) & uint32(31))
        right = uint32((lane % uint32(LANES)) * uint32(RUN))
        at = uint32(column + right)
        down = uint32(lane // uint32(LANES))
        if at < n:
            p0, p1, p2, p3 = added(bias, at, n)
            while down < uint32(HIGH):
                at_row = uint32(row + down)
                if at_row < m:
                    other = uint32((down & uint32(7)) * uint32(BLOCK))
                    slot = uint32(own + uint32(down * uint32(WIDE)) + (right ^ other))
                    x0, x1, x2, x3 = load4(held, slot)
                    x0, x1 = finish(x0 + p0), finish(x1 + p1)
                    x2, x3 = finish(x2 + p2), finish(x3 + p3)
                    start = uint32(uint32(above + at_row) * n + at)
                    put(c, start, uint32(n - at), x0, x1, x2, x3)
                down = uint32(down + uint32(32 // LANES))

    @cuda.jit(device=True)
    def store(total, held, own, bias, c, above, row, column, m, n):
        lay(total, 0, held, own)
        cuda.syncwarp()
        put_rows(held, own, bias, c, above, row, column, m, n)
        cuda.syncwarp()
        lay(total, HALF, held, own)
        cuda.syncwarp()
        put_rows(held, own, bias, c, above, uint32(row + uint32(HIGH)), column, m, n)

    return store
