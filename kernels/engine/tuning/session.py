"""Tuning: candidates of each choice that comes up are checked and timed, the best is stored."""

from __future__ import annotations

import functools
import statistics
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..device import Device
from ..errors import LaunchError
from ..memory import Array
from . import choice as choices
from . import store
from .choice import Choice, as_text
from .timing import Timer, timer_of

ROUNDS = 11  # each times every candidate once; the medians are compared
MARGIN = 0.02  # by so much another candidate must be faster: less is noise, and the default stays


@dataclass
class Outcome:
    """What was found for one choice and class of shapes.

    Attributes:
        choice: its name.
        device, problem, shapes: where, for what, and the class under which it is stored.
        default, chosen: configurations.
        seconds: of every sound candidate in each round, by its configuration as text.
        discarded: candidates that failed or gave another result, with the reason.
        stored: False if the disk did not take it, so that it holds for this process only.
    """

    choice: str
    device: str
    problem: Any
    shapes: Any
    default: Any
    chosen: Any
    seconds: dict[str, list[float]] = field(default_factory=dict)
    discarded: dict[str, str] = field(default_factory=dict)
    stored: bool = False

    def median(self, config: Any) -> float:
        """Median seconds of a candidate."""
        return statistics.median(self.seconds[as_text(config)])

    @property
    def gain(self) -> float:
        """Median time of the default divided by that of the candidate chosen: 1 or more."""
        return self.median(self.default) / self.median(self.chosen)

    def figures(self) -> dict[str, Any]:
        """What is stored beside the configuration, for a reader."""
        return {
            "problem": self.problem,
            "default": self.default,
            "seconds": self.seconds,
            "discarded": self.discarded,
        }

    def __str__(self) -> str:
        text = f"{self.choice} {self.problem} on {self.device}: {self.chosen!r}"
        if self.chosen == self.default:
            text += ", the default"
        else:
            text += f" instead of {self.default!r}, {self.gain:.2f} times as fast"
        wrong = "".join(f"; {name} discarded: {why}" for name, why in self.discarded.items())
        return text + wrong + ("" if self.stored else "; not stored: the disk did not take it")


class Tuning:
    """A ``with`` block inside which choices are measured; made by :func:`tune`.

    Attributes:
        outcomes: what was measured, in order.
    """

    def __init__(
        self,
        *,
        again: bool = False,
        timer: Callable[[Device], Timer] = timer_of,
        rounds: int = ROUNDS,
    ) -> None:
        self.again, self.rounds = again, rounds
        self.outcomes: list[Outcome] = []
        self._timer = functools.cache(timer)
        self._done: dict[Any, Any] = {}
        self._lock = threading.RLock()

    def __enter__(self) -> Tuning:
        choices._tunings.append(self)
        choices.changed()
        return self

    def __exit__(self, *error: object) -> None:
        choices._tunings.remove(self)
        choices.changed()

    def __str__(self) -> str:
        return "\n".join(map(str, self.outcomes)) or "nothing was left to choose"

    def find(
        self,
        choice: Choice,
        device: Device,
        problem: Any,
        run: Callable[[Any], Any],
        outputs: Sequence[Array],
        updates: Sequence[Array],
    ) -> Any:
        """The configuration for a problem, measured unless its class was; see :class:`Choice`."""
        with self._lock:
            shapes = choice.classify(problem)
            candidates = choice.all(device, problem)
            done = self._done.get((choice.name, device, shapes))
            if done is not None and done in candidates:
                return done
            if not self.again:
                stored = choice.stored(device, problem)
                if stored is not None:
                    return stored
            if len(candidates) < 2:
                return candidates[0]
            trial = _Trial(choice, device, run, outputs, updates)
            outcome = Outcome(
                choice.name, str(device), problem, shapes, candidates[0], candidates[0]
            )
            trial.compare(candidates, outcome, self._timer(device), self.rounds)
            path = store.write(choice, device, shapes, outcome.chosen, outcome.figures())
            outcome.stored = path is not None
            self.outcomes.append(outcome)
            self._done[choice.name, device, shapes] = outcome.chosen
            return outcome.chosen


