"""``mbarrier``: barriers in shared memory that count arrivals and bytes.

Source: PTX ISA, section "Parallel Synchronization and Communication Instructions: mbarrier", with
"Phase of the mbarrier object", "Tracking asynchronous operations by the mbarrier object".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .access import addresses
from .arithmetic import refuse_unknown
from .machine import Machine, operation
from .memory import Fault
from .operands import Operand
from .program import Instruction
from .threads import Threads

MOST = (1 << 20) - 1  # arrivals, and bytes at a time
SCOPES = ("shared", "shared::cta", "shared::cluster", "release", "acquire", "relaxed", "cta")
Key = tuple[int, int]  # block, address


@dataclass
class MBarrier:
    """One barrier: a phase ends when ``missing`` and ``pending`` are both 0.

    Attributes:
        count: arrivals of a phase.
        maker: the thread that made it.
        missing: arrivals that the current phase still wants.
        pending: bytes that were announced and have not come.
        phase: how many phases have ended.
        shown: whether a fence has shown it to what copies by itself.
    """

    count: int
    maker: int
    missing: int
    pending: int = 0
    phase: int = 0
    shown: bool = False

    def arrive(self, count: int) -> None:
        """So many arrivals."""
        if count > self.missing:
            raise Fault(f"more arrivals than the {self.count} that the mbarrier was made for")
        self.missing -= count

    def expect(self, nbytes: int) -> None:
        """So many bytes will come."""
        self.pending += nbytes
        if not -MOST <= self.pending <= MOST:
            raise Fault(f"{self.pending} bytes outstanding, an mbarrier counts to {MOST}")

    def turn(self, t: Threads) -> None:
        """Begin the next phase if this one is over."""
        if self.missing == 0 and self.pending == 0:
            self.phase += 1
            self.missing = self.count
            t.wake()

    def __str__(self) -> str:
        return (
            f"phase {self.phase} of the mbarrier has {self.count - self.missing} of {self.count} "
            f"arrivals, {self.pending} bytes outstanding"
        )


def find(t: Threads, key: Key, asynchronous: bool = False) -> MBarrier:
    """The barrier at an address of a block."""
    found = t.state.setdefault("mbarriers", {}).get(key)
    if found is None:
        raise Fault(f"no mbarrier was made at {key[1]} of shared memory")
    if asynchronous and not found.shown:
        raise Fault(f"the mbarrier at {key[1]}: no fence.mbarrier_init since it was made")
    return found


def keys(t: Threads, operand: Operand) -> list[tuple[int, Key]]:
    """Of each active thread its number and the barrier that it names."""
    threads = np.flatnonzero(t.active)
    address = addresses(t, operand)[threads]
    t.shared.places(address, t.block[threads], 8)
    return list(zip(threads.tolist(), zip(t.block[threads].tolist(), address.tolist())))


@operation("mbarrier")
def mbarriers(i: Instruction, machine: Machine) -> Any:
    """``mbarrier``: init, inval, arrive, expect_tx, complete_tx, test_wait, try_wait."""
    name = i.modifiers[0]
    builders = {
        "init": _init,
        "inval": _invalidate,
        "arrive": _arrive,
        "expect_tx": _announce,
        "complete_tx": _announce,
        "test_wait": _wait,
        "try_wait": _wait,
    }
    if name not in builders:
        raise NotImplementedError(i.source)
    refuse_unknown(i, name, "expect_tx", "parity", *SCOPES)
    return builders[name](i)


def _init(i: Instruction) -> Any:
    def act(t: Threads) -> None:
        known = t.state.setdefault("mbarriers", {})
        count = np.broadcast_to(t.read(i.operands[1], "u32"), t.n)
        for thread, key in keys(t, i.operands[0]):
            if not 1 <= count[thread] <= MOST:
                raise Fault(f"an mbarrier for {count[thread]} arrivals, expected 1 to {MOST}")
            if key in known:
                raise Fault(f"the mbarrier at {key[1]} is made a second time")
            known[key] = MBarrier(int(count[thread]), thread, int(count[thread]))

    return act


def _invalidate(i: Instruction) -> Any:
    def act(t: Threads) -> None:
        for _, key in keys(t, i.operands[0]):
            find(t, key)
            del t.state["mbarriers"][key]

    return act


def _arrive(i: Instruction) -> Any:
    announces = "expect_tx" in i.modifiers
    target, place, *rest = i.operands

    def act(t: Threads) -> None:
        number = np.broadcast_to(t.read(rest[0], "u32"), t.n) if rest else np.ones(t.n, np.uint32)
        phase = np.zeros(t.n, np.uint64)
        for thread, key in keys(t, place):
            barrier = find(t, key)
            phase[thread] = barrier.phase
            if announces:
                barrier.expect(int(number[thread]))
            barrier.arrive(1 if announces else int(number[thread]))
            barrier.turn(t)
        t.write(target, phase, "b64")

    return act


def _announce(i: Instruction) -> Any:
    sign = 1 if i.modifiers[0] == "expect_tx" else -1

    def act(t: Threads) -> None:
        number = np.broadcast_to(t.read(i.operands[1], "u32"), t.n)
        for thread, key in keys(t, i.operands[0]):
            barrier = find(t, key)
            barrier.expect(sign * int(number[thread]))
            barrier.turn(t)

    return act


def _wait(i: Instruction) -> Any:
    """``try_wait`` never gives up here: the thread stands still until the phase has ended."""
    waits, parity = i.modifiers[0] == "try_wait", "parity" in i.modifiers
    target, place, which = i.operands[:3]

    def act(t: Threads) -> Any:
        wanted = np.broadcast_to(t.read(which, "u32" if parity else "u64"), t.n)
        done = np.zeros(t.n, bool)
        for thread, key in keys(t, place):
            barrier = find(t, key)
            if parity:
                done[thread] = barrier.phase & 1 != wanted[thread] & 1
            else:
                done[thread] = barrier.phase > wanted[thread]
            if waits and not done[thread]:
                t.state.setdefault("reasons", {})[i.number] = str(barrier)
        held = t.active & ~done if waits else None
        if held is not None and held.any():
            t.active = t.active & done
            t.everyone = False
        t.write(target, done, "pred")
        return held if held is not None and held.any() else None

    return act
