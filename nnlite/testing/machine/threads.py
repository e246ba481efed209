"""The threads of some blocks: their registers, where they are, and who runs next.

All threads that stand at one instruction go through it together, those that are furthest behind
first. A thread that waits (at a barrier, for lanes of its warp, for a phase of an mbarrier) stands
still until something happens that may end its wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .memory import POISON, Fault, Space
from .numbers import KINDS
from .operands import Number, Operand, Register, Sink, Special, Symbol
from .program import Instruction
from .special import special_register

if TYPE_CHECKING:
    from .machine import Machine

LANES = 32
GROUP = 128  # threads of a warpgroup
BLOCKED = 1 << 40  # added to the place of a thread that waits
PATIENCE = 500  # jumps back before threads further ahead get a turn: somebody may wait for them
Action = Callable[["Threads"], Any]


class Threads:
    """Blocks that run together.

    Attributes:
        n: threads; those of each block are filled up to whole warps.
        active: those that run the current instruction.
        everyone: whether that is all of them.
        at: the instruction where each stands; ``+ BLOCKED`` for those that wait.
        block: of each thread, counted from the first block here.
        spaces: shared and local memory.
    """

    def __init__(
        self, machine: Machine, blocks: list[tuple[int, ...]], shape: tuple[int, int, int]
    ) -> None:
        self.machine, self.program = machine, machine.program
        self.blocks, self.shape = blocks, shape
        self.count = shape[0] * shape[1] * shape[2]
        self.padded = -(-self.count // LANES) * LANES
        self.n = n = self.padded * len(blocks)
        self.index = np.arange(n)
        self.block, self.rank = np.divmod(self.index, self.padded)
        self.warp, self.lane = np.divmod(self.index, LANES)
        self.end = len(self.program.code)
        self.at = np.where(self.rank < self.count, 0, self.end)
        self.registers: dict[str, np.ndarray] = {}
        self.specials: dict[str, np.ndarray] = {}
        self.active = self.rank < self.count
        self.everyone = False
        self.woken = False
        self.shared: Space = machine.shared_space(len(blocks))
        self.local: Space = machine.local_space(n)
        self.state: dict[Any, Any] = {}  # what modules of instructions remember

    # -- who runs ----------------------------------------------------------------------------------
    def run(self) -> None:
        """Until every thread has ended."""
        jumps = 0
        while True:
            here = int(self.at.min())
            if here >= self.end:
                if (self.at == self.end).all():
                    return
                self.machine.stuck(self)
                continue
            if jumps > PATIENCE:
                here, jumps = self._another(here), 0
            here = int(here)
            mask = self.at == here
            if self.program.code[here].name in self.machine.collective:
                mask |= self.at == here + BLOCKED  # they may go on now that others have come
                self.at[mask] = here
            jumps += self._straight(here, mask)

    def _another(self, here: int) -> int:
        """A place, other than the one furthest behind, where threads could go on."""
        places = np.unique(self.at[self.at < self.end])
        return int(
            places[1 + self.machine.rng.integers(len(places) - 1)] if len(places) > 1 else here
        )

    def _straight(self, here: int, mask: np.ndarray) -> int:
        """Run the threads ``mask`` from ``here`` on as far as they stay together and alone.

        Returns:
            whether they jumped back.
        """
        ahead = self.at[~mask & (self.at > here)]
        limit = int(ahead.min()) if ahead.size else BLOCKED
        together = bool(mask.all())
        alone = not (self.at[~mask] < here).any()
        code, machine = self.program.code, self.machine
        while True:
            instruction = code[here]
            self._guard(instruction, mask, together)
            machine.steps += 1
            if instruction.name in ("bra", "brx", "ret", "exit"):
                jumped = self._jump(instruction, here, mask)
                if jumped is None or jumped >= limit or not alone:
                    return int(jumped is not None and jumped <= here)
                if jumped <= here:
                    machine.check_steps(instruction)
                    self.at[mask] = jumped
                    return 1
                here = jumped
                continue
            held = None
            if self.everyone or self.active.any():
                held = self._perform(instruction)
            here += 1
            if held is not None or self.woken or here >= limit or here == self.end:
                self.at[mask] = here
                if held is not None:
                    self.at[held] = here - 1 + BLOCKED
                if self.woken or here == self.end:
                    self._wake()
                return 0

    def _guard(self, instruction: Instruction, mask: np.ndarray, together: bool) -> None:
        if instruction.guard is None:
            self.active, self.everyone = mask, together
        else:
            value = self.registers[instruction.guard] != instruction.negated
            self.active = mask & value
            self.everyone = together and bool(value.all())

    def _perform(self, instruction: Instruction) -> np.ndarray | None:
        """Run one instruction; returns the threads that have to wait at it, if any."""
        try:
            action = self.machine.actions[instruction.number]
            if action is None:
                action = self.machine.compile(instruction)
            return action(self)
        except Fault as error:
            raise Fault(f"{error}, at `{instruction.source}` of {self.who()}") from None

    def _jump(self, instruction: Instruction, here: int, mask: np.ndarray) -> int | None:
        """Move the threads that jump; returns where to if all of ``mask`` go there."""
        if instruction.name in ("ret", "exit"):
            self.at[mask] = here + 1
            self.at[self.active] = self.end
            self._wake()
            return None
        if instruction.name == "brx":
            self._switch(instruction, here, mask)
            return None
        target = self.program.labels[instruction.operands[0].name]  # type: ignore[union-attr]
        taken = int(np.count_nonzero(self.active))
        if taken == 0:
            target = here + 1
        elif taken < np.count_nonzero(mask):
            self.at[mask] = here + 1
            self.at[self.active] = target
            return None
        self.at[mask] = target
        return target

    def _switch(self, instruction: Instruction, here: int, mask: np.ndarray) -> None:
        index, table = instruction.operands
        targets = [self.program.labels[x] for x in self.program.tables[table.name]]  # type: ignore[union-attr]
        self.at[mask] = here + 1
        self.at[self.active] = np.array(targets)[self.read(index, "u32")[self.active]]

    def _wake(self) -> None:
        self.woken = False
        self.at[self.at > BLOCKED] -= BLOCKED

    def wake(self) -> None:
        """Let all threads that wait look again, after the current instruction."""
        self.woken = True

    def live(self) -> np.ndarray:
        """The threads that have not ended."""
        return self.at != self.end

    def who(self, threads: np.ndarray | None = None) -> str:
        """Some threads (the active ones) in words: their warps and blocks."""
        chosen = np.flatnonzero(self.active if threads is None else threads)
        parts = []
        for b in np.unique(self.block[chosen])[:4]:
            warps = np.unique(self.rank[chosen[self.block[chosen] == b]] // LANES)
            runs = np.split(warps, np.flatnonzero(np.diff(warps) != 1) + 1)
            names = ", ".join(f"{r[0]}" if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)
            parts.append(f"warps {names} of block {self.blocks[b]}")
        return " and ".join(parts)

    # -- registers ---------------------------------------------------------------------------------
    def read(self, operand: Operand, kind: str) -> np.ndarray:
        """The value of an operand in every thread; a scalar where it is a number."""
        dtype = KINDS[kind]
        if isinstance(operand, Register):
            raw = self.registers.get(operand.name)
            if raw is None:
                raw = self.unset(operand)
            if self.machine.watch is not None:
                self.machine.watch.reads(self, operand.name)
            if dtype == np.bool_:
                return raw != operand.negated
            if raw.itemsize == dtype.itemsize:
                return raw.view(dtype)
            return raw.astype(f"u{dtype.itemsize}").view(dtype)
        if isinstance(operand, Number):
            return constant(operand, dtype)
        if isinstance(operand, Special):
            found = self.specials.get(operand.name)
            if found is None:
                found = self.specials[operand.name] = special_register(self, operand.name)
            return found.astype(dtype)
        if isinstance(operand, Symbol):
            return dtype.type(self.machine.address_of(operand))
        raise NotImplementedError(f"{operand} as a number")

    def unset(self, register: Register) -> np.ndarray:
        """A register that nobody has set: poison."""
        if register.bits == 1:
            made: np.ndarray = np.zeros(self.n, np.bool_)
        else:
            size = register.bits // 8
            made = np.full(self.n * size, POISON, np.uint8).view(f"u{size}")
        self.registers[register.name] = made
        return made

    def write(self, operand: Operand, value: Any, kind: str) -> None:
        """Set a register of the active threads; narrow signed numbers keep their sign."""
        if isinstance(operand, Sink):
            return
        assert isinstance(operand, Register), operand
        value = np.asarray(value, KINDS[kind])
        if operand.bits > 1:
            size = operand.bits // 8
            if value.itemsize != size:
                value = value.astype(f"{'i' if kind[0] == 's' else 'u'}{size}")
            value = value.view(f"u{size}")
        if self.machine.watch is not None:
            self.machine.watch.writes(self, operand.name)
        if self.everyone and value.ndim:
            self.registers[operand.name] = value
            return
        old = self.registers.get(operand.name)
        if old is None:
            old = self.unset(operand)
        self.registers[operand.name] = np.where(self.active, value, old)


def constant(number: Number, dtype: np.dtype) -> Any:
    """A number of a program as one of NumPy."""
    if number.float_bits:
        raw = np.array(number.value, f"u{number.float_bits // 8}")
        if dtype.kind == "f":
            return raw.view(f"f{number.float_bits // 8}").astype(dtype)[()]
        return raw.astype(f"u{dtype.itemsize}").view(dtype)[()]
    if dtype == np.bool_:
        return np.bool_(number.value)
    if dtype.kind == "f":
        return dtype.type(number.value)
    size = 8 * dtype.itemsize
    return np.array(number.value & ((1 << size) - 1), f"u{dtype.itemsize}").view(dtype)[()]
