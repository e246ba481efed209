"""What the tests made from the specs do not reach: far tails, limits, the two backward forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnlite.kernels import activations as act
from nnlite.kernels.engine import array
from nnlite.testing.compare import assert_close

FORWARD = [act.relu, act.leaky_relu, act.sigmoid, act.tanh, act.gelu, act.silu]
BACKWARD = {f: getattr(act, f"{f.__name__}_backward") for f in FORWARD}
INF = math.inf


def values(f, x, **options) -> np.ndarray:
    return f(array(np.array(x, np.float32)), **options).numpy()


def slopes(f, x, **options) -> np.ndarray:
    x = np.array(x, np.float32)
    return BACKWARD[f](array(np.ones_like(x)), array(x), **options).numpy()


def test_limits_at_infinity():
    """Where x times 0 would be NaN, the limit; the signs of the zeros count."""
    expected = {
        act.relu: ([0.0, INF], [0.0, 1.0]),
        act.leaky_relu: ([-INF, INF], [0.01, 1.0]),
        act.sigmoid: ([0.0, 1.0], [0.0, 0.0]),
        act.tanh: ([-1.0, 1.0], [0.0, 0.0]),
        act.gelu: ([-0.0, INF], [0.0, 1.0]),
        act.silu: ([-0.0, INF], [0.0, 1.0]),
    }
    for f, (value, slope) in expected.items():
        for x in ([-INF, INF], [-3e38, 3e38]):
            got = values(f, x)
            if x[1] == INF:
                np.testing.assert_array_equal(got, np.float32(value), f.__name__)
                np.testing.assert_array_equal(np.signbit(got), np.signbit(value), f.__name__)
            np.testing.assert_array_equal(slopes(f, x), np.float32(slope), f.__name__)


def test_limits_of_the_tanh_approximation():
    np.testing.assert_array_equal(values(act.gelu, [-INF, INF], approximate="tanh"), [0.0, INF])
    np.testing.assert_array_equal(slopes(act.gelu, [-INF, INF], approximate="tanh"), [0.0, 1.0])


@pytest.mark.parametrize("f", FORWARD, ids=lambda f: f.__name__)
def test_nan_goes_through(f):
    assert np.isnan(values(f, [np.nan, 1.0])).tolist() == [True, False]


def test_left_tails_keep_relative_precision():
    """(1 + erf(x)) / 2 and 1 - sigmoid(x) would be 0 or off by far here."""
    x = np.linspace(-12, -4, 9, dtype=np.float32)
    wide = x.astype(np.float64)
    phi = np.array([0.5 * math.erfc(-v * math.sqrt(0.5)) for v in wide])
    # The rounding of x / sqrt(2) is magnified x^2 times by erfc; it is rounded twice.
    assert_close(values(act.gelu, x), wide * phi, dtype=np.float32, ulp=2 * 144 + 4)
    assert_close(values(act.sigmoid, x), 1 / (1 + np.exp(-wide)), dtype=np.float32, ulp=4)
    assert_close(values(act.silu, x), wide / (1 + np.exp(-wide)), dtype=np.float32, ulp=4)
    assert_close(slopes(act.tanh, x), 1 / np.cosh(wide) ** 2, dtype=np.float32, ulp=8)


def test_approximations_of_gelu_differ_but_little():
    x = np.linspace(-4, 4, 101)
    exact, close = values(act.gelu, x), values(act.gelu, x, approximate="tanh")
    assert 1e-5 < np.abs(exact - close).max() < 1e-3


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_both_backward_forms_agree(name):
    """From the input and from the output: the same slope up to the rounding of the output."""
    rng = np.random.default_rng(0)
    x, dy = (array(rng.uniform(-3, 3, 1000)) for _ in range(2))
    from_output = getattr(act, f"{name}_backward_from_output")
    got = from_output(dy, getattr(act, name)(x)).numpy()
    expected = getattr(act, f"{name}_backward")(dy, x).numpy()
    # 1 - y loses up to 1 / (1 - y) < 210 of eps, with |x| <= 3
    np.testing.assert_allclose(got, expected, rtol=1000 * np.finfo(np.float64).eps)


def test_slope_of_leaky_relu_is_an_option():
    np.testing.assert_array_equal(
        values(act.leaky_relu, [-2.0, 3.0], negative_slope=0.5), np.float32([-1.0, 3.0])
    )
    np.testing.assert_array_equal(
        slopes(act.leaky_relu, [-2.0, 3.0], negative_slope=0.5), np.float32([0.5, 1.0])
    )
