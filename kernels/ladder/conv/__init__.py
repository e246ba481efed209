"""The 2-D convolution in float32, in steps from naive to an implicit matrix product."""

from __future__ import annotations

import math

import numpy as np

from ..step import Arrays, Ladder, Sizes
from . import step1_naive, step2_shared_weights, step3_halo, step4_filters, step5_implicit_gemm


def draw(rng: np.random.Generator, sizes: Sizes) -> Arrays:
    """x (n, C, h, w) and the filters (F, C, K, K)."""
    n, channels, filters, size, rows, columns = sizes
    shapes = (n, channels, rows, columns), (filters, channels, size, size)
    return tuple(rng.standard_normal(shape, dtype=np.float32) for shape in shapes)


def reference(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """y (n, F, h, w): as many pixels as x, with zeros around it."""
    pad, size = w.shape[2] // 2, w.shape[2]
    margin = (pad, size - 1 - pad)
    wide = np.pad(x.astype(np.float64), ((0, 0), (0, 0), margin, margin))
    patches = np.lib.stride_tricks.sliding_window_view(wide, (size, size), axis=(2, 3))
    return np.einsum("nchwuv,fcuv->nfhw", patches, w.astype(np.float64), optimize=True)


LADDER = Ladder(
    name="conv",
    formula="y = x * w, sizes n C F K h w",
    steps=(
        step1_naive.STEP,
        step2_shared_weights.STEP,
        step3_halo.STEP,
        step4_filters.STEP,
        step5_implicit_gemm.STEP,
    ),
    sizes={
        "cpu": (4, 16, 64, 3, 32, 32),
        "cuda": (64, 64, 128, 3, 56, 56),
        "lens": (1, 16, 64, 3, 16, 64),
    },
    draw=draw,
    reference=reference,
    terms=lambda sizes: sizes[1] * sizes[3] ** 2,
    work=lambda s: 2.0 * s[0] * s[1] * s[2] * s[3] ** 2 * s[4] * s[5],
    unit="FLOP",
    item="multiply-adds",
    items=lambda sizes: math.prod(sizes) * sizes[3],
)
