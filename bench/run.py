"""``python -m bench.run``: times every case against its peers, prints ratios, writes JSON.

python -m bench.run                      all cases on every device present
python -m bench.run --only matmul        cases whose name holds a word
python -m bench.run --out FILE.json      where the figures go
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import nnlite as nl

from .cases import cases
from .harness import Result, machine, measure
from .peers import MISSING


def table(results: list[Result]) -> Table:
    """One row per side: time, rate, ratio to each peer, share of the hardware limit."""
    out = Table(title="nnlite's time divided by the peer's, median over interleaved rounds")
    for column in ("case", "device", "side", "time", "rate", "nnlite / this", "of limit"):
        out.add_column(column, justify="left" if column in ("case", "side") else "right")
    for r in results:
        for i, side in enumerate(r.seconds):
            seconds = r.median(side)
            rate = r.work / seconds / 1e9
            share = f"{r.work / seconds / r.limit:.0%}" if r.limit else "-"
            ratio = "" if i == 0 else (f"{r.ratio(side):.2f}" if r.ratio(side) > 0.01 else
                                       f"1 / {1 / r.ratio(side):,.0f}")  # fmt: skip
            out.add_row(
                r.case if i == 0 else "", r.device if i == 0 else "", side,
                f"{seconds * 1e6:,.0f} us", f"{rate:,.1f} G{r.unit}/s", ratio, share,
                end_section=i == len(r.seconds) - 1,
            )  # fmt: skip
    return out


def main(
    only: Annotated[str, typer.Option(help="Run the cases whose name holds this word.")] = "",
    device: Annotated[str, typer.Option(help="Device; all that are present if empty.")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds per case.")] = 15,
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("runs/bench.json"),
) -> None:
    """Time every case against its peers."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    results = []
    for place in [nl.device(device)] if device else nl.devices():
        for case in cases(place):
            if only in case.name and place.kind in case.devices:
                with console.status(f"{case.name} on {place}"):
                    results.append(measure(case, place, rounds))
    console.print(table(results))
    for name in sorted(MISSING):
        console.print(f"peer {name} is not installed: pip install 'nnlite-cuda\\[bench]'")
    if len(nl.devices()) == 1:
        console.print("no GPU here: GPU figures were not measured")
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "results": [r.to_json() for r in results]}
    out.write_text(json.dumps(record, indent=1) + "\n")
    console.print(f"figures written to {out}")


if __name__ == "__main__":
    typer.run(main)
