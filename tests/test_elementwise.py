"""What the tests made from the specs do not reach: broadcasting, high ranks, aliasing, casts."""

from __future__ import annotations

import numpy as np
import pytest

from nnlite.kernels import arithmetic
from nnlite.kernels import elementwise as ew
from nnlite.kernels.engine import ArgumentError, Array, ShapeError, array, empty

RNG = np.random.default_rng(0)
SHAPES = [
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((5,), (1,)),
    ((0, 3), (1,)),
    ((2, 1, 3), (4, 1)),
    ((2, 3, 4, 5), (3, 1, 5)),
    ((1, 2, 1, 3, 2), (2, 2, 5, 1, 2)),
    ((2, 1, 2, 1, 2, 1, 2, 3), (2, 2, 1, 2, 2, 1)),
]
OPS = {ew.add: np.add, ew.sub: np.subtract, ew.mul: np.multiply, ew.div: np.divide}


def draw(shape) -> np.ndarray:
    return RNG.uniform(0.5, 2.0, shape).astype(np.float32)


@pytest.mark.parametrize(("one", "other"), SHAPES)
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_broadcasting_is_that_of_numpy(op, one, other):
    for a, b in ((one, other), (other, one)):
        x, y = draw(a), draw(b)
        np.testing.assert_array_equal(op(array(x), array(y)).numpy(), OPS[op](x, y))


@pytest.mark.parametrize(("one", "other"), [s for s in SHAPES if 0 not in s[0]])
def test_gradients_have_the_shapes_of_the_arguments(one, other):
    """The gradient of a repeated item is the sum over its repetitions."""
    x, y = draw(one), draw(other)
    dy = draw(np.broadcast_shapes(one, other))

    def summed(g: np.ndarray, shape) -> np.ndarray:
        extra = g.ndim - len(shape)
        repeated = (i + extra for i, s in enumerate(shape) if s == 1 and g.shape[i + extra] != 1)
        return g.astype(np.float64).sum((*range(extra), *repeated)).reshape(shape)

    expected = {
        arithmetic.add_backward: (dy, dy),
        arithmetic.sub_backward: (dy, -dy),
        arithmetic.mul_backward: (dy * y, dy * x),
        arithmetic.div_backward: (dy / y, -dy * x / (y * y)),
    }
    for backward, (dx, dy_) in expected.items():
        got = backward(array(dy), array(x), array(y))
        for g, whole, shape in zip(got, (dx, dy_), (one, other)):
            assert g.shape == shape
            # np.sum of float64 is exact here but for the few roundings of each term
            np.testing.assert_allclose(g.numpy(), summed(whole, shape), rtol=2e-6)


def test_errors_of_broadcasting_name_both_shapes():
    with pytest.raises(ShapeError, match=r"add: y: shape \(3, 5\) .* shape \(3, 4\) of x"):
        ew.add(empty((3, 4)), empty((3, 5)))


def test_views_in_and_out():
    x = draw((6, 8))
    whole = array(x)
    view = whole[::2, ::-1]
    np.testing.assert_array_equal(ew.neg(view).numpy(), -x[::2, ::-1])
    np.testing.assert_array_equal(ew.add(view.T, view.T).numpy(), 2 * x[::2, ::-1].T)
    assert ew.accumulate(view, array(np.ones(8, np.float32))) is view
    x[::2, ::-1] += 1
    np.testing.assert_array_equal(whole.numpy(), x)
    assert ew.fill(whole[1:2], 7) is not whole
    x[1] = 7
    np.testing.assert_array_equal(whole.numpy(), x)


@pytest.mark.parametrize("shape", [(65_537, 2), (65_537, 2, 1), (2, 100_000)])
def test_long_axes_of_views(shape):
    """Grid dimensions y and z end at 65535 blocks."""
    x = np.arange(2 * np.prod(shape), dtype=np.float32).reshape(*shape[:-1], 2 * shape[-1])
    np.testing.assert_array_equal(ew.neg(array(x)[..., ::2]).numpy(), -x[..., ::2])


def test_accumulate_to_itself_doubles():
    x = draw((3, 5))
    out = array(x)
    np.testing.assert_array_equal(ew.accumulate(out, out).numpy(), x + x)


@pytest.mark.parametrize("call", [lambda a: ew.accumulate(a, a), lambda a: ew.fill(a, 1.0)])
def test_broadcast_views_are_not_written(call):
    repeated = array(draw((1, 3))).broadcast_to((4, 3))
    with pytest.raises(ShapeError, match="repeat items, expected an array that is not a broadcast"):
        call(repeated)


def test_copy_is_contiguous_and_apart():
    x = array(draw((4, 5)))
    y = ew.copy(x.T)
    assert y.is_contiguous
    assert not np.shares_memory(x.data, y.data)
    np.testing.assert_array_equal(y.numpy(), x.numpy().T)


@pytest.mark.parametrize("source", ["f4", "f8", "i4", "i8", "u1", "?"])
@pytest.mark.parametrize("target", ["f4", "f8", "i4", "i8", "u1", "?"])
def test_cast_is_that_of_numpy(source, target):
    x = np.array([[0.0, 1.0, 2.75], [0.5, 100.0, 3.0]]).astype(source)
    for given in (array(x), array(x).T):
        got = ew.cast(given, target)
        assert got.dtype == np.dtype(target)
        np.testing.assert_array_equal(got.numpy(), given.numpy().astype(target))


def test_power_and_its_gradient():
    x = np.array([0.0, 0.5, 3.0], np.float32)
    with np.errstate(divide="ignore"):
        for exponent in (0, 1, 2, 3, -1, 0.5):
            np.testing.assert_allclose(
                ew.pow(array(x), exponent).numpy(), x.astype(np.float64) ** exponent, rtol=1e-6
            )
    one = array(np.ones(3, np.float32))
    np.testing.assert_array_equal(ew.pow_backward(one, array(x), 0).numpy(), np.zeros(3))
    np.testing.assert_array_equal(ew.pow_backward(one, array(x), 2).numpy(), 2 * x)
    np.testing.assert_allclose(ew.pow_backward(one, array(x), 3).numpy(), 3 * x * x, rtol=1e-6)


def test_gradients_of_the_unary_functions():
    x, dy = draw((3, 7)), draw((3, 7))
    wide, dwide = x.astype(np.float64), dy.astype(np.float64)
    pairs: list[tuple[Array, np.ndarray]] = [
        (ew.exp_backward(array(dy), ew.exp(array(x))), dwide * np.exp(wide)),
        (ew.log_backward(array(dy), array(x)), dwide / wide),
        (ew.sqrt_backward(array(dy), array(x)), dwide / (2 * np.sqrt(wide))),
    ]
    for got, expected in pairs:
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)


def test_scalars_must_be_numbers():
    x = array(draw(3))
    for call in (lambda: ew.scale(x, x), lambda: ew.fill(x, None), lambda: ew.pow(x, "2")):
        with pytest.raises(ArgumentError, match="given, expected a real number"):
            call()
