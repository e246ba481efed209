"""Arrays and views: NumPy is the reference for every layout."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnlite as nl
from nnlite.kernels.engine import layout
from nnlite.kernels.engine.memory import Array

SHAPES = st.lists(st.integers(0, 4), min_size=0, max_size=4).map(tuple)


def strided(shape: tuple[int, ...]) -> np.ndarray:
    """An array whose axes are permuted, reversed and stepped, on real memory."""
    grown = np.arange(int(np.prod([2 * s + 1 for s in shape])), dtype=np.int32)
    base = grown.reshape([2 * s + 1 for s in shape][::-1]).T
    return base[(*(slice(2 * s - 1, None, -2) if s else slice(0, 0) for s in shape), ...)]


def axis_key(size: int) -> st.SearchStrategy:
    return st.integers(-size, size - 1) | st.slices(size) if size else st.slices(size)


def test_a_copy_finds_its_own_kind():
    a = Array(np.zeros((2, 3), np.int64, order="F"))
    kind = a.kind
    a._kind = kind + 1000  # as another process would number it
    for made in (pickle.loads(pickle.dumps(a)), copy.copy(a), copy.deepcopy(a)):
        assert made.kind == kind
        assert made.data.flags.f_contiguous
        assert (made.shape, made.dtype, made.device) == (a.shape, a.dtype, a.device)


@given(st.data(), SHAPES)
def test_layout_index_is_numpy_s(data, shape):
    base = strided(shape)
    front = data.draw(st.integers(0, len(shape)))
    back = data.draw(st.integers(front, len(shape)))
    middle = data.draw(st.sampled_from([(Ellipsis,), (None, Ellipsis), (Ellipsis, None)]))
    keys = tuple(data.draw(axis_key(s)) for s in shape[:front])
    keys += middle + tuple(data.draw(axis_key(s)) for s in shape[back:])
    expected = base[keys]
    offset, found, strides = layout.index(base.shape, base.strides, keys)
    assert found == expected.shape
    if expected.size:
        start = expected.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        assert offset == start
        moving = [(a, b) for a, b, s in zip(strides, expected.strides, found) if s != 1]
        assert all(a == b for a, b in moving)


@given(st.data(), SHAPES)
def test_layout_transpose_is_numpy_s(data, shape):
    base = strided(shape)
    axes = data.draw(st.none() | st.permutations(range(len(shape))).map(tuple))
    found = layout.transpose(base.shape, base.strides, axes)
    expected = base.transpose(axes)
    assert found == (0, expected.shape, expected.strides)


@given(st.data(), SHAPES)
def test_layout_broadcast_is_numpy_s(data, shape):
    base = strided(shape)
    extra = data.draw(st.lists(st.integers(1, 3), max_size=2).map(tuple))
    target = extra + tuple(s if s != 1 else data.draw(st.integers(1, 3)) for s in shape)
    _, found, strides = layout.broadcast(base.shape, base.strides, target)
    expected = np.broadcast_to(base, target)
    assert found == expected.shape
    if expected.size:
        moving = [(a, b) for a, b, s in zip(strides, expected.strides, target) if s != 1]
        assert all(a == b for a, b in moving)


@given(SHAPES)
def test_layout_contiguity_is_numpy_s(shape):
    for x in (np.zeros(shape, np.float32), strided(shape)):
        found = layout.is_contiguous(x.shape, x.strides, x.itemsize)
        assert found == x.flags.c_contiguous
    assert layout.is_contiguous(shape, layout.contiguous_strides(shape, 4), 4)


@pytest.mark.parametrize(
    ("target", "expected"),
    [((-1,), (12,)), ((3, -1), (3, 4)), ((12, 1), (12, 1)), ((2, -1, 2), (2, 3, 2))],
)
def test_reshape_resolves_the_open_size(target, expected, device):
    x = nl.array(np.arange(12), device=device)
    assert x.reshape(target).shape == x.reshape(*target).shape == expected
    assert np.array_equal(x.reshape(target).numpy(), np.arange(12).reshape(expected))


@pytest.mark.parametrize("target", [(5,), (-1, 5), (-1, -1), (-2, 6), (0, -1)])
def test_reshape_refuses(target, device):
    with pytest.raises(nl.errors.ShapeError, match="reshape"):
        nl.array(np.arange(12), device=device).reshape(target)


def test_reshape_of_a_transposed_view_is_refused(device):
    x = nl.zeros((2, 3), device=device)
    with pytest.raises(nl.errors.ShapeError, match="contiguous"):
        x.T.reshape(6)
    assert x.T.copy().reshape(6).shape == (6,)


def test_dtypes_of_new_arrays(device):
    assert nl.array([1.0, 2.0], device=device).dtype == np.float32
    assert nl.array(1, device=device).dtype == np.int64
    assert nl.array([True], device=device).dtype == np.bool_
    assert nl.array(np.zeros(2), device=device).dtype == np.float64
    assert nl.array([1, 2], dtype="float64", device=device).dtype == np.float64
    assert nl.zeros(3, device=device).dtype == np.float32
    assert nl.full((2, 2), 7, np.int32, device=device).numpy().tolist() == [[7, 7], [7, 7]]


@pytest.mark.parametrize("wrong", ["text", "O", "M8[s]", 3])
def test_wrong_dtype_is_named(wrong):
    with pytest.raises(nl.errors.DtypeError, match="dtype"):
        nl.array([1.0], dtype=wrong)
    with pytest.raises(nl.errors.DtypeError):
        nl.array(["a"])
    with pytest.raises(nl.errors.DtypeError, match="dtype"):
        nl.empty(3, dtype=wrong)


def test_array_copies_and_views_share(device):
    host = np.arange(6, dtype=np.float32).reshape(2, 3)
    x = nl.array(host, device=device)
    host[:] = -1
    assert x.numpy().tolist() == [[0, 1, 2], [3, 4, 5]]
    x[1].copy_from(np.array([7, 8, 9], np.float32))
    assert x.numpy()[1].tolist() == [7, 8, 9]
    x.T[::-1].copy_from(np.zeros((3, 2), np.float32))
    assert not x.numpy().any()
    x.numpy()[:] = 5
    assert not x.numpy().any()


def test_copy_from_refuses_other_shapes_and_dtypes(device):
    x = nl.zeros((2, 3), device=device)
    with pytest.raises(nl.errors.ShapeError, match=r"\(3, 2\).*\(2, 3\)"):
        x.copy_from(np.zeros((3, 2), np.float32))
    with pytest.raises(nl.errors.DtypeError, match="float64.*float32"):
        x.copy_from(np.zeros((2, 3)))


@pytest.mark.parametrize("key", [[0, 1], 1.5, np.array([0]), "a", True])
def test_fancy_indices_are_refused(key, device):
    with pytest.raises(TypeError, match="index"):
        nl.zeros((2, 3), device=device)[key]


def test_index_out_of_bounds(device):
    with pytest.raises(IndexError):
        nl.zeros((2, 3), device=device)[2]
    with pytest.raises(IndexError):
        nl.zeros((2, 3), device=device)[0, 0, 0]


def test_item_needs_one_item(device):
    assert nl.full((1, 1), 3.5, device=device).item() == 3.5
    with pytest.raises(nl.errors.ShapeError, match="item"):
        nl.zeros(2, device=device).item()


def test_broadcast_to_and_its_error(device):
    x = nl.array(np.arange(3, dtype=np.float32), device=device)
    assert x.broadcast_to((2, 3)).numpy().tolist() == [[0, 1, 2], [0, 1, 2]]
    assert 0 in x.broadcast_to((2, 3)).strides
    with pytest.raises(nl.errors.ShapeError, match="broadcast"):
        x.broadcast_to((3, 2))


def test_to_returns_itself_on_the_same_device(device):
    x = nl.zeros(3, device=device)
    assert x.to(device) is x
    assert isinstance(x.to("cpu"), Array)


def test_repr_names_dtype_and_device(device):
    assert "float32" in repr(nl.zeros(1, device=device))
    assert str(device) in repr(nl.zeros(1, device=device))
