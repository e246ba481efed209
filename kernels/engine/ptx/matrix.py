"""Tensor cores: ``ldmatrix`` and ``mma.sync``, in which the 32 lanes of a warp work together.

A *fragment* is what one lane holds of a small matrix. With ``g = lane // 4`` and ``t = lane % 4``:

===========================  =====================================================================
fragment                     lane holds
===========================  =====================================================================
c and result, 16 x 8         ``c[g, 2t], c[g, 2t+1], c[g+8, 2t], c[g+8, 2t+1]`` as four float32
a, 16 x 8, tf32              ``a[g, t], a[g+8, t], a[g, t+4], a[g+8, t+4]`` as four float32
b, 8 x 8, tf32               ``b[t, g], b[t+4, g]`` as two float32
a, 16 x 16, 16-bit numbers   the pairs from ``a[g, 2t], a[g+8, 2t], a[g, 2t+8], a[g+8, 2t+8]`` on
b, 16 x 8, 16-bit numbers    the pairs from ``b[2t, g], b[2t+8, g]`` downward
===========================  =====================================================================

A pair is one uint32, the first number in its low half. All lanes of the warp must take part.

Source: PTX ISA, sections "Matrix multiply-accumulate operation using mma instruction" (with the
figures of the fragments) and "Warp-level matrix load instruction: ldmatrix".
"""

from __future__ import annotations

from typing import Any

from numba import cuda, types, uint32

from .instruction import (
    FLOAT,
    INT32,
    VOLATILE,
    assembler,
    element_pointer,
    instruction,
    require_array,
    require_integer,
    shared_address,
)
from .numbers import bf16_high, bf16_low, f16_high, f16_low, truncated

FULL = 0xFFFFFFFF  # every lane of a warp

# $0 to $3 are the results, $4 to $7 the numbers of c in the same registers.
SHAPES = {
    "tf32": "m16n8k8.row.col.f32.tf32.tf32.f32",
    "bf16": "m16n8k16.row.col.f32.bf16.bf16.f32",
    "f16": "m16n8k16.row.col.f32.f16.f16.f32",
}
OPERANDS = "{$0, $1, $2, $3}, {$8, $9, $10, $11}, {$12, $13}, {$4, $5, $6, $7}"
CONSTRAINTS = "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"


