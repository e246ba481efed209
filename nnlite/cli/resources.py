"""``nnlite resources``: what the kernels behind the ops take of a GPU."""

from __future__ import annotations

import csv
import datetime
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.progress import track
from rich.table import Table

from ..errors import ArgumentError
from ..kernels import all_kernels
from ..kernels.engine.resources import ARCHITECTURES, Resources, resources_of_all, unmet
from ..kernels.opspec import GpuKernel
from .terminal import open_console


class Launched(NamedTuple):
    """What a launch adds to a kernel."""

    threads: int  # per block
    shared: int  # bytes of dynamic shared memory per block


# Column -> what it shows, and how it is taken from the figures and the launch.
COLUMNS: dict[str, tuple[str, Callable[[Resources, Launched], int | float]]] = {
    "regs": ("registers per thread", lambda r, _: r.registers),
    "spill": ("bytes spilled to memory", lambda r, _: r.spills),
    "stack": ("bytes of local memory per thread", lambda r, _: r.stack),
    "shared": ("bytes of shared memory per block", lambda r, launch: r.shared + launch.shared),
    "block": (
        "threads per block: the kernel's own, or as asked for",
        lambda _, launch: launch.threads,
    ),
    "occup": ("warps resident, of those possible", lambda r, launch: r.occupancy(*launch)),
    "instr": ("machine instructions", lambda r, _: r.instructions),
    "loop": ("of these in the main loop", lambda r, _: sum(r.loop.values())),
    "FFMA": ("float32 multiply-adds, of the main loop", lambda r, _: r.share("FFMA")),
    "MMA": ("tensor core instructions, of the main loop", lambda r, _: tensor_cores(r)),
    "LDG": ("128-bit loads and copies of global memory", lambda r, _: global_loads(r)),
    "STG": ("128-bit stores to global memory", lambda r, _: r.count("STG.128")),
    "LDS": ("128-bit loads of shared memory", lambda r, _: r.count("LDS.128")),
    "f64": ("float64 instructions", lambda r, _: r.float64),
}
LABELS = ("op", "kernel", "signature", "expects")
PACKAGES = (
    *("nnlite-cuda", "numba", "numba-cuda", "llvmlite"),
    *("nvidia-nvvm", "nvidia-nvjitlink", "nvidia-cuda-nvdisasm"),
)
TOGETHER = 60  # kernels that are compiled in one go
NARROWEST = 120  # columns of a table that goes to a file or a pipe


def show(names: list[str], arch: str, block: int, as_json: bool, out: Path | None) -> None:
    """Print or write the figures of the kernels whose op or own name holds one of ``names``.

    Args:
        arch: one architecture, or ``"all"``.
        out: file for the figures, ``.json`` or ``.csv``; None prints them.
    """
    archs = ARCHITECTURES if arch == "all" else (arch,)
    if out is not None and out.suffix not in (".json", ".csv"):
        raise ArgumentError(f"resources: --out {out} given, expected a .json or .csv file")
    chosen = list(kernels(names, archs))
    if not chosen:
        raise ArgumentError(
            f"resources: no op or kernel is called anything like {', '.join(names)}"
        )
    console = open_console()
    rows = []
    work = [(chosen[i : i + TOGETHER], a) for i in range(0, len(chosen), TOGETHER) for a in archs]
    for some, name in track(work, "compiling", transient=True, disable=as_json):
        rows += measured([k for k in some if k.runs_on(name)], name, block)
    if out is not None:
        write(out, rows, block)
        console.print(f"{len(rows)} lines written to {out}")
        return
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    if not console.is_terminal:
        console.width = max(NARROWEST, console.width)
    for name in archs:
        lines = [row for row in rows if row["arch"] == name]
        console.print(table(lines, f"{name}, occupancy for blocks of {block} threads"))
    for name, (meaning, _) in COLUMNS.items():
        console.print(f"{name:>8}  {meaning}")


