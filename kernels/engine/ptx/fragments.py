"""Products of tiles in shared memory by the tensor cores, unrolled whole.

The counterpart of ``tiles`` for ``mma.sync``: a warp multiplies its part of two tiles of float32,
which are rounded to tf32 or bfloat16 on their way from shared memory to the fragments. A
tile is stored in rows along the depth (``x * pitch + q``) or across it (``q * pitch + x``).

With a pitch of 20 (tf32) or 24 (bfloat16) along, and of 8 or 4 more than a multiple of 32
across, the 32 lanes of a warp meet 32 different banks of shared memory in every access.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types

from .instruction import (
    FLOAT,
    INT32,
    INT64,
    SHARED,
    VOLATILE,
    assembler,
    data_pointer,
    element_pointer,
    instruction,
    require_array,
    require_integer,
)
from .matrix import multiply_fragments
from .numbers import nearest_bf16, packed_word, to_tf32

ROWS, COLUMNS = 16, 8  # of c that one mma.sync computes
CONVERT = "cvt.rna.tf32.f32 $0, $1;"
DEPTHS = {"tf32": 8, "bf16": 16}  # steps of the sum that it takes


@dataclass(frozen=True)
class Layout:
    """How a tile is stored: item (x, q) is number ``x * x_step + q * q_step``."""

    x_step: int
    q_step: int

    @property
    def along(self) -> bool:
        """Whether the rows run along the depth."""
        return self.q_step == 1


@functools.cache
def multiply_warp(kind: str, rows: int, columns: int, depth: int, a: Layout, b: Layout) -> Any:
    """A function ``multiply(total, a, at, b, bt, lane)`` for the 32 lanes of a warp.

    It adds the product of a, ``16 * rows`` x ``depth``, and b, ``depth`` x ``8 * columns``, to the
    fragments ``total[i, j]``: those of the 16 x 8 items in row i and column j of such blocks (see
    ``matrix`` for what a lane holds). SASS ``HMMA``; sm_80 and later.

    Args:
        kind: ``"tf32"`` or ``"bf16"``.
        rows, columns: blocks of 16 rows and of 8 columns; an even number of columns.
        depth: of the tiles; a multiple of 8 (tf32) or 16 (bfloat16).
        a, b: how the tiles are stored.

    Args of the function:
        total: local array (rows, columns, 4), float32.
        a, b: shared arrays, float32, one axis; ``at``, ``bt``: where the warp's part begins.
        lane: number of the thread in its warp.
    """

    @instruction(_meaning(kind, rows, columns, depth, a, b))
    def multiply(
        typing: Any, total: Any, a_tile: Any, at: Any, b_tile: Any, bt: Any, lane: Any
    ) -> Any:
        require_array("multiply", "total", total, types.float32, ndim=3)
        require_array("multiply", "a", a_tile, types.float32)
        require_array("multiply", "b", b_tile, types.float32)
        for name, index in (("at", at), ("bt", bt)):
            require_integer("multiply", name, index)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            registers = data_pointer(context, builder, sig.args[0], args[0])
            count = rows * columns * 4
            places = [builder.gep(registers, [INT64(i)]) for i in range(count)]
            sums = [builder.load(place) for place in places]
            tiles = [
                _shared(builder, element_pointer(context, builder, sig.args[i:], args[i:]))
                for i in (1, 3)
            ]
            readers = [_Reader(builder, kind, tile, args[5], y) for tile, y in zip(tiles, (a, b))]
            for q in range(0, depth, DEPTHS[kind]):
                xs = readers[0].all_a(rows, q)
                ys = readers[1].all_b(columns, q)
                for i in range(rows):
                    for j in range(columns):
                        k = 4 * (i * columns + j)
                        sums[k : k + 4] = multiply_fragments(
                            builder, kind, sums[k : k + 4], xs[i], ys[j]
                        )
            for place, value in zip(places, sums):
                builder.store(value, place)
            return context.get_dummy_value()

        return types.void(total, a_tile, at, b_tile, bt, types.uint32), generate

    return multiply


# -- the meaning on the CPU ------------------------------------------------------------------------
def _meaning(kind: str, rows: int, columns: int, depth: int, a_layout: Layout, b_layout: Layout):
    """Each lane's items of the product, without a detour by fragments of a and b."""
    AX, AQ, BX, BQ = a_layout.x_step, a_layout.q_step, b_layout.x_step, b_layout.q_step
    near = to_tf32 if kind == "tf32" else nearest_bf16

    def meaning(total, a, at, b, bt, lane):
        g, t = lane // 4, lane % 4
        for i in range(rows):
            for j in range(columns):
                for e in range(4):
                    p = at + (16 * i + 8 * (e // 2) + g) * AX
                    s = bt + (8 * j + e % 2 + 2 * t) * BX
                    for q in range(depth):
                        total[i, j, e] += near(a[p + q * AQ]) * near(b[s + q * BQ])

    return meaning


# -- the code for a GPU ----------------------------------------------------------------------------
class _Reader:
    """Loads the fragments of one tile."""

    def __init__(self, builder: Any, kind: str, tile: Any, lane: Any, layout: Layout) -> None:
        self.builder, self.kind, self.tile, self.layout = builder, kind, tile, layout
        self.lane = lane
        pair = 1 if kind == "tf32" else 2
        g, t = builder.lshr(lane, INT32(2)), builder.and_(lane, INT32(3))
        own = self.number(g, layout.x_step, t, pair * layout.q_step)
        self.own = builder.gep(tile, [own], inbounds=True)  # item (g, t) or (g, 2t)

    def number(self, x: Any, x_step: int, q: Any, q_step: int) -> Any:
        b = self.builder
        return b.add(b.mul(x, INT32(x_step)), b.mul(q, INT32(q_step)))

    def all_a(self, rows: int, q: int) -> list[list[Any]]:
        """The fragments of ``rows`` blocks of 16 rows from depth q on."""
        if self.kind == "tf32" and self.layout.along:
            lane, b = self.lane, self.builder
            row, half = b.and_(lane, INT32(15)), b.lshr(lane, INT32(4))
            return [self.matrices(row, half, ROWS * i, q) for i in range(rows)]
        step = DEPTHS[self.kind] // 2
        places = [(0, 0), (8, 0), (0, step), (8, step)]
        return [[self.word(ROWS * i + x, q + d) for x, d in places] for i in range(rows)]

    def all_b(self, columns: int, q: int) -> list[list[Any]]:
        """The fragments of ``columns`` blocks of 8 columns from depth q on."""
        if self.kind == "tf32" and self.layout.along:
            lane, b = self.lane, self.builder
            row = b.or_(b.and_(lane, INT32(7)), b.lshr(b.and_(lane, INT32(16)), INT32(1)))
            half = b.and_(b.lshr(lane, INT32(3)), INT32(1))
            found = [self.matrices(row, half, COLUMNS * j, q) for j in range(0, columns, 2)]
            return [words[k : k + 2] for words in found for k in (0, 2)]
        step = DEPTHS[self.kind] // 2
        return [
            [self.word(COLUMNS * j, q), self.word(COLUMNS * j, q + step)] for j in range(columns)
        ]

    def matrices(self, row: Any, half: Any, x: int, q: int) -> list[Any]:
        """Four matrices of 8 x 4 numbers by one ``ldmatrix``, rounded."""
        start = self.builder.gep(self.tile, [self.number(row, self.layout.x_step, half, 4)])
        address = self.builder.ptrtoint(start, INT32)
        offset = 4 * (x * self.layout.x_step + q)
        text = f"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{$0, $1, $2, $3}}, [$4 + {offset}];"
        words = assembler(self.builder, text, [FLOAT] * 4, (address,), f"=f,=f,=f,=f,r,{VOLATILE}")
        return [self.rounded(word) for word in words]

    def word(self, x: int, q: int) -> Any:
        """One register of a fragment: a rounded number, or a pair of them."""
        start = x * self.layout.x_step + q * self.layout.q_step
        if self.kind == "tf32":
            return self.rounded(self.builder.load(self.place(start), align=4))
        if not self.layout.along:
            two = [
                self.builder.load(self.place(start + d * self.layout.q_step), align=4)
                for d in range(2)
            ]
            return packed_word(self.builder, "bf16x2", *two)
        vector = ir.VectorType(FLOAT, 2)
        wide = self.builder.bitcast(self.place(start), vector.as_pointer(SHARED))
        both = self.builder.load(wide, align=8)
        two = [self.builder.extract_element(both, INT32(i)) for i in range(2)]
        return packed_word(self.builder, "bf16x2", *two)

    def place(self, start: int) -> Any:
        return self.builder.gep(self.own, [INT64(start)], inbounds=True)

    def rounded(self, number: Any) -> Any:
        return assembler(self.builder, CONVERT, [INT32], (number,), "=r,f", False)[0]


def _shared(builder: Any, pointer: Any) -> Any:
    return builder.addrspacecast(pointer, FLOAT.as_pointer(SHARED))
