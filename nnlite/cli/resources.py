"""``nnlite resources``: what the kernels behind the ops take of a GPU."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from rich import box
from rich.progress import track
from rich.table import Table

from ..errors import ArgumentError
from ..kernels import all_kernels
from ..kernels.engine import Kernel
from ..kernels.engine.resources import Resources, resources
from .terminal import open_console

# Column -> what it shows, and how it is taken from the figures and the block size.
COLUMNS: dict[str, tuple[str, Callable[[Resources, int], int | float]]] = {
    "regs": ("registers per thread", lambda r, block: r.registers),
    "spill": ("bytes spilled to memory", lambda r, block: r.spills),
    "stack": ("bytes of local memory per thread", lambda r, block: r.stack),
    "shared": ("bytes of static shared memory per block", lambda r, block: r.shared),
    "occup": ("warps resident, of those possible", lambda r, block: r.occupancy(block)),
    "instr": ("machine instructions", lambda r, block: r.instructions),
    "loop": ("of these in the main loop", lambda r, block: sum(r.loop.values())),
    "FFMA": ("float32 multiply-adds, of the main loop", lambda r, block: r.share("FFMA")),
    "MMA": ("tensor core instructions, of the main loop", lambda r, block: tensor_cores(r)),
    "LDG": ("128-bit loads and copies of global memory", lambda r, block: global_loads(r)),
    "STG": ("128-bit stores to global memory", lambda r, block: r.count("STG.128")),
    "LDS": ("128-bit loads of shared memory", lambda r, block: r.count("LDS.128")),
    "f64": ("float64 instructions", lambda r, block: r.float64),
}
NARROWEST = 120  # columns of a table that goes to a file or a pipe


def show(names: list[str], arch: str, block: int, as_json: bool) -> None:
    """Print the figures of the kernels whose op or own name holds one of ``names``."""
    chosen = list(kernels(names, arch))
    if not chosen:
        raise ArgumentError(
            f"resources: no op or kernel is called anything like {', '.join(names)}"
        )
    console = open_console()
    rows = []
    for op, kernel, signature in track(chosen, "compiling", transient=True, disable=as_json):
        found = figures(resources(kernel, signature, arch), block)
        rows.append((op, kernel.__name__, text(signature), found))
    if as_json:
        keys = ("op", "kernel", "signature")
        print(json.dumps([dict(zip(keys, r)) | {"arch": arch} | r[-1] for r in rows], indent=1))
        return
    if not console.is_terminal:
        console.width = max(NARROWEST, console.width)
    console.print(table(rows, f"{arch}, occupancy for blocks of {block} threads"))
    for name, (meaning, _) in COLUMNS.items():
        console.print(f"{name:>8}  {meaning}")


def table(rows: list[tuple[str, str, str, dict[str, int | float]]], title: str) -> Table:
    """One row per kernel and signature; an op's name stands where it differs from the kernel's."""
    made = Table("kernel", title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for name in COLUMNS:
        made.add_column(name, justify="right", no_wrap=True)
    for op, kernel, signature, found in rows:
        label = f"{kernel}({signature})" + (f" of {op}" if op != kernel else "")
        made.add_row(label, *map(_cell, found.values()))
    return made


def tensor_cores(found: Resources) -> float:
    """Share of tensor core instructions, of both generations, in the main loop."""
    return found.share("HMMA") + found.share("HGMMA")


def global_loads(found: Resources) -> int:
    """128-bit loads of global memory, to registers or directly to shared memory."""
    return found.count("LDG.128") + found.count("LDGSTS.128")


def kernels(names: list[str], arch: str) -> Iterator[tuple[str, Kernel, tuple[Any, ...]]]:
    """(op, kernel, signature) of all that the architecture can run, once each.

    Args:
        names: parts of the name of the op or kernel; all if empty.
        arch: such as ``"sm_90"``.
    """
    for found in all_kernels():
        wanted = not names or any(n in found.name or n in found.kernel.__name__ for n in names)
        if wanted and found.runs_on(arch):
            yield found.name, found.kernel, found.signature


def figures(found: Resources, block: int) -> dict[str, int | float]:
    """The columns of one kernel."""
    return {name: take(found, block) for name, (_, take) in COLUMNS.items()}


def text(signature: tuple[Any, ...]) -> str:
    """Types of the arguments, briefly: ``float32[2], int64``."""
    return ", ".join(f"{a.dtype}[{a.ndim}]" if hasattr(a, "ndim") else str(a) for a in signature)


def _cell(value: int | float) -> str:
    if not value:
        return "–"
    return f"{value:.0%}" if isinstance(value, float) else f"{value:,}"
