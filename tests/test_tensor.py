"""Tensors: construction, views, operators, in-place rules, error messages."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import (
    ArgumentError,
    AutogradError,
    DeviceError,
    DtypeError,
    NnliteError,
    ShapeError,
)
from nnlite.kernels.engine import Device
from nnlite.testing import assert_close


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_construction_copies_or_shares() -> None:
    host = values(2, 3)
    made = nl.tensor(host)
    host[0, 0] = 99.0
    assert made.numpy()[0, 0] != 99.0
    array = nl.array(values(4))
    assert nl.Tensor(array).array is array
    assert nl.Tensor(made).array is made.array
    assert nl.tensor(made).array is not made.array
    assert nl.Tensor(array, dtype="float64").array is not array


@pytest.mark.parametrize(
    ("data", "dtype"),
    [(1.5, "float32"), ([1, 2], "int64"), ([1.0, 2], "float32"), (np.zeros(2), "float64")],
)
def test_dtype_of_new_tensors(data: object, dtype: str) -> None:
    assert nl.tensor(data).dtype == dtype
    assert nl.tensor(data, dtype="float64").dtype == "float64"


def test_properties() -> None:
    t = nl.tensor(values(2, 3))
    assert (t.shape, t.ndim, t.size, len(t)) == ((2, 3), 2, 6, 2)
    assert t.device == nl.device("cpu")
    assert t.is_leaf
    assert not t.requires_grad
    assert nl.tensor(2.5).item() == 2.5
    assert float(nl.tensor(2.5)) == 2.5
    assert int(nl.tensor(3)) == 3
    assert bool(nl.tensor([1.0]))
    with pytest.raises(ArgumentError, match="truth value"):
        bool(t)


def test_numpy_takes_tensors() -> None:
    t = nl.tensor(values(2, 3))
    found = np.asarray(t)
    assert found.dtype == np.float32
    assert np.array_equal(found, values(2, 3))
    assert np.array(t, dtype=np.float64).dtype == np.float64


def test_iteration_goes_over_the_first_axis() -> None:
    t = nl.tensor(values(2, 3))
    assert [np.array_equal(row.numpy(), v) for row, v in zip(t, values(2, 3))] == [True, True]
    with pytest.raises(TypeError, match="0-d"):
        iter(nl.tensor(1.0))


def test_format_of_a_scalar() -> None:
    assert f"{nl.tensor(1.25):.1f} {nl.tensor(3)}" == "1.2 tensor(3, dtype=int64)"


def test_repr_shows_items_and_origin() -> None:
    x = nl.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "tensor([1., 2.], dtype=float32, requires_grad=True)"
    assert repr(x + 1.0) == "tensor([2., 3.], dtype=float32, made by add)"
    assert repr(nl.tensor([1])) == "tensor([1], dtype=int64)"


def test_requires_grad_needs_floats() -> None:
    with pytest.raises(DtypeError, match="int64"):
        nl.tensor([1, 2], requires_grad=True)
    x = nl.tensor([1.0], requires_grad=True)
    with pytest.raises(AutogradError, match="detach"):
        (x * 2.0).requires_grad = False


def test_operators_equal_numpy() -> None:
    a, b = values(3, 4), np.abs(values(4, seed=1)) + 0.5
    x, y = nl.tensor(a), nl.tensor(b)
    for found, expected in [
        (x + y, a + b),
        (x - y, a - b),
        (x * y, a * b),
        (x / y, a / b),
        (-x, -a),
        (x + 2, a + 2),
        (2 + x, 2 + a),
        (x - 0.5, a - np.float32(0.5)),
        (0.5 - x, np.float32(0.5) - a),
        (3 * x, 3 * a),
        (x * 3, 3 * a),
        (x / 4, a / 4),
        (1.0 / y, 1 / b),
        (x * np.float64(2.0), a * 2),
        (x**2, a * a),
    ]:
        assert_close(found.numpy(), expected.astype(np.float64), dtype=np.float32, ulp=1)


def test_views_share_memory_and_equal_numpy() -> None:
    a = values(2, 3, 4)
    x = nl.tensor(a)
    for view, expected in [
        (x.reshape(6, 4), a.reshape(6, 4)),
        (x.reshape((4, -1)), a.reshape(4, -1)),
        (x.view(24), a.reshape(24)),
        (x.flatten(), a.reshape(-1)),
        (x.flatten(1), a.reshape(2, 12)),
        (x.flatten(0, 1), a.reshape(6, 4)),
        (x.transpose(0, 2), a.swapaxes(0, 2)),
        (x.transpose(-1, 1), a.swapaxes(-1, 1)),
        (x.permute(1, 2, 0), a.transpose(1, 2, 0)),
        (x.permute((1, 2, 0)), a.transpose(1, 2, 0)),
        (x.reshape(np.int64(24)), a.reshape(24)),
        (x.T, a.T),
        (x[1], a[1]),
        (x[:, 1:, ::-2], a[:, 1:, ::-2]),
        (x[..., 0], a[..., 0]),
        (x[None, 0], a[None, 0]),
    ]:
        assert np.array_equal(view.numpy(), expected)
        assert view.version is x.version
    x.array.data[...] = 0.0
    assert not view.numpy().any()


def test_reshape_copies_what_cannot_be_a_view() -> None:
    x = nl.tensor(values(3, 4))
    flat = x.T.reshape(12)
    assert np.array_equal(flat.numpy(), x.numpy().T.reshape(12))
    assert flat.version is not x.version
    with pytest.raises(ShapeError, match="use reshape"):
        x.T.view(12)
    assert x.T.contiguous().array.is_contiguous
    assert x.contiguous() is x


def test_a_scalar_flattens_to_one_item() -> None:
    assert nl.tensor(3.0).flatten().shape == (1,)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "matmul", "linear"])
def test_mixed_dtypes_are_an_error_that_names_the_operation(name: str) -> None:
    x, y = nl.tensor(values(3, 3)), nl.tensor(values(3, 3), dtype="float64")
    argument = "weight" if name == "linear" else "y"
    with pytest.raises(DtypeError, match=f"^{name}: {argument}: .*float64"):
        getattr(nl.functional, name)(x, y)


@pytest.mark.parametrize(
    ("name", "shape"), [("add", (3, 3)), ("mul", (3, 3)), ("matmul", (3, 3)), ("linear", (3, 3))]
)
def test_two_devices_are_an_error_that_names_the_operation(
    name: str, shape: tuple[int, ...]
) -> None:
    x, y = nl.tensor(values(*shape)), nl.tensor(values(*shape))
    y.array.device = Device("cuda", 0)  # says it lives on a GPU; nothing may be launched
    with pytest.raises(DeviceError, match=f"^{name}: .*cuda:0"):
        getattr(nl.functional, name)(x, y)


@pytest.mark.parametrize("other", [np.ones(3, np.float32), "1", None, [1.0]])
def test_other_operands_are_a_type_error(other: object) -> None:
    x = nl.tensor(values(3))
    with pytest.raises(TypeError, match="expected a Tensor"):
        x * other
    with pytest.raises(TypeError, match="expected a Tensor"):
        other * x


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: x + nl.tensor(values(5)), ShapeError, "add"),
        (
            lambda x: x @ nl.tensor(values(5, 2)),
            ShapeError,
            r"matmul: shapes \(3, 4\) and \(5, 2\)",
        ),
        (lambda x: x.reshape(5, 5), ShapeError, "reshape"),
        (lambda x: x.reshape(5, -1), ShapeError, "reshape"),
        (lambda x: x.transpose(0, 2), ArgumentError, "transpose: dim1: 2"),
        (lambda x: x.permute(0, 0), ShapeError, "permutation"),
        (lambda x: x.flatten(1, 0), ArgumentError, "start_dim 1 lies after end_dim 0"),
        (lambda x: x.flatten(3), ArgumentError, "start_dim: 3"),
        (lambda x: x.sum(axis=2), ArgumentError, "axis"),
        (lambda x: x ** "2", ArgumentError, "exponent"),
        (lambda x: nl.functional.softmax(x, dim=2), ArgumentError, "dim: 2"),
        (lambda x: nl.functional.softmax(x, dim="a"), ArgumentError, "dim: 'a'"),
        (lambda x: x.to("cuda:7"), DeviceError, "cuda:7"),
        (lambda x: x.to(dtype="S3"), NnliteError, "S3"),
    ],
)
def test_wrong_calls(call: object, error: type[Exception], match: str) -> None:
    x = nl.tensor(values(3, 4))
    before = x.numpy()
    with pytest.raises(error, match=match):
        call(x)  # type: ignore[operator]
    assert np.array_equal(x.numpy(), before)


def test_to_another_dtype() -> None:
    x = nl.tensor(values(3))
    assert x.to("cpu") is x
    assert x.to(dtype="float32") is x
    wide = x.to(dtype="float64")
    assert wide.dtype == "float64"
    assert np.array_equal(wide.numpy(), x.numpy().astype(np.float64))


def test_copy_in_place() -> None:
    x = nl.tensor(values(3))
    assert x.copy_(np.zeros(3, np.float32)) is x
    assert not x.numpy().any()
    x.copy_(nl.tensor(values(3)))
    assert np.array_equal(x.numpy(), values(3))
    with pytest.raises(ShapeError):
        x.copy_(np.zeros(4, np.float32))
    with pytest.raises(DtypeError):
        x.copy_(np.zeros(3))
    scores = nl.tensor(values(3), requires_grad=True) * 2.0
    with pytest.raises(AutogradError, match=r"source: .*detach\(\)"):
        x.copy_(scores)
    assert np.array_equal(x.numpy(), values(3))
    x.copy_(scores.detach())
    assert np.array_equal(x.numpy(), 2 * values(3))
    x.requires_grad = True
    with pytest.raises(AutogradError, match="no_grad"):
        x.copy_(np.zeros(3, np.float32))
    with nl.no_grad():
        x.copy_(np.zeros(3, np.float32))


def test_inplace_operators_make_new_tensors() -> None:
    x = nl.tensor(values(3), requires_grad=True)
    first = x
    x += 1.0
    assert x is not first
    assert np.array_equal(first.numpy(), values(3))


def test_deepcopy_is_independent() -> None:
    x = nl.tensor(values(3), requires_grad=True)
    y = copy.deepcopy(x)
    y.array.data[...] = 0.0
    assert np.array_equal(x.numpy(), values(3))
    assert y.requires_grad


def test_seeds_repeat_bit_for_bit() -> None:
    def draw() -> np.ndarray:
        nl.manual_seed(7)
        return nl.init.normal_(nl.tensor(np.zeros(100, np.float32))).numpy()

    assert np.array_equal(draw(), draw())
    first = draw()
    nl.manual_seed(8)
    assert not np.array_equal(first, nl.init.normal_(nl.tensor(first)).numpy())
    with pytest.raises(ArgumentError, match="-1"):
        nl.manual_seed(-1)
