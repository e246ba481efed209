"""Instructions on the bits of words, and moves and conversions between types.

Source: PTX ISA, sections "Integer Arithmetic Instructions: popc, clz, bfind, brev, bfe, bfi",
"Logic and Shift Instructions: shf", "Data Movement and Conversion Instructions: mov, prmt, cvt".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .arithmetic import maps, refuse_unknown
from .machine import Machine, operation
from .memory import LOCAL_WINDOW, SHARED_WINDOW
from .numbers import KINDS, flushed, is_float, narrow, to_integer, whole
from .operands import Group
from .program import Instruction
from .tensor_cores import bf16_of, f16_of, pack, tf32_of
from .threads import Threads

WHOLE = ("rni", "rzi", "rmi", "rpi")


def _top_bit(x: Any) -> Any:
    """The number of the highest bit set of unsigned numbers; -1 of zero."""
    found = np.full(np.shape(x), -1, np.int64)
    for bit in range(8 * x.itemsize):
        found = np.where(x >> x.dtype.type(bit) & x.dtype.type(1) != 0, bit, found)
    return found


@operation("popc", "clz", "bfind", "brev")
def counts(i: Instruction, machine: Machine) -> Any:
    """``popc``, ``clz``, ``bfind``, ``brev``."""
    refuse_unknown(i)
    target, source = i.operands
    size = 8 * KINDS[i.kind].itemsize

    def act(t: Threads) -> None:
        x = np.asarray(t.read(source, f"b{size}"))
        if i.name == "popc":
            t.write(target, np.bitwise_count(x).astype(np.uint32), "u32")
        elif i.name == "clz":
            t.write(target, (size - 1 - _top_bit(x)).astype(np.uint32), "u32")
        elif i.name == "bfind":
            signed = i.kind[0] == "s"
            y = np.where(t.read(source, i.kind) < 0, ~x, x) if signed else x
            t.write(target, _top_bit(y).astype(np.int32).view(np.uint32), "u32")
        else:
            turned = np.zeros_like(x)
            for bit in range(size):
                turned |= (x >> x.dtype.type(bit) & x.dtype.type(1)) << x.dtype.type(size - 1 - bit)
            t.write(target, turned, f"b{size}")

    return act


@operation("bfi")
def insert(i: Instruction, machine: Machine) -> Any:
    """``bfi``: a field of bits put into a word."""
    target, *rest = i.operands
    kind = f"b{8 * KINDS[i.kind].itemsize}"

    def act(t: Threads) -> None:
        a, b = (t.read(x, kind) for x in rest[:2])
        start, length = (t.read(x, "u32").astype(np.uint64) for x in rest[2:])
        mask = ((np.uint64(1) << length) - np.uint64(1)) << start
        moved = a.astype(np.uint64) << start
        t.write(target, ((b & ~mask) | (moved & mask)).astype(KINDS[kind]), kind)

    return act


@operation("bfe")
def extract(i: Instruction, machine: Machine) -> Any:
    """``bfe``: a field of bits taken out, with its sign if the type has one."""
    target, *rest = i.operands
    size = 8 * KINDS[i.kind].itemsize

    def act(t: Threads) -> None:
        x = t.read(rest[0], i.kind)
        start, length = (t.read(y, "u32").astype(np.int64) & 255 for y in rest[1:])
        wide = np.asarray(x).astype(np.int64)
        top = np.minimum(start + length, size)
        found = wide >> np.minimum(start, size - 1)
        kept = np.maximum(top - start, 0)
        found = np.where(kept >= 64, found, found & ((np.int64(1) << np.minimum(kept, 62)) - 1))
        if i.kind[0] == "s":
            last = np.clip(start + length - 1, 0, size - 1)
            sign = np.where(length == 0, 0, wide >> last & 1)
            found = np.where(sign != 0, found | (np.int64(-1) << np.minimum(kept, 63)), found)
        t.write(target, found.astype(KINDS[i.kind]), i.kind)

    return act


@operation("shf")
def funnel(i: Instruction, machine: Machine) -> Any:
    """``shf``: a shift of two words as one."""
    refuse_unknown(i, "l", "r", "wrap", "clamp")
    target, low, high, by = i.operands
    most = 31 if "wrap" in i.modifiers else 32

    def act(t: Threads) -> None:
        a, b = (t.read(x, "u32").astype(np.uint64) for x in (low, high))
        amount = t.read(by, "u32").astype(np.uint64)
        amount = amount & np.uint64(31) if most == 31 else np.minimum(amount, np.uint64(32))
        both = b << np.uint64(32) | a
        moved = both << amount >> np.uint64(32) if "l" in i.modifiers else both >> amount
        t.write(target, moved.astype(np.uint32), "b32")

    return act


@operation("prmt")
def permute(i: Instruction, machine: Machine) -> Any:
    """``prmt``: four bytes chosen from eight."""
    refuse_unknown(i)
    target, low, high, which = i.operands

    def act(t: Threads) -> None:
        a, b, c = (t.read(x, "u32").astype(np.uint64) for x in (low, high, which))
        both, result = b << np.uint64(32) | a, np.uint64(0)
        for k in range(4):
            choice = c >> np.uint64(4 * k)
            byte = both >> (choice & np.uint64(7)) * np.uint64(8) & np.uint64(255)
            sign = np.where(byte >> np.uint64(7) != 0, np.uint64(255), np.uint64(0))
            byte = np.where(choice & np.uint64(8) != 0, sign, byte)
            result = result | byte << np.uint64(8 * k)
        t.write(target, result.astype(np.uint32), "b32")

    return act


# -- moves -----------------------------------------------------------------------------------------
@operation("mov")
def moves(i: Instruction, machine: Machine) -> Any:
    """``mov``: of a register, of words taken apart or put together."""
    target, source = i.operands
    if isinstance(target, Group):
        return _taken_apart(i, target)
    if isinstance(source, Group):
        return _put_together(i, source)
    kind = i.kind

    def act(t: Threads) -> None:
        if machine.watch is not None and machine.watch.moves(t, target, source):
            return
        t.write(target, t.read(source, kind), kind)

    return act


def _taken_apart(i: Instruction, target: Group) -> Any:
    size = 8 * KINDS[i.kind].itemsize
    part = size // len(target.items)

    def act(t: Threads) -> None:
        value = t.read(i.operands[1], f"b{size}")
        for k, item in enumerate(target.items):
            found = value >> value.dtype.type(part * k)
            t.write(item, found.astype(KINDS[f"b{part}"]), f"b{part}")

    return act


def _put_together(i: Instruction, source: Group) -> Any:
    size = 8 * KINDS[i.kind].itemsize
    part = size // len(source.items)
    dtype = KINDS[f"b{size}"].type

    def act(t: Threads) -> None:
        value = dtype(0)
        for k, item in enumerate(source.items):
            value = value | t.read(item, f"b{part}").astype(dtype) << dtype(part * k)
        t.write(i.operands[0], value, f"b{size}")

    return act


# -- conversions -----------------------------------------------------------------------------------
@operation("cvt")
def conversions(i: Instruction, machine: Machine) -> Any:
    """``cvt``: between all types, with rounding, ``.sat`` and ``.ftz``."""
    names = [m for m in i.modifiers if m in KINDS or m == "tf32"]
    refuse_unknown(i, *names, *WHOLE, "rn", "rna", "rz", "rm", "rp", "ftz", "sat")
    target, source = i.operands[0], i.operands[1]
    to, of = names
    if to == "tf32":
        return lambda t: t.write(target, tf32_of(t.read(source, "f32")), "b32")
    if to in ("bf16x2", "f16x2"):
        bits = bf16_of if to == "bf16x2" else f16_of
        high, low = i.operands[1:]

        def act(t: Threads) -> None:
            words = pack(bits(t.read(low, "f32")), bits(t.read(high, "f32")))
            t.write(target, words, "b32")

        return act
    if to == "bf16":
        return lambda t: t.write(target, bf16_of(t.read(source, "f32")).astype(np.uint16), "b16")
    if of == "bf16":

        def widen(t: Threads) -> None:
            words = t.read(source, "b16").astype(np.uint32) << np.uint32(16)
            t.write(target, words.view(np.float32), "f32")

        return widen
    function = _convert(i, to, of)
    return lambda t: t.write(target, function(t.read(source, of)), to)


def _convert(i: Instruction, to: str, of: str) -> Any:
    flushes, clamps = "ftz" in i.modifiers, "sat" in i.modifiers
    rounding = next((m for m in i.modifiers if m[0] == "r"), "rn")
    dtype = KINDS[to]

    def convert(x: Any) -> Any:
        x = flushed(x) if flushes and of == "f32" else x
        if is_float(of):
            x = whole(x, rounding) if rounding in WHOLE else x
            if not is_float(to):
                return to_integer(x, dtype)
            x = narrow(x, rounding) if (to, of) == ("f32", "f64") else np.asarray(x).astype(dtype)
            x = flushed(x) if flushes and to == "f32" else x
            return np.where(np.isnan(x), np.zeros_like(x), np.clip(x, 0, 1)) if clamps else x
        if clamps and not is_float(to):
            to_info, of_info = np.iinfo(dtype), np.iinfo(x.dtype)
            low, high = max(to_info.min, of_info.min), min(to_info.max, of_info.max)
            return np.clip(x, low, high).astype(dtype)
        if rounding in ("rz", "rm", "rp") and is_float(to):
            raise NotImplementedError(i.source)
        return np.asarray(x).astype(dtype)

    return convert


@operation("cvta")
def addresses(i: Instruction, machine: Machine) -> Any:
    """``cvta``: generic addresses of a space, and back."""
    starts = {"shared": SHARED_WINDOW, "local": LOCAL_WINDOW}
    space = next(m for m in i.modifiers if m in ("global", "shared", "local", "const", "param"))
    step = np.uint64(starts.get(space, 0))
    if "to" in i.modifiers:
        return maps(i, lambda x: x - step, "u64")
    return maps(i, lambda x: x + step, "u64")
