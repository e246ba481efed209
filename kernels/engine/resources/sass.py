"""Reading a listing of machine code (SASS): opcodes, loops, and what the main loop is made of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Arithmetic on float64; conversions are told by a modifier instead. Not by the letter D: DEPBAR
# waits for asynchronous copies.
FLOAT64 = frozenset({"DADD", "DMUL", "DFMA", "DSETP", "DMNMX", "DMMA"})
FLOAT64_MODIFIERS = frozenset({"F64", "RCP64H", "RSQ64H"})
PRODUCTS = frozenset({"FFMA", "HMMA", "HGMMA"})  # float32, tensor cores of a warp, of four warps


@dataclass(frozen=True)
class Instruction:
    """One machine instruction: ``LDG.E.128`` of ``R4, desc[UR4][R2.64]`` at a byte address."""

    address: int
    opcode: str
    operands: str = ""

    @property
    def name(self) -> str:
        """The opcode without its modifiers."""
        return self.opcode.partition(".")[0]

    @property
    def target(self) -> int | None:
        """Where a branch goes; None for anything else."""
        if self.name != "BRA":
            return None
        last = self.operands.rpartition(",")[2].strip(" `()")
        return int(last, 16) if last.startswith("0x") else None


def has(opcode: str, pattern: str) -> bool:
    """Whether an opcode has the name and the modifiers of a pattern: ``LDG.128`` in ``LDG.E.128``.

    The pattern's first part may be empty: ``.128`` is in every 128-bit access.
    """
    name, *modifiers = opcode.split(".")
    wanted, *needed = pattern.split(".")
    return wanted in ("", name) and set(needed) <= set(modifiers)


def is_float64(opcode: str) -> bool:
    """Whether an instruction computes with float64."""
    name, *modifiers = opcode.split(".")
    return name in FLOAT64 or not FLOAT64_MODIFIERS.isdisjoint(modifiers)


def instructions(listing: str) -> dict[str, list[Instruction]]:
    """Functions of a listing by ``nvdisasm -json``: name -> its instructions.

    The padding behind the last jump of a function is left out.
    """
    found = {}
    for function in json.loads(listing)[1]:
        items = function["sass-instructions"]
        step = function["length"] // len(items)
        code = [
            Instruction(function["start"] + i * step, item["opcode"], item.get("operands", ""))
            for i, item in enumerate(items)
        ]
        while code and code[-1].opcode == "NOP":
            code.pop()
        if code and code[-1].target == code[-1].address:  # a jump to itself ends every function
            code.pop()
        found[function["function-name"]] = code
    return found


def called(functions: Mapping[str, list[Instruction]], entry: str) -> list[list[Instruction]]:
    """A function, and all those that it calls, itself or through others."""
    names = [entry]
    for name in names:  # which grows
        calls = {i.operands for i in functions[name] if i.name == "CALL"}
        names += [n for n in functions if n not in names and any(n in c for c in calls)]
    return [functions[name] for name in names]


def main_loop(code: list[Instruction]) -> list[Instruction]:
    """Where the arithmetic is: the shortest loop that holds most of the multiply-adds in loops.

    That is not always an inner loop: one that is unrolled leaves its body in the loop around it.
    Without float32 multiply-adds or tensor core instructions, it is the longest of the loops that
    hold no other; empty without a loop. A loop is what lies between a branch backwards and its
    target.
    """
    places = {instruction.address: i for i, instruction in enumerate(code)}
    spans = set()
    for i, instruction in enumerate(code):
        start = places.get(instruction.target, i) if instruction.target is not None else i
        if start < i:
            spans.add((start, i))
    if not spans:
        return []
    products = {(a, b): sum(i.name in PRODUCTS for i in code[a : b + 1]) for a, b in spans}
    most = max(products.values())
    if most:
        start, end = min((b - a, a, b) for (a, b), n in products.items() if 2 * n >= most)[1:]
        return code[start : end + 1]
    inner = [
        (a, b)
        for a, b in spans
        if not any((a, b) != (c, d) and a <= c and d <= b for c, d in spans)
    ]
    start, end = max(inner, key=lambda span: (span[1] - span[0], span))
    return code[start : end + 1]


def opcodes(code: Iterable[Instruction]) -> Mapping[str, int]:
    """How often each opcode occurs."""
    return dict(sorted(Counter(instruction.opcode for instruction in code).items()))
