"""Time of a run: a budget that divides itself over what is still to do, and rounds that fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

ROUNDS = 15  # of a case, if there is time
LEAST = 3  # fewer have no median worth the name


class Budget:
    """Seconds that a run may take, divided anew whenever a part of it is done.

    Args:
        seconds: in all, from now on.
        clock: seconds that pass; another one in tests.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.seconds = seconds
        self.start = clock()

    def passed(self) -> float:
        return self.clock() - self.start

    def left(self) -> float:
        return max(0.0, self.seconds - self.passed())

    def share(self, weights: Sequence[float]) -> float:
        """Seconds for the first of what is left to do, of so much weight each."""
        return self.left() * weights[0] / sum(weights)


def rounds_within(seconds: float, of_one: float, wanted: int = ROUNDS) -> int:
    """How many rounds to run: as many as wanted if they fit, else what fits, but LEAST."""
    fitting = int(seconds / of_one) if of_one > 0 else wanted
    return max(min(LEAST, wanted), min(wanted, fitting))
