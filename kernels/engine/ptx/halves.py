"""Products of tiles of 16-bit numbers in shared memory by the tensor cores, unrolled whole.

The counterpart of ``fragments`` for matrices that are float16 or bfloat16 in memory: nothing is
rounded, and ``ldmatrix`` brings the fragments, transposed where a tile is stored across the depth.

A tile is stored in rows along the depth, item (x, q) in row x, or across it, in row q. A *unit* is
eight numbers, 16 bytes. Units change places within their row: unit u of row r lies at ``u ^ (r %
8)``, and in rows of 64 bytes, two of which are a line of all banks, at ``u ^ (r // 2 % 4)``. So the
same unit of eight rows, which ``ldmatrix`` reads at once, meets every bank of shared memory once,
and so do eight units that are copied into one row or two.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from numba import cuda, float32, types, uint32

from .instruction import (
    INT32,
    INT64,
    VOLATILE,
    assembler,
    data_pointer,
    element_pointer,
    instruction,
    require_array,
    require_integer,
    shared_address,
)
from .matrix import multiply_fragments
from .numbers import bf16_low, f16_value

ROWS, COLUMNS, DEPTH = 16, 8, 16  # of one mma.sync
UNIT = 8  # numbers in 16 bytes
SHORT = 32  # numbers to a row of 64 bytes
LINE = 64  # numbers in a line of all banks
BYTES = 2  # of a number
VALUES = {"f16": f16_value, "bf16": bf16_low}


@dataclass(frozen=True)
class HalfTile:
    """How a tile is stored.

    Args:
        along: whether its rows run along the depth.
        length: numbers to a row, 32 or a multiple of 64; that is the depth if ``along``.
    """

    along: bool
    length: int


def _exchange(length: int) -> tuple[int, int]:
    """By how much the number of a row is shifted, and what is kept of it, to exchange units."""
    return (1, 3) if length == SHORT else (0, 7)


@functools.cache
def place_in_tile(length: int) -> Any:
    """The device function of (row, column): where that number lies, in a tile of such rows."""
    SHIFT, KEPT = _exchange(length)

    @cuda.jit(device=True)
    def place(row, column):
        other = uint32(uint32(row) >> uint32(SHIFT)) & uint32(KEPT)
        exchanged = uint32(column) ^ uint32(uint32(other) * uint32(UNIT))
        return uint32(uint32(uint32(row) * uint32(length)) + uint32(exchanged))

    return place


@functools.cache
def multiply_halves(
    kind: str, rows: int, columns: int, depth: int, a: HalfTile, b: HalfTile
) -> Any:
    """A function ``multiply(total, a, at, b, bt, lane)`` for the 32 lanes of a warp.

    It adds the product of a, ``16 * rows`` x ``depth``, and b, ``depth`` x ``8 * columns``, to the
    fragments from ``total[4 * (i * columns + j)]`` on: those of the 16 x 8 items in row i and
    column j of such blocks (see ``matrix`` for what a lane holds). SASS ``LDSM``, ``HMMA``; sm_80
    and later.

    Args:
        kind: ``"f16"`` or ``"bf16"``.
        rows, columns: blocks of 16 rows and of 8 columns; an even number of columns.
        depth: of the tiles; a multiple of 16.
        a, b: how the tiles are stored.

    Args of the function:
        total: local array of ``4 * rows * columns`` float32.
        a, b: shared arrays, uint16 (the bits of the numbers), one axis; ``at``, ``bt``: where the
            warp's part begins, a multiple of eight rows or of 64 numbers into the tile, which
            begins at a multiple of 128 bytes.
        lane: number of the thread in its warp.
    """

    @instruction(_meaning(kind, rows, columns, depth, a, b))
    def multiply(
        typing: Any, total: Any, a_tile: Any, at: Any, b_tile: Any, bt: Any, lane: Any
    ) -> Any:
        require_array("multiply", "total", total, types.float32)
        for name, tile, index in (("a", a_tile, at), ("b", b_tile, bt)):
            require_array("multiply", name, tile, types.uint16)
            require_integer("multiply", name + "t", index)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            registers = data_pointer(context, builder, sig.args[0], args[0])
            places = [builder.gep(registers, [INT64(i)]) for i in range(4 * rows * columns)]
            sums = [builder.load(place) for place in places]
            starts = [
                shared_address(builder, element_pointer(context, builder, sig.args[i:], args[i:]))
                for i in (1, 3)
            ]
            of_a = _Reader(builder, starts[0], args[5], a, a.along)
            of_b = _Reader(builder, starts[1], args[5], b, not b.along)
            for q in range(0, depth, DEPTH):
                pairs = [of_b.fragments(2 * COLUMNS * j, q) for j in range(columns // 2)]
                ys = [words[k : k + 2] for words in pairs for k in (0, 2)]
                for i in range(rows):
                    x = of_a.fragments(ROWS * i, q)
                    for j in range(columns):
                        k = 4 * (i * columns + j)
                        sums[k : k + 4] = multiply_fragments(
                            builder, kind, sums[k : k + 4], x, ys[j]
                        )
            for place, value in zip(places, sums):
                builder.store(value, place)
            return context.get_dummy_value()

        return types.void(total, a_tile, at, b_tile, bt, types.uint32), generate

    return multiply


# -- the meaning on the CPU ------------------------------------------------------------------------
def _meaning(kind: str, rows: int, columns: int, depth: int, a_tile: HalfTile, b_tile: HalfTile):
    """Each lane's items of the product, without a detour by fragments of a and b."""
    value = VALUES[kind]
    a_place, b_place = place_in_tile(a_tile.length), place_in_tile(b_tile.length)
    A_ALONG, B_ALONG = a_tile.along, b_tile.along
    WIDE = 2 * columns

    def meaning(total, a, at, b, bt, lane):
        ys = cuda.local.array(WIDE, float32)
        g, t = lane // 4, lane % 4
        for q in range(depth):
            for j in range(WIDE):
                y = 8 * (j // 2) + j % 2 + 2 * t
                s = b_place(y, q) if B_ALONG else b_place(q, y)
                ys[j] = value(uint32(b[bt + s]))
            for i in range(2 * rows):
                x = 8 * i + g
                p = a_place(x, q) if A_ALONG else a_place(q, x)
                factor = value(uint32(a[at + p]))
                for j in range(WIDE):
                    n = 4 * (i // 2 * columns + j // 2) + 2 * (i % 2) + j % 2
                    total[n] += factor * ys[j]

    return meaning


# -- the code for a GPU ----------------------------------------------------------------------------
class _Reader:
    """Loads the fragments of one tile, four 8 x 8 matrices by one ``ldmatrix``.

    Of a they are those of rows 0 and 8 at depth 0, then at depth 8; of b those of depth 0 and 8 at
    column 0, then at column 8. Lane ``l`` names row ``l % 8`` of matrix ``l / 8`` as it is stored.

    Args:
        start: address of the warp's part, 32 bits.
        down: whether the second matrix is the one eight stored rows further, and not the one a unit
            further.
    """

    def __init__(self, builder: Any, start: Any, lane: Any, tile: HalfTile, down: bool) -> None:
        self.builder, self.start, self.tile = builder, start, tile
        b = builder
        second, third = b.and_(b.lshr(lane, INT32(3)), INT32(1)), b.lshr(lane, INT32(4))
        lower, unit = (second, third) if down else (third, second)
        row = b.add(b.and_(lane, INT32(7)), b.mul(lower, INT32(8)))
        shift, kept = _exchange(tile.length)
        exchanged = b.xor(unit, b.and_(b.lshr(row, INT32(shift)), INT32(kept)))
        size = UNIT * BYTES
        self.own = b.add(b.mul(row, INT32(tile.length * BYTES)), b.mul(exchanged, INT32(size)))

    def fragments(self, x: int, q: int) -> list[Any]:
        """Four registers of each lane: the 16 x 16 numbers from (x, q) on, multiples of 16."""
        row, column = (x, q) if self.tile.along else (q, x)
        within = column % LINE  # by this unit numbers differ in bits that are exchanged
        b = self.builder
        address = b.add(self.start, b.xor(self.own, INT32(within * BYTES)))
        offset = (row * self.tile.length + column - within) * BYTES
        trans = "" if self.tile.along else ".trans"
        text = (
            f"ldmatrix.sync.aligned.m8n8.x4{trans}.shared.b16 {{$0, $1, $2, $3}}, [$4 + {offset}];"
        )
        return assembler(b, text, [INT32] * 4, (address,), f"=r,=r,=r,=r,r,{VOLATILE}")
