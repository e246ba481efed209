"""Bank conflicts of shared memory: how often a warp has to go there for one instruction.

Shared memory has 32 banks of 4 bytes; a warp takes 128 bytes at a time, so 32 words, or 8 times 16
bytes. Lanes that want different words of one bank wait for each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .program import Instruction
    from .threads import Threads

BANKS = 32
AT_A_TIME = 128  # bytes


@dataclass
class Passes:
    """What one instruction costs at shared memory.

    Attributes:
        ideal: times that warps went there if no two lanes had met in a bank.
        real: times they really went.
        most: the most for one access.
    """

    ideal: int = 0
    real: int = 0
    most: int = 0


def count_passes(
    t: Threads, i: Instruction, threads: np.ndarray, address: np.ndarray, size: int
) -> None:
    """Note the conflicts of one instruction whose threads access ``size`` bytes each."""
    lanes = min(BANKS, AT_A_TIME // size)
    visit = threads // lanes  # threads that go together
    words = (visit * (1 << 20) + address // 4)[:, None] + np.arange(max(size // 4, 1))
    different = np.sort(words, axis=None)
    different = different[np.flatnonzero(np.diff(different, prepend=-1))]
    keys = np.sort((different >> 20) * BANKS + different % BANKS)
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    per_bank = np.diff(starts, append=keys.size)
    visits = keys[starts] // BANKS
    first = np.flatnonzero(np.diff(visits, prepend=-1))
    most = np.maximum.reduceat(per_bank, first)
    found = t.machine.passes.setdefault(i.number, Passes())
    found.ideal += first.size
    found.real += int(most.sum())
    found.most = max(found.most, int(most.max()))
