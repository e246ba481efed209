"""Bounds on the memory traffic of a solution, and what to say of one that exceeds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...kernels.engine.lens.profiler import Line, Profile

IDEALS = {"sectors": "ideal_sectors", "wavefronts": "ideal_wavefronts"}
SIDE_BY_SIDE = (
    "Let threads that differ by one in threadIdx.x touch elements that differ by one in the last "
    "index."
)
ALONE = "Let all lanes of a warp take part, each with the neighbour of the one before."
NUMBERS = 8  # float32 numbers in a sector
WHAT = {"load": "read", "store": "written", "atomic": "changed by an atomic", "": "used"}


@dataclass(frozen=True)
class Bound:
    """The most that a figure of the profiler may come to, over all lines of one kind.

    Args:
        what: ``load``, ``store``, ``atomic``; empty for all of them.
        space: ``global`` or ``shared``; empty for both.
        figure: ``lanes`` counts numbers, ``requests`` counts accesses of a warp, ``sectors`` and
            ``wavefronts`` are those of the profiler.
        most: ``most(*sizes)``; None for the fewest in which as many numbers fit.
        idea: what the exercise wants instead.
    """

    what: str
    space: str
    figure: str
    most: Callable[..., float] | None
    idea: str

    def concerns(self, line: Line) -> bool:
        """Whether a line of a profile counts here."""
        return (
            line.what != "branch"
            and self.what in ("", line.what)
            and self.space in ("", line.space)
        )


@dataclass(frozen=True)
class Excess:
    """A bound that a solution exceeds: numbers and text, which pass from one process to another.

    Attributes:
        what, space, figure, idea: those of the bound.
        found, most: the figure, and what it may be.
        line: the line that has the greatest part in it.
    """

    what: str
    space: str
    figure: str
    idea: str
    found: int
    most: int
    line: Line

    @property
    def message(self) -> str:
        """What is wrong, one sentence."""
        memory = f"{self.space} memory".lstrip()
        done = WHAT[self.what]
        things = {
            "lanes": f"numbers of {memory} are {done}",
            "requests": f"times a warp's numbers of {memory} are {done}",
            "sectors": f"sectors of {memory} are {done}",
            "wavefronts": f"turns of {memory} are taken",
        }[self.figure]
        if self.what == "atomic" and self.figure == "lanes":
            things = "atomic operations are done"
        allowed = f"at most {self.most:,} should be" if self.most else "none should be"
        return f"{self.found:,} {things}, {allowed}"

    @property
    def evidence(self) -> str:
        """The figures of the line."""
        x = self.line
        access = f"{x.what} {x.array}, {x.requests:,} times by a warp"
        lanes = amount(x.active_lanes, "lanes")
        if self.figure not in IDEALS:
            return f"{access}, {lanes} each"
        each = f"{access}, {lanes} and {amount(self.each(self.figure), self.figure)} each"
        if self.alone:
            return each
        return f"{each}, {self.each(IDEALS[self.figure]):.3g} would do"

    def each(self, figure: str) -> float:
        """A figure of the line for one access of a warp."""
        return getattr(self.line, figure) / self.line.requests

    @property
    def alone(self) -> bool:
        """Whether it is not that lanes lie apart, but that few of them take part."""
        ideal = IDEALS.get(self.figure, self.figure)
        return self.each(self.figure) <= self.each(ideal)

    @property
    def remedy(self) -> str:
        """What to do, one sentence."""
        return ALONE if self.figure == "sectors" and self.alone else self.idea

    def __str__(self) -> str:
        place = f"{Path(self.line.file).name}:{self.line.line}"
        return "\n".join(
            (
                f"traffic: {self.message}",
                f"  {place}: {self.line.source}",
                f"    {self.evidence}",
                f"  remedy: {self.remedy}",
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "message": self.message,
            "found": self.found,
            "most": self.most,
            "file": self.line.file,
            "line": self.line.line,
            "source": self.line.source,
            "array": self.line.array,
            "evidence": self.evidence,
            "remedy": self.remedy,
        }


def amount(number: float, things: str) -> str:
    """``1 lane``, ``2.5 lanes``."""
    return f"{number:.3g} {things[:-1] if number == 1 else things}"


def exceeded(bounds: tuple[Bound, ...], profile: Profile, sizes: tuple[int, ...]) -> list[Excess]:
    """The bounds that a profile exceeds; one for each line that is to blame."""
    found: dict[tuple[int, str], Excess] = {}
    for bound in bounds:
        lines = [x for x in profile.lines if bound.concerns(x)]
        total = sum(getattr(x, bound.figure) for x in lines)
        if bound.most is not None:
            most = int(bound.most(*sizes))
        elif bound.figure == "sectors":
            most = -(-sum(x.lanes for x in lines) // NUMBERS)
        else:
            most = sum(x.ideal_wavefronts for x in lines)
        if total > most:
            line = max(lines, key=lambda x: _share(x, bound.figure))
            excess = Excess(bound.what, bound.space, bound.figure, bound.idea, total, most, line)
            found.setdefault((line.line, line.what), excess)
    return list(found.values())


def _share(line: Line, figure: str) -> int:
    """How much of an excess is a line's own."""
    ideal = IDEALS.get(figure)
    return getattr(line, figure) - (getattr(line, ideal) if ideal else 0)


def reads(most: Callable[..., float], idea: str) -> Bound:
    """Numbers read from global memory."""
    return Bound("load", "global", "lanes", most, idea)


def sectors(what: str, most: Callable[..., float] | None) -> Bound:
    """Sectors of global memory."""
    return Bound(what, "global", "sectors", most, SIDE_BY_SIDE)


def writes(most: Callable[..., float]) -> Bound:
    """Numbers stored to global memory."""
    idea = "Let one thread store each element of the result, once."
    return Bound("store", "global", "lanes", most, idea)


def rows(
    loads: Callable[..., float] | None, stores: Callable[..., float] | None
) -> tuple[Bound, Bound]:
    """Sectors of loads and of stores, where a warp's elements lie side by side."""
    return sectors("load", loads), sectors("store", stores)


def banks(idea: str) -> Bound:
    """No two lanes in one bank of shared memory."""
    return Bound("", "shared", "wavefronts", None, idea)
