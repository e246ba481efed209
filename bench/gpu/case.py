"""A case: what is timed against what, its checks, and its rounds.

All sides of a case run in the same process on the same inputs, in turns, each round in another
order; a ratio is taken within a round, and the median of the rounds is the figure, with the lowest
and highest beside it.
"""

from __future__ import annotations

import statistics
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .place import Place
from .plan import LEAST, ROUNDS, rounds_within

OURS = "nnlite"
WALL = 0.02  # seconds that a sample by the host's clock should last
SHORT = 1e-3  # seconds; of what is faster, a round takes the median of several runs
RUNS = 5
MOST_RUNS = 1000


class Missing(Exception):
    """A peer is not installed, or cannot run this; the text says why."""


@dataclass(frozen=True)
class Side:
    """One implementation.

    Args:
        make: ``make(place, inputs)`` returns the function that runs the work once.
        work: operations or bytes of one run, where they are not those of the case.
        least: seconds that must be left for it (what compiles for long).
    """

    make: Callable[[Place, Any], Callable[[], Any]]
    work: float | None = None
    least: float = 0.0


@dataclass(frozen=True)
class Case:
    """What is timed.

    Args:
        name, group: ``"matmul float32 4096x4096x4096"`` of ``"matmul"``.
        sides: by name; nnlite first, under the name :data:`OURS`.
        inputs: ``inputs(place)`` returns what all sides share; random, never zeros.
        check: ``check(place, inputs, name, result)`` raises AssertionError unless the result of a
            side is right; None for what has been checked while it was made.
        work, unit: of one run: ``"FLOP"``, bytes (``"B"``), ``"step"`` or ``"launch"``.
        limit: name of the hardware limit, ``"float32"`` or ``"bandwidth"``; None without.
        by_wall: timed by the host's clock over many runs, as their launches count as well.
        weight: of the time of the run, relative to other cases.
        before, after: called around all of it, for settings.
    """

    name: str
    group: str
    sides: Mapping[str, Side]
    inputs: Callable[[Place], Any]
    work: float
    unit: str
    check: Callable[[Place, Any, str, Any], None] | None = None
    limit: str | None = None
    by_wall: bool = False
    weight: float = 1.0
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None


@dataclass
class Result:
    """What came of a case: seconds per round and side, and what did not work."""

    case: str
    group: str
    unit: str
    stand_in: bool = False  # not of a GPU: sizes are not those of the name
    limit: float | None = None  # of the hardware, in work per second
    by_wall: bool = False
    work: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    rounds_wanted: int = ROUNDS
    note: str = ""  # why there are no figures, or fewer

    @property
    def rounds(self) -> int:
        return len(self.seconds.get(OURS, ()))

    @property
    def peers(self) -> list[str]:
        return [name for name in self.seconds if name != OURS and self.seconds[name]]

    def median(self, side: str) -> float:
        return statistics.median(self.seconds[side])

    def ratios(self, peer: str) -> list[float]:
        """Our rate divided by the peer's in each round; above 1 we are faster."""
        scale = self.work[OURS] / self.work[peer]
        return [scale * b / a for a, b in zip(self.seconds[OURS], self.seconds[peer])]

    def of_peer(self, peer: str) -> float:
        """Median of the ratios."""
        return statistics.median(self.ratios(peer))

    def of_limit(self, side: str) -> float | None:
        """Share of the hardware limit."""
        return None if self.limit is None else self.work[side] / self.median(side) / self.limit

    def to_json(self) -> dict[str, Any]:
        sides = {}
        for name, seconds in self.seconds.items():
            if not seconds:
                continue
            sides[name] = {
                "median_s": self.median(name),
                "min_s": min(seconds),
                "max_s": max(seconds),
                "rounds": len(seconds),
                "work": None if self.stand_in else self.work[name],
                "of_limit": self.of_limit(name),
            }
            if name != OURS and self.rounds:
                ratios = self.ratios(name)
                sides[name] |= {
                    "nnlite_rate_over_this": statistics.median(ratios),
                    "lowest": min(ratios),
                    "highest": max(ratios),
                }
        return {
            "case": self.case,
            "group": self.group,
            "unit": self.unit,
            "is_gpu": not self.stand_in,
            "clock": "host" if self.by_wall else "device events, cold L2",
            "limit_per_second": self.limit,
            "rounds": self.rounds,
            "rounds_wanted": self.rounds_wanted,
            "sides": sides,
            "missing": self.missing,
            "errors": self.errors,
            "note": self.note,
        }


