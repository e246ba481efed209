"""The comparator: it must fail on every kind of difference, and on nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnlite.testing import assert_close, assert_same_bits, difference, same_bits
from nnlite.testing.compare import ulp_size

F32 = np.float32
MAX = float(np.finfo(F32).max)
TINY = float(np.finfo(F32).smallest_subnormal)


def steps(value: float, count: int) -> np.ndarray:
    """The float32 number ``count`` steps above ``value``, as an array of one item."""
    x = F32(value)
    for _ in range(abs(count)):
        x = np.nextafter(x, F32(math.copysign(math.inf, count)))
    return np.array([x], F32)


def check(actual, expected, **options):
    return difference(
        np.asarray(actual, F32), np.asarray(expected, np.float64), dtype=F32, **options
    )


@pytest.mark.parametrize("value", [1.0, 1.5, -3.7, 1e-30, 1e30, 1e-44, 0.0])
def test_ulp_bound_is_sharp(value):
    exact = float(F32(value))
    assert check(steps(exact, 4), [exact]) is None
    assert "exceed the bound" in check(steps(exact, 6), [exact])


def test_ulp_size_is_the_distance_between_neighbours():
    values = np.array([1.0, 1.5, 2.0, 1e-40, TINY, 1e30, 3.0e38], F32)
    assert np.array_equal(ulp_size(values, F32), np.spacing(values).astype(np.float64))
    assert ulp_size(0.0, F32) == TINY
    assert ulp_size(MAX, F32) == 2.0**104
    assert ulp_size(1e300, F32) == 2.0**104
    assert ulp_size(1.0, np.float64) == np.spacing(1.0)


@pytest.mark.parametrize(
    ("actual", "expected", "word"),
    [
        ([1.0, math.nan], [1.0, 2.0], "NaN"),
        ([1.0, 2.0], [1.0, math.nan], "NaN"),
        ([math.nan, math.nan], [math.nan, 0.0], "NaN"),
        ([math.inf], [1.0], "infinity"),
        ([MAX], [math.inf], "infinity"),
        ([math.inf], [-math.inf], "infinity"),
        ([math.inf], [math.nan], "NaN"),
        ([MAX], [1e39], "bound"),
        ([-math.inf], [1e39], "infinity"),
        ([-0.0], [0.0], "sign of zero"),
        ([0.0], [-0.0], "sign of zero"),
        ([0.0], [-1e-60], "sign of zero"),
        ([-1.0], [1.0], "bound"),
        ([1.0], [1.0, 1.0], "shape"),
        ([1.0], 1.0, "shape"),
        ([], [1.0], "shape"),
        ([], [[]], "shape"),
        (np.zeros((0, 3)), np.zeros((3, 0)), "shape"),
        (np.zeros((2, 3)), np.zeros((3, 2)), "shape"),
    ],
)
def test_every_kind_of_difference_is_found(actual, expected, word):
    found = check(actual, expected)
    assert found is not None
    assert word in found


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ([math.nan, 1.0], [math.nan, 1.0]),
        ([math.inf, -math.inf], [math.inf, -math.inf]),
        ([math.inf], [1e39]),
        ([math.inf], [MAX]),
        ([-0.0, 0.0], [-0.0, 0.0]),
        ([-0.0], [-1e-60]),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (1.0, 1.0),
    ],
)
def test_equal_results_pass(actual, expected):
    assert check(actual, expected) is None


def test_one_wrong_element_of_many_is_found_and_named():
    expected = np.random.default_rng(0).normal(size=(50, 60))
    actual = expected.astype(F32)
    assert check(actual, expected) is None
    actual[31, 7] *= F32(1.001)
    found = check(actual, expected)
    assert "1 of 3000" in found
    assert "(31, 7)" in found


def test_dtype_must_be_the_one_asked_for():
    assert "dtype float64" in difference(np.ones(2), np.ones(2), dtype=F32)
    assert "dtype int64" in difference(np.ones(2, np.int64), np.ones(2), dtype=F32)
    assert "dtype int32" in difference(np.ones(2, np.int32), np.ones(2, np.int64))
    assert difference(np.ones(2), np.ones(2)) is None


def test_integers_and_booleans_are_compared_exactly():
    assert difference(np.array([1, 2]), np.array([1, 2])) is None
    assert "1 of 2" in difference(np.array([1, 3]), np.array([1, 2]))
    big = 2**60
    assert difference(np.array([big + 1]), np.array([big])) is not None
    assert difference(np.array([True]), np.array([False])) is not None


def test_reduction_bound_grows_with_the_terms_and_their_size():
    eps = float(np.finfo(F32).eps)
    for n, magnitude in ((1, 1.0), (100, 1.0), (10_000, 50.0)):
        allowed = 4 * math.sqrt(n) * eps * magnitude
        options = {"terms": n, "magnitude": [magnitude]}
        # The result is near 0: only the size of the terms says how much error is right.
        assert check([0.9 * allowed], [0.0], **options) is None
        assert "bound" in check([1.1 * allowed], [0.0], **options)


def test_reduction_still_fails_on_nan_and_infinity():
    options = {"terms": 10, "magnitude": [1e30]}
    assert "NaN" in check([math.nan], [1.0], **options)
    assert "infinity" in check([math.inf], [1.0], **options)


def test_reduction_needs_a_magnitude_that_bounds():
    with pytest.raises(ValueError, match="needs its magnitude"):
        check([1.0], [1.0], terms=3)
    with pytest.raises(ValueError, match="magnitude has shape"):
        check([1.0], [1.0], terms=3, magnitude=[1.0, 1.0])
    for broken in (math.nan, math.inf):
        assert "no finite bound" in check([1.0], [1.0], terms=3, magnitude=[broken])
        assert "no finite bound" in check([1.0], [1.0], magnitude=[broken])


def test_magnitude_of_cancelling_terms_scales_the_ulp():
    assert "bound" in check([1e-6], [0.0])
    assert check([4e-7], [0.0], magnitude=[1.0]) is None
    assert "bound" in check([6e-7], [0.0], magnitude=[1.0])


def test_sign_of_zero_may_be_left_open():
    assert check([-0.0], [0.0], signed_zero=False) is None


def test_assert_close_says_what_differs():
    with pytest.raises(AssertionError, match="relu of x: 1 of 1 elements"):
        assert_close(np.ones(1, F32), np.zeros(1), dtype=F32, what="relu of x")
    assert_close(np.ones(1, F32), np.ones(1), dtype=F32)


def test_same_bits_sees_what_equality_does_not():
    nan = np.array([math.nan], F32)
    other = (nan.view(np.int32) + 1).view(F32)
    assert same_bits(nan, nan.copy())
    assert not same_bits(nan, other)
    assert not same_bits(np.array([0.0]), np.array([-0.0]))
    assert not same_bits(np.zeros(2), np.zeros((1, 2)))
    assert not same_bits(np.zeros(2, F32), np.zeros(2, np.int32))
    with pytest.raises(AssertionError, match="weights differ"):
        assert_same_bits(np.zeros(1), np.ones(1), what="weights")
