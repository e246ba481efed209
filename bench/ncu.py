"""Nsight Compute's command line: what to run, and how to read what it prints as CSV.

Sources: NVIDIA, "Nsight Compute CLI" (options and pages) and "Profiling Guide" (metrics). The raw
page is a table with a line of column names, a line of units and a line for each launch. The source
page begins each launch with a line that names the kernel, then columns, then a line for each
instruction of the machine code.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

OPERATIONS = {"load": "ld", "store": "st"}
REQUESTS = "l1tex__t_requests_pipe_lsu_mem_global_op_{}.sum"
SECTORS = "l1tex__t_sectors_pipe_lsu_mem_global_op_{}.sum"
SHARED = "smsp__inst_executed_op_shared_{}.sum"
WAVEFRONTS = "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_{}.sum"
METRICS = tuple(
    name.format(op)
    for name in (REQUESTS, SECTORS, SHARED, WAVEFRONTS)
    for op in OPERATIONS.values()
)

EXECUTED = "Instructions Executed"
THREADS = "Predicated-On Thread Instructions Executed"
SPACE, OPERATION = "Address Space", "Access Operation"
SOURCE_SECTORS = "L2 Theoretical Sectors Global"
SOURCE_WAVEFRONTS, SOURCE_IDEAL = "L1 Wavefronts Shared", "L1 Wavefronts Shared Ideal"
COLUMNS = (EXECUTED, THREADS, SPACE, OPERATION, SOURCE_SECTORS, SOURCE_WAVEFRONTS, SOURCE_IDEAL)


@dataclass(frozen=True)
class Counted:
    """Sums over the instructions of one kind, as the source page has them.

    Attributes:
        executed: instructions, by warps.
        threads: threads that took part.
        sectors: of global memory; wavefronts, ideal_wavefronts: of shared memory.
    """

    executed: float = 0.0
    threads: float = 0.0
    sectors: float = 0.0
    wavefronts: float = 0.0
    ideal_wavefronts: float = 0.0

    def __add__(self, other: Counted) -> Counted:
        return Counted(*(a + b for a, b in zip(vars(self).values(), vars(other).values())))


def profile_command(report: Path, program: Sequence[str]) -> list[str]:
    """Run a program and write a report; clocks are left as they are."""
    return [
        "ncu", "--clock-control", "none", "--kernel-name-base", "mangled",
        "--kernel-name", "regex:lens_", "--launch-count", "1", "--section", "SourceCounters",
        "--metrics", ",".join(METRICS), "--force-overwrite", "--export", str(report), *program,
    ]  # fmt: skip


def page_command(report: Path, page: str) -> list[str]:
    """Print a page of a report; of the source page that of the machine code."""
    more = ["--print-source", "sass"] if page == "source" else ["--print-units", "base"]
    return ["ncu", "--import", str(report), "--page", page, "--csv", *more]


def number(text: str) -> float:
    """A cell as a number; empty ones, ``-`` and ``n/a`` are 0. Thousands may have commas."""
    text = text.replace(",", "").strip()
    return 0.0 if text in ("", "-", "n/a") else float(text)


def rows(text: str) -> Iterator[list[str]]:
    """The lines of a page as cells, without what ncu says about itself (``==PROF==``)."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("=="))
    yield from csv.reader(io.StringIO("\n".join(lines)))


def raw_page(text: str) -> dict[str, float]:
    """The metrics of the first launch on a raw page.

    Raises:
        ValueError: the page has no launch, or lacks one of ``METRICS``.
    """
    table = list(rows(text))
    if len(table) < 3 or "Kernel Name" not in table[0]:
        raise ValueError(f"no launch on the raw page: {text[:300]!r}")
    heads, _, first = table[:3]
    found = dict(zip(heads, first))
    lacking = [name for name in METRICS if name not in found]
    if lacking:
        raise ValueError(f"the raw page lacks {', '.join(lacking)}")
    return {name: number(found[name]) for name in METRICS}


def source_page(text: str) -> dict[tuple[str, str], Counted]:
    """Of the first launch on a source page the sums by memory and kind of access, in lower case.

    Raises:
        ValueError: the page has no instruction, or lacks one of ``COLUMNS``.
    """
    heads: list[str] = []
    found: dict[tuple[str, str], Counted] = {}
    for row in rows(text):
        if row[0] == "Kernel Name" and heads:
            break  # the next launch, or the same one again in another view
        if "Address" in row and "Source" in row:
            heads = row
            lacking = [name for name in COLUMNS if name not in heads]
            if lacking:
                raise ValueError(f"the source page lacks {', '.join(lacking)}")
        elif heads and len(row) == len(heads):
            # A name may stand twice (instructions sampled and counted): the last one is the count.
            cell = dict(zip(heads, row))
            space, operation = (cell[name].partition("(")[0] for name in (SPACE, OPERATION))
            key = space.strip().lower(), operation.strip().lower()
            of = (EXECUTED, THREADS, SOURCE_SECTORS, SOURCE_WAVEFRONTS, SOURCE_IDEAL)
            one = Counted(*(number(cell[name]) for name in of))
            found[key] = found.get(key, Counted()) + one
    if not found:
        raise ValueError(f"no instruction on the source page: {text[:300]!r}")
    return found
