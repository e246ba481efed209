"""Choices of launchers made by measurement: candidates are timed once, the winner is kept on disk.

A launcher often has several right ways to run one problem: tiles, slices, an algorithm. Each such
decision is a :class:`Choice` with its candidates and a default that needs no measurement. Nothing
is ever timed unless one asks for it: :func:`tune` (``nl.tune``), the command ``nnlite tune`` or the
environment variable ``NNLITE_TUNE=1``. What was measured is stored per device, driver and compiler,
kernel source and class of shapes (:mod:`.store`), and used from then on; ``NNLITE_TUNE=0`` ignores
it. A candidate that fails, or whose result is not the default's, is discarded and reported.

A launcher asks in one line; in an ordinary launch that is one access to a dict::

    SLICES = Choice("matmul slices", candidates, default, sources=(__name__,))

    def launch(a, b, c):
        parts = SLICES(c.device, (m, n, k), lambda parts: _launch(a, b, c, parts), outputs=(c,))
        _launch(a, b, c, parts)

- ``choice``: :class:`Choice`, :func:`override`, :func:`on_change`.
- ``session``: :func:`tune`, :class:`Tuning`, :class:`Outcome`; checks and times candidates.
- ``timing``: the clock of each kind of device.
- ``store``, ``identity``: the files, and what a stored choice is good for.
"""

from __future__ import annotations

from .choice import Choice, exactly, names, on_change, overridden, override, powers_of_two
from .session import Outcome, Tuning, tune

__all__ = [
    "Choice",
    "Outcome",
    "Tuning",
    "exactly",
    "names",
    "on_change",
    "overridden",
    "override",
    "powers_of_two",
    "tune",
]
