"""Time of work on a GPU by its own clock, CUDA events, and which driver runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda

from ..device import Device
from ..memory import full

FLUSH = 128 << 20  # bytes read and as many written between runs: more than any L2 cache holds


class Stopwatch:
    """Seconds of one run on a GPU, with a cold L2 cache.

    Before each run a large copy replaces what the L2 cache holds. While it is under way the host
    queues both events and the run between them, so that the time is that of the kernels, not of
    their launch, unless queueing the run takes longer than the copy.

    Args:
        device: a GPU; the run queues its work there, on the stream of the engine.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.source = full(FLUSH // 4, 1.0, np.float32, device)
        self.target = self.source.copy()
        with cuda.gpus[device.index]:
            self.start, self.end = cuda.event(timing=True), cuda.event(timing=True)

    def __call__(self, run: Callable[[], Any]) -> float:
        self.target.copy_from(self.source)
        with cuda.gpus[self.device.index]:
            self.start.record()
            run()
            self.end.record()
            self.end.synchronize()
            return float(cuda.event_elapsed_time(self.start, self.end)) * 1e-3


def driver_version() -> str:
    """Version of CUDA that the driver supports, such as ``"13.0"``."""
    major, minor = cuda.driver.driver.get_version()
    return f"{major}.{minor}"
