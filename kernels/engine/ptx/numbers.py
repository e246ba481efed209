"""Rounding float32 to what tensor cores take: tf32, and pairs of bfloat16 or float16 in one word.

Source: PTX ISA, sections "Alternate Floating-Point Data Formats" and "cvt".
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import cuda, float32, int32, types, uint32
from numba.cuda import libdevice

from .instruction import FLOAT, INT32, assembler, instruction

KEPT = -0x2000  # the bits of a float32 that are also in tf32: all but the last 13
HALF_UNIT = 0x1000  # half of the last of them
EXPONENT_DIFFERENCE = 112  # between the biases of float32 and float16
SCALE = 2.0**EXPONENT_DIFFERENCE


# -- what the numbers mean on the CPU -------------------------------------------------------------
@cuda.jit(device=True)
def truncated(x):
    """What a tensor core sees of a float32 that was not rounded to tf32."""
    return libdevice.int_as_float(int32(libdevice.float_as_int(x) & int32(KEPT)))


@cuda.jit(device=True)
def bf16_bits(x):
    """Bits of the nearest bfloat16, ties to even."""
    bits = uint32(libdevice.float_as_int(x))
    rounded = uint32((bits + uint32(0x7FFF) + ((bits >> uint32(16)) & uint32(1))) >> uint32(16))
    return uint32(0x7FFF) if x != x else rounded


@cuda.jit(device=True)
def bf16_low(word):
    return libdevice.int_as_float(int32(word << uint32(16)))


@cuda.jit(device=True)
def bf16_high(word):
    return libdevice.int_as_float(int32(word & uint32(0xFFFF0000)))


@cuda.jit(device=True)
def nearest_bf16(x):
    return bf16_low(bf16_bits(x))


@cuda.jit(device=True)
def f16_bits(x):
    """Bits of the nearest float16, ties to even."""
    bits = uint32(libdevice.float_as_int(x))
    sign = uint32((bits >> uint32(16)) & uint32(0x8000))
    size = uint32(bits & uint32(0x7FFFFFFF))
    # Added to 0.5, a number below 2**-14 loses exactly the digits that float16 has no room for.
    small = uint32(
        libdevice.float_as_int(libdevice.int_as_float(int32(size)) + float32(0.5))
    ) - uint32(0x3F000000)
    odd = uint32((size >> uint32(13)) & uint32(1))
    normal = uint32(
        uint32(size - uint32(EXPONENT_DIFFERENCE << 23) + uint32(0xFFF) + odd) >> uint32(13)
    )
    found = uint32(small) if size < uint32(0x38800000) else normal
    if size >= uint32(0x477FF000):  # rounds to more than 65504
        found = uint32(0x7C00)
    if size > uint32(0x7F800000):
        found = uint32(0x7FFF)
        sign = uint32(0)
    return uint32(sign | found)


@cuda.jit(device=True)
def f16_value(half):
    """float32 of the low 16 bits."""
    size = uint32(half & uint32(0x7FFF))
    sign = uint32((half & uint32(0x8000)) << uint32(16))
    scaled = libdevice.int_as_float(int32(size << uint32(13))) * float32(SCALE)
    bits = uint32(libdevice.float_as_int(scaled))
    if size >= uint32(0x7C00):
        bits = uint32(uint32(0x7F800000) | (size << uint32(13)))
    return libdevice.int_as_float(int32(sign | bits))


@cuda.jit(device=True)
def f16_low(word):
    return f16_value(word)


@cuda.jit(device=True)
def f16_high(word):
    return f16_value(uint32(word >> uint32(16)))


@cuda.jit(device=True)
def float_bits(x):
    """The bits of a float32, as uint32."""
    return uint32(libdevice.float_as_int(x))


@cuda.jit(device=True)
def quick_divide(x, y):
    """``x / y`` to 2 ulp, for y from 2^-126 to 2^126: PTX ``div.approx.f32``, never a call."""
    return libdevice.fast_fdividef(x, y)


# -- the instructions ------------------------------------------------------------------------------
def _to_tf32(x):
    bits = libdevice.float_as_int(x) + int32(HALF_UNIT)
    return x if x != x else libdevice.int_as_float(int32(bits & int32(KEPT)))


@instruction(_to_tf32)
def to_tf32(typing: Any, x: Any) -> Any:
    """``to_tf32(x)``: a float32 rounded to the 10 bits after the point that tf32 has.

    PTX: ``cvt.rna.tf32.f32``: to the nearest, ties away from zero; sm_80 and later.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        (word,) = assembler(builder, "cvt.rna.tf32.f32 $0, $1;", [INT32], args, "=r,f", False)
        return builder.bitcast(word, FLOAT)

    return types.float32(types.float32), generate


def _to_bf16x2(low, high):
    return uint32(bf16_bits(low) | (bf16_bits(high) << uint32(16)))


@instruction(_to_bf16x2)
def to_bf16x2(typing: Any, low: Any, high: Any) -> Any:
    """``to_bf16x2(low, high)``: two float32 as bfloat16 in one uint32, ``low`` in the low half.

    PTX: ``cvt.rn.bf16x2.f32``: to the nearest, ties to even; sm_80 and later.
    """
    return _packed("bf16x2")


def _to_f16x2(low, high):
    return uint32(f16_bits(low) | (f16_bits(high) << uint32(16)))


@instruction(_to_f16x2)
def to_f16x2(typing: Any, low: Any, high: Any) -> Any:
    """``to_f16x2(low, high)``: two float32 as float16 in one uint32, ``low`` in the low half.

    PTX: ``cvt.rn.f16x2.f32``: to the nearest, ties to even; sm_80 and later.
    """
    return _packed("f16x2")


def _packed(kind: str) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return packed_word(builder, kind, *args)

    return types.uint32(types.float32, types.float32), generate


def packed_word(builder: Any, kind: str, low: ir.Value, high: ir.Value) -> ir.Value:
    """The code of :func:`to_bf16x2` and :func:`to_f16x2`."""
    text = f"cvt.rn.{kind}.f32 $0, $2, $1;"
    return assembler(builder, text, [INT32], (low, high), "=r,f,f", False)[0]
