"""What a kernel takes of a GPU, as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .architectures import Multiprocessor, architecture, occupancy
from .sass import has, is_float64

_SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"[Uu]sed (\d+) registers")
_NAMED = re.compile(r"(?:Compiling entry function|Function properties for) '([\w$]+)'")
_SHARED = re.compile(r"(\d+) bytes smem")
COUNTS_RESERVED = "sm_90"  # where the log adds what the system takes of each block's shared memory


@dataclass(frozen=True)
class Usage:
    """What the assembler reports of a kernel.

    Args:
        arch: such as ``"sm_90"``.
        registers: per thread.
        spill_stores, spill_loads: bytes that did not fit into registers, written and read again.
        stack: bytes of local memory per thread: arrays that are indexed by variables, and spills.
        shared: bytes of static shared memory per block.
    """

    arch: str
    registers: int
    spill_stores: int
    spill_loads: int
    stack: int
    shared: int

    @property
    def spills(self) -> int:
        """Bytes spilled, stores and loads together."""
        return self.spill_stores + self.spill_loads

    @property
    def room(self) -> Multiprocessor:
        """What a multiprocessor of the architecture has."""
        return architecture(self.arch).multiprocessor

    def occupancy(self, threads: int, dynamic_shared: int = 0) -> float:
        """Share of a multiprocessor's warps that blocks of so many threads keep resident.

        Args:
            threads: per block.
            dynamic_shared: bytes of shared memory that the launch adds.
        """
        return occupancy(
            architecture(self.arch), self.registers, self.shared + dynamic_shared, threads
        )


@dataclass(frozen=True)
class Resources(Usage):
    """What a kernel takes, and what its machine code is made of.

    Args:
        kernel: its name.
        opcodes: machine instruction with modifiers -> how often it occurs in the kernel.
        loop: the same for the main loop, the longest one that holds no other; empty without loops.
    """

    kernel: str
    opcodes: Mapping[str, int]
    loop: Mapping[str, int]

    @property
    def instructions(self) -> int:
        """Machine instructions in the kernel."""
        return sum(self.opcodes.values())

    @property
    def float64(self) -> int:
        """Machine instructions that compute with float64."""
        return sum(n for opcode, n in self.opcodes.items() if is_float64(opcode))

    def count(self, pattern: str) -> int:
        """Instructions of a name that have all the modifiers given: ``count("LDG.128")``.

        ``LDG`` and ``STG`` are global memory, ``LDS`` and ``STS`` shared memory, ``LDGSTS``
        ``cp.async``, ``LDSM`` ``ldmatrix``, ``HMMA`` and ``HGMMA`` the tensor cores, ``LDL`` and
        ``STL`` local memory. Without a name, as in ``".128"``, every instruction counts.
        """
        return sum(n for opcode, n in self.opcodes.items() if has(opcode, pattern))

    def share(self, pattern: str) -> float:
        """Share of the main loop's instructions that :meth:`count` would count; 0 without loop."""
        total = sum(self.loop.values())
        found = sum(n for opcode, n in self.loop.items() if has(opcode, pattern))
        return found / total if total else 0.0


def logs(log: str) -> dict[str, str]:
    """What the assembler prints of several kernels -> what it prints of each, by name."""
    _, *parts = _NAMED.split(log)
    found: dict[str, str] = {}
    for name, text in zip(parts[::2], parts[1::2]):
        found[name] = found.get(name, "") + text
    return found


def usage_from_log(arch: str, log: str) -> Usage:
    """The figures in what ``ptxas -v`` prints; of functions that are called, the largest."""
    spills = [tuple(map(int, found)) for found in _SPILLS.findall(log)]
    shared = max(map(int, _SHARED.findall(log)), default=0)
    if shared and arch.startswith(COUNTS_RESERVED):
        shared -= architecture(arch).multiprocessor.reserved
    return Usage(
        arch=arch,
        registers=max(map(int, _REGISTERS.findall(log))),
        spill_stores=sum(stores for _, stores, _ in spills),
        spill_loads=sum(loads for _, _, loads in spills),
        stack=max((stack for stack, _, _ in spills), default=0),
        shared=shared,
    )
