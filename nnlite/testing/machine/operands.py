"""Operands of PTX instructions: registers, numbers, addresses, and groups of them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

SPECIAL = re.compile(
    r"%(n?tid|n?ctaid|laneid|n?warpid|clock(_hi|64)?|globaltimer(_lo|_hi)?|lanemask_\w+|n?smid"
    r"|gridid|dynamic_smem_size|total_smem_size|(is_explicit_)?cluster\w*|n?clusterid)(\.[xyz])?"
)


@dataclass(frozen=True)
class Register:
    """A register; of ``bits`` bits, 1 for a predicate."""

    name: str
    bits: int
    negated: bool = False


@dataclass(frozen=True)
class Special:
    """A register that the machine sets: ``%tid.x``."""

    name: str


@dataclass(frozen=True)
class Number:
    """An integer, or the bits of a floating-point number of ``float_bits`` bits."""

    value: int
    float_bits: int = 0


@dataclass(frozen=True)
class Symbol:
    """The name of a variable, a parameter or a label, and what is added to its address."""

    name: str
    offset: int = 0


@dataclass(frozen=True)
class Address:
    """``[base + offset]``, with the coordinates of a box for a tensor map."""

    base: Operand
    offset: int = 0
    coordinates: tuple[Operand, ...] = ()


@dataclass(frozen=True)
class Group:
    """``{a, b}`` or ``a|b``."""

    items: tuple[Operand, ...]


@dataclass(frozen=True)
class Sink:
    """``_``: nobody wants the result."""


Operand: TypeAlias = "Register | Special | Number | Symbol | Address | Group | Sink"


def parse(text: str, unique: Callable[[str], str], bits: Callable[[str], int | None]) -> Operand:
    """The operand that a text names.

    Args:
        unique: name of a register -> its name in the whole program.
        bits: that name -> its width, None if there is no such register.
    """
    text = text.strip()
    if text.startswith("{"):
        return Group(tuple(parse(x, unique, bits) for x in text.strip("{} ").split(",")))
    if text.startswith("["):
        inner = text[1:-1]
        base, _, rest = inner.partition(",")
        found = re.fullmatch(r"(.*?)(?:\s*\+\s*(-?\w+))?", base.strip())
        assert found is not None
        coordinates: tuple[Operand, ...] = ()
        if rest.strip():
            group = parse(rest.strip(), unique, bits)
            coordinates = group.items if isinstance(group, Group) else (group,)
        return Address(parse(found[1], unique, bits), int(found[2] or "0", 0), coordinates)
    if "|" in text:
        return Group(tuple(parse(x, unique, bits) for x in text.split("|")))
    if text == "_":
        return Sink()
    return _single(text, unique, bits)


def _single(text: str, unique: Callable[[str], str], bits: Callable[[str], int | None]) -> Operand:
    name = unique(text.lstrip("!"))
    width = bits(name)
    if width is not None:
        return Register(name, width, text.startswith("!"))
    if SPECIAL.fullmatch(text):
        return Special(text[1:])
    if text == "WARP_SZ":
        return Number(32)
    if found := re.fullmatch(r"0[fF]([0-9a-fA-F]{8})", text):
        return Number(int(found[1], 16), 32)
    if found := re.fullmatch(r"0[dD]([0-9a-fA-F]{16})", text):
        return Number(int(found[1], 16), 64)
    if re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)U?", text):
        return Number(int(text.rstrip("U"), 0))
    if re.fullmatch(r"-?\d+\.\d*([eE][+-]?\d+)?", text):
        return Number(struct.unpack("<Q", struct.pack("<d", float(text)))[0], 64)
    if found := re.fullmatch(r"([A-Za-z_$][\w$]*)(?:\+(\d+))?", text):
        return Symbol(found[1], int(found[2] or 0))
    raise ValueError(f"{text!r} is no operand of PTX")
