"""The sum of an array in float32, in steps from a tree in shared memory to a single launch."""

from __future__ import annotations

import numpy as np

from ..step import Arrays, Ladder, Sizes
from . import (
    step1_divergent,
    step2_sequential,
    step3_strided,
    step4_shuffle,
    step5_single_launch,
)


def draw(rng: np.random.Generator, sizes: Sizes) -> Arrays:
    """x (n,)."""
    return (rng.standard_normal(sizes[0], dtype=np.float32),)


def reference(x: np.ndarray) -> np.ndarray:
    """The sum, of shape (1,)."""
    return x.sum(dtype=np.float64, keepdims=True)


LADDER = Ladder(
    name="reduce",
    formula="the sum of n numbers",
    steps=(
        step1_divergent.STEP,
        step2_sequential.STEP,
        step3_strided.STEP,
        step4_shuffle.STEP,
        step5_single_launch.STEP,
    ),
    sizes={"cpu": (1 << 24,), "cuda": (1 << 28,), "lens": (1 << 20,)},
    draw=draw,
    reference=reference,
    terms=lambda sizes: sizes[0],
    work=lambda sizes: 4.0 * sizes[0],
    unit="B",
    item="numbers",
    items=lambda sizes: sizes[0],
)
