"""What launches have cost, and the choice between one thread and several."""

from __future__ import annotations

from .failures import launch_array

Dim3 = tuple[int, int, int]

SERIAL_SECONDS = 30e-6
"""Below this much time the helpers would arrive after the work is done."""

PARALLEL_SECONDS = 300e-6
"""Above this much time helpers always pay."""

EXPLORE, TRIES = 256, 8
"""Of so many launches, so many in a row go the slower way: it may be the faster one by now, and
the first of them may find the helpers asleep."""

UNTIMED = 15
"""After a launch that was too short for helpers so many are not timed: that, too, takes time."""

MAX_CHUNK = 64
CHUNKS_PER_THREAD = 8


class Cost:
    """Learns for one grid whether a launch is faster on one thread or on several.

    Kernels count in a copy of the launch arrays (see ``failures.launch_array``).
    """

    __slots__ = (
        "blocks",
        "expected",
        "helpers",
        "launches",
        "pooled",
        "pooled_launch",
        "serial",
        "serial_launch",
        "untimed",
    )

    def __init__(self, grid: Dim3, block_seconds: float, threads: int) -> None:
        self.blocks = grid[0] * grid[1] * grid[2]
        self.helpers = min(threads, self.blocks) - 1
        chunk = self.blocks // ((self.helpers + 1) * CHUNKS_PER_THREAD)
        self.serial_launch = launch_array(0, self.blocks, grid)
        self.pooled_launch = launch_array(0, max(1, min(MAX_CHUNK, chunk)), grid)
        self.expected = block_seconds * self.blocks
        self.serial = self.pooled = 0.0
        self.launches = self.untimed = 0

    def choose(self) -> int:
        """How many helpers the next launch should invite."""
        if not self.helpers:
            return 0
        self.launches += 1
        serial, pooled = self.serial, self.pooled
        if not pooled:
            known = serial or self.expected
            return 0 if 0 < known < SERIAL_SECONDS else self.helpers
        if not serial:
            try_serial = self.launches > TRIES and pooled < PARALLEL_SECONDS
            return 0 if try_serial else self.helpers
        if self.launches <= 2 * TRIES:
            return 0
        serial_wins = serial <= pooled
        close = 2 * (self.helpers + 1)
        if self.launches % EXPLORE < TRIES and serial < close * pooled and pooled < close * serial:
            serial_wins = not serial_wins
        return 0 if serial_wins else self.helpers

    def record(self, helpers: int, spent: float) -> None:
        """Follow a faster time at once, a slower one slowly: others use the machine too."""
        old = self.pooled if helpers else self.serial
        new = spent if not old or spent < old else old + (min(spent, 2 * old) - old) / 8
        if helpers:
            self.pooled = new
        else:
            self.serial = new
            self.untimed = UNTIMED if spent < SERIAL_SECONDS else 0
