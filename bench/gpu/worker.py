"""Cases in a process of their own, so that one that hangs or breaks the GPU's context ends alone.

A kernel that never ends, or that writes where it may not, leaves a process whose every later call
fails or waits. So the command measures GPUs through :class:`Worker`: it sends the name of a case to
the process and waits for the figures; a process that does not answer, has died, or says that its
GPU answers no more is ended, and the next case gets a new one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from .case import OURS, Case, Result, measure
from .place import Place

ROOT = Path(__file__).resolve().parents[2]
START = 120.0  # seconds until a process is ready: imports, a context, a gigabyte of numbers
PATIENCE = 60.0  # seconds that a case may take beyond its share: kernels are compiled, too
LEAST_PATIENCE = 10.0  # after each that was not enough it is a third of what it was, or this
SIDE, DONE = "side", "done"  # what the process says: which side it begins; the figures
LOST = "the GPU did not answer afterwards: a new process goes on"


class Worker:
    """The process that measures, started when it is needed.

    Args:
        command: what to run; the number of its end of the pipe is appended.
        patience: seconds that it may take beyond the share of a case.
    """

    def __init__(
        self, command: Sequence[str], patience: float = PATIENCE, start: float = START
    ) -> None:
        self.command, self.patience, self.start = list(command), patience, start
        self.process: subprocess.Popen[bytes] | None = None
        self.link: Any = None
        self.at = ""  # the side that it has begun last

    def measure(self, case: Case, seconds: float, result: Result) -> None:
        """Measure a case; ``result`` is filled, or says what went wrong."""
        self.at = OURS
        slowest = max((side.least for side in case.sides.values()), default=0.0)
        try:
            if self.process is None:
                self._begin()
            self.link.send((case.name, seconds, result.rounds_wanted))
            found, healthy = self._answer(seconds + self.patience + 2 * slowest)
        except (EOFError, OSError) as error:
            result.errors[self.at] = f"{self._fate(error)}, at the side {self.at}"
            self.close()
            return
        vars(result).update(found)
        if not healthy:
            result.note = "; ".join(x for x in (result.note, LOST) if x)
            self.close()

    def _begin(self) -> None:
        here, there = Pipe()
        with there:
            self.process = subprocess.Popen(
                [*self.command, str(there.fileno())],
                cwd=ROOT, pass_fds=[there.fileno()], start_new_session=True,
            )  # fmt: skip
        self.link = here
        self._answer(self.start)

    def _answer(self, seconds: float) -> Any:
        """What it says when it is done.

        Raises:
            EOFError: it has died.
            TimeoutError: it says nothing for so long.
        """
        end = time.monotonic() + seconds
        while self.link.poll(max(0.0, end - time.monotonic())):
            what, told = self.link.recv()
            if what == DONE:
                return told
            self.at = told
        raise TimeoutError(f"no answer for {seconds:.0f} s")

    def _fate(self, error: Exception) -> str:
        """What became of the process."""
        if isinstance(error, TimeoutError):
            self.patience = min(self.patience, max(LEAST_PATIENCE, self.patience / 3))
            return f"{error}: the process was ended"
        code = None
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self.process.wait(5.0)
        return f"the process died ({'alive' if code is None else f'exit code {code}'})"

    def close(self) -> None:
        """End the process, with what it has started."""
        process, self.process = self.process, None
        if process is None:
            return
        self.link.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def serve(link: Any, place: Place, cases: Mapping[str, Case]) -> None:
    """Measure what is asked for, until nobody asks any more or the GPU answers no more."""
    place.begins = lambda side: link.send((SIDE, side))
    link.send((DONE, None))
    healthy = True
    while healthy:
        try:
            name, seconds, rounds = link.recv()
        except EOFError:
            return
        case = cases[name]
        result = Result(name, case.group, case.unit, by_wall=case.by_wall, rounds_wanted=rounds)
        measure(case, place, seconds, result)
        healthy = place.answers()
        link.send((DONE, (vars(result), healthy)))


def command_for(device: str) -> list[str]:
    """The process for a device."""
    return [sys.executable, "-m", "bench.gpu.worker", device]


def main(device: str, number: int) -> None:
    """Serve at the end of a pipe."""
    import nnlite as nl

    from .all_cases import all_cases
    from .place import place_of

    place = place_of(device)
    if place is None:
        sys.exit(f"worker: no device {device}")
    nl.set_default_device(place.device)
    place.warm_up()
    with Connection(number) as link:
        serve(link, place, {case.name: case for case in all_cases()})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
