"""The command line of ``python -m bench.gpu``; see the package."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import nnlite as nl

from . import machine
from .all_cases import all_cases
from .case import OURS, Case, Result, measure
from .correctness import TOOLS, sanitizer, tests
from .place import place_of
from .plan import ROUNDS, Budget
from .report import Record, goals_table, remarks, results_table
from .worker import Worker, command_for

WRONG, NO_GPU, INTERRUPTED = 1, 3, 130
CHECKS = 0.3  # share of the time for the checks
OF_TESTS = 0.6  # of which the tests have so much; the tools of the sanitizer have what is left
LAST = 10.0  # seconds kept for the end
NOT_RUN = "not run: the time was up"
NO_GPU_TEXT = "there is no GPU here that numba can use: nothing was measured, and nothing written"


class OutOfTime(BaseException):
    """The limit of the run has come; no case may catch it."""


def run_checks(
    record: Record, budget: Budget, quick: bool, device: str, log: Path, save: Callable[[], None]
) -> None:
    """The tests and both tools; what one has left over of its share is for the next."""
    for_cases = (1 - CHECKS) * budget.left()
    record.checks.append(tests(OF_TESTS * (budget.left() - for_cases), quick, device, log))
    save()
    for number, tool in enumerate(TOOLS):
        seconds = max(0.0, budget.left() - for_cases) / (len(TOOLS) - number)
        record.checks.append(sanitizer(tool, seconds, device))
        save()


def run_cases(
    record: Record,
    cases: Sequence[Case],
    measured: Callable[[Case, float, Result], None],
    index: int,
    budget: Budget,
    rounds: int,
    save: Callable[[], None],
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Measure one case after the other; each has its share of what is left.

    Args:
        measured: ``measured(case, seconds, result)`` fills the result.
        index: of the GPU whose state is noted after each group.
    """
    for number, case in enumerate(cases):
        result = Result(case.name, case.group, case.unit, by_wall=case.by_wall)
        result.rounds_wanted = rounds
        record.results.append(result)
        if budget.left() <= 0:
            result.note = NOT_RUN
            continue
        say(f"{number + 1} of {len(cases)}: {case.name}")
        measured(case, budget.share([c.weight for c in cases[number:]]), result)
        if case.group != (cases[number + 1].group if number + 1 < len(cases) else ""):
            record.states.append({"after": case.group, **machine.state(index)})
        save()


def list_rest(record: Record, cases: Sequence[Case]) -> None:
    """Name in the record also what the end of the run has left out."""
    for result in record.results[-1:]:
        if not (any(result.seconds.values()) or result.missing or result.errors or result.note):
            result.note = "not finished"
    for case in cases[len(record.results) :]:
        result = Result(case.name, case.group, case.unit, by_wall=case.by_wall, note=NOT_RUN)
        record.results.append(result)


def show(console: Console, record: Record) -> None:
    """All tables."""
    for check in record.checks:
        console.print(str(check), markup=False, highlight=False)
        for line in check.tail:
            console.print(f"    {line}", markup=False, highlight=False)
    console.print(results_table(record.results))
    for line in remarks(record.results):
        console.print(line, markup=False, highlight=False)
    console.print(goals_table(record.results))
    failed = [r.case for r in record.results if OURS in r.errors]
    if failed:
        console.print(f"{len(failed)} cases failed: {', '.join(failed)}", markup=False)
    if not record.machine["is_gpu"]:
        console.print("These are no figures of a GPU: the CPU stood in for it.")


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("runs/gpu.json"),
    minutes: Annotated[float, typer.Option(min=0.01, help="Most minutes to take.")] = 8.0,
    only: Annotated[str, typer.Option(help="Cases whose name or group holds this word.")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Most rounds per case.")] = ROUNDS,
    quick: Annotated[bool, typer.Option(help="A sample of the tests alone.")] = False,
    check: Annotated[bool, typer.Option(help="Run tests and compute-sanitizer first.")] = True,
    device: Annotated[str, typer.Option(help="GPU to use; cpu tries the harness.")] = "cuda",
) -> None:
    """Check the kernels on a GPU, and time them against their peers."""
    place = place_of(device)
    if place is None:
        print(NO_GPU_TEXT, file=sys.stderr)
        raise typer.Exit(NO_GPU)
    nl.set_default_device(place.device)
    budget = Budget(60 * minutes - min(LAST, 3 * minutes))
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)
    record = Record(machine.describe(place))
    record.states.append({"after": "start", **machine.state(place.device.index)})

    def save() -> None:
        record.seconds = budget.passed()
        record.write(out)

    def say(text: str) -> None:
        console.print(f"[{budget.passed():4.0f} s] {text}", markup=False, highlight=False)

    chosen = [c for c in all_cases() if only in c.name or only in c.group]
    worker = Worker(command_for(str(place.device)))

    def measured(case: Case, seconds: float, result: Result) -> None:
        if place.is_gpu:
            worker.measure(case, seconds, result)
        else:
            measure(case, place, seconds, result)

    old = _alarm(budget.left() + LAST / 2)
    try:
        if check:
            say("tests and compute-sanitizer")
            run_checks(record, budget, quick, str(place.device), out.with_suffix(".log"), save)
        run_cases(record, chosen, measured, place.device.index, budget, rounds, save, say)
        record.ended = "complete"
    except KeyboardInterrupt:
        record.ended = "interrupted"
    except OutOfTime:
        record.ended = "out of time"
    finally:
        _quiet(old)
        worker.close()
        list_rest(record, chosen)
        save()
    show(console, record)
    console.print(f"{record.ended} after {record.seconds:.0f} s; figures written to {out}")
    if record.ended == "interrupted":
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(0 if record.sound else WRONG)


def _alarm(seconds: float) -> Any:
    """Raise OutOfTime here in so many seconds, and KeyboardInterrupt when asked to terminate."""
    if not hasattr(signal, "SIGALRM"):
        return None

    def up(*_: object) -> None:
        raise OutOfTime

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, up), signal.signal(signal.SIGTERM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.1))
    return old


def _quiet(old: Any) -> None:
    if old is not None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old[0])
        signal.signal(signal.SIGTERM, old[1])


if __name__ == "__main__":
    typer.run(main)