class _Trial:
    """Candidates run on the arrays of one launch, which keep what they held."""

    def __init__(
        self,
        choice: Choice,
        device: Device,
        run: Callable[[Any], Any],
        outputs: Sequence[Array],
        updates: Sequence[Array],
    ) -> None:
        if not outputs and not updates:
            raise LaunchError(
                f"{choice.name}: no outputs or updates given; without them no candidate's result "
                "can be checked"
            )
        self.choice, self.device, self.run = choice, device, run
        self.outputs, self.updates = tuple(outputs), tuple(updates)
        self.kept = [x.copy() for x in self.updates]

    def compare(
        self, candidates: Sequence[Any], outcome: Outcome, seconds: Timer, rounds: int
    ) -> None:
        """Fill the outcome: what is sound, how long it takes, which one is best."""
        try:
            expected = self._results(outcome.default)
            sound = [outcome.default]
            for config in candidates[1:]:
                why = self._what_is_wrong(config, expected)
                if why is None:
                    sound.append(config)
                else:
                    outcome.discarded[as_text(config)] = why
            for number in range(rounds):
                for i in range(len(sound)):  # in another order each round
                    config = sound[(i + number) % len(sound)]
                    taken = seconds(functools.partial(self.run, config))
                    outcome.seconds.setdefault(as_text(config), []).append(taken)
        finally:
            self._restore()
        best = min(sound, key=outcome.median)
        if outcome.median(best) < (1.0 - MARGIN) * outcome.median(outcome.default):
            outcome.chosen = best

    def _results(self, config: Any) -> list[np.ndarray]:
        """What a candidate writes, over memory in which nothing right is left from another."""
        self._restore()
        for x in self.outputs:
            x.copy_from(_poison(x))
        self.run(config)
        return [x.numpy() for x in (*self.outputs, *self.updates)]

    def _what_is_wrong(self, config: Any, expected: Sequence[np.ndarray]) -> str | None:
        try:
            found = self._results(config)
        except Exception as error:  # whatever it is, the candidate is out and the reason is told
            return f"{type(error).__name__}: {error}"
        for number, (x, y) in enumerate(zip(found, expected, strict=True)):
            why = difference(x, y, self.choice.tolerance)
            if why is not None:
                return f"result {number}: {why}"
        return None

    def _restore(self) -> None:
        for x, before in zip(self.updates, self.kept, strict=True):
            x.copy_from(before)


def difference(found: np.ndarray, expected: np.ndarray, tolerance: float) -> str | None:
    """How two results differ by more than ``tolerance`` times the largest item; None if not."""
    inexact = expected.dtype.kind in "fc"
    if tolerance == 0.0 or not inexact:
        same = np.array_equal(found, expected, equal_nan=inexact)
        return None if same else "not the numbers of the default"
    usual = np.isfinite(expected)
    if not np.array_equal(found[~usual], expected[~usual], equal_nan=True):
        return "NaN or infinity where the default has others"
    if not np.isfinite(found[usual]).all():
        return "NaN or infinity where the default has none"
    if not usual.any():
        return None
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    error = float(np.abs(found[usual].astype(wide) - expected[usual].astype(wide)).max())
    largest = float(np.abs(expected[usual].astype(wide)).max())
    if error <= tolerance * largest:
        return None
    return f"differs from the default by {error:.3g} with items up to {largest:.3g}"


def _poison(x: Array) -> np.ndarray:
    kind = x.dtype.kind
    value: Any = np.nan if kind in "fc" else True if kind == "b" else np.iinfo(x.dtype).max
    return np.full(x.shape, value, x.dtype)


def tune(
    function: Callable[..., Any] | None = None, *args: Any, again: bool = False, **options: Any
) -> Tuning:
    """Measure what launchers can choose, and store it for this device.

    While it lasts, each launch that has a choice to make runs all candidates on its own arrays:
    compares their results with the default's, discards those that differ or fail, times the others
    in turn and stores the fastest. Classes of shapes that were measured before are not measured
    again. Results of the launches are as ever. Not inside a captured graph: tune the step first.

    Args:
        function: called once with ``args`` and ``options``, a training step for example; without it
            the result is a ``with`` block.
        again: measure also what is stored already.

    Returns:
        :class:`Tuning`; its ``outcomes`` and its text say what was found.

    Raises:
        what the function raises, or a launch with its default configuration.

    Example:
        >>> print(nl.tune(step))
        >>> with nl.tune() as found:
        ...     y = model(x)
    """
    tuning = Tuning(again=again)
    if function is not None:
        with tuning:
            function(*args, **options)
    return tuning


@functools.cache
def for_the_process() -> Tuning:
    """The tuning of ``NNLITE_TUNE=1``."""
    return Tuning()
