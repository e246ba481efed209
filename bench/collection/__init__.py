"""Kernels in ordinary Numba CUDA style, one file a family, to test and to time the compiler with.

Each is written as a textbook or a user would write it and knows nothing of nnlite. ``ENTRIES``
holds them with their launches, NumPy references, tolerances and costs; ``python -m
bench.collection`` times them.
"""

from __future__ import annotations

import importlib

from .entry import Entry

FAMILIES = (
    "elementwise",
    "reductions",
    "extremes",
    "scans",
    "histograms",
    "transposes",
    "stencils",
    "sorts",
    "normalisation",
    "matmuls",
    "matmuls_tiled",
    "convolutions",
    "filters",
    "fractals",
    "particles",
    "montecarlo",
    "sparse",
    "text",
    "graphs",
    "compaction",
    "fourier",
    "warps",
    "cooperative",
    "language",
)


def entries(family: str) -> list[Entry]:
    """The kernels of one family."""
    found: list[Entry] = importlib.import_module(f"{__name__}.{family}").ENTRIES
    return found


ENTRIES = [entry for family in FAMILIES for entry in entries(family)]
