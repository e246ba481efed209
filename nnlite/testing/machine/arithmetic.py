"""Instructions that take numbers and give a number: integers, bits, predicates, floats.

Source: PTX ISA, sections "Integer Arithmetic Instructions", "Floating-Point Instructions",
"Logic and Shift Instructions". Those that are ``.approx``
are computed exactly and rounded once, so better than any GPU does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .machine import Machine, operation
from .numbers import KINDS, flushed, fma32, fma64, is_float, narrow, to_odd, two_sum
from .program import Instruction
from .threads import Threads

ROUNDINGS = ("rn", "rz", "rm", "rp")
Function = Callable[..., Any]


def refuse_unknown(i: Instruction, *known: str) -> None:
    """NotImplementedError if an instruction has a modifier that its builder does not mean."""
    left = [m for m in i.modifiers if m not in known and m not in KINDS]
    if left:
        raise NotImplementedError(f"{i.source} (.{left[0]})")


def maps(i: Instruction, function: Function, kind: str | None = None) -> Any:
    """The action that writes ``function`` of the other operands to the first."""
    target, *rest = i.operands
    name = kind or i.kind

    def act(t: Threads) -> None:
        t.write(target, function(*[t.read(x, name) for x in rest]), name)

    return act


# -- floats ----------------------------------------------------------------------------------------
def _float_options(i: Instruction) -> tuple[Function, Function]:
    """What ``.ftz`` and ``.sat`` do to numbers before and behind an instruction."""
    flushes, clamps = "ftz" in i.modifiers and i.kind == "f32", "sat" in i.modifiers

    def before(x: Any) -> Any:
        return flushed(x) if flushes else x

    def behind(x: Any) -> Any:
        x = flushed(x) if flushes else x
        return np.where(np.isnan(x), np.zeros_like(x), np.clip(x, 0, 1)) if clamps else x

    return before, behind


def floats(i: Instruction, function: Function) -> Any:
    """:func:`maps` of floating-point numbers with ``.ftz`` and ``.sat``."""
    before, behind = _float_options(i)
    return maps(i, lambda *values: behind(function(*map(before, values))))


def _rounding(i: Instruction) -> str:
    return next((m for m in i.modifiers if m in ROUNDINGS), "rn")


def _directed(function: Function, rounding: str) -> Function:
    """A sum or product of float32 that is rounded otherwise than to the nearest."""

    def compute(a: Any, b: Any) -> Any:
        a, b = np.float64(a), np.float64(b)
        if function is np.multiply:
            return narrow(a * b, rounding)
        s, error = two_sum(a, b if function is np.add else -b)
        return narrow(to_odd(s, np.where(np.isfinite(s), error, 0)), rounding)

    return compute


def _smallest(function: Function) -> Function:
    """Minimum or maximum: of a number and NaN the number; -0 is less than +0."""
    least = function is np.fmin

    def choose(a: Any, b: Any) -> Any:
        a, b = np.broadcast_arrays(a, b)
        negative = np.signbit(a) | np.signbit(b) if least else np.signbit(a) & np.signbit(b)
        zero = np.where(negative, a.dtype.type(-0.0), a.dtype.type(0.0))
        return np.where((a == 0) & (b == 0), zero, function(a, b))

    return choose


def _approximate(function: Function) -> Function:
    def compute(x: Any) -> Any:
        return np.float64(function(np.float64(x))).astype(np.asarray(x).dtype)

    return compute


def _upper_half(function: Function) -> Function:
    """The 64-bit approximations give the upper half of the bits; the others are zero."""

    def compute(x: Any) -> Any:
        found = np.asarray(function(x))
        kept = found.view(np.uint64) & np.uint64(0xFFFFFFFF00000000)
        return np.where(np.isfinite(found), kept.view(np.float64), found)

    return compute


APPROXIMATE: dict[str, Function] = {
    "ex2": np.exp2,
    "lg2": np.log2,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "rcp": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sqrt": np.sqrt,
}


@operation(*APPROXIMATE)
def approximations(i: Instruction, machine: Machine) -> Any:
    """``ex2``, ``lg2``, ``sin``, ``rcp``, ``sqrt`` and the like."""
    refuse_unknown(i, "approx", "rn", "ftz")
    function = APPROXIMATE[i.name]
    if i.kind == "f64" and "approx" in i.modifiers:
        return floats(i, _upper_half(function))
    return floats(i, _approximate(function))


@operation("fma", "mad")
def fused(i: Instruction, machine: Machine) -> Any:
    """``fma``, and ``mad`` of floats and integers."""
    if not is_float(i.kind):
        return _integer_mad(i)
    rounding = _rounding(i)
    refuse_unknown(i, "ftz", "sat", rounding)
    if i.kind == "f64" and rounding == "rn":
        return floats(i, fma64)
    if i.kind == "f32":
        return floats(i, lambda a, b, c: fma32(a, b, c, rounding))
    raise NotImplementedError(i.source)


@operation("testp")
def tests_of_floats(i: Instruction, machine: Machine) -> Any:
    """``testp``: whether a number is finite, infinite or none."""
    tests = {"finite": np.isfinite, "infinite": np.isinf, "notanumber": np.isnan}
    target, x = i.operands
    function = tests[i.modifiers[0]]
    return lambda t: t.write(target, function(t.read(x, i.kind)), "pred")


# -- of both ---------------------------------------------------------------------------------------
@operation("add", "sub", "mul")
def sums(i: Instruction, machine: Machine) -> Any:
    """``add``, ``sub``, ``mul`` with all roundings of float32; ``mul.hi`` and ``mul.wide``."""
    function: Any = {"add": np.add, "sub": np.subtract, "mul": np.multiply}[i.name]
    if is_float(i.kind):
        rounding = _rounding(i)
        refuse_unknown(i, "ftz", "sat", rounding)
        if rounding == "rn":
            return floats(i, function)
        if i.kind == "f32":
            return floats(i, _directed(function, rounding))
        raise NotImplementedError(i.source)
    refuse_unknown(i, "lo", "hi", "wide")
    if "wide" in i.modifiers:
        return _wide(i, lambda a, b: a * b)
    if "hi" in i.modifiers:
        return maps(i, upper_product)
    return maps(i, function)


@operation("div", "rem")
def quotients(i: Instruction, machine: Machine) -> Any:
    """``div`` and ``rem``; integers are cut toward zero."""
    refuse_unknown(i, "rn", "ftz", "full", "approx")
    if is_float(i.kind):
        return floats(i, np.divide)
    if i.name == "rem":
        return maps(i, np.fmod)  # the sign of the dividend
    return maps(i, lambda a, b: (a - np.fmod(a, b)) // b)


@operation("neg", "abs", "min", "max", "copysign")
def signs(i: Instruction, machine: Machine) -> Any:
    """``neg``, ``abs``, ``min``, ``max``, ``copysign``."""
    refuse_unknown(i, "ftz")
    if not is_float(i.kind):
        integer: Any = {
            "neg": np.negative, "abs": np.abs, "min": np.minimum, "max": np.maximum,
        }  # fmt: skip
        return maps(i, integer[i.name])
    chosen: Any = {
        "neg": np.negative,
        "abs": np.abs,
        "min": _smallest(np.fmin),
        "max": _smallest(np.fmax),
        "copysign": lambda sign, size: np.copysign(size, sign),
    }
    return floats(i, chosen[i.name])


# -- integers --------------------------------------------------------------------------------------
def upper_product(a: Any, b: Any) -> Any:
    """The upper half of the bits of a product."""
    dtype = np.result_type(a, b)
    if dtype.itemsize < 8:
        wide = np.dtype(f"{dtype.kind}8")
        bits = 8 * dtype.itemsize
        return (a.astype(wide) * b.astype(wide) >> wide.type(bits)).astype(dtype)
    x, y = a.astype(np.uint64), b.astype(np.uint64)
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    xl, xh, yl, yh = x & low, x >> half, y & low, y >> half
    middle = (xl * yl >> half) + (xh * yl & low) + (xl * yh & low)
    upper = xh * yh + (xh * yl >> half) + (xl * yh >> half) + (middle >> half)
    if dtype.kind == "i":
        upper = upper - np.where(a < 0, y, np.uint64(0)) - np.where(b < 0, x, np.uint64(0))
    return upper.astype(dtype)


def _wide(i: Instruction, function: Function) -> Any:
    target, *rest = i.operands
    wide = f"{i.kind[0]}{2 * int(i.kind[1:])}"

    def act(t: Threads) -> None:
        values = [t.read(x, i.kind).astype(KINDS[wide]) for x in rest[:2]]
        t.write(target, function(*values, *[t.read(x, wide) for x in rest[2:]]), wide)

    return act


def _integer_mad(i: Instruction) -> Any:
    refuse_unknown(i, "lo", "hi", "wide")
    if "wide" in i.modifiers:
        return _wide(i, lambda a, b, c: a * b + c)
    if "hi" in i.modifiers:
        return maps(i, lambda a, b, c: upper_product(a, b) + c)
    return maps(i, lambda a, b, c: a * b + c)


@operation("and", "or", "xor", "not")
def logic(i: Instruction, machine: Machine) -> Any:
    """``and``, ``or``, ``xor``, ``not`` of bits and predicates."""
    functions: Any = {
        "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert,
    }  # fmt: skip
    refuse_unknown(i)
    return maps(i, functions[i.name])


@operation("shl", "shr")
def shifts(i: Instruction, machine: Machine) -> Any:
    """``shl`` and ``shr``; a shift by the width or more leaves zero or the sign."""
    refuse_unknown(i)
    target, x, by = i.operands
    size = 8 * KINDS[i.kind].itemsize
    left = i.name == "shl"

    def act(t: Threads) -> None:
        value, amount = t.read(x, i.kind), t.read(by, "u32")
        most = np.minimum(amount, size - 1).astype(KINDS[i.kind])
        moved = value << most if left else value >> most
        gone = amount >= size
        if KINDS[i.kind].kind == "u" or left:
            moved = np.where(gone, np.zeros_like(moved), moved)
        t.write(target, moved, i.kind)

    return act


@operation("lop3")
def lookup(i: Instruction, machine: Machine) -> Any:
    """``lop3``: any function of three bits, by its table."""
    target, *rest, table = i.operands

    def act(t: Threads) -> None:
        a, b, c = (t.read(x, "u32") for x in rest)
        chosen = int(t.read(table, "u32"))
        result = np.uint32(0)
        for k in range(8):
            if chosen >> k & 1:
                terms = (x if k >> j & 1 else ~x for x, j in ((a, 2), (b, 1), (c, 0)))
                result = result | np.bitwise_and.reduce(list(np.broadcast_arrays(*terms)))
        t.write(target, result, "b32")

    return act
