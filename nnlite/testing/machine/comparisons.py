"""Comparisons and selections.

Source: PTX ISA, section "Comparison and Selection Instructions: setp, selp".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .arithmetic import Function, refuse_unknown
from .machine import Machine, operation
from .numbers import KINDS, flushed, is_float
from .operands import Group, Operand, Sink
from .program import Instruction
from .threads import Threads

COMPARE: dict[str, Function] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal, "lo": np.less, "ls": np.less_equal,
    "hi": np.greater, "hs": np.greater_equal,
    "num": lambda a, b: ~(np.isnan(a) | np.isnan(b)), "nan": lambda a, b: np.isnan(a) | np.isnan(b),
}  # fmt: skip


def comparison(name: str, kind: str) -> Function:
    """The comparison of a name; ``ltu`` and the like are true of NaN too, ``ne`` is not."""
    if name in COMPARE and not (name == "ne" and is_float(kind)):
        return COMPARE[name]
    ordered = COMPARE[name.removesuffix("u")]
    if name == "ne":
        return lambda a, b: (a != b) & ~(np.isnan(a) | np.isnan(b))
    return lambda a, b: ordered(a, b) | np.isnan(a) | np.isnan(b)


@operation("setp")
def predicates(i: Instruction, machine: Machine) -> Any:
    """``setp``: a comparison, joined with another predicate, and its opposite."""
    name, *others = i.modifiers[:-1]
    combine: Any = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}
    refuse_unknown(i, name, "ftz", *combine)
    compare = comparison(name, i.kind)
    joined = next((combine[m] for m in others if m in combine), None)
    flushes = "ftz" in others
    first: Operand = i.operands[0]
    second: Operand = Sink()
    if isinstance(first, Group):
        first, second = first.items
    x, y, *third = i.operands[1:]

    def act(t: Threads) -> None:
        a, b = t.read(x, i.kind), t.read(y, i.kind)
        found = compare(flushed(a), flushed(b)) if flushes else compare(a, b)
        opposite = ~found
        if joined is not None:
            extra = t.read(third[0], "pred")
            found, opposite = joined(found, extra), joined(opposite, extra)
        t.write(first, found, "pred")
        t.write(second, opposite, "pred")

    return act


@operation("selp")
def selection(i: Instruction, machine: Machine) -> Any:
    """``selp``: one of two by a predicate."""
    refuse_unknown(i)
    target, yes, no, which = i.operands
    kind = f"b{8 * KINDS[i.kind].itemsize}" if not is_float(i.kind) else i.kind

    def act(t: Threads) -> None:
        chosen = np.where(t.read(which, "pred"), t.read(yes, kind), t.read(no, kind))
        t.write(target, chosen, kind)

    return act
