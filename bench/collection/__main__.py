"""``python -m bench.collection``: the rate of every kernel, next to NumPy and to the simulator.

python -m bench.collection                       all kernels
python -m bench.collection --only matmul         kernels whose name holds a word
python -m bench.collection --prototype FOLDER    another compiler, timed in the same rounds
python -m bench.collection --processes 5         where arrays lie differs between processes
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..harness import Result, machine
from . import ENTRIES
from .entry import Entry
from .peers import Work, Worker, nnlite_side
from .rates import Rates, joined

SIMULATION = 120.0  # seconds after which the simulator is given up
COMPILATION = 300.0


@dataclass
class Row:
    """What was measured of one kernel."""

    entry: Entry
    result: Result
    compiled: dict[str, Any] = field(default_factory=dict)
    loaded: dict[str, Any] = field(default_factory=dict)
    tiny: float | None = None
    simulated: dict[str, Any] = field(default_factory=dict)
    prototype: str = ""  # why there is no figure of the prototype

    def ratio(self, peer: str) -> float | None:
        """Our rate divided by the peer's, median over the rounds."""
        name = next((n for n in self.result.seconds if n.startswith(peer)), None)
        return 1 / self.result.ratio(name) if name else None

    def to_json(self) -> dict[str, Any]:
        return {
            **self.result.to_json(),
            "size": self.entry.real,
            "compile": self.compiled,
            "load": self.loaded,
            "tiny_size": self.entry.tiny,
            "nnlite_tiny_s": self.tiny,
            "simulator": self.simulated,
            "prototype": self.prototype,
        }


def timed(
    entries: list[Entry], prototype: Path | None, rounds: int, processes: int, console: Console
) -> tuple[list[Row], list[str]]:
    """Time the kernels in fresh processes; the rows, and what nnlite did not run."""
    start = time.perf_counter()
    rows: dict[str, Row] = {}
    failed: dict[str, str] = {}
    for number in range(1, processes + 1):
        rates = Rates(rounds, prototype)
        for entry in entries:
            try:
                with console.status(f"process {number} of {processes}: {entry.name}"):
                    result, refusal = rates.of(entry)
            except RuntimeError as error:
                failed[entry.name] = str(error)
                continue
            row = rows.setdefault(entry.name, Row(entry, result))
            if row.result is not result:
                row.result = joined(row.result, result)
            row.prototype = row.prototype or refusal
        rates.close()
        minutes = (time.perf_counter() - start) / 60
        console.print(f"process {number} of {processes} done after {minutes:.1f} minutes")
    return list(rows.values()), [f"{name}: {why}" for name, why in failed.items()]


def simulate(rows: list[Row]) -> None:
    """Numba's simulator and nnlite on the tiny sizes."""
    worker = Worker("simulate", NUMBA_ENABLE_CUDASIM="1")
    for row in rows:
        row.simulated = worker.ask(row.entry.name, SIMULATION)
        side = nnlite_side(Work(row.entry, row.entry.tiny))
        row.tiny = min(side.sample(3) for _ in range(3))
    worker.close()


def compile_and_load(rows: list[Row]) -> None:
    """Seconds to compile every kernel, and to load it in another process."""
    with tempfile.TemporaryDirectory() as folder:
        for attribute in ("compiled", "loaded"):
            worker = Worker("compile", NNLITE_CACHE_DIR=folder)
            worker.ask("saxpy", COMPILATION)  # numba's own start
            if attribute == "compiled":
                for stale in Path(folder).iterdir():
                    stale.unlink()
            for row in rows:
                setattr(row, attribute, worker.ask(row.entry.name, COMPILATION))
            worker.close()


def table(rows: list[Row]) -> Table:
    """One row per kernel; those slower than the prototype first."""
    out = Table(title="rate of nnlite; times: its rate divided by the other's (above 1: faster)")
    for column in ("kernel", "rate", "NumPy", "prototype", "simulator (tiny)", "compile", "load"):
        out.add_column(column, justify="left" if column == "kernel" else "right")
    slow = [r for r in rows if (r.ratio("prototype") or 1) < 1]
    slow.sort(key=lambda r: r.ratio("prototype") or 1)
    for row in [*slow, *(r for r in rows if r not in slow)]:
        rate = row.result.work / row.result.median("nnlite") / 1e9
        seconds, error = row.simulated.get("seconds"), row.simulated.get("error")
        faster = f"{seconds / row.tiny:,.0f}x" if seconds and row.tiny else "-"
        out.add_row(
            row.entry.name,
            f"{rate:,.2f} G{row.result.unit}/s",
            shown(row.ratio("NumPy")),
            shown(row.ratio("prototype")),
            "cannot" if error else faster,
            f"{row.compiled['seconds']:.2f} s" if "seconds" in row.compiled else "-",
            f"{row.loaded['seconds'] * 1e3:.1f} ms" if "seconds" in row.loaded else "-",
            end_section=bool(slow) and row is slow[-1],
        )
    return out


def write(out: Path, rows: list[Row]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "results": [row.to_json() for row in rows]}
    out.write_text(json.dumps(record, indent=1) + "\n")


def shown(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}x"


def summary(rows: list[Row]) -> str:
    """Medians over the kernels."""
    parts = [f"{len(rows)} kernels"]
    for peer in ("NumPy", "prototype"):
        ratios = [q for r in rows if (q := r.ratio(peer)) is not None]
        if ratios:
            above = sum(q >= 1 for q in ratios)
            parts.append(f"{peer}: {above} of {len(ratios)} at or above, "
                         f"median {statistics.median(ratios):.2f}x")  # fmt: skip
    for name, unit, scale in (("compiled", "s", 1), ("loaded", "ms", 1000)):
        times = [getattr(r, name)["seconds"] for r in rows if "seconds" in getattr(r, name)]
        if times:
            middle, most = statistics.median(times) * scale, max(times) * scale
            parts.append(f"{name} in {middle:.2f} {unit} (median), {most:.2f} {unit} (longest)")
    return "; ".join(parts)


def main(
    only: Annotated[str, typer.Option(help="Kernels whose name holds this word.")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds per kernel.")] = 7,
    processes: Annotated[
        int, typer.Option(min=1, help="Fresh processes in which each kernel is timed.")
    ] = 1,
    prototype: Annotated[
        Path | None, typer.Option(help="Folder of a compiler with kf.driver.cpu to compare with.")
    ] = None,
    simulator: Annotated[bool, typer.Option(help="Time Numba's simulator too.")] = True,
    compilation: Annotated[bool, typer.Option(help="Time compiling and loading too.")] = True,
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("runs/collection.json"),
) -> None:
    """Time the kernels of the collection."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    entries = [entry for entry in ENTRIES if only in entry.name]
    rows, failed = timed(entries, prototype, rounds, processes, console)
    write(out, rows)
    with console.status("compiling and loading in processes of their own"):
        if compilation:
            compile_and_load(rows)
    with console.status("Numba's simulator"):
        if simulator:
            simulate(rows)
    console.print(table(rows))
    console.print(summary(rows))
    without = [f"{row.entry.name}: {row.prototype}" for row in rows if row.prototype]
    if without:
        console.print("\n".join(["not run by the prototype:", *without]), markup=False)
    write(out, rows)
    console.print(f"figures written to {out}")
    if failed:
        console.print(
            "\n".join(["kernels that nnlite did not run rightly:", *failed]), markup=False
        )
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
