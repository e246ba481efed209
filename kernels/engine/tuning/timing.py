"""The clock of each kind of device: seconds of one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..device import Device

Timer = Callable[[Callable[[], Any]], float]
SAMPLE = 2e-3  # seconds a sample on the CPU should last, so that threads have been woken
MOST_REPEATS = 200


def timer_of(device: Device) -> Timer:
    """The function that times one run on a device; what the run queues has then finished."""
    if device.is_cpu:
        return cpu_seconds
    from ..gpu.timing import Stopwatch

    return Stopwatch(device)


def cpu_seconds(run: Callable[[], Any]) -> float:
    """Seconds of one run, over as many as a sample holds."""
    once = _elapsed(run, 1)
    repeats = max(1, min(MOST_REPEATS, int(SAMPLE / max(once, 1e-9))))
    return once if repeats == 1 else _elapsed(run, repeats) / repeats


def _elapsed(run: Callable[[], Any], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return time.perf_counter() - start
