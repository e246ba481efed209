"""Where a run takes place: a GPU with its events, or the CPU as a stand-in for trying the harness.

The stand-in runs small sizes, knows no limits and marks every result as not of a GPU.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import nnlite as nl

from .limits import limits_of

BIG = 1 << 28  # float32 items of a bandwidth case: 1 GiB, four to twenty times any L2 cache
STAND_IN = 1 << 14
HEAD_START = 4  # copies of 128 MiB before a run: some 0.2 ms, in which the host queues it


class Place:
    """A GPU.

    Attributes:
        device: the :class:`nnlite.Device`.
        is_gpu: False of the stand-in.
        items: float32 items of arrays in bandwidth cases.
        begins: called with the name of each side that is about to run.
    """

    is_gpu = True
    items = BIG

    def __init__(self, device: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self.device, self.clock = device, clock
        self.begins: Callable[[str], Any] = lambda side: None

    @functools.cached_property
    def _stopwatch(self) -> Callable[[Callable[[], Any]], float]:
        from nnlite.kernels.engine.gpu.timing import Stopwatch

        return Stopwatch(self.device, HEAD_START)

    def seconds(self, run: Callable[[], Any]) -> float:
        """Seconds of one run by the device's clock, with a cold L2 cache."""
        return self._stopwatch(run)

    def wall(self, run: Callable[[], Any], repeats: int) -> float:
        """Seconds of one run by the host's clock, over many that are queued one after another."""
        self.synchronize()
        start = time.perf_counter()
        for _ in range(repeats):
            run()
        self.synchronize()
        return (time.perf_counter() - start) / repeats

    def synchronize(self) -> None:
        """Wait for the device."""
        from nnlite.kernels.engine import gpu

        gpu.synchronize(self.device)

    def answers(self) -> bool:
        """Whether the GPU still does what it is asked: after a fault its context does nothing."""
        try:
            return nl.array(np.ones(8, np.float32), device=self.device).numpy().sum() == 8
        except Exception:  # whatever the driver says, this process is of no more use
            return False

    def warm_up(self) -> None:
        """Make what all cases share, so that none pays for it."""
        self.seconds(lambda: self.big)

    def limit(self, name: str | None) -> float | None:
        """A limit of the hardware in operations or bytes per second; None if it is not known."""
        return None if name is None else limits_of(self.device.limits).get(name)

    @functools.cached_property
    def numbers(self) -> np.ndarray:
        """``items`` random numbers of both signs, the same for every case."""
        rng = np.random.default_rng(0)
        return 2 * rng.random(self.items, dtype=np.float32) - 1

    def random(self, shape: tuple[int, ...], number: int = 0) -> np.ndarray:
        """Random numbers of a shape, others for each number, as a view where there are enough."""
        size = int(np.prod(shape))
        if size > self.items:
            return np.random.default_rng(number).standard_normal(shape, np.float32)
        start = number * 7919 * 64 % (self.items - size + 1)
        return self.numbers[start : start + size].reshape(shape)

    @functools.cached_property
    def big(self) -> Any:
        """:attr:`numbers` on the device; no case writes to it."""
        return nl.array(self.numbers, device=self.device)

    def size(self, on_a_gpu: int, as_stand_in: int) -> int:
        """A size of a case."""
        return on_a_gpu if self.is_gpu else as_stand_in

    def tidy(self) -> None:
        """Give memory back after a case, ours and PyTorch's, so that the next one has it all."""
        import gc
        import sys

        gc.collect()
        if self.is_gpu:
            from nnlite.kernels.engine.gpu.pool import pool

            pool(self.device.index).release()
        torch = sys.modules.get("torch")
        if self.is_gpu and torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()


class StandIn(Place):
    """The CPU, for trying the harness without a GPU."""

    is_gpu = False
    items = STAND_IN

    @functools.cached_property
    def _stopwatch(self) -> Callable[[Callable[[], Any]], float]:
        from nnlite.kernels.engine.tuning.timing import timer_of

        return timer_of(self.device)

    def synchronize(self) -> None:
        pass

    def limit(self, name: str | None) -> float | None:
        return None


def host(x: Any) -> np.ndarray:
    """A result of any side as a NumPy array; low precision as float32."""
    if isinstance(x, nl.Tensor):
        x = x.array
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        return (x.float() if x.is_floating_point() else x).numpy()
    if hasattr(x, "get"):
        return np.asarray(x.get())
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)


def relative_error(found: Any, expected: np.ndarray) -> float:
    """``|found - expected| / |expected|``, each the root of the sum of squares; NaN stays NaN."""
    wide = np.asarray(found, np.float64)
    return float(np.linalg.norm(wide - expected) / np.linalg.norm(expected))


def require_close(found: Any, expected: np.ndarray, bound: float) -> None:
    """Raise AssertionError unless the relative error is within the bound; NaN never is."""
    if np.shape(found) != expected.shape:
        raise AssertionError(f"shape {np.shape(found)}, expected {expected.shape}")
    error = relative_error(found, expected)
    if not error <= bound:
        raise AssertionError(f"relative error {error:.3g}, at most {bound:.3g} expected")


def place_of(device: str) -> Place | None:
    """Where to run; None without a GPU."""
    if device == "cpu":
        return StandIn(nl.device("cpu"))
    if len(nl.devices()) < 2:
        return None
    return Place(nl.device(device))
