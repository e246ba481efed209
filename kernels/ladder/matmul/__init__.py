"""The matrix product c = a b in float32, in steps from naive to tensor cores."""

from __future__ import annotations

import numpy as np

from ..step import Arrays, Ladder, Sizes
from . import (
    step1_naive,
    step2_coalesced,
    step3_shared,
    step4_register_column,
    step5_register_square,
    step6_wide,
    step7_double_buffer,
    step8_warp_tile,
    step9_tensor_core,
)


def draw(rng: np.random.Generator, sizes: Sizes) -> Arrays:
    """a (m, k) and b (k, n)."""
    m, n, k = sizes
    shapes = (m, k), (k, n)
    return tuple(rng.standard_normal(shape, dtype=np.float32) for shape in shapes)


def reference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """c (m, n)."""
    return a.astype(np.float64) @ b.astype(np.float64)


LADDER = Ladder(
    name="matmul",
    formula="c = a b, sizes m n k",
    steps=(
        step1_naive.STEP,
        step2_coalesced.STEP,
        step3_shared.STEP,
        step4_register_column.STEP,
        step5_register_square.STEP,
        step6_wide.STEP,
        step7_double_buffer.STEP,
        step8_warp_tile.STEP,
        step9_tensor_core.STEP,
    ),
    sizes={"cpu": (512, 512, 512), "cuda": (4096, 4096, 4096), "lens": (128, 128, 128)},
    draw=draw,
    reference=reference,
    terms=lambda sizes: sizes[2],
    work=lambda sizes: 2.0 * sizes[0] * sizes[1] * sizes[2],
    unit="FLOP",
    item="multiply-adds",
    items=lambda sizes: sizes[0] * sizes[1] * sizes[2],
)