# -- ldmatrix --------------------------------------------------------------------------------------
@cuda.jit(device=True)
def _word(tile, index, matrix):
    """Item (g, t) of a matrix of 8 rows of four float32."""
    lane = cuda.laneid
    row = cuda.shfl_sync(FULL, index, 8 * matrix + lane // 4)
    return tile[row + lane % 4]


@cuda.jit(device=True)
def _pair(tile, index, matrix):
    """Items (g, 2t) and (g, 2t+1) of a matrix of 8 rows of eight 16-bit numbers."""
    lane = cuda.laneid
    row = cuda.shfl_sync(FULL, index, 8 * matrix + lane // 4)
    at = row + 2 * (lane % 4)
    return uint32(tile[at]) | uint32(tile[at + 1]) << uint32(16)


@cuda.jit(device=True)
def _turned(tile, index, matrix):
    """Items (2t, g) and (2t+1, g): those of the transposed matrix."""
    lane = cuda.laneid
    first = cuda.shfl_sync(FULL, index, 8 * matrix + 2 * (lane % 4))
    second = cuda.shfl_sync(FULL, index, 8 * matrix + 2 * (lane % 4) + 1)
    column = lane // 4
    return uint32(tile[first + column]) | uint32(tile[second + column]) << uint32(16)


def _ldmatrix_x1(tile, index):
    return _pair(tile, index, 0)


def _ldmatrix_x2(tile, index):
    return _pair(tile, index, 0), _pair(tile, index, 1)


def _ldmatrix_x4(tile, index):
    return (
        _pair(tile, index, 0),
        _pair(tile, index, 1),
        _pair(tile, index, 2),
        _pair(tile, index, 3),
    )


def _ldmatrix_x2_trans(tile, index):
    return _turned(tile, index, 0), _turned(tile, index, 1)


def _ldmatrix_x4_trans(tile, index):
    return (
        _turned(tile, index, 0),
        _turned(tile, index, 1),
        _turned(tile, index, 2),
        _turned(tile, index, 3),
    )


def _ldmatrix_x2_words(tile, index):
    return _word(tile, index, 0), _word(tile, index, 1)


def _ldmatrix_x4_words(tile, index):
    return (
        _word(tile, index, 0),
        _word(tile, index, 1),
        _word(tile, index, 2),
        _word(tile, index, 3),
    )


@instruction(_ldmatrix_x1)
def ldmatrix_x1(typing: Any, tile: Any, index: Any) -> Any:
    """``ldmatrix_x1(tile, index)``: one 8x8 matrix; see :func:`ldmatrix_x4`."""
    return _load("ldmatrix_x1", 1, "", types.uint16, tile, index)


@instruction(_ldmatrix_x2)
def ldmatrix_x2(typing: Any, tile: Any, index: Any) -> Any:
    """``ldmatrix_x2(tile, index)``: two 8x8 matrices, so a fragment b; see :func:`ldmatrix_x4`."""
    return _load("ldmatrix_x2", 2, "", types.uint16, tile, index)


@instruction(_ldmatrix_x4)
def ldmatrix_x4(typing: Any, tile: Any, index: Any) -> Any:
    """``ldmatrix_x4(tile, index)``: four 8x8 matrices of 16-bit numbers from shared memory.

    PTX: ``ldmatrix.sync.aligned.m8n8.x4.shared.b16`` (SASS ``LDSM.16.M88.4``); sm_75 and later.

    Lane ``i`` says where row ``i % 8`` of matrix ``i // 8`` begins, at a multiple of 16 bytes. Each
    lane gets, of every matrix, the pair ``[g, 2t], [g, 2t+1]`` as one uint32. The four matrices
    ``a[:8, :8]``, ``a[8:, :8]``, ``a[:8, 8:]``, ``a[8:, 8:]`` make a fragment a.

    Args:
        tile: array in shared memory, uint16 (the bits of the numbers), one axis.
        index: element at which this lane's row begins.
    """
    return _load("ldmatrix_x4", 4, "", types.uint16, tile, index)


@instruction(_ldmatrix_x2_trans)
def ldmatrix_x2_trans(typing: Any, tile: Any, index: Any) -> Any:
    """:func:`ldmatrix_x2` of transposed matrices: the pairs ``[2t, g], [2t+1, g]``."""
    return _load("ldmatrix_x2_trans", 2, ".trans", types.uint16, tile, index)


@instruction(_ldmatrix_x4_trans)
def ldmatrix_x4_trans(typing: Any, tile: Any, index: Any) -> Any:
    """:func:`ldmatrix_x4` of transposed matrices: the pairs ``[2t, g], [2t+1, g]``."""
    return _load("ldmatrix_x4_trans", 4, ".trans", types.uint16, tile, index)


@instruction(_ldmatrix_x2_words)
def ldmatrix_x2_words(typing: Any, tile: Any, index: Any) -> Any:
    """``ldmatrix_x2_words(tile, index)``: two 8x4 matrices; see :func:`ldmatrix_x4_words`."""
    return _load("ldmatrix_x2_words", 2, "", types.float32, tile, index)


@instruction(_ldmatrix_x4_words)
def ldmatrix_x4_words(typing: Any, tile: Any, index: Any) -> Any:
    """``ldmatrix_x4_words(tile, index)``: four 8x4 matrices of float32 from shared memory.

    :func:`ldmatrix_x4` with a float32 in the place of each pair: every lane gets item ``[g, t]`` of
    each matrix. ``a[:8, :4]``, ``a[8:, :4]``, ``a[:8, 4:]``, ``a[8:, 4:]`` make a fragment a of
    tf32 numbers; the rows of b transposed make a fragment b with :func:`ldmatrix_x2_words`.
    """
    return _load("ldmatrix_x4_words", 4, "", types.float32, tile, index)


def _load(name: str, count: int, trans: str, dtype: Any, tile: Any, index: Any) -> Any:
    require_array(name, "tile", tile, dtype)
    require_integer(name, "index", index)
    item = types.float32 if dtype == types.float32 else types.uint32
    answer = item if count == 1 else types.UniTuple(item, count)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = shared_address(builder, element_pointer(context, builder, sig.args, args))
        names = ", ".join(f"${i}" for i in range(count))
        text = f"ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 {{{names}}}, [${count}];"
        constraints = ",".join(["=r"] * count + ["r", VOLATILE])
        words = assembler(builder, text, [INT32] * count, (address,), constraints)
        if dtype == types.float32:
            words = [builder.bitcast(word, FLOAT) for word in words]
        return words[0] if count == 1 else context.make_tuple(builder, sig.return_type, words)

    return answer(tile, index), generate


# -- mma.sync --------------------------------------------------------------------------------------
def _mma_tf32(c, a, b):
    lane = cuda.laneid
    row, column = 4 * (lane // 4), 8 * (lane % 4)  # the lanes that hold a[g, 0] and b[0, 2t]
    a0, a1, a2, a3 = truncated(a[0]), truncated(a[1]), truncated(a[2]), truncated(a[3])
    b0, b1 = truncated(b[0]), truncated(b[1])
    c0, c1, c2, c3 = c[0], c[1], c[2], c[3]
    for q in range(8):
        x, y, z = (a0, a1, b0) if q < 4 else (a2, a3, b1)
        upper = cuda.shfl_sync(FULL, x, row + q % 4)
        lower = cuda.shfl_sync(FULL, y, row + q % 4)
        left = cuda.shfl_sync(FULL, z, column + q % 4)
        right = cuda.shfl_sync(FULL, z, column + 4 + q % 4)
        c0 += upper * left
        c1 += upper * right
        c2 += lower * left
        c3 += lower * right
    return c0, c1, c2, c3


@instruction(_mma_tf32)
def mma_tf32(typing: Any, c: Any, a: Any, b: Any) -> Any:
    """``mma_tf32(c, a, b)``: the fragment of ``c + a b`` for a 16x8 and b 8x8.

    PTX: ``mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32`` (SASS ``HMMA.1688.F32.TF32``);
    sm_80 and later. Of a and b only the bits count that tf32 has: round with ``to_tf32`` first.

    Args:
        c: four float32; see the table of the fragments above.
        a: four float32.
        b: two float32.
    """
    return _multiply("tf32", types.float32, c, a, b)


def _products(low, high):
    """The meaning of ``mma`` for pairs whose numbers ``low`` and ``high`` take out."""

    def mma(c, a, b):
        lane = cuda.laneid
        row, column = 4 * (lane // 4), 8 * (lane % 4)
        a0, a1, a2, a3, b0, b1 = a[0], a[1], a[2], a[3], b[0], b[1]
        c0, c1, c2, c3 = c[0], c[1], c[2], c[3]
        for q in range(8):
            x, y, z = (a0, a1, b0) if q < 4 else (a2, a3, b1)
            upper = cuda.shfl_sync(FULL, x, row + q % 4)
            lower = cuda.shfl_sync(FULL, y, row + q % 4)
            left = cuda.shfl_sync(FULL, z, column + q % 4)
            right = cuda.shfl_sync(FULL, z, column + 4 + q % 4)
            u0, u1, v0, v1 = low(upper), high(upper), low(lower), high(lower)
            l0, l1, r0, r1 = low(left), high(left), low(right), high(right)
            c0 += u0 * l0 + u1 * l1
            c1 += u0 * r0 + u1 * r1
            c2 += v0 * l0 + v1 * l1
            c3 += v0 * r0 + v1 * r1
        return c0, c1, c2, c3

    return mma


@instruction(_products(bf16_low, bf16_high))
def mma_bf16(typing: Any, c: Any, a: Any, b: Any) -> Any:
    """``mma_bf16(c, a, b)``: the fragment of ``c + a b`` for a 16x16 and b 16x8, bfloat16.

    PTX: ``mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32`` (SASS ``HMMA.16816.F32.BF16``);
    sm_80 and later.

    Args:
        c: four float32; see the table of the fragments above.
        a: four uint32, each a pair.
        b: two uint32, each a pair.
    """
    return _multiply("bf16", types.uint32, c, a, b)


@instruction(_products(f16_low, f16_high))
def mma_f16(typing: Any, c: Any, a: Any, b: Any) -> Any:
    """:func:`mma_bf16` for float16: ``mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32``."""
    return _multiply("f16", types.uint32, c, a, b)


def _multiply(kind: str, item: Any, c: Any, a: Any, b: Any) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        c, a, b = (
            [builder.extract_value(value, i) for i in range(len(t))]
            for value, t in zip(args, sig.args)
        )
        return context.make_tuple(
            builder, sig.return_type, multiply_fragments(builder, kind, c, a, b)
        )

    numbers = types.UniTuple(types.float32, 4)
    return numbers(numbers, types.UniTuple(item, 4), types.UniTuple(item, 2)), generate


def multiply_fragments(builder: Any, kind: str, c: Any, a: Any, b: Any) -> list[Any]:
    """The code of one ``mma.sync``: four numbers of c, four of a and two of b to four results."""
    words = [x if x.type == INT32 else builder.bitcast(x, INT32) for x in (*a, *b)]
    text = f"mma.sync.aligned.{SHAPES[kind]} {OPERANDS};"
    return assembler(builder, text, [FLOAT] * 4, (*c, *words), CONSTRAINTS, False)