def measured(some: Sequence[GpuKernel], arch: str, block: int) -> list[dict[str, Any]]:
    """One line per kernel: what it is, what is expected of it, and the columns."""
    found = resources_of_all([(k.kernel, k.signature) for k in some], arch)
    lines = []
    for k, figures in zip(some, found):
        line = {"op": k.name, "kernel": k.kernel.__name__, "signature": text(k.signature)}
        line |= {"arch": arch, "expects": ", ".join(k.expects)}
        line["missed"] = ", ".join(unmet(figures, k.expects))
        launch = Launched(threads(k, block), k.dynamic_shared)
        lines.append(line | {name: take(figures, launch) for name, (_, take) in COLUMNS.items()})
    return lines


def threads(k: GpuKernel, otherwise: int) -> int:
    """Threads of a kernel's blocks: the most that its launch bounds allow."""
    bounds = k.kernel.launch_bounds or otherwise
    return int(bounds[0] if isinstance(bounds, tuple) else bounds)


def write(out: Path, rows: list[dict[str, Any]], block: int) -> None:
    """The lines to a file: CSV, or JSON with versions and meanings, a line for each kernel."""
    rows = [{k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()} for r in rows]
    if out.suffix == ".csv":
        with out.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return
    head: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "versions": {name: version for name in PACKAGES if (version := version_of(name))},
        "block": block,
        "meanings": {name: meaning for name, (meaning, _) in COLUMNS.items()},
        "columns": [*LABELS, "figures"],
        "figures": [name for name in rows[0] if name not in (*LABELS, "arch")],
    }
    kernels: dict[tuple[Any, ...], dict[str, Any]] = {}
    count: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        labels = tuple(row[name] for name in LABELS)
        place = (*labels, row["arch"])
        number = count[place]  # of those that bear the same labels
        count[place] += 1
        found = kernels.setdefault((labels, number), {})
        found[row["arch"]] = [row[name] for name in head["figures"]]
    lines = ",\n".join(json.dumps([*labels, found]) for (labels, _), found in kernels.items())
    out.write_text(json.dumps(head, indent=1)[:-2] + f',\n "kernels": [\n{lines}\n]}}\n')


def version_of(package: str) -> str | None:
    """Version of an installed package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def table(rows: list[dict[str, Any]], title: str) -> Table:
    """One row per kernel and signature; an op's name stands where it differs from the kernel's."""
    made = Table("kernel", title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for name in COLUMNS:
        made.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        label = f"{row['kernel']}({row['signature']})"
        label += f" of {row['op']}" if row["op"] != row["kernel"] else ""
        made.add_row(label, *(_cell(row[name]) for name in COLUMNS))
    return made


def tensor_cores(found: Resources) -> float:
    """Share of tensor core instructions, of both generations, in the main loop."""
    return found.share("HMMA") + found.share("HGMMA")


def global_loads(found: Resources) -> int:
    """128-bit loads of global memory, to registers or directly to shared memory."""
    return found.count("LDG.128") + found.count("LDGSTS.128")


def kernels(names: list[str], archs: Sequence[str]) -> Iterator[GpuKernel]:
    """All kernels that one of the architectures can run, once each.

    Args:
        names: parts of the name of the op or kernel; all if empty.
        archs: such as ``["sm_90"]``.
    """
    for found in all_kernels():
        wanted = not names or any(n in found.name or n in found.kernel.__name__ for n in names)
        if wanted and any(map(found.runs_on, archs)):
            yield found


def text(signature: tuple[Any, ...]) -> str:
    """Types of the arguments, briefly: ``float32[2], int64``."""
    return ", ".join(f"{a.dtype}[{a.ndim}]" if hasattr(a, "ndim") else str(a) for a in signature)


def _cell(value: int | float) -> str:
    if not value:
        return "–"
    return f"{value:.0%}" if isinstance(value, float) else f"{value:,}"
