"""Products of tiles in shared memory into a tile in registers, unrolled whole.

A loop over the depth of a tile has to be unrolled for its numbers to stay in registers and for
loads and multiplications to overlap; NVVM unrolls only short loops by itself. The functions here
generate the unrolled code for a GPU, and are ordinary loops on the CPU.

The tile in registers is a local array. Every index into it must be known when the kernel is
compiled, or it goes to memory.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from numba import cuda, float32, types

from .instruction import (
    FLOAT,
    INT64,
    SHARED,
    data_pointer,
    element_pointer,
    instruction,
    require_array,
    require_integer,
)
from .memory import WIDE, load4, load_vector

Factors = tuple[list[Any], list[Any]]


def _require_tiles(total: Any, a: Any, at: Any, b: Any, bt: Any) -> None:
    require_array("multiply", "total", total, types.float32, ndim=2)
    for name, tile, place in (("a", a, at), ("b", b, bt)):
        require_array("multiply", name, tile, types.float32)
        require_integer("multiply", name + "t", place)


@functools.cache
def multiply_columns(
    depth: int, rows: int, columns: int, row_step: int, column_step: int, pitch: int
) -> Any:
    """A function ``multiply(total, a, at, b, bt)`` for tiles of which each step of depth is a row.

    It adds to ``total[i, j]``, for ``i`` below ``rows`` and ``j`` below ``columns``, the sum over
    ``q`` below ``depth`` of ``a[at + q * pitch + place(i)] * b[bt + q * pitch + place(j)]``. The
    places of a thread are runs of four, ``row_step`` or ``column_step`` apart, each read at once
    (SASS ``LDS.128``, ``FFMA``; every architecture).

    Args of the function:
        total: local array (rows, columns), float32.
        a, b: shared arrays, float32, one axis; ``at``, ``bt`` and ``pitch`` multiples of four.
    """

    def meaning(total, a, at, b, bt):
        for q in range(depth):
            for i in range(rows):
                x = a[at + (q * pitch + i // WIDE * row_step + i % WIDE)]
                for j in range(columns):
                    y = b[bt + (q * pitch + j // WIDE * column_step + j % WIDE)]
                    total[i, j] += x * y

    def watched(total, a, at, b, bt):
        y = cuda.local.array(columns, float32)
        for q in range(depth):
            for g in range(0, columns, WIDE):
                y[g], y[g + 1], y[g + 2], y[g + 3] = load4(
                    b, bt + (q * pitch + g // WIDE * column_step)
                )
            for g in range(0, rows, WIDE):
                x0, x1, x2, x3 = load4(a, at + (q * pitch + g // WIDE * row_step))
                for j in range(columns):
                    total[g, j] += x0 * y[j]
                    total[g + 1, j] += x1 * y[j]
                    total[g + 2, j] += x2 * y[j]
                    total[g + 3, j] += x3 * y[j]

    def factors(builder: Any, a: Any, b: Any) -> Iterator[Factors]:
        for q in range(depth):
            x = _run(builder, a, q * pitch, rows, row_step)
            yield x, _run(builder, b, q * pitch, columns, column_step)

    return _multiplication(factors, rows, columns, meaning, watched)


@functools.cache
def multiply_rows(
    depth: int,
    rows: int,
    columns: int,
    row_step: int,
    column_step: int,
    a_pitch: int,
    b_pitch: int,
) -> Any:
    """:func:`multiply_columns` for a tile ``a`` whose rows run along the depth.

    It adds to ``total[i, j]`` the sum over ``q`` of ``a[at + i * row_step * a_pitch + q] *
    b[bt + q * b_pitch + place(j)]``: the rows of a thread are ``row_step`` apart. Of a it reads
    four steps of every row at once, as many numbers to an access as of b; ``depth`` is a multiple
    of four, and so are ``at``, ``bt`` and the pitches.
    """

    def meaning(total, a, at, b, bt):
        for q in range(depth):
            for i in range(rows):
                x = a[at + (i * row_step * a_pitch + q)]
                for j in range(columns):
                    y = b[bt + (q * b_pitch + j // WIDE * column_step + j % WIDE)]
                    total[i, j] += x * y

    def factors(builder: Any, a: Any, b: Any) -> Iterator[Factors]:
        for q in range(0, depth, WIDE):
            x = _run(builder, a, q, rows * WIDE, row_step * a_pitch)
            for k in range(WIDE):
                y = _run(builder, b, (q + k) * b_pitch, columns, column_step)
                yield x[k::WIDE], y

    return _multiplication(factors, rows, columns, meaning)


def _multiplication(factors: Any, rows: int, columns: int, *meanings: Any) -> Any:
    """The function ``multiply`` of ``rows`` x ``columns`` sums.

    Args:
        factors: of (builder, a, b), the tiles from their places on: generates the code that reads
            the numbers of a and b that are multiplied at each step of the depth.
        meanings: what it computes, on a CPU, as for ``instruction``.
    """

    @instruction(*meanings)
    def multiply(typing: Any, total: Any, a: Any, at: Any, b: Any, bt: Any) -> Any:
        _require_tiles(total, a, at, b, bt)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            registers = data_pointer(context, builder, sig.args[0], args[0])
            places = [builder.gep(registers, [INT64(i)]) for i in range(rows * columns)]
            sums = [builder.load(place) for place in places]
            left, right = (
                _shared(builder, element_pointer(context, builder, sig.args[i:], args[i:]))
                for i in (1, 3)
            )
            for x, y in factors(builder, left, right):
                for i in range(rows):
                    for j in range(columns):
                        k = i * columns + j
                        sums[k] = builder.fma(x[i], y[j], sums[k])
            for place, value in zip(places, sums):
                builder.store(value, place)
            return context.get_dummy_value()

        return types.void(total, a, at, b, bt), generate

    return multiply


def _shared(builder: Any, pointer: Any) -> Any:
    return builder.addrspacecast(pointer, FLOAT.as_pointer(SHARED))


def _run(builder: Any, tile: Any, start: int, count: int, step: int) -> list[Any]:
    """``count`` numbers: runs of four, ``step`` apart."""
    found: list[Any] = []
    for group in range(count // WIDE):
        place = builder.gep(tile, [INT64(start + group * step)], inbounds=True)
        found += load_vector(builder, place)
    return found
