"""``nnlite profile``: what a kernel asks of a GPU's memory, line by line."""

from __future__ import annotations

import json
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import ArgumentError
from ..kernels.engine import Limits
from ..kernels.engine.device import GPUS
from ..kernels.engine.lens.html import Launch, write
from ..kernels.engine.lens.profiler import Line, Profile, profile
from ..kernels.engine.lens.profiler.figures import HEADINGS, cells
from .targets import in_file, launch_of, spec_of
from .terminal import open_console

NARROWEST = 120  # columns of a table that goes to a file or a pipe
LEAST_SOURCE = 24  # columns for the source; a terminal with fewer to spare shows none
GOOD, POOR = 0.8, 0.5  # shares of an ideal that are shown as well or badly used


def run(targets: list[str], gpu: str, as_json: bool, html: Path | None = None) -> None:
    """Profile each target and print the tables, each line's source with its figures."""
    if gpu not in GPUS:
        raise ArgumentError(f"profile: gpu: {gpu!r} given, expected one of {', '.join(GPUS)}")
    profiles = [p for target in targets for p in profiles_of(target)]
    if html is not None:
        write(html, [Launch(profile=p) for p in profiles], gpu)
    if as_json:
        print(json.dumps([json.loads(p.to_json()) for p in profiles], indent=1))
        return
    console = open_console()
    if not console.is_terminal:
        console.width = max(NARROWEST, console.width)
    for p in profiles:
        show(p, GPUS[gpu], console)
    if html is not None:
        print(f"wrote {html}")


def profiles_of(target: str) -> list[Profile]:
    """The profiles of ``FILE.py:KERNEL`` or of an op's name."""
    file = in_file(target)
    if file is not None:
        kernel, given = launch_of("profile", *file)
        return [profile(kernel, *given)]
    spec = spec_of("profile", target)
    from ..testing.lens import profile_launches

    return profile_launches(spec)


def show(p: Profile, gpu: Limits, console: Console) -> None:
    """A table of lines and the place on the roofline."""
    console.print(f"{p.kernel}, grid {p.grid}, block {p.block}", style="italic")
    # Rich would make all columns narrower alike: only the source gives way here.
    whole = console.options.update(width=10 * NARROWEST)
    least = console.measure(table_of(p, LEAST_SOURCE), options=whole).maximum
    console.print(table_of(p, max(0, console.width - least + LEAST_SOURCE)))
    for text in summary(p, gpu):
        console.print(text)
    console.print()


def table_of(p: Profile, room: int) -> Table:
    """A row for each line and kind of access; no sources if there is little room for them."""
    with_source = room >= LEAST_SOURCE
    with_file = with_source or len({line.file for line in p.lines}) > 1
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(HEADINGS[0], no_wrap=True)
    if with_source:
        width = min(room, max([LEAST_SOURCE, *(len(line.source) for line in p.lines)]))
        table.add_column("source", no_wrap=True, overflow="ellipsis", width=width)
    for k, heading in enumerate(HEADINGS[1:]):
        left = k == 0 or not heading
        table.add_column(heading, justify="left" if left else "right", no_wrap=bool(heading))
    before = ("", 0)
    for line in p.lines:
        place, *figures = cells(line)
        place = place if with_file else str(line.line)
        new = before != (line.file, line.line)
        before = line.file, line.line
        source = (Text(line.source if new else ""),) if with_source else ()
        table.add_row(place if new else "", *source, *figures, style=style(line))
    return table


def share(line: Line) -> float:
    """How near a line is to its ideal: of sectors, wavefronts, or branches that stay together."""
    if line.what == "branch":
        return 1 - line.divergent / line.requests
    if line.what == "atomic":
        return 1 / line.contention
    if line.sectors:
        return line.ideal_sectors / line.sectors
    return line.ideal_wavefronts / line.wavefronts if line.wavefronts else 1.0


def style(line: Line) -> str:
    """A colour for the row."""
    found = share(line)
    return "" if found >= GOOD else "yellow" if found >= POOR else "red"


def summary(p: Profile, gpu: Limits) -> list[str]:
    """Totals, and the most that a GPU's bandwidth and arithmetic allow."""
    ridge = gpu.float32 * 1e12 / (gpu.bandwidth * 1e9)
    lines = [str(p).splitlines()[-1 - bool(p.dropped)]]
    if p.dropped:
        lines.append(str(p).splitlines()[-1])
    if not p.flops:
        return lines
    for words, intensity in (
        ("as if there were no cache", p.intensity_without_caches),
        ("each byte moved once", p.intensity),
    ):
        bound = "memory" if intensity < ridge else "arithmetic"
        rate = p.roofline(gpu, intensity) / 1e12
        lines.append(
            f"{gpu.name}, {words}: {intensity:.3g} FLOP per byte, bound by {bound}, "
            f"at most {rate:.3g} TFLOP/s"
        )
    return lines
