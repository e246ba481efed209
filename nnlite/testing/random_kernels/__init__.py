"""Random legal kernels, to test the CPU compiler against the interpreter.

``random_kernel(seed)`` writes one, ``random_kernels()`` is a Hypothesis strategy that shrinks them,
``check`` compares one, ``run`` compares many in child processes, ``reduced`` makes a failing one
small.

Example:
    >>> kernel = random_kernel(17)
    >>> check(kernel)
    Outcome(kind='equal', message='')
"""

from __future__ import annotations

from typing import Any

from .check import Outcome, check
from .kernels import FEATURES, RandomKernel, random_kernel, read
from .reduce import reduced
from .run import run

__all__ = [
    "FEATURES",
    "Outcome",
    "RandomKernel",
    "check",
    "random_kernel",
    "random_kernels",
    "read",
    "reduced",
    "run",
]


def random_kernels(features: frozenset[str] = FEATURES) -> Any:
    """A Hypothesis strategy of :class:`RandomKernel`; see ``random_kernel``."""
    from hypothesis import strategies as st

    seeds, choices = st.integers(0, 1 << 32), st.randoms(use_true_random=False)
    return st.builds(lambda seed, r: random_kernel(seed, features, r), seeds, choices)
