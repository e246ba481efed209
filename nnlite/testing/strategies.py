"""Hypothesis strategies for the arguments of an op: shapes, values, layouts, options.

Shapes hold 0, 1, primes and block-1, block, block+1. Values hold NaN, both infinities, -0 and
subnormals next to ordinary numbers. Layouts are those of :mod:`nnlite.testing.layouts`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnlite.kernels.opspec import Arg, OpSpec

from .layouts import LAYOUTS, fits, place

__all__ = ["Call", "calls", "float_arrays", "place", "shapes"]

# Larger arrays come from a seeded generator: Hypothesis spends some 50 us on each element.
DRAWN_ELEMENTS = 48
# Bounds the time of one example, NumPy reference included.
MOST_ELEMENTS = 20_000
SMALL = (1, 2, 3, 0, 5, 7, 13)


@dataclass(frozen=True)
class Call:
    """The arguments of one call: NumPy values, their layouts, the options, the float dtype."""

    values: tuple[np.ndarray | None, ...]
    layouts: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    dtype: np.dtype = np.dtype(np.float32)

    def __repr__(self) -> str:
        """The call, with large arrays shortened, as Hypothesis prints a failing example."""
        arrays = [
            "None"
            if v is None
            else f"{v.dtype}{v.shape} {layout} {np.array2string(v.ravel(), threshold=60)}"
            for v, layout in zip(self.values, self.layouts, strict=True)
        ]
        return f"Call({'; '.join(arrays)}; {self.options})"


def sizes(block: int = 16) -> st.SearchStrategy[int]:
    """Sizes of one dimension: 0, 1, small primes, and around one and two blocks."""
    around = (block - 1, block, block + 1, 2 * block + 1)
    return st.sampled_from(tuple(dict.fromkeys(SMALL + around)))


@st.composite
def shapes(draw: st.DrawFn, min_rank: int = 0, max_rank: int = 4, block: int = 16) -> tuple:
    """Shapes of rank ``min_rank`` to ``max_rank`` with at most MOST_ELEMENTS elements."""
    rank = draw(st.integers(min_rank, max_rank))
    shape: list[int] = []
    for _ in range(rank):
        shape.append(_limited(draw(sizes(block)), shape))
    return tuple(shape)


def _limited(size: int, others: list[int]) -> int:
    """``size``, or 3 where it would make an array of more than MOST_ELEMENTS elements."""
    total = math.prod(max(n, 1) for n in others) * size
    return size if total <= MOST_ELEMENTS else 3


def float_elements(
    dtype: Any,
    low: float = -4.0,
    high: float = 4.0,
    special: bool = False,
    large: bool = False,
    bounded: bool = False,
) -> st.SearchStrategy[float]:
    """Elements in ``[low, high]``; with ``special`` also NaN, inf, -0 and subnormals.

    Args:
        large: together with ``special``: also numbers near the largest finite one. Sums of those
            overflow in an order that no reference can know, so reductions leave them out.
        bounded: nothing outside ``[low, high]`` but NaN.
    """
    width: Literal[32, 64] = 32 if np.dtype(dtype) == np.float32 else 64
    ordinary = st.floats(
        _rounded(low, dtype), _rounded(high, dtype), width=width, allow_subnormal=False
    )
    return (
        ordinary | st.sampled_from(special_values(dtype, low, high, large, bounded))
        if special
        else ordinary
    )


def special_values(
    dtype: Any, low: float, high: float, large: bool, bounded: bool = False
) -> tuple[float, ...]:
    """NaN, infinities, both zeros, subnormals; nothing below zero where ``low >= 0``.

    Args:
        low, high: bounds of the ordinary values, members too.
        large: numbers near the largest finite one; else 1000, which overflows exp but no sum.
        bounded: nothing outside ``[low, high]``.
    """
    info = np.finfo(dtype)
    tiny = float(info.smallest_subnormal)
    values = [math.nan, math.inf, 0.0, tiny, 3 * tiny, float(info.tiny), high]
    values += [float(info.max), float(info.max) / 3] if large else [1000.0]
    negative = [-v for v in values if not math.isnan(v)] if low < 0 else [-0.0]
    found = values + negative + [low]
    return tuple(v for v in found if not bounded or math.isnan(v) or low <= v <= high)


@st.composite
def float_arrays(
    draw: st.DrawFn,
    shape: tuple[int, ...],
    dtype: Any = np.float32,
    low: float = -4.0,
    high: float = 4.0,
    special: bool = False,
    large: bool = False,
    bounded: bool = False,
) -> np.ndarray:
    """Arrays of one shape; small ones drawn element by element, large ones from a drawn seed."""
    dtype = np.dtype(dtype)
    if math.prod(shape) <= DRAWN_ELEMENTS:
        elements = float_elements(dtype, low, high, special, large, bounded)
        return draw(hnp.arrays(dtype, shape, elements=elements, fill=st.nothing()))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return seeded_array(rng, shape, dtype, low, high, special, large, bounded)


def seeded_array(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    dtype: np.dtype,
    low: float,
    high: float,
    special: bool = False,
    large: bool = False,
    bounded: bool = False,
    finite: bool = False,
) -> np.ndarray:
    """Numbers in ``[low, high]``; with ``special`` some four others, as :func:`float_elements`.

    With ``finite`` they are finite: of a row with a NaN, no mistake shows in most reductions.
    """
    values = np.asarray(rng.uniform(low, high, shape)).astype(dtype)
    if special:
        some = rng.random(shape) < 4 / max(math.prod(shape), 1)
        count = int(np.count_nonzero(some))
        choices = np.array(special_values(dtype, low, high, large, bounded))
        values[some] = rng.choice(choices[np.isfinite(choices)] if finite else choices, count)
    return values


def _rounded(value: float, dtype: Any) -> float:
    return float(np.dtype(dtype).type(value))


@st.composite
def calls(
    draw: st.DrawFn,
    spec: OpSpec,
    dtypes: tuple[Any, ...] = (np.float32, np.float64),
    special: bool | None = None,
    strided: bool = True,
) -> Call:
    """Calls of an op: every argument, its layout, and one value of every option.

    Args:
        spec: the op.
        dtypes: the floating-point dtypes to choose from.
        special: draw special values; None draws whether.
        strided: layouts other than contiguous too (never for arguments that are updated).
    """
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    if special is None:
        special = spec.special and draw(st.booleans())
    given: dict[str, int] = {}
    fitting: dict[str, Any] = {}
    if spec.configure is not None:
        given, fitting = spec.configure(lambda low, high: draw(st.integers(low, high)))
    sizes_of = draw_dims(draw, spec, given)
    # float64 runs the same code: the compilations of its strided variants are not worth their time.
    plain = not strided or dtype == np.float64 or draw(st.booleans())
    values: list[np.ndarray | None] = []
    layouts: list[str] = []
    for arg in spec.args:
        if arg.optional and draw(st.booleans()):
            values.append(None)
            layouts.append("contiguous")
            continue
        value = _argument(draw, spec, arg, sizes_of, dtype, special)
        layout = (
            "contiguous" if plain or arg.name in spec.mutates else draw(st.sampled_from(LAYOUTS))
        )
        if layout == "broadcast" and value.ndim and value.size:
            value = np.ascontiguousarray(np.broadcast_to(value[:1], value.shape))
        values.append(value)
        layouts.append(layout if fits(layout, value) else "contiguous")
    options = {name: draw(st.sampled_from(choice)) for name, choice in spec.options.items()}
    options.update(fitting)
    return Call(tuple(values), tuple(layouts), options, dtype)


def draw_dims(draw: st.DrawFn, spec: OpSpec, given: dict[str, int]) -> dict[str, Any]:
    """A size for every symbolic dimension of the spec, and a shape for ``"..."``.

    Args:
        given: sizes that ``spec.configure`` has chosen.
    """
    names = dict.fromkeys(name for arg in spec.args for name in arg.dims.split())
    found: dict[str, Any] = {}
    for name in names:
        if name in given:
            found[name] = given[name]
        elif name == "...":
            found[name] = draw(shapes(block=spec.block))
        elif name.isdigit():
            found[name] = int(name)
        else:
            others = [n for n in found.values() if isinstance(n, int)]
            found[name] = _limited(draw(sizes(spec.block)), others)
    return found


def shape_of(arg: Arg, sizes_of: dict[str, Any]) -> tuple[int, ...]:
    """The shape of an argument, given the sizes of the dimensions."""
    shape: list[int] = []
    for name in arg.dims.split():
        size = sizes_of[name]
        shape.extend(size if name == "..." else (size,))
    return tuple(shape)


def _argument(
    draw: st.DrawFn,
    spec: OpSpec,
    arg: Arg,
    sizes_of: dict[str, Any],
    dtype: np.dtype,
    special: bool,
) -> np.ndarray:
    shape = shape_of(arg, sizes_of)
    if arg.kind == "index":
        upper = int(arg.upper) if arg.upper and arg.upper.isdigit() else sizes_of[str(arg.upper)]
        index = np.dtype(draw(st.sampled_from((np.int64, np.int32))))
        seed = draw(st.integers(0, 2**32 - 1))
        # With nothing to point at (upper is 0) the op must refuse, unless there is no index.
        return np.random.default_rng(seed).integers(0, max(upper, 1), shape).astype(index)
    low = max(arg.low, 0.0) if arg.kind == "state" else arg.low
    large = special and spec.tolerance.terms is None and spec.magnitude is None
    return draw(float_arrays(shape, dtype, low, arg.high, special, large, arg.bounded))
