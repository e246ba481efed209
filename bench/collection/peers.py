"""Who else runs a kernel of the collection: NumPy, another compiler, Numba's simulator."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nnlite.kernels.engine.cpu import CpuKernel

from ..harness import Side
from .entry import Entry, Launch


class Work:
    """The launches of one run, on arrays that all compilers share.

    The same code takes up to three times as long on an array that lies badly (vectors across cache
    lines, while scattered stores are under way), and NumPy's arrays lie elsewhere in every process.

    Args:
        entry: the kernel.
        size: of its arrays.
    """

    def __init__(self, entry: Entry, size: Any) -> None:
        self.entry = entry
        self.launches = entry.launches(size)
        given = [a for x in self.launches for a in x.args if isinstance(a, np.ndarray)]
        self.before = [(a, a.copy()) for a in {id(a): a for a in given}.values()]
        self.expected = entry.expected(self.launches)

    def side(self, name: str, start: Callable[[Launch], Any]) -> Side:
        """All launches by ``start``; the first result is compared with the reference."""
        args = self.launches[0].args
        kept = {id(array): before for array, before in self.before}
        restored = [(args[i], kept[id(args[i])]) for i in self.entry.restore]

        def run() -> None:
            for array, before in restored:
                array[...] = before
            for launch in self.launches:
                start(launch)

        for array, before in self.before:
            array[...] = before
        run()
        self.entry.check(self.launches, self.expected)
        return Side(name, run)


def nnlite_side(work: Work) -> Side:
    """The kernel compiled by nnlite."""
    kernel = CpuKernel(work.entry.kernel)
    return work.side("nnlite", lambda x: kernel.launch(*x.dims, x.shared, x.args))


def numpy_side(entry: Entry, size: Any) -> Side:
    """The NumPy reference, on the kernel's own types."""
    args = entry.launches(size)[0].args

    def run() -> Any:
        with np.errstate(all="ignore"):
            return entry.reference(*args)

    return Side(f"NumPy {np.__version__}", run)


def prototype_side(work: Work, folder: Path) -> Side:
    """The same kernel by the prototype in ``folder``, which has ``kf.driver.cpu``."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    kernel = importlib.import_module("kf.driver").cpu(work.entry.kernel)
    return work.side("prototype", lambda x: kernel[x.grid, x.block, 0, x.shared](*x.args))


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
        """The answer, or ``{"error": ...}`` after the given time or when the process ends.

        An answer for a process that ended is ``"crashed"``, too.
        """
        process = self.started()
        assert process.stdin is not None
        assert process.stdout is not None
        line, ready = "", True
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(name + "\n")
            process.stdin.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                ready = bool(selector.select(seconds))
            line = process.stdout.readline() if ready else ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        if not ready:
            self.close()
            return {"error": f"no answer within {seconds:.0f} s"}
        status = process.wait()
        self.process = None
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        return {"error": f"the process ended ({how})", "crashed": True}

    def started(self) -> subprocess.Popen[str]:
        """The process, a new one if there is none or it has ended since its last answer."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=self.environment,
            )
        return self.process

    def close(self) -> None:
        """End the process; the next question starts another."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
