"""``python -m bench.lens_vs_ncu``: do the profiler's figures agree with a GPU's own counters?

Runs each case of ``bench.lens_cases`` under Nsight Compute and compares, for loads and stores of
global and shared memory:

- sectors per request, with the counters of L1;
- wavefronts per request, with those of the source page: it follows from the addresses alone, while
  the counter of L1 also holds turns lost to other clients of the memory;
- lanes per request, with threads per executed instruction that its predicate lets through.

Where there is no GPU or no ncu, it shows our figures, and the commands that it would run.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import nnlite as nl

from . import ncu
from .lens_cases import CASES, Case

GOAL = 0.05  # relative difference that is still agreement
LONGEST = 60.0  # seconds of one call of ncu


@dataclass(frozen=True)
class Figure:
    """One figure of a case.

    Args:
        case, access, name: what it is of: ``("copy", "global load", "sectors / request")``.
        lens: by ``nl.profile``.
        gpu: by ncu; None where it has not run.
    """

    case: str
    access: str
    name: str
    lens: float
    gpu: float | None = None

    @property
    def difference(self) -> float | None:
        """Relative to the GPU's figure."""
        if self.gpu is None:
            return None
        return abs(self.lens - self.gpu) / self.gpu if self.gpu else float(self.lens != 0)

    @property
    def agrees(self) -> bool:
        return self.difference is not None and self.difference <= GOAL


def lens_figures(case: Case) -> Iterator[Figure]:
    """What the profiler counts."""
    found = nl.profile(case.kernel, case.grid, case.block, case.arguments())
    for space, unit in (("global", "sectors"), ("shared", "wavefronts")):
        for what in ncu.OPERATIONS:
            lines = [x for x in found.lines if (x.space, x.what) == (space, what)]
            if not lines:
                continue
            requests = sum(x.requests for x in lines)
            access = f"{space} {what}"
            total = sum(getattr(x, unit) for x in lines)
            yield Figure(case.name, access, f"{unit} / request", total / requests)
            lanes = sum(x.lanes for x in lines)
            yield Figure(case.name, access, "lanes / request", lanes / requests)


def gpu_figures(counters: dict[str, float], source: Any) -> dict[tuple[str, str], float]:
    """What ncu counted, by access and name of the figure."""
    found: dict[tuple[str, str], float] = {}
    for what, op in ncu.OPERATIONS.items():
        requests = counters[ncu.REQUESTS.format(op)]
        if requests:
            sectors = counters[ncu.SECTORS.format(op)]
            found[f"global {what}", "sectors / request"] = sectors / requests
    for (space, what), counted in source.items():
        if counted.executed:
            found[f"{space} {what}", "lanes / request"] = counted.threads / counted.executed
            if space == "shared":
                waves = counted.wavefronts / counted.executed
                found[f"{space} {what}", "wavefronts / request"] = waves
    return found


def child(number: int) -> list[str]:
    """The program that launches one case."""
    return [sys.executable, "-m", "bench.lens_vs_ncu", "--run", str(number)]


def launch(case: Case) -> None:
    """Launch a case once on the GPU."""
    arrays = [nl.array(a, device="cuda") if hasattr(a, "shape") else a for a in case.arguments()]
    case.kernel[case.grid, case.block](*arrays)
    for a in arrays:
        if hasattr(a, "numpy"):
            a.numpy()  # waits for the kernel


def measure(number: int, folder: Path) -> dict[tuple[str, str], float]:
    """The figures of a case under ncu."""
    report = folder / f"case{number}.ncu-rep"
    output(ncu.profile_command(report, child(number)))
    pages = [output(ncu.page_command(report, page)) for page in ("raw", "source")]
    return gpu_figures(ncu.raw_page(pages[0]), ncu.source_page(pages[1]))


def measured(number: int, folder: Path, failed: dict[str, str]) -> Any:
    """The figures of a case, none if ncu or what it prints fails, which is noted in ``failed``."""
    try:
        return measure(number, folder)
    except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
        failed[CASES[number].name] = f"{type(error).__name__}: {error}"
        return {}


def output(command: list[str]) -> str:
    """What a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    if done.returncode:
        said = f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
        raise RuntimeError(f"exit code {done.returncode}: {said}")
    return done.stdout


def what_lacks() -> str | None:
    """Why nothing can be measured here; None if it can."""
    if len(nl.devices()) < 2:
        return "there is no GPU"
    return None if shutil.which("ncu") else "there is no ncu (Nsight Compute) on the path"


def table(figures: list[Figure]) -> Table:
    """A row for each figure; those that differ by more than the goal in red."""
    made = Table(title=f"nl.profile against ncu, goal {GOAL:.0%}", title_justify="left")
    for head in ("case", "access", "figure", "lens", "ncu", "difference"):
        made.add_column(head, justify="left" if len(made.columns) < 3 else "right", no_wrap=True)
    before = ""
    for f in figures:
        gpu = ["", ""] if f.gpu is None else [f"{f.gpu:.4g}", f"{f.difference:.1%}"]
        style = "red" if f.gpu is not None and not f.agrees else ""
        name = f.case if f.case != before else ""
        before = f.case
        made.add_row(name, f.access, f.name, f"{f.lens:.4g}", *gpu, style=style)
    return made


def main(
    only: Annotated[str, typer.Option(help="Cases whose name holds this.")] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the figures.")] = None,
    run: Annotated[int, typer.Option(help="Only launch this case; ncu watches.")] = -1,
) -> None:
    """Compare the profiler of the lens with Nsight Compute."""
    if run >= 0:
        launch(CASES[run])
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    lacking = what_lacks()
    figures: list[Figure] = []
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(CASES):
            if only not in case.name:
                continue
            counted = {} if lacking else measured(number, Path(folder), failed)
            figures += [
                Figure(f.case, f.access, f.name, f.lens, counted.get((f.access, f.name)))
                for f in lens_figures(case)
            ]
            if json_file is not None:  # after each: the time may be up before the last
                write(json_file, figures, lacking, failed)
    console.print(table(figures))
    for name, why in failed.items():
        console.print(f"{name} FAILED: {why}", markup=False, highlight=False)
    if lacking:
        say_commands(console, lacking)
        return
    seen = [f for f in figures if f.gpu is not None]
    console.print(f"{sum(f.agrees for f in seen)} of {len(seen)} figures within {GOAL:.0%}")
    console.print(f"{len(figures) - len(seen)} figures that ncu did not give")


def say_commands(console: Console, lacking: str) -> None:
    """What would run where nothing lacks."""
    console.print(f"Not compared: {lacking}. Where there is one, this runs for each case:")
    report = Path("case0.ncu-rep")
    commands = [ncu.profile_command(report, ["python", *child(0)[1:]])]
    commands += [ncu.page_command(report, page) for page in ("raw", "source")]
    for command in commands:
        console.print(f"  {shlex.join(command)}", soft_wrap=True, highlight=False)


def write(path: Path, figures: list[Figure], lacking: str | None, failed: dict[str, str]) -> None:
    """The figures so far, as JSON."""
    made = [asdict(f) | {"difference": f.difference} for f in figures]
    device = None if lacking else str(nl.device("cuda").limits.name)
    text = {
        "gpu": device, "goal": GOAL, "not_compared": lacking, "failed": failed, "figures": made,
    }  # fmt: skip
    path.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
