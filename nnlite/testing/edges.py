"""Calls that no check leaves to chance: every size around a block, every special value.

Hypothesis searches the rest; it draws any one size of one dimension in a few percent of its
examples only.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnlite.kernels.opspec import Arg, OpSpec

from .strategies import Call, shape_of, special_values

# A case that an op configures itself stands for a size around a block.
CONFIGURED = 160
CONFIGURED_SPECIAL = 12


def boundary_calls(spec: OpSpec) -> Iterator[Call]:
    """float32 calls where each dimension in turn is 0, 1 or next to one or two blocks.

    The combinations of the options take turns. Where the spec configures its own cases,
    CONFIGURED of them instead.
    """
    if spec.configure is not None:
        yield from (_call(spec, *case) for case in configured(spec, CONFIGURED))
        return
    names = list(dict.fromkeys(name for arg in spec.args for name in arg.dims.split()))
    combinations = itertools.cycle(options_of(spec))
    block = spec.block
    for size in (0, 1, block - 1, block, block + 1, 2 * block + 1):
        for varied in names:
            if varied.isdigit():
                continue
            sizes: dict[str, Any] = {
                name: int(name) if name.isdigit() else (2, 3) if name == "..." else 3
                for name in names
            }
            shapes = ((size,), (3, size)) if varied == "..." else (size,)
            for shape in shapes:
                sizes[varied] = shape
                yield _call(spec, sizes, next(combinations))


def special_calls(spec: OpSpec, dtype: Any = np.float32) -> Iterator[Call]:
    """Calls whose float arguments run through the special values, for each combination of options.

    Four calls shift the arguments against each other, so that NaN meets infinity, and so on. Where
    the spec configures its own cases, CONFIGURED_SPECIAL of them.
    """
    dtype = np.dtype(dtype)
    names = dict.fromkeys(name for arg in spec.args for name in arg.dims.split())
    usual: dict[str, Any]
    usual = {n: (4, 9) if n == "..." else int(n) if n.isdigit() else 6 for n in names}
    if spec.configure is not None:
        cases = list(configured(spec, CONFIGURED_SPECIAL, usual))
    else:
        cases = [(usual, options) for options in options_of(spec)]
    for number, (sizes, options) in enumerate(cases):
        for shift in range(4) if spec.configure is None else (number % 4,):
            values = tuple(
                _special(spec, arg, sizes, dtype, shift * (position + 1))
                for position, arg in enumerate(spec.args)
            )
            yield Call(values, ("contiguous",) * len(values), options, dtype)


def configured(
    spec: OpSpec, cases: int, usual: dict[str, Any] | None = None
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Sizes and options of cases that ``spec.configure`` chooses, the same in every run.

    Args:
        cases: how many.
        usual: sizes of the dimensions that it leaves open; 3 and (2, 3) where None.
    """
    assert spec.configure is not None
    rng = np.random.default_rng(seed_of(spec))
    names = dict.fromkeys(name for arg in spec.args for name in arg.dims.split())
    if usual is None:
        usual = {n: int(n) if n.isdigit() else (2, 3) if n == "..." else 3 for n in names}
    combinations = itertools.cycle(options_of(spec))
    for _ in range(cases):
        sizes, options = spec.configure(lambda low, high: int(rng.integers(low, high + 1)))
        yield {**usual, **sizes}, {**next(combinations), **options}


def options_of(spec: OpSpec) -> list[dict[str, Any]]:
    """Every combination of the options; one empty dict where there are none."""
    products = itertools.product(*spec.options.values())
    return [dict(zip(spec.options, values, strict=True)) for values in products]


def random_values(
    arg: Arg, sizes: dict[str, Any], rng: np.random.Generator, smooth: bool = True
) -> np.ndarray:
    """Values of one argument in float64 that float32 holds exactly.

    Args:
        sizes: dimension name -> size.
        smooth: False keeps values away from zero and from each other, where kinks lie, by much
            more than the step of a finite difference.
    """
    shape = shape_of(arg, sizes)
    if arg.kind == "index":
        return rng.integers(0, max(upper_of(arg, sizes), 1), shape)
    low = max(arg.low, 0.0) if arg.kind == "state" else arg.low
    if smooth:
        values = rng.uniform(low, arg.high, shape)
    else:
        count = math.prod(shape)
        most = max(abs(low), abs(arg.high))
        # The offset differs from argument to argument, so that no sum of two is exactly zero.
        steps = (np.arange(count) + rng.uniform(0.5, 1.0)) / (count + 1) * most
        signs = rng.choice([-1.0, 1.0], count) if low < 0 else np.ones(count)
        values = np.clip((rng.permutation(steps) * signs).reshape(shape), low, arg.high)
    return values.astype(np.float32).astype(np.float64)


def upper_of(arg: Arg, sizes: dict[str, Any]) -> int:
    """The bound of an index argument."""
    upper = arg.upper or "0"
    return int(upper) if upper.isdigit() else sizes[upper]


def seed_of(spec: OpSpec) -> int:
    """A seed of the op's own, the same in every run."""
    return zlib.crc32(spec.name.encode())


def _call(spec: OpSpec, sizes: dict[str, Any], options: dict[str, Any]) -> Call:
    rng = np.random.default_rng(seed_of(spec))
    values = [random_values(arg, sizes, rng) for arg in spec.args]
    narrow = tuple(v.astype(np.float32) if v.dtype.kind == "f" else v for v in values)
    return Call(narrow, ("contiguous",) * len(narrow), options)


def _special(
    spec: OpSpec, arg: Arg, sizes: dict[str, Any], dtype: np.dtype, skip: int
) -> np.ndarray:
    shape = shape_of(arg, sizes)
    count = math.prod(shape)
    if arg.kind == "index":
        return (np.arange(count) % upper_of(arg, sizes)).reshape(shape)
    low = max(arg.low, 0.0) if arg.kind == "state" else arg.low
    large = spec.tolerance.terms is None and spec.magnitude is None
    choices = special_values(dtype, low, arg.high, large, arg.bounded)
    picks = itertools.islice(itertools.cycle(choices), skip, skip + count)
    return np.array(list(picks), dtype).reshape(shape)
