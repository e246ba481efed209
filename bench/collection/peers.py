"""Who else runs a kernel of the collection: NumPy, another compiler, Numba's simulator."""

from __future__ import annotations

import importlib
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nnlite.kernels.engine.cpu import CpuKernel

from ..harness import Side
from .entry import Entry, Launch


def repeatable(entry: Entry, launches: list[Launch], start: Callable[[Launch], Any]) -> Any:
    """A function that runs all launches and first puts back what ``entry.restore`` names."""
    args = launches[0].args
    saved = [(args[i], args[i].copy()) for i in entry.restore]

    def run() -> None:
        for array, before in saved:
            array[...] = before
        for launch in launches:
            start(launch)

    return run


def checked(entry: Entry, name: str, size: Any, start: Callable[[Launch], Any]) -> Side:
    """The side of a compiler; its first result is compared with the reference."""
    launches = entry.launches(size)
    expected = entry.expected(launches)
    run = repeatable(entry, launches, start)
    run()
    entry.check(launches, expected)
    return Side(name, run)


def nnlite_side(entry: Entry, size: Any) -> Side:
    """The kernel compiled by nnlite."""
    kernel = CpuKernel(entry.kernel)
    return checked(
        entry, "nnlite", size, lambda x: kernel.launch(*x.dims, x.shared, x.args)
    )  # fmt: skip


def numpy_side(entry: Entry, size: Any) -> Side:
    """The NumPy reference, on the kernel's own types."""
    args = entry.launches(size)[0].args

    def run() -> Any:
        with np.errstate(all="ignore"):
            return entry.reference(*args)

    return Side(f"NumPy {np.__version__}", run)


def prototype_side(entry: Entry, size: Any, folder: Path) -> Side:
    """The same kernel by the prototype in ``folder``, which has ``kf.driver.cpu``."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    kernel = importlib.import_module("kf.driver").cpu(entry.kernel)
    return checked(
        entry, "prototype", size, lambda x: kernel[x.grid, x.block, 0, x.shared](*x.args)
    )  # fmt: skip


class Worker:
    """A process of ``bench.collection.worker`` that answers a line of JSON per kernel's name.

    Args:
        role: what the process does with a kernel.
        environment: variables that must be set before numba is imported there.
    """

    def __init__(self, *role: str, **environment: str) -> None:
        self.command = [sys.executable, "-m", "bench.collection.worker", *role]
        self.environment = dict(os.environ, **environment)
        self.process: subprocess.Popen[str] | None = None

    def ask(self, name: str, seconds: float) -> dict[str, Any]:
        """The answer, or ``{"error": ...}`` after the given time or when the process ends."""
        if self.process is None:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=self.environment,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            ready = selector.select(seconds)
        line = self.process.stdout.readline() if ready else ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.close()
        return {"error": "the process ended" if ready else f"no answer within {seconds:.0f} s"}

    def close(self) -> None:
        """End the process; the next question starts another."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
