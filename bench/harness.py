"""How a case is timed: all sides checked first, then interleaved round by round, medians compared.

Machines are noisy, so absolute times mean little. Each round times every side once, in turn, and
the ratio is taken within the round; the figure to quote is the median of these ratios.
"""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import nnlite as nl

SAMPLE = 0.02  # seconds one sample of a fast side should last, so that the clock is precise
WARM_UP = 0.3  # seconds for which a side runs first: threads start, and both learn what pays
SETTLE = 0.03  # seconds before a sample: threads of the side before spin on for some ten ms


@dataclass
class Side:
    """One implementation of a case.

    Args:
        name: ``"nnlite"`` or the peer's name with its version.
        run: runs the work once; may return its result for the check.
        synchronize: waits until the work is done, where ``run`` only queues it.
        timer: replaces the clock: returns the seconds of one run (a peer in another process).
        close: frees what the side holds.
    """

    name: str
    run: Callable[[], Any]
    synchronize: Callable[[], None] = lambda: None
    timer: Callable[[], float] | None = None
    close: Callable[[], None] = lambda: None

    def warm_up(self, seconds: float) -> None:
        """Run once, and again for so many seconds."""
        if self.timer is None:
            end = time.perf_counter() + seconds
            self.sample(1)
            while time.perf_counter() < end:
                self.sample(1)

    def sample(self, repeats: int) -> float:
        """Seconds per run, over ``repeats`` runs."""
        if self.timer is not None:
            return self.timer()
        self.synchronize()
        start = time.perf_counter()
        for _ in range(repeats):
            self.run()
        self.synchronize()
        return (time.perf_counter() - start) / repeats


def synchronizer(device: Any) -> Callable[[], None]:
    """Function that waits for all work queued on ``device``."""
    if device.kind == "cpu":
        return lambda: None
    from nnlite.kernels.engine import gpu

    return lambda: gpu.synchronize(device)


@dataclass
class Case:
    """What is timed.

    Args:
        name: name of the case.
        setup: ``setup(device) -> list[Side]``, nnlite first; random inputs, never zeros.
        work: operations or bytes of one run.
        unit: ``"FLOP"`` or ``"B"``.
        rounds: number of rounds; None takes the run's default.
        devices: kinds of device the case runs on.
    """

    name: str
    setup: Callable[[Any], list[Side]]
    work: float
    unit: str
    rounds: int | None = None
    devices: tuple[str, ...] = ("cpu", "cuda")


@dataclass
class Result:
    """Seconds of every round per side, and what follows from them."""

    case: str
    device: str
    work: float
    unit: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    limit: float | None = None  # of the hardware, in work per second

    def median(self, side: str) -> float:
        return statistics.median(self.seconds[side])

    def ratio(self, side: str) -> float:
        """Median over the rounds of our time divided by the peer's (below 1: we are faster)."""
        ours = next(iter(self.seconds.values()))
        return statistics.median(a / b for a, b in zip(ours, self.seconds[side]))

    def to_json(self) -> dict[str, Any]:
        names = list(self.seconds)
        return {
            "case": self.case,
            "device": self.device,
            "work": self.work,
            "unit": self.unit,
            "limit_per_second": self.limit,
            "sides": {
                n: {
                    "median_s": self.median(n),
                    "min_s": min(self.seconds[n]),
                    "max_s": max(self.seconds[n]),
                    "rounds": len(self.seconds[n]),
                    "nnlite_time_over_this": self.ratio(n),
                }
                for n in names
            },
        }


def measure(case: Case, device: Any, rounds: int) -> Result:
    """Warm up, then time every side of ``case`` in turn for ``rounds`` rounds."""
    sides = case.setup(device)
    limits = device.limits
    limit = None
    if device.kind == "cuda":
        limit = limits.float32 * 1e12 if case.unit == "FLOP" else limits.bandwidth * 1e9
    result = Result(case.name, str(device), case.work, case.unit, limit=limit)
    try:
        repeats = {}
        for side in sides:
            side.warm_up(WARM_UP)
            once = min(side.sample(1) for _ in range(3)) if side.timer is None else 1.0
            repeats[side.name] = max(1, min(1000, int(SAMPLE / max(once, 1e-7))))
            result.seconds[side.name] = []
        for _ in range(case.rounds or rounds):
            for side in sides:
                time.sleep(SETTLE)
                side.warm_up(SETTLE)
                result.seconds[side.name].append(side.sample(repeats[side.name]))
    finally:
        for side in sides:
            side.close()
    return result


def machine() -> dict[str, Any]:
    """Date, processor, devices and versions: what a figure needs to mean anything."""
    import numba

    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "devices": [f"{d}: {d.limits.name}" for d in nl.devices() if d.kind == "cuda"] or ["cpu"],
        "python": platform.python_version(),
        "nnlite": nl.__version__,
        "numba": numba.__version__,
        "numpy": np.__version__,
    }


def processor() -> str:
    """Model name of the CPU with the widest vector extension LLVM uses on it."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    widest = next((f for f in ("avx512f", "avx2", "neon", "sse2") if features.get(f)), "")
    return f"{llvm.get_host_cpu_name()} {widest}".strip()
