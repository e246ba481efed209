"""The rate of one kernel by nnlite, NumPy and another compiler, timed in a process of its own.

Another compiler may crash or give wrong results.  ``Rates`` then asks a second process for the same
kernel without it, and says what has happened; the run goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nnlite as nl

from ..harness import Case, Result, Side, measure
from .entry import Entry
from .peers import Work, Worker, nnlite_side, numpy_side, prototype_side

LIMIT = 300.0  # seconds after which a kernel is given up
ATTEMPTS = 2  # some crashes are gone the second time


def measured(entry: Entry, rounds: int, prototype: Path | None) -> dict[str, Any]:
    """Seconds of every round and side, interleaved, on arrays that the compilers share."""
    work = Work(entry, entry.real)
    amount = float(entry.work(*work.launches[0].args))

    def setup(device: Any) -> list[Side]:
        sides = [nnlite_side(work), numpy_side(entry, entry.real)]
        return sides if prototype is None else [*sides, prototype_side(work, prototype)]

    case = Case(entry.name, setup, amount, entry.unit)
    return {"work": amount, "seconds": measure(case, nl.device("cpu"), rounds).seconds}


class Rates:
    """The two processes that time kernels; ``prototype`` is the folder of the other compiler."""

    def __init__(self, rounds: int, prototype: Path | None) -> None:
        self.alone = Worker("rate", str(rounds))
        self.beside = None if prototype is None else Worker("rate", str(rounds), str(prototype))

    def of(self, entry: Entry) -> tuple[Result, str]:
        """What was measured, and why there is no figure of the prototype.

        Raises:
            RuntimeError: nnlite or NumPy did not run the kernel rightly.
        """
        reason = ""
        for _ in range(ATTEMPTS if self.beside else 0):
            answer = self.beside.ask(entry.name, LIMIT)  # type: ignore[union-attr]
            if "error" not in answer:
                return result(entry, answer), ""
            reason = answer["error"]
            self.beside.close()  # type: ignore[union-attr]
            if not answer.get("crashed"):
                break
        answer = self.alone.ask(entry.name, LIMIT)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return result(entry, answer), reason

    def close(self) -> None:
        """End both processes."""
        for worker in (self.alone, self.beside):
            if worker is not None:
                worker.close()


def result(entry: Entry, answer: dict[str, Any]) -> Result:
    return Result(entry.name, "cpu", answer["work"], entry.unit, answer["seconds"])


def joined(first: Result, second: Result) -> Result:
    """All rounds of two processes, of the sides that both have."""
    sides = {
        name: first.seconds[name] + rounds
        for name, rounds in second.seconds.items()
        if name in first.seconds
    }
    return Result(first.case, first.device, first.work, first.unit, sides)
