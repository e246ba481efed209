"""``python -m bench.profile_step``: where the time of a training step on the CPU goes, by launch.

All figures are CPU time, which other programs on the machine disturb least, and means over the
faster half of the steps. A launch is timed from outside, so its figure holds the Python of
launching; the last row is the rest of the step: the Python of the layers, the tape, the optimizer.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import nnlite as nl
from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.cpu.pool import shared_pool

from . import training

WARM_UP = 3  # steps that compile, and learn how many threads pay


@dataclass(frozen=True)
class Launch:
    """One launch of a step.

    Args:
        number: its place in the step, from 0.
        kernel: its name.
        grid, block: sizes in x, y and z.
        seconds: CPU time, mean over the steps.
    """

    number: int
    kernel: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    seconds: float


@contextmanager
def _recorded() -> Iterator[list[tuple[str, Any, Any, float]]]:
    """(kernel, grid, block, CPU seconds) of every launch inside, in order."""
    found: list[tuple[str, Any, Any, float]] = []
    plain = CpuKernel.launch

    def launch(self: CpuKernel, grid: Any, block: Any, *args: Any) -> None:
        start = time.process_time()
        plain(self, grid, block, *args)
        found.append((self.py_func.__name__, grid, block, time.process_time() - start))

    CpuKernel.launch = launch  # type: ignore[method-assign]
    try:
        yield found
    finally:
        CpuKernel.launch = plain  # type: ignore[method-assign]


def profile(step: Callable[[], Any], steps: int) -> tuple[float, list[Launch]]:
    """(CPU seconds of a step, its launches in order); every step launches the same kernels."""
    for _ in range(WARM_UP):
        step()
    whole, records = [], []
    for _ in range(steps):
        with _recorded() as found:
            start = time.process_time()
            step()
            whole.append(time.process_time() - start)
        records.append(found)
    limit = statistics.median(whole)
    kept = [record for seconds, record in zip(whole, records) if seconds <= limit]
    launches = []
    for number, same in enumerate(zip(*kept, strict=True)):
        kernel, grid, block, _ = same[0]
        seconds = statistics.fmean(launch[3] for launch in same)
        launches.append(Launch(number, kernel, grid, block, seconds))
    return statistics.fmean(seconds for seconds in whole if seconds <= limit), launches


def table(title: str, whole: float, launches: list[Launch], top: int) -> Table:
    """The ``top`` longest launches, the sum of the others, and what is not spent in launches."""
    out = Table(title=f"{title}: {whole * 1e6:,.0f} us, {len(launches)} launches")
    for column in ("launch", "kernel", "grid", "block", "us", "share"):
        out.add_column(column, justify="left" if column == "kernel" else "right")
    ranked = sorted(launches, key=lambda launch: -launch.seconds)

    def row(number: str, name: str, grid: str, block: str, seconds: float) -> None:
        out.add_row(number, name, grid, block, f"{seconds * 1e6:,.0f}", f"{seconds / whole:.1%}")

    for a in ranked[:top]:
        row(str(a.number), a.kernel, sizes(a.grid), sizes(a.block), a.seconds)
    if ranked[top:]:
        row("", f"{len(ranked) - top} others", "", "", sum(a.seconds for a in ranked[top:]))
    row("", "Python between launches", "", "", whole - sum(a.seconds for a in launches))
    return out


def sizes(value: tuple[int, ...]) -> str:
    return " x ".join(map(str, value))


def main(
    only: Annotated[str, typer.Option(help="Networks whose name holds this word.")] = "",
    optimizer: Annotated[str, typer.Option(help="sgd or adam.")] = "sgd",
    batch: Annotated[int, typer.Option(min=1, help="Images per step.")] = 64,
    steps: Annotated[int, typer.Option(min=1, help="Steps to time.")] = 50,
    threads: Annotated[int, typer.Option(min=1, help="Threads that a kernel may use.")] = 1,
    top: Annotated[int, typer.Option(min=1, help="Launches to list.")] = 20,
) -> None:
    """Profile the training steps of the benchmark, launch by launch."""
    shared_pool().threads = threads
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    for name, network in training.NETWORKS.items():
        if only in name:
            x, labels = training.batch_of(network, batch)
            step, _ = training.nnlite_step(network, x, labels, nl.device("cpu"), optimizer)
            whole, launches = profile(step, steps)
            console.print(table(f"{name}, {optimizer}, batch {batch}", whole, launches, top))


if __name__ == "__main__":
    typer.run(main)
