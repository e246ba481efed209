"""The random numbers of parameter initialisation: one NumPy generator per process.

Numbers are drawn on the host, so that a seed gives the same parameters on every device.
"""

from __future__ import annotations

import numpy as np

from .errors import ArgumentError

_generator = np.random.default_rng()


def manual_seed(seed: int) -> np.random.Generator:
    """Start the sequence of random numbers over from ``seed``; returns the new generator.

    The same seed gives the same parameters, bit for bit. Data loaders have seeds of their own.

    Raises:
        ArgumentError: ``seed`` is not an integer >= 0.
    """
    global _generator
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(f"manual_seed: seed: {seed!r} given, expected an integer >= 0")
    _generator = np.random.default_rng(int(seed))
    return _generator


def generator() -> np.random.Generator:
    """The generator that initialisation draws from."""
    return _generator
