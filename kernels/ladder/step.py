"""What a ladder and its steps consist of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import Kernel

Sizes = tuple[int, ...]
Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Step:
    """One step: a kernel and the launch that computes the ladder's result with it.

    Args:
        name: a few words, unique in its ladder.
        idea: the one idea that the step adds.
        kernel: the kernel; its source is what to read. Where the sizes of a filter are constants of
            the kernel, the one for the ladder's own sizes.
        launch: ``launch(*inputs, out)`` computes the whole result.
        signature: numba types of the kernel's arguments.
        capability: (major, minor) compute capability that a GPU must have.
        rounding: relative error of a factor that is rounded before it is multiplied: 2**-11 for
            tf32, which keeps 10 bits of the mantissa.
    """

    name: str
    idea: str
    kernel: Kernel
    launch: Callable[..., Any]
    signature: tuple[Any, ...]
    capability: tuple[int, int] = (7, 5)
    rounding: float = 0.0


@dataclass(frozen=True)
class Ladder:
    """One computation in steps.

    Args:
        name: its name.
        formula: what it computes.
        steps: the steps, in order.
        sizes: default sizes by kind of device, ``"cpu"`` and ``"cuda"``; ``"lens"``: those at
            which the lens looks at the steps, and that the figures in their texts are for.
        draw: ``draw(rng, sizes)`` returns the inputs, float32.
        reference: ``reference(*inputs)`` in float64; of absolute inputs, it is the magnitude that
            the errors of its sums are measured by.
        terms: number of terms of each sum.
        work: operations or bytes of one run, for given sizes.
        unit: ``"FLOP"`` or ``"B"``.
        item: what the lens counts by: ``"multiply-adds"`` or ``"numbers"``.
        items: how many of them one run has.
    """

    name: str
    formula: str
    steps: tuple[Step, ...]
    sizes: dict[str, Sizes]
    draw: Callable[[np.random.Generator, Sizes], Arrays]
    reference: Callable[..., np.ndarray]
    terms: Callable[[Sizes], int]
    work: Callable[[Sizes], float]
    unit: str
    item: str
    items: Callable[[Sizes], int]

    def allowed(self, step: Step, inputs: Arrays, sizes: Sizes) -> np.ndarray:
        """Largest error that a right result of a step may have: ``4 sqrt(terms) eps sum |terms|``
        for the sums, and the rounding of both factors."""
        magnitude = self.reference(*(np.abs(x) for x in inputs))
        eps = float(np.finfo(np.float32).eps)
        return (4.0 * self.terms(sizes) ** 0.5 * eps + 2.0 * step.rounding) * magnitude


def blocks(n: int, size: int) -> int:
    """Blocks of ``size`` that cover n items; at least one, so that a launch is never empty."""
    return max(1, -(-n // size))