def measure(case: Case, place: Place, seconds: float, result: Result) -> None:
    """Make, check and time the sides of a case in about so many seconds; ``result`` is filled.

    A side that fails is recorded and left out; nothing but an interruption is raised.
    """
    start = place.clock()
    try:
        case.before()
        _measure(case, place, start + seconds, result)
    except Exception as error:  # a case that fails does not end the run
        result.errors[OURS] = _text(error)
    for tidy in (case.after, place.tidy):
        try:
            tidy()
        except Exception as error:  # as when the context of the GPU is broken
            result.errors.setdefault(OURS, _text(error))


def _measure(case: Case, place: Place, end: float, result: Result) -> None:
    result.limit, result.stand_in = place.limit(case.limit), not place.is_gpu
    inputs = case.inputs(place)
    running = {}
    for name, side in case.sides.items():
        run = _made(case, place, inputs, name, side, end, result)
        if run is not None:
            running[name] = run
            result.work[name] = case.work if side.work is None else side.work
            result.seconds[name] = []
        elif name == OURS:
            return
    samplers, of_one = {}, 0.0
    for name, run in list(running.items()):
        before = place.clock()
        place.begins(name)
        sampler = _tried(lambda run=run: _sampler(case, place, run), name, running, result)
        if sampler is not None and _tried(sampler, name, running, result) is not None:
            samplers[name] = sampler
            of_one += (place.clock() - before) / 2
    if OURS not in samplers:
        return
    rounds = rounds_within(end - place.clock(), of_one, result.rounds_wanted)
    if rounds < result.rounds_wanted:
        result.note = f"{rounds} rounds instead of {result.rounds_wanted}: no time for more"
    names = list(samplers)
    for number in range(rounds):
        if number >= LEAST and place.clock() > end:
            result.note = f"{number} rounds instead of {result.rounds_wanted}: no time for more"
            break
        turn = number % len(names)
        taken = {}
        for name in names[turn:] + names[:turn]:
            if name in running:
                place.begins(name)
                found = _tried(samplers[name], name, running, result)
                if found is not None:
                    taken[name] = found
        if OURS not in taken:
            return
        for name, value in taken.items():
            result.seconds[name].append(value)


def _made(
    case: Case, place: Place, inputs: Any, name: str, side: Side, end: float, result: Result
) -> Callable[[], Any] | None:
    """The function of a side whose result is right; None if there is none, which is recorded."""
    left = end - place.clock()
    if left < side.least:
        result.missing[name] = f"{max(left, 0.0):.0f} s left, at least {side.least:.0f} s needed"
        return None
    place.begins(name)
    try:
        run = side.make(place, inputs)
        found = run()
        place.synchronize()
        if case.check is not None:
            case.check(place, inputs, name, found)
    except Missing as why:
        result.missing[name] = str(why)
        return None
    except Exception as error:
        result.errors[name] = _text(error)
        return None
    return run


def _tried(
    function: Callable[[], Any], name: str, running: dict[str, Any], result: Result
) -> Any | None:
    """What the function returns; where it fails the side is out, with its error recorded."""
    try:
        return function()
    except Exception as error:
        result.errors[name] = _text(error)
        running.pop(name, None)
        return None


def _sampler(case: Case, place: Place, run: Callable[[], Any]) -> Callable[[], float]:
    """The function that times a side once."""
    if case.by_wall:
        once = min(place.wall(run, 1) for _ in range(2))
        repeats = max(1, min(MOST_RUNS, int(WALL / max(once, 1e-7))))
        return lambda: place.wall(run, repeats)
    place.seconds(run)
    if place.seconds(run) >= SHORT:
        return lambda: place.seconds(run)
    return lambda: statistics.median(place.seconds(run) for _ in range(RUNS))


def _text(error: Exception) -> str:
    """The error with the place where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{at}"
