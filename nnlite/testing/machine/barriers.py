"""Barriers of a block: ``bar.sync`` and its kin, by number and count; and what is nothing here.

Source: PTX ISA, sections "bar, barrier", "bar.warp.sync", "membar, fence", "setmaxnreg",
"griddepcontrol", "nanosleep".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .arithmetic import refuse_unknown
from .machine import Machine, operation
from .memory import Fault
from .operands import Number, Operand
from .program import Instruction
from .threads import BLOCKED, LANES, Threads
from .warps import meet


class _Barrier:
    """One numbered barrier of every block."""

    def __init__(self, t: Threads) -> None:
        self.waiting = np.zeros(t.n, bool)  # those that came and wait
        self.released = np.zeros(t.n, bool)  # those that may go on, and have not yet
        self.yes = np.zeros(t.n, bool)  # what they bring to a reduction
        self.arrived = np.zeros(len(t.blocks), np.int64)  # with those that do not wait
        self.votes = np.zeros((3, len(t.blocks)), np.int64)  # of the last time: all, yes, count


@operation("bar", "barrier", collective=True)
def barriers(i: Instruction, machine: Machine) -> Any:
    """``bar`` and ``barrier``: sync, arrive, red; and ``bar.warp.sync``."""
    if "warp" in i.modifiers:
        return lambda t: meet(t, i.operands[0])
    refuse_unknown(i, "cta", "sync", "arrive", "red", "aligned", "popc", "and", "or")
    reduces = "red" in i.modifiers
    place, *rest = i.operands[reduces:]
    source = rest.pop() if reduces else None
    size = rest[0] if rest else None

    def one(t: Threads, barrier: _Barrier) -> None:
        """The active threads come to one barrier; those that may go on stay active."""
        new = t.active & ~barrier.waiting & ~barrier.released
        barrier.arrived += np.bincount(t.block[new], minlength=len(t.blocks))
        if source is not None:
            barrier.yes = np.where(new, t.read(source, "pred"), barrier.yes)
        if "arrive" in i.modifiers:
            _complete(t, i, barrier, size)
            return
        barrier.waiting |= new
        _complete(t, i, barrier, size)
        t.active = t.active & barrier.released
        barrier.released &= ~t.active
        if reduces and t.active.any():
            _reduce(t, i, barrier)

    def act(t: Threads) -> Any:
        came, passed = t.active, np.zeros(t.n, bool)
        t.everyone = False
        number = np.broadcast_to(t.read(place, "u32"), t.n)
        for k in np.unique(number[came]).tolist():
            t.active = came & (number == k)
            one(t, _barrier(t, k))
            passed |= t.active
        t.active = passed
        held = came & ~passed
        return held if held.any() else None

    return act


def _barrier(t: Threads, number: int) -> _Barrier:
    if number > 15:
        raise Fault(f"barrier {number}, expected one from 0 to 15")
    known = t.state.setdefault("barriers", {})
    if number not in known:
        known[number] = _Barrier(t)
    return known[number]


def _complete(t: Threads, i: Instruction, barrier: _Barrier, size: Operand | None) -> None:
    """Release the blocks of which all threads have come, or as many as the instruction says."""
    live = t.live()
    blocks = len(t.blocks)
    if size is None:
        expected = np.bincount(t.block[live], minlength=blocks)
    else:
        counts = np.unique(np.broadcast_to(t.read(size, "u32"), t.n)[t.active])
        if counts.size != 1 or counts[0] % LANES:
            raise Fault(f"a barrier for {counts} threads, expected a multiple of {LANES}")
        expected = np.full(blocks, int(counts[0]))
    if (barrier.arrived > expected).any():
        raise Fault(f"{barrier.arrived.max()} threads at a barrier for {expected.min()}")
    done = (barrier.arrived == expected) & (barrier.arrived > 0)
    if not done.any():
        return
    freed = barrier.waiting & done[t.block]
    _check_warps(t, i, freed)
    for row, votes in enumerate((freed, freed & barrier.yes)):
        barrier.votes[row][done] = np.bincount(t.block[votes], minlength=blocks)[done]
    barrier.released |= freed
    barrier.waiting &= ~freed
    barrier.arrived[done] = 0
    t.wake()


def _check_warps(t: Threads, i: Instruction, freed: np.ndarray) -> None:
    """All lanes of a warp must wait, and at the same instruction."""
    place = np.where(t.active, i.number, t.at % BLOCKED).reshape(-1, LANES)
    there, live = freed.reshape(-1, LANES), t.live().reshape(-1, LANES)
    touched = there.any(axis=1)
    if (touched & (there != live).any(axis=1)).any():
        raise Fault("a barrier that only a part of a warp reaches")
    least, most = (
        np.where(there, place, BLOCKED).min(axis=1),
        np.where(there, place, -1).max(axis=1),
    )
    if (touched & (least != most)).any():
        raise Fault("lanes of one warp wait at different barrier instructions")


def _reduce(t: Threads, i: Instruction, barrier: _Barrier) -> None:
    total, yes = barrier.votes[0][t.block], barrier.votes[1][t.block]
    if "popc" in i.modifiers:
        t.write(i.operands[0], yes.astype(np.uint32), "u32")
    else:
        t.write(i.operands[0], yes == total if "and" in i.modifiers else yes > 0, "pred")


# -- no more than a note ---------------------------------------------------------------------------
@operation("membar", "nanosleep", "griddepcontrol", "pragma", "mapa")
def nothing(i: Instruction, machine: Machine) -> Any:
    """What leaves no trace in the results: ``membar``, ``nanosleep``, ``griddepcontrol``."""
    if i.name == "mapa":
        raise NotImplementedError(f"{i.source}: clusters of more than one block")
    return lambda t: None


@operation("fence")
def fences(i: Instruction, machine: Machine) -> Any:
    """Memory is in order here, but the async proxy sees only what a fence has shown it."""

    def act(t: Threads) -> None:
        if "proxy" in i.modifiers and "async" in i.modifiers and machine.proxies is not None:
            machine.proxies.fenced(t)
        if "mbarrier_init" in i.modifiers or "async" in i.modifiers:
            for barrier in t.state.get("mbarriers", {}).values():
                barrier.shown = barrier.shown or bool(t.active[barrier.maker])

    return act


@operation("setmaxnreg")
def set_registers(i: Instruction, machine: Machine) -> Any:
    """Recorded in ``Machine.registers``: the machine has as many registers as anybody wants."""
    way = next(m for m in i.modifiers if m in ("inc", "dec"))
    count = i.operands[0]
    if not isinstance(count, Number) or not 24 <= count.value <= 256 or count.value % 8:
        raise Fault(f"{i.source}: expected a multiple of 8 from 24 to 256")
    return lambda t: machine.registers.append((way, count.value, t.who()))


@operation("trap", "brkpt")
def trap(i: Instruction, machine: Machine) -> Any:
    """``trap``: the kernel gives up."""

    def act(t: Threads) -> None:
        raise Fault("the kernel gives up")

    return act
