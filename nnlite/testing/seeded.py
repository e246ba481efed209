"""Cases from a seeded generator: the same in every run, as many as a check wants.

They fill up what the calls around a block, the special ones and those that Hypothesis draws leave
of a number that the project promises for each op. All arrays are contiguous, so that the cases
share compiled kernels; strided ones are Hypothesis's part.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnlite.kernels.opspec import Arg, OpSpec

from .edges import options_of, random_values, seed_of
from .strategies import SMALL, Call, seeded_array, shape_of

# Small enough that placing, reference and comparison take about a millisecond.
MOST_ELEMENTS = 2_000
# A central difference costs two references for each element.
GRADIENT_SIZES = (1, 2, 3, 4, 5)


def seeded_calls(spec: OpSpec) -> Iterator[Call]:
    """Calls without end: sizes that are small or next to a block, options in turn.

    A quarter is in float64, half has special values where the spec allows them, a quarter finite
    ones only, and a quarter of the optional arguments is left out.
    """
    rng = np.random.default_rng([seed_of(spec), 1])
    around = (spec.block - 1, spec.block, spec.block + 1, 2 * spec.block + 1)
    choice = [n for n in dict.fromkeys(SMALL + around) if n > 0]
    for options in itertools.cycle(options_of(spec)):
        given, fitting = _configured(spec, rng)
        sizes = _sizes(spec, given, choice, rng)
        dtype = np.dtype(np.float64 if rng.random() < 0.25 else np.float32)
        special = spec.special and rng.random() < 0.5
        finite = rng.random() < 0.5
        values = tuple(
            None
            if arg.optional and rng.random() < 0.25
            else _value(spec, arg, sizes, dtype, special, finite, rng)
            for arg in spec.args
        )
        layouts = ("contiguous",) * len(values)
        yield Call(values, layouts, {**options, **fitting}, dtype)


def gradient_cases(spec: OpSpec) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Sizes and options without end: each dimension in turn next to a block, then small ones."""
    names = list(dict.fromkeys(name for arg in spec.args for name in arg.dims.split()))
    combinations = itertools.cycle(options_of(spec))
    for size in (spec.block - 1, spec.block, spec.block + 1):
        for varied in (name for name in names if not name.isdigit()):
            sizes: dict[str, Any]
            sizes = {n: int(n) if n.isdigit() else (2,) if n == "..." else 2 for n in names}
            sizes[varied] = (size,) if varied == "..." else size
            yield sizes, next(combinations)
    rng = np.random.default_rng([seed_of(spec), 2])
    while True:
        yield _sizes(spec, {}, GRADIENT_SIZES, rng), next(combinations)


def _configured(spec: OpSpec, rng: np.random.Generator) -> tuple[dict[str, int], dict[str, Any]]:
    if spec.configure is None:
        return {}, {}
    return spec.configure(lambda low, high: int(rng.integers(low, high + 1)))


def _sizes(spec: OpSpec, given: dict[str, int], choice: Any, rng: np.random.Generator) -> dict:
    """A size for each dimension, a shape of rank 0 to 4 for ``"..."``; no array too large."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for arg in spec.args for name in arg.dims.split()):
        if name in given or name.isdigit():
            found[name] = given[name] if name in given else int(name)
            continue
        rank = int(rng.integers(0, 5)) if name == "..." else 1
        others = math.prod(n for n in found.values() if isinstance(n, int))
        shape: list[int] = []
        for size in rng.choice(choice, rank):
            room = size * math.prod(shape) * others <= MOST_ELEMENTS
            shape.append(int(size) if room else 2)
        found[name] = tuple(shape) if name == "..." else shape[0]
    return found


def _value(
    spec: OpSpec,
    arg: Arg,
    sizes: dict[str, Any],
    dtype: np.dtype,
    special: bool,
    finite: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    if arg.kind == "index":
        index = np.int32 if rng.random() < 0.5 else np.int64
        return random_values(arg, sizes, rng).astype(index)
    low = max(arg.low, 0.0) if arg.kind == "state" else arg.low
    large = special and spec.tolerance.terms is None and spec.magnitude is None
    shape = shape_of(arg, sizes)
    return seeded_array(rng, shape, dtype, low, arg.high, special, large, arg.bounded, finite)
