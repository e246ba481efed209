"""GPU architectures: their names, and what one multiprocessor has room for.

Source of the figures: CUDA C++ Programming Guide, tables "Technical Specifications per Compute
Capability" and "Shared Memory Capacity per Compute Capability"; sizes in which registers and shared
memory are handed out: CUDA Occupancy Calculator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..device import KIB
from ..errors import ArgumentError

WARP = 32
REGISTERS = 64 * KIB  # per multiprocessor, on every architecture since Kepler
REGISTER_UNIT = 256  # registers are given to a warp in this many
SCHEDULERS = 4  # per multiprocessor; a warp's registers lie with one of them


@dataclass(frozen=True)
class Multiprocessor:
    """Room in one multiprocessor.

    Args:
        warps, blocks: most that are resident at once.
        shared: bytes of shared memory.
        shared_unit: bytes in which shared memory is given to a block.
        reserved: bytes of shared memory that the system takes for each block.
    """

    warps: int
    blocks: int
    shared: int
    shared_unit: int = 128
    reserved: int = KIB


MULTIPROCESSORS = {
    (7, 5): Multiprocessor(32, 16, 64 * KIB, shared_unit=256, reserved=0),
    (8, 0): Multiprocessor(64, 32, 164 * KIB),
    (8, 6): Multiprocessor(48, 16, 100 * KIB),
    (8, 9): Multiprocessor(48, 24, 100 * KIB),
    (9, 0): Multiprocessor(64, 32, 228 * KIB),
    (10, 0): Multiprocessor(64, 32, 228 * KIB),
    (12, 0): Multiprocessor(48, 24, 100 * KIB),
}
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100", "sm_120")


@dataclass(frozen=True)
class Architecture:
    """One GPU architecture, such as ``sm_90a``."""

    major: int
    minor: int
    variant: str = ""

    def __str__(self) -> str:
        return f"sm_{self.major}{self.minor}{self.variant}"

    @property
    def capability(self) -> tuple[int, int] | tuple[int, int, str]:
        """The compute capability in the form that numba-cuda takes."""
        plain = self.major, self.minor
        return (*plain, self.variant) if self.variant else plain

    @property
    def multiprocessor(self) -> Multiprocessor:
        return MULTIPROCESSORS[self.major, self.minor]


def architecture(name: str) -> Architecture:
    """The architecture of a name such as ``"sm_90a"``.

    Raises:
        ArgumentError: the name is not understood, or nothing is known of the architecture.
    """
    found = re.fullmatch(r"sm_(\d+)(\d)([af]?)", name) if isinstance(name, str) else None
    if found is None or (int(found[1]), int(found[2])) not in MULTIPROCESSORS:
        raise ArgumentError(
            f"arch: {name!r} given, expected one of {', '.join(ARCHITECTURES)} or a variant"
        )
    return Architecture(int(found[1]), int(found[2]), found[3])


def occupancy(arch: Architecture, registers: int, shared: int, threads: int) -> float:
    """Share of a multiprocessor's warps that are resident, from 0 (a block does not fit) to 1.

    Args:
        registers: per thread.
        shared: bytes of shared memory per block, static and dynamic.
        threads: per block.
    """
    room = arch.multiprocessor
    warps = (threads + WARP - 1) // WARP
    per_warp = (registers * WARP + REGISTER_UNIT - 1) // REGISTER_UNIT * REGISTER_UNIT
    held = REGISTERS // SCHEDULERS // max(1, per_warp) * SCHEDULERS  # warps the registers allow
    taken = (shared + room.reserved + room.shared_unit - 1) // room.shared_unit * room.shared_unit
    blocks = min(room.blocks, room.warps // warps, held // warps)
    if taken:
        blocks = min(blocks, room.shared // taken)
    return blocks * warps / room.warps
