"""Time of work on a GPU by its own clock, CUDA events, and which driver runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..device import Device
from ..memory import full
from .driver import active, stream_of

FLUSH = 128 << 20  # bytes read and as many written between runs: more than any L2 cache holds


class Stopwatch:
    """Seconds of one run on a GPU, with a cold L2 cache.

    Before each run a large copy replaces what the L2 cache holds. While it is under way the host
    queues both events and the run between them, so that the time is that of the kernels, not of
    their launch, unless queueing the run takes longer than the copy.

    Args:
        device: a GPU; the run queues its work there, on the stream of the engine.
        copies: how many of them, for runs that the host needs longer to queue.
    """

    def __init__(self, device: Device, copies: int = 1) -> None:
        self.device, self.copies = device, copies
        self.source = full(FLUSH // 4, 1.0, np.float32, device)
        self.target = self.source.copy()

    def __call__(self, run: Callable[[], Any]) -> float:
        for _ in range(self.copies):
            self.target.copy_from(self.source)
        index, driver = self.device.index, active()
        start = driver.record(index, stream_of(index), timing=True)
        run()
        end = driver.record(index, stream_of(index), timing=True)
        driver.synchronize_event(index, end)
        seconds = driver.elapsed(index, start, end)
        for event in (start, end):
            driver.destroy_event(index, event)
        return seconds


def driver_version() -> str:
    """Version of CUDA that the driver supports, such as ``"13.0"``."""
    return active().version()
