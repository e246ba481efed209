""":class:`Choice`: one decision of a launcher, and how it is found."""

from __future__ import annotations

import contextlib
import json
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..device import Device
from ..errors import ArgumentError
from ..memory import Array
from ..replay import here
from . import store

if TYPE_CHECKING:
    from .session import Tuning

VARIABLE = "NNLITE_TUNE"
MOST_KNOWN = 4096  # problems that a choice remembers before it forgets them all

_choices: weakref.WeakSet[Choice] = weakref.WeakSet()
_callbacks: list[Callable[[], None]] = []
_overrides: dict[str, Any] = {}
_tunings: list[Tuning] = []  # the innermost one last


def powers_of_two(problem: Any) -> Any:
    """Class of shapes: every positive integer rounded up to a power of two, all else as it is."""
    if isinstance(problem, tuple):
        return tuple(map(powers_of_two, problem))
    if isinstance(problem, int) and not isinstance(problem, bool) and problem > 0:
        return 1 << (problem - 1).bit_length()
    return problem


def exactly(problem: Any) -> Any:
    """Class of shapes: the problem itself, so that none is like another."""
    return problem


class Choice:
    """One decision of a launcher: as measured on this device if it was, else the default.

    Args:
        name: of the decision, ``"matmul slices"``.
        candidates: ``candidates(device, problem)`` returns the configurations that are right for
            it. One is an integer, string, boolean or float, or a tuple of these; never None.
        default: ``default(device, problem)`` returns the configuration to use without measurement.
        sources: names of the modules whose source decides how fast the candidates are; what was
            measured with another source is not used.
        classify: problem -> the class under which the choice is stored. Problems of a class share
            what was measured for one of them, as long as it is among their own candidates.
        tolerance: largest difference from the default's result, relative to the largest item of
            that result, with which a candidate is still right; 0 asks for the same numbers.

    Example:
        >>> WARPS = Choice("rows", lambda d, p: (1, 2, 4), lambda d, p: 1, sources=(__name__,))
        >>> warps = WARPS(x.device, x.shape, lambda warps: run(x, out, warps), outputs=(out,))
    """

    def __init__(
        self,
        name: str,
        candidates: Callable[[Device, Any], Sequence[Any]],
        default: Callable[[Device, Any], Any],
        *,
        sources: Sequence[str],
        classify: Callable[[Any], Any] = powers_of_two,
        tolerance: float = 0.0,
    ) -> None:
        self.name, self.candidates, self.default = name, candidates, default
        self.sources, self.classify, self.tolerance = tuple(sources), classify, tolerance
        self._known: dict[Any, Any] = {}
        _choices.add(self)

    def __call__(
        self,
        device: Device,
        problem: Any,
        run: Callable[[Any], Any] | None = None,
        outputs: Sequence[Array] = (),
        updates: Sequence[Array] = (),
    ) -> Any:
        """The configuration for a problem.

        Args:
            device: where the launch will run.
            problem: what decides, hashable: sizes, dtypes by name, flags.
            run: ``run(configuration)`` launches a candidate; without it nothing is measured here.
            outputs: arrays that every candidate overwrites wholly.
            updates: arrays that a candidate reads and overwrites; they are restored.

        Raises:
            ArgumentError: :func:`override` names a configuration that is none of the candidates, or
                the environment variable ``NNLITE_TUNE`` is neither 0 nor 1.
        """
        # The parts of a device have hashes in C; its own would be half of the time of this call.
        found = self._known.get((device.kind, device.index, problem))
        if found is None:
            found = self._find(device, problem, run, outputs, updates)
        return found

    def all(self, device: Device, problem: Any) -> list[Any]:
        """The default, then the other candidates, each once."""
        return list(dict.fromkeys((self.default(device, problem),
                                   *self.candidates(device, problem))))  # fmt: skip

    def stored(self, device: Device, problem: Any) -> Any:
        """What was measured for the class of the problem and suits the problem; None without."""
        record = store.read(self, device, self.classify(problem))
        if record is None:
            return None
        text = as_text(record["config"])
        return next((c for c in self.all(device, problem) if as_text(c) == text), None)

    def forget(self) -> None:
        """Look everything up anew from the next call on."""
        self._known.clear()

    def _find(
        self,
        device: Device,
        problem: Any,
        run: Callable[[Any], Any] | None,
        outputs: Sequence[Array],
        updates: Sequence[Array],
    ) -> Any:
        mode = _mode()
        tuning = current()
        if self.name in _overrides:
            found = self._overridden(device, problem)
        elif tuning is not None:
            if run is None or here.recorder is not None:  # nothing can be timed in a capture
                found = self.stored(device, problem)
                return self.default(device, problem) if found is None else found
            found = tuning.find(self, device, problem, run, outputs, updates)
        else:
            found = None if mode == "0" else self.stored(device, problem)
        if found is None:
            found = self.default(device, problem)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[device.kind, device.index, problem] = found
        return found

    def _overridden(self, device: Device, problem: Any) -> Any:
        found, known = _overrides[self.name], self.all(device, problem)
        if found not in known:
            raise ArgumentError(
                f"override: {self.name}: {found!r} given, expected one of "
                f"{', '.join(map(repr, known))} for {problem!r} on {device}"
            )
        return found

    def __repr__(self) -> str:
        return f"<choice {self.name}>"


def as_text(config: Any) -> str:
    """A configuration or class as JSON: what is stored and compared."""
    return json.dumps(config, separators=(", ", ": "))


def names() -> set[str]:
    """Names of the choices of all launchers that have been imported."""
    return {choice.name for choice in _choices}


def on_change(function: Callable[[], None]) -> Callable[[], None]:
    """Call ``function`` whenever choices may change, for launchers that remember what they chose.

    Returns:
        the function, so that this can be its decorator.
    """
    _callbacks.append(function)
    return function


def changed() -> None:
    """Forget what was found so far, here and in the launchers."""
    for choice in list(_choices):
        choice.forget()
    for function in _callbacks:
        function()


@contextlib.contextmanager
def override(name: str, config: Any) -> Iterator[None]:
    """Use one configuration for a choice inside a ``with`` block, whatever was measured.

    For tests and benchmarks that compare candidates. A launch for which the configuration is not a
    candidate raises ArgumentError.

    Example:
        >>> with override("matmul slices", 1):
        ...     matmul(a, b)
    """
    absent = object()
    before = _overrides.get(name, absent)
    _overrides[name] = config
    changed()
    try:
        yield
    finally:
        if before is absent:
            del _overrides[name]
        else:
            _overrides[name] = before
        changed()


def overridden(name: str) -> Any:
    """The configuration that :func:`override` asks for here; None without."""
    return _overrides.get(name)


def current() -> Tuning | None:
    """The tuning that is under way; by the environment variable, one for the whole process."""
    if _tunings:
        return _tunings[-1]
    if _mode() == "1":
        from .session import for_the_process

        return for_the_process()
    return None


def _mode() -> str:
    mode = os.environ.get(VARIABLE, "")
    if mode not in ("", "0", "1"):
        raise ArgumentError(
            f"{VARIABLE}: {mode!r} given, expected 1 (measure and store), 0 (ignore what is "
            "stored) or nothing"
        )
    return mode
