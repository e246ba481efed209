"""Launchers that choose kernels as on a GPU, watched on a CPU: for tests of 128-bit access."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlite.kernels.engine import array
from nnlite.kernels.engine.lens import checking

from .compare import assert_close


def pretend(monkeypatch: Any, head: int | None, *modules: Any) -> None:
    """Let the launchers of some modules choose as for arrays of a GPU that begin at a place."""
    for module in modules:
        monkeypatch.setattr(module, "row_head", lambda *given: head)


def tables(seed: int, rows: int, c: int, count: int) -> list[np.ndarray]:
    """Tables of numbers; the columns drift, so that largest items lie in all threads."""
    rng = np.random.default_rng(seed)
    drift = rng.standard_normal(c) * rng.choice([0.1, 4.0])
    return [(rng.standard_normal((rows, c)) + drift).astype(np.float32) for _ in range(count)]


def run(function: Any, *arguments: Any) -> tuple[Any, list[str]]:
    """The results of a launcher, and the kernels that ran, each launch checked."""
    with checking() as reports:
        found = function(*(array(a) if isinstance(a, np.ndarray) else a for a in arguments))
    assert not [note for report in reports for note in report.notes]
    return found, [report.kernel for report in reports]


def launched(driver: Any, function: Any, *arguments: Any) -> tuple[Any, list[str]]:
    """The same on a pretended GPU (``fake_gpu``), whose driver is given."""
    before = len(driver.launches)
    found = function(*(array(a) if isinstance(a, np.ndarray) else a for a in arguments))
    return found, [name for name, *_ in driver.launches[before:]]


def sums_to(found: Any, terms: np.ndarray, magnitude: np.ndarray, n: int, what: str) -> None:
    """Fail unless a result is within the bound of a sum of n terms."""
    assert_close(found.numpy(), terms, dtype=np.float32, terms=n, magnitude=magnitude, what=what)
