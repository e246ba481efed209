"""The record of a run as tables and as JSON; written after every case, so that nothing is lost."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from .case import OURS, Result
from .correctness import Check
from .goals import judge

FORMAT = 1


@dataclass
class Record:
    """All of a run so far.

    Attributes:
        ended: ``""`` while it goes on, then ``"complete"``, ``"interrupted"`` or ``"out of time"``.
    """

    machine: dict[str, Any]
    checks: list[Check] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    states: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    ended: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "nnlite_gpu_bench": FORMAT,
            "ended": self.ended or "not yet",
            "seconds": round(self.seconds, 1),
            "machine": self.machine,
            "states": self.states,
            "checks": [check.to_json() for check in self.checks],
            "goals": judge(self.results),
            "results": [result.to_json() for result in self.results],
        }

    def write(self, path: Path) -> None:
        """Replace the file by what there is; a reader sees a whole one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)

    @property
    def sound(self) -> bool:
        """Whether nothing was found wrong: no failed check, no case of ours that failed."""
        wrong = any(c.ok is False for c in self.checks)
        return not wrong and not any(OURS in r.errors for r in self.results)


def results_table(results: Sequence[Result]) -> Table:
    """A row for each side: its time and rate, and ours over the peer's with lowest and highest."""
    made = Table(title="our rate over the peer's, median of the rounds", title_justify="left",
                 box=box.SIMPLE)  # fmt: skip
    for head in ("case", "side", "time", "rate", "of limit", "nnlite / peer", "range"):
        made.add_column(head, justify="left" if len(made.columns) < 2 else "right", no_wrap=True)
    for r in results:
        first = True
        for name in [n for n, seconds in r.seconds.items() if seconds]:
            made.add_row(r.case if first else "", name, *_cells(r, name))
            first = False
        for name in (*r.missing, *r.errors):
            word = "missing" if name in r.missing else "failed"
            made.add_row(r.case if first else "", name, word)
            first = False
        if r.note:
            made.add_row(r.case if first else "", "", "see below")
        made.add_section()
    return made


def remarks(results: Sequence[Result]) -> list[str]:
    """What the table has no room for: why sides are missing or failed, once each, and notes."""
    found: dict[str, list[str]] = {}
    for r in results:
        for word, whys in (("missing", r.missing), ("FAILED", r.errors)):
            for name, why in whys.items():
                found.setdefault(f"{name} {word}: {_short(why)}", []).append(r.case)
        if r.note:
            found.setdefault(r.note, []).append(r.case)
    return [f"{text} [{_cases(cases)}]" for text, cases in found.items()]


def _cases(names: Sequence[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _cells(r: Result, name: str) -> tuple[str, ...]:
    seconds, share = r.median(name), r.of_limit(name)
    cells = [_time(seconds), "" if r.stand_in else _rate(r.work[name] / seconds, r.unit)]
    cells.append("" if share is None else f"{share:.1%}")
    if name == OURS or not r.rounds:
        return (*cells, "", "")
    ratios = r.ratios(name)
    return (*cells, f"{r.of_peer(name):.3f}", f"{min(ratios):.3f} to {max(ratios):.3f}")


def goals_table(results: Sequence[Result]) -> Table:
    """Each goal, what was measured at its lowest, and the verdict."""
    made = Table(title="goals, set for one H200", title_justify="left", box=box.SIMPLE)
    for head in ("goal", "at least", "measured", "lowest in", ""):
        made.add_column(head, justify="right" if head in ("at least", "measured") else "left")
    for goal in judge(results):
        where = f"{goal['case']} against {goal['peer']}" if goal["case"] else ""
        got = "" if goal["measured"] is None else f"{goal['measured']:.3f}"
        verdict = {True: "met", False: "not met", None: "not measured"}[goal["met"]]
        if goal["met"] is None and goal["cases_measured"]:
            verdict = f"{goal['cases_measured']} of {goal['cases']} cases measured"
        made.add_row(goal["goal"], f"{goal['least']:g}", got, where, verdict)
    return made


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:,.2f} ms" if seconds >= 1e-2 else f"{seconds * 1e6:,.1f} us"


def _rate(per_second: float, unit: str) -> str:
    if unit in ("FLOP", "B"):
        return f"{per_second / 1e9:,.0f} G{unit}/s"
    return f"{per_second:,.0f} {unit}s/s"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:157] + "..."
