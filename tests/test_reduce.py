"""Reductions beyond their specs: long axes in parts, ranks, ties, NaN, repeatability."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnlite.kernels import reduce
from nnlite.kernels.engine import ArgumentError, array, zeros
from nnlite.kernels.reduce.kernels import COLUMN_PART, MOST_PARTS, ROW_PART
from nnlite.testing import assert_close, assert_same_bits

# (shape, axis) that take one launch, two launches, rows, columns, or a strided copy.
LONG = [
    ((3 * ROW_PART + 1,), None),
    ((ROW_PART - 1,), None),
    ((2, 2 * ROW_PART + 5), 1),
    ((2 * COLUMN_PART + 3, 5), 0),
    ((4 * COLUMN_PART, 300), 0),
    ((2, COLUMN_PART * 2 + 1, 3), 1),
    ((7, 40, 11), (0, 2)),
    ((2, 3, 4, 5, 6), (1, 3)),
    ((2, 3, 4, 5, 6), (0, 1)),
    ((3, 1, 4), (0, 1)),
]


def normal(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("shape", "axis"), LONG)
def test_long_axes_are_summed_in_parts(device, shape, axis):
    x = normal(shape)
    wide = x.astype(np.float64)
    total = reduce.sum(array(x, device=device), axis)
    terms = x.size // max(total.size, 1)
    bound = {"magnitude": np.abs(wide).sum(axis), "terms": terms, "dtype": np.float32}
    assert_close(total.numpy(), wide.sum(axis), **bound)
    bound["magnitude"] = bound["magnitude"] / terms
    assert_close(reduce.mean(array(x, device=device), axis).numpy(), wide.mean(axis), **bound)


@pytest.mark.parametrize(("shape", "axis"), LONG)
def test_extremes_of_long_axes_are_exact(device, shape, axis):
    x = normal(shape, 1)
    a = array(x, device=device)
    assert np.array_equal(reduce.max(a, axis).numpy(), x.max(axis))
    assert np.array_equal(reduce.min(a, axis).numpy(), x.min(axis))


@pytest.mark.parametrize(("shape", "axis"), LONG)
def test_sums_repeat_bit_for_bit(device, shape, axis):
    a = array(normal(shape, 2), device=device)
    first = reduce.sum(a, axis).numpy()
    for _ in range(3):
        assert_same_bits(reduce.sum(a, axis).numpy(), first)


@pytest.mark.parametrize("place", [0, 1, ROW_PART, 2 * ROW_PART + 7, 3 * ROW_PART])
def test_one_nan_anywhere_wins(device, place):
    x = normal(3 * ROW_PART + 1)
    x[place] = math.nan
    a = array(x, device=device)
    assert math.isnan(reduce.max(a).item())
    assert math.isnan(reduce.min(a).item())
    assert math.isnan(reduce.sum(a).item())
    assert reduce.argmax(a).item() == place


@pytest.mark.parametrize("axis", [0, 1, None])
def test_argmax_takes_the_first_of_equal_maxima(device, axis):
    x = np.random.default_rng(3).integers(0, 3, (300, 290)).astype(np.float32)
    found = reduce.argmax(array(x, device=device), axis)
    assert found.dtype == np.int64
    assert np.array_equal(found.numpy(), x.argmax(axis))


def test_argmax_of_nothing_but_negative_infinity_is_zero(device):
    x = np.full((3, 200), -np.inf, np.float32)
    for axis in (0, 1):
        found = reduce.argmax(array(x, device=device), axis).numpy()
        assert np.array_equal(found, x.argmax(axis))


def test_rank_zero_and_no_axis(device):
    x = array(np.float32(3.5), device=device)
    assert reduce.sum(x).shape == ()
    assert reduce.sum(x).item() == 3.5
    assert reduce.max(x, ()).item() == 3.5
    assert reduce.argmax(x).item() == 0


def test_empty_sums_are_zero_and_empty_means_nan(device):
    x = zeros((0, 3), device=device)
    assert np.array_equal(reduce.sum(x, 0).numpy(), np.zeros(3, np.float32))
    assert np.isnan(reduce.mean(x, 0).numpy()).all()
    assert reduce.sum(x, 1).shape == (0,)
    assert reduce.max(x, 1).shape == (0,)
    with pytest.raises(ArgumentError, match="max: x: shape"):
        reduce.max(x, 0)


def test_ties_share_the_gradient_of_a_maximum(device):
    x = array(np.array([[1, 3, 3], [2, 0, 2]], np.float32), device=device)
    dy = array(np.array([6, 10], np.float32), device=device)
    dx = reduce.extreme_backward(dy, x, reduce.max(x, 1), 1)
    assert dx.numpy().tolist() == [[0, 3, 3], [5, 0, 5]]


def test_sum_to_returns_its_argument_where_nothing_was_broadcast(device):
    x = array(normal((2, 3)), device=device)
    assert reduce.sum_to(x, (2, 3)) is x


def test_parts_have_a_limit():
    from nnlite.kernels.reduce.kernels import _parts

    assert _parts(10**9, ROW_PART, False) == MOST_PARTS
    assert _parts(10**9, ROW_PART, True) == 1
    assert _parts(1, ROW_PART, False) == 1
