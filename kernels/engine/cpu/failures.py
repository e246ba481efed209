"""What a kernel reports back: errors found while it runs.

A kernel cannot raise.  It writes the number of the place, the block and one more number into the
launch array, the first failure wins, and the launch raises when all blocks have finished::

    effect_raise_(launch_, 1, b_, 32)       ->      LaunchError: k.py:7: cuda.syncthreads(): ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import LaunchError

CODE, BLOCK, DETAIL = 5, 6, 7
"""Where the launch array holds the number of the place, the block, and the detail."""

LAUNCH_LENGTH = 9
DYNAMIC_BYTES = 8


@dataclass(frozen=True)
class Failure:
    """One place of a kernel that may fail; ``text`` may use ``{block}`` and ``{detail}``."""

    file: str
    line: int
    text: str

    def error(self, kernel: str, block: int, detail: int) -> Exception:
        text = self.text.format(block=block, detail=detail)
        return LaunchError(f"{kernel}: {self.file}:{self.line}: {text}")


def check(kernel: str, failures: tuple[Failure, ...], launch: np.ndarray) -> None:
    """Raise the error of the first failure of a launch, if there was one."""
    code = int(launch[CODE])
    if code:
        raise failures[code - 1].error(kernel, int(launch[BLOCK]), int(launch[DETAIL]))


def launch_array(first: int, chunk: int, grid: tuple[int, int, int]) -> Any:
    """[next block, blocks taken at once, grid x, y, z, failure, block, detail, shared bytes]."""
    return np.array([first, chunk, *grid, 0, 0, 0, 0], np.int64)
