"""Copies from global to shared memory that a thread begins and waits for: ``cp.async``.

Source: PTX ISA, section "Data Movement and Conversion Instructions: cp.async".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .access import HINTS, addresses
from .arithmetic import refuse_unknown
from .banks import count_passes
from .machine import Machine
from .memory import Fault
from .operands import Number
from .program import Instruction
from .threads import Threads


class _Copy:
    """Copies that one instruction began: of each thread the target, the bytes and the group."""

    def __init__(self, threads: np.ndarray, target: np.ndarray, data: np.ndarray, group: Any):
        self.threads, self.target, self.data, self.group = threads, target, data, group

    def finish(self, t: Threads, chosen: np.ndarray) -> None:
        """Write those of the chosen threads, and forget them."""
        owners = t.block[self.threads[chosen]]
        t.shared.store(self.target[chosen], owners, self.data[chosen])
        for name in ("threads", "target", "data", "group"):
            setattr(self, name, getattr(self, name)[~chosen])


def asynchronous_copies(i: Instruction, machine: Machine) -> Any:
    """``cp.async`` of 4, 8 and 16 bytes, and what commits and waits for groups of them.

    Each thread has groups of its own. What is read is read when the copy begins.
    """
    if "commit_group" in i.modifiers:

        def commit(t: Threads) -> None:
            _groups(t)[t.active] += 1

        return commit
    if "wait_group" in i.modifiers or "wait_all" in i.modifiers:
        youngest = int(i.operands[0].value) if i.operands else -1  # type: ignore[union-attr]
        return lambda t: _finish(t, youngest)
    refuse_unknown(i, "async", "ca", "cg", "shared", "global", *HINTS, "shared::cta")
    target, source, size, *read = i.operands
    assert isinstance(size, Number)

    def act(t: Threads) -> None:
        threads = np.flatnonzero(t.active)
        to, origin = addresses(t, target)[threads], addresses(t, source)[threads]
        taken = np.full(t.n, size.value, np.uint32) if not read else t.read(read[0], "u32")
        taken = np.broadcast_to(taken, t.n)[threads]
        if ((taken != 0) & (taken != size.value)).any():
            raise NotImplementedError(f"{i.source}: a part of the bytes")
        data = np.zeros((threads.size, size.value // 4), np.uint32)
        wanted = taken != 0
        nobody = np.zeros(int(wanted.sum()), np.int64)
        data[wanted] = machine.memory.load(origin[wanted], nobody, 4, size.value // 4)
        if (origin[wanted] % size.value).any():
            raise Fault(f"{size.value} bytes of global memory: not aligned")
        count_passes(t, i, threads, to, size.value)
        t.shared.places(to, t.block[threads], size.value)
        copy = _Copy(threads, to, data, _groups(t)[threads])
        if machine.timing == "early":
            copy.finish(t, np.ones(threads.size, bool))
        else:
            t.state.setdefault("copies", []).append(copy)

    return act


def _groups(t: Threads) -> np.ndarray:
    """How many groups each thread has committed."""
    return t.state.setdefault("groups", np.zeros(t.n, np.int64))


def _finish(t: Threads, youngest: int) -> None:
    """Finish the groups of the active threads but the youngest; -1: all, committed or not."""
    committed = _groups(t)
    for copy in t.state.get("copies", []):
        chosen = t.active[copy.threads]
        if youngest >= 0:
            chosen = chosen & (copy.group < committed[copy.threads] - youngest)
        if chosen.any():
            copy.finish(t, chosen)
    t.state["copies"] = [c for c in t.state.get("copies", []) if c.threads.size]
