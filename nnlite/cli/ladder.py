"""``nnlite ladder``: the steps of a ladder compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.progress import track
from rich.table import Table

from ..errors import ArgumentError
from ..kernels.engine import CompileError
from ..kernels.engine import device as find_device
from ..kernels.engine.resources import Resources, usage
from ..kernels.ladder import LADDERS, Ladder
from ..learn import Rung, climb
from .terminal import open_console

ARCHITECTURES = ("sm_90",)
# What compiling for a GPU tells: FFMA is the share of multiply-adds in the main loop, LDS the reads
# of shared memory for each of them.
GPU_COLUMNS: dict[str, Callable[[Resources], str]] = {
    "regs": lambda f: str(f.registers),
    "shared": lambda f: f"{f.shared:,}",
    "FFMA": lambda f: f"{f.share('FFMA'):.0%}",
    "LDS": lambda f: f"{f.share('LDS') / f.share('FFMA'):.2f}" if f.share("FFMA") else "",
}
LENS_COLUMNS = {"sect": "sectors", "waves": "wavefronts"}
NARROWEST = 80  # columns of a table that goes to a file or a pipe


def show(
    name: str | None,
    sizes: str | None,
    device: str | None,
    lens: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Run the ladders and print a table for each; draw their rates into ``plot``."""
    names = list(LADDERS) if name is None else [name]
    chosen = parse_sizes(sizes)
    if chosen is not None and name is None:
        raise ArgumentError("ladder: sizes given without the name of the ladder they are for")
    lacking = what_lacks()
    compiled = () if lacking else ARCHITECTURES
    console = open_console()
    if not console.is_terminal:
        console.width = max(NARROWEST, console.width)
    found: dict[str, list[Rung]] = {}
    for n in names:
        steps = climb(n, sizes=chosen, device=device, architectures=compiled, lens=lens)
        total = len(LADDERS[n].steps)
        found[n] = list(track(steps, n, total=total, transient=True, disable=as_json))
        if not as_json:
            console.print(table(LADDERS[n], found[n], str(find_device(device))))
            for i, rung in enumerate(found[n], 1):
                console.print(f"  {i}  {rung.step.idea}")
            console.print()
    if not lacking and not as_json:
        console.print(
            f"compiled for {ARCHITECTURES[0]}, no GPU needed: registers, bytes of shared memory,\n"
            "multiply-adds in the main loop, reads of shared memory for each of them"
        )
    elif not as_json:
        console.print(f"registers and machine code are not shown: {lacking}")
    if lens and not as_json:
        console.print(
            "lens, at smaller sizes: sectors of global memory and wavefronts of shared memory\n"
            "for 32 multiply-adds or numbers"
        )
    if as_json:
        print(json.dumps({n: [record(r) for r in rungs] for n, rungs in found.items()}, indent=1))
    if plot is not None:
        draw(found, plot)
        console.print(f"wrote {plot}")
    wrong = [f"{n}: {r.step.name}" for n, rungs in found.items() for r in rungs if not right(r)]
    if wrong:
        raise ArgumentError(f"ladder: wrong results: {', '.join(wrong)}")


def parse_sizes(text: str | None) -> tuple[int, ...] | None:
    """``"512,512,512"`` as numbers."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ArgumentError(
            f"ladder: sizes: {text!r} given, expected whole numbers with commas between"
        ) from None


def what_lacks() -> str | None:
    """Why kernels cannot be compiled for a GPU here; None if they can."""
    first = LADDERS["reduce"].steps[0]
    try:
        usage(first.kernel, first.signature, ARCHITECTURES[0])
    except CompileError as error:
        return str(error)
    return None


def right(rung: Rung) -> bool:
    """Is the result within the bound? (NaN is not.)"""
    return rung.error <= 1.0


def table(ladder: Ladder, rungs: list[Rung], device: str) -> Table:
    """One row per step."""
    made = Table(title=f"{ladder.name}: {ladder.formula}; on {device}", title_justify="left")
    made.box, made.padding, made.show_edge = box.SIMPLE, 0, False  # within 80 columns
    unit = "GFLOP/s" if ladder.unit == "FLOP" else "GB/s"
    compiled = any(r.figures for r in rungs)
    seen = any(r.traffic for r in rungs)
    heads = [*(GPU_COLUMNS if compiled else ()), *(LENS_COLUMNS if seen else ())]
    for head in ("step", "result", "ms", unit, "gain", *heads):
        made.add_column(head, justify="left" if head == "step" else "right", no_wrap=True)
    before = None
    for i, rung in enumerate(rungs, 1):
        gain = "" if before is None else f"{rung.rate / before:.2f}"
        before = rung.rate
        cells = ["right" if right(rung) else "WRONG"]
        cells += [f"{rung.seconds * 1e3:.3g}", f"{rung.rate / 1e9:.3g}", gain]
        for figures in rung.figures.values():
            cells += [take(figures) for take in GPU_COLUMNS.values()]
        if rung.traffic is not None:
            cells += [f"{getattr(rung.traffic, name):.3g}" for name in LENS_COLUMNS.values()]
        made.add_row(f"{i} {rung.step.name}", *cells)
    return made


def record(rung: Rung) -> dict[str, Any]:
    """A step for JSON."""
    return {
        "step": rung.step.name,
        "idea": rung.step.idea,
        "right": right(rung),
        "error_of_bound": rung.error,
        "seconds": rung.seconds,
        "per_second": rung.rate,
        "gpu": {
            arch: {
                "registers": f.registers,
                "spills": f.spills,
                "shared": f.shared,
                "ffma_share": f.share("FFMA"),
            }
            for arch, f in rung.figures.items()
        },
        "lens": None if rung.traffic is None else asdict(rung.traffic),
    }


def draw(found: dict[str, list[Rung]], path: Path) -> None:
    """The rates as bars, a panel for each ladder."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(found), 4), layout="constrained")
    for axes, (name, rungs) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items()):
        names = [f"{i} {r.step.name}" for i, r in enumerate(rungs, 1)]
        axes.barh(names, [r.rate / 1e9 for r in rungs], color="tab:blue")
        axes.invert_yaxis()
        axes.set_title(name)
        axes.set_xlabel("GFLOP/s" if LADDERS[name].unit == "FLOP" else "GB/s")
    figure.savefig(path, dpi=120)
