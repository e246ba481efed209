"""Registers that ``wgmma`` still works on: who reads them too early is found.

A sum that is under way is a promise: moving it from register to register moves the promise, since
that is what compilers do around inline code; every other use is a Fault until ``wgmma.wait_group``.
So is a product that begins with registers changed after the last ``wgmma.fence``.

Source: PTX ISA, sections "wgmma.fence", "wgmma.mma_async", "wgmma.wait_group".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .memory import Fault
from .operands import Operand, Register

if TYPE_CHECKING:
    from .threads import Threads

Promise = tuple[Any, int]  # a product under way, and the number of the register among its results


class Watch:
    """Per warpgroup: which registers hold promises, which changed, and when it was fenced."""

    def __init__(self) -> None:
        self.promises: dict[int, dict[str, Promise]] = {}
        self.changed: dict[int, dict[str, int]] = {}
        self.fenced: dict[int, int] = {}
        self.suspended = False

    def forget(self) -> None:
        """Other blocks run from now on."""
        self.__init__()  # type: ignore[misc]

    def groups(self, t: Threads) -> list[int]:
        """The warpgroups that have active threads."""
        if t.everyone and "groups_of_all" in t.state:
            return t.state["groups_of_all"]
        found = np.unique(t.index[t.active] // 128).tolist()
        if t.everyone:
            t.state["groups_of_all"] = found
        return found

    def reads(self, t: Threads, name: str) -> None:
        """An instruction reads a register."""
        if self.suspended or not self.promises:
            return
        for group in self.groups(t):
            if name in self.promises.get(group, ()):
                raise Fault(f"{name} is read before wgmma.wait_group")

    def writes(self, t: Threads, name: str) -> None:
        """An instruction sets a register."""
        if self.suspended:
            return
        for group in self.groups(t):
            self.changed.setdefault(group, {})[name] = t.machine.steps
            if self.promises.get(group, {}).pop(name, None) is not None and not self._whole(t):
                raise Fault(f"{name} is changed in a part of a warpgroup that still works on it")

    def moves(self, t: Threads, target: Operand, source: Operand) -> bool:
        """``mov`` of a register: with its promise, if it has one; True if that was all."""
        if not self.promises or not isinstance(source, Register):
            return False
        assert isinstance(target, Register)
        held = [g for g in self.groups(t) if source.name in self.promises.get(g, ())]
        if not held:
            return False
        if not self._whole(t) or len(held) != len(self.groups(t)):
            raise Fault(f"{source.name} is read before wgmma.wait_group")
        for group in held:
            self.promises[group][target.name] = self.promises[group][source.name]
            self.changed.setdefault(group, {})[target.name] = t.machine.steps
        return True

    def _whole(self, t: Threads) -> bool:
        count = np.bincount(t.index[t.active] // 128)
        return bool(np.isin(count, (0, 128)).all())
