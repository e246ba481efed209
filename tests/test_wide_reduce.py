"""Reductions by 128-bit access on a GPU: right results and clean accesses, checked on a CPU."""

from __future__ import annotations

import functools
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from nnlite.kernels import all_specs, bias, reduce
from nnlite.kernels.elementwise import wide_columns
from nnlite.kernels.engine import array
from nnlite.kernels.reduce import extremes, kernels, wide, wide_extreme_columns
from nnlite.kernels.update import clip
from nnlite.testing.compare import assert_same_bits
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.pretend import pretend, run, sums_to, tables

OPS = {spec.name: spec for spec in all_specs()}
# Rows for 8, 16 and 32 lanes, for blocks, and for a block that takes more than it holds at a time.
ROWS = ((3, 9), (33, 37), (2, 131), (3, 516), (1, 1030), (1, 8200))
# Columns of one window and of several, whose rows begin anywhere or alike, and a few.
COLUMNS = ((1, 16, 32), (2, 40, 37), (1, 17, 131), (1, 100, 258), (3, 33, 64), (2, 9, 3))


@pytest.fixture
def on_a_gpu(monkeypatch):
    """Lets launchers choose as for arrays of a GPU that begin at a place."""

    def begin(head, *modules):
        pretend(monkeypatch, head, *modules)
        columns_begin_at(monkeypatch, head)

    return begin


def columns_begin_at(patch, head):
    for module in (kernels, bias, extremes):
        patch.setattr(module, "takes_columns", lambda x: True)
    for module in (wide_columns, extremes, wide_extreme_columns):
        patch.setattr(module, "shared_head", lambda *arrays: head)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
def test_rows_and_columns(name, on_a_gpu):
    function, spec = getattr(reduce, name), OPS[name]
    for i, shape in enumerate((*ROWS, *COLUMNS)):
        on_a_gpu(i % 4, kernels)
        (x,) = tables(i, shape[0], math.prod(shape[1:]), 1)
        x = x.reshape(shape)
        found, names = run(function, x, 1)
        assert names == [f"reduce_{'rows' if len(shape) == 2 else 'columns'}_wide"]
        expected = spec.reference(x, axis=1)
        if spec.magnitude is None:
            np.testing.assert_array_equal(found.numpy(), expected)
        else:
            size = spec.magnitude(x, axis=1)
            sums_to(found, expected, size, shape[1], f"{name} of {shape}")


@pytest.mark.parametrize("shape", [(1, 4099), (2, 4 * 1030 + 1), (1, 700, 35), (2, 150, 132)])
def test_parts_of_few_long_rows_and_columns(shape, on_a_gpu, monkeypatch):
    monkeypatch.setattr(wide, "ROW_PART", 1030)
    monkeypatch.setattr(wide_columns, "MANY_BLOCKS", 8)
    on_a_gpu(2, kernels)
    (x,) = tables(5, shape[0], math.prod(shape[1:]), 1)
    x = x.reshape(shape)
    found, names = run(reduce.mean, x, 1)
    assert len(names) == 2
    spec = OPS["mean"]
    sums_to(found, spec.reference(x, axis=1), spec.magnitude(x, axis=1), shape[1], "mean")
    largest, names = run(reduce.max, x, 1)
    assert len(names) == 2
    np.testing.assert_array_equal(largest.numpy(), x.max(1))


def test_nan_wins(on_a_gpu):
    on_a_gpu(3, kernels)
    x = np.zeros((9, 530), np.float32)
    x[0, 0] = x[1, 200] = x[2, 529] = math.nan
    x[3, 7], x[4, 8] = math.inf, -math.inf
    for axis, table in ((1, x), (0, np.pad(x.T, ((0, 0), (0, 27))).copy())):
        for function, expected in ((reduce.max, table.max(axis)), (reduce.min, table.min(axis))):
            found, _ = run(function, table, axis)
            np.testing.assert_array_equal(found.numpy(), expected)


def ties(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Whole numbers, so that many are equal; rows of one number, with NaN, and with infinities."""
    x = np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)
    x[0] = -math.inf
    x[-1, seed % shape[1] :: 7] = (math.nan, math.inf)[seed % 2]
    return x


@pytest.mark.parametrize("part", [8192, 1030])
def test_argmax_of_rows(part, on_a_gpu, monkeypatch):
    """The first of equal numbers and of NaNs, wherever the threads and the parts begin."""
    monkeypatch.setattr(wide, "ROW_PART", part)
    for i, shape in enumerate(((3, 9), (2, 3), (2, 131), (1, 1030), (4, 4099))):
        on_a_gpu(i % 4, extremes)
        for seed in range(3):
            x = ties(shape, i + seed)
            found, names = run(reduce.argmax, x, 1)
            parts = shape[1] // part
            assert names == ["argmax_rows_wide", "argmax_parts_wide"][: 1 + (parts > 1)]
            np.testing.assert_array_equal(found.numpy(), x.argmax(1))


@pytest.mark.parametrize("blocks", [1, 1024])
def test_argmax_of_columns(blocks, on_a_gpu, monkeypatch):
    """The first of equal numbers and of NaNs; more rows than are read at a time, and fewer."""
    monkeypatch.setattr(wide_columns, "MANY_BLOCKS", blocks)
    for i, (outer, n, inner) in enumerate(((1, 1, 4), (2, 7, 35), (1, 40, 130), (3, 200, 64))):
        on_a_gpu(3 - i)
        x = ties((outer * inner, n), i).reshape(outer, inner, n).transpose(0, 2, 1).copy()
        found, names = run(reduce.argmax, x, 1)
        parts = min(n // wide_columns.COLUMN_PART, -(-blocks // outer)) if blocks > 1 else 1
        assert names == ["argmax_columns_wide", "argmax_parts_wide"][: 1 + (parts > 1)]
        np.testing.assert_array_equal(found.numpy(), x.argmax(1))


def test_gradient_of_the_maximum_of_rows(on_a_gpu, monkeypatch):
    for i, shape in enumerate(((3, 9), (2, 131), (1, 1030))):
        x, dy = ties(shape, i), np.linspace(-1, 1, shape[0], dtype=np.float32)
        y = x.max(1)
        expected, names = run(reduce.extreme_backward, dy, x, y, 1)
        assert names == ["share_rows"]
        with monkeypatch.context() as patch:
            pretend(patch, i % 4, extremes)
            found, names = run(reduce.extreme_backward, dy, x, y, 1)
        assert names == ["share_rows_wide"]
        assert_same_bits(found.numpy(), expected.numpy())


def test_gradient_of_the_maximum_of_columns(monkeypatch):
    for i, (outer, n, inner) in enumerate(((1, 3, 5), (2, 41, 36), (1, 9, 259))):
        x = ties((outer * inner, n), i).reshape(outer, inner, n).transpose(0, 2, 1).copy()
        dy, y = np.linspace(-1, 1, outer * inner, dtype=np.float32), x.max(1)
        given = dy.reshape(y.shape), x, y, 1
        expected, names = run(reduce.extreme_backward, *given)
        assert names == ["share_columns"]
        with monkeypatch.context() as patch:
            columns_begin_at(patch, i)
            found, names = run(reduce.extreme_backward, *given)
        assert names == ["share_columns_wide"]
        assert_same_bits(found.numpy(), expected.numpy())


@pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
def test_columns_on_a_pretended_gpu():
    """Launchers and code as for a GPU, which a machine runs; rows and tables begin anywhere."""
    x = ties((2 * 133, 41), 1).reshape(2, 133, 41).transpose(0, 2, 1).copy()
    y, dy = x.max(1), np.ones((2, 133), np.float32)
    with fake_gpu(run="machine") as driver:
        on_gpu = functools.partial(array, device="cuda")
        found = reduce.argmax(on_gpu(x), 1)
        np.testing.assert_array_equal(found.numpy(), x.argmax(1))
        dx = reduce.extreme_backward(on_gpu(dy), on_gpu(x), on_gpu(y), 1)
        attained = (x == y[:, None]) | (np.isnan(x) & np.isnan(y[:, None]))
        expected = attained / attained.sum(1, keepdims=True, dtype=np.float32)
        np.testing.assert_array_equal(dx.numpy(), expected.astype(np.float32))
        line = on_gpu(np.append(np.float32(9), x))[1:].reshape(x.shape)
        np.testing.assert_array_equal(reduce.argmax(line, 1).numpy(), x.argmax(1))
        np.testing.assert_array_equal(reduce.max(line, 1).numpy(), y)
        names = [name for name, *_ in driver.launches]
    assert names == [
        "argmax_columns_wide",
        "share_columns_wide",
        "argmax_columns_wide",
        "reduce_columns_wide",
    ]


@pytest.mark.parametrize(("n", "c", "launches"), [(1, 4, 1), (40, 36, 1), (130, 133, 2)])
def test_gradient_of_the_bias(n, c, launches, on_a_gpu):
    on_a_gpu(n % 4)
    (dy,) = tables(n, n, c, 1)
    db, names = run(bias.bias_grad, dy)
    assert names == ["reduce_columns_wide"] * launches
    sums_to(db, dy.sum(0, dtype=np.float64), np.abs(dy).sum(0), n, f"bias of {n} rows")


@pytest.mark.parametrize("norm_type", [1.0, 2.0, math.inf])
def test_norm_of_gradients(norm_type, monkeypatch):
    """Parts of all gradients, each read once; then the root, and the scaling."""
    spec = OPS["partial_norm"]
    for head, n in enumerate((5, clip.CHUNK, 2 * clip.CHUNK + 4091)):
        monkeypatch.setattr(clip, "_head", lambda line, head=head: head)
        (x,) = (t[0] for t in tables(n, 1, n, 1))
        partial, names = run(clip.partial_norm, x, norm_type)
        assert names == ["partial_norm_wide"]
        expected = spec.reference(x.astype(float), norm_type)
        sums_to(partial, expected, expected, min(n, clip.CHUNK), f"norm {norm_type} of {n}")
        found, names = run(clip.clip_scale, x, np.array(3.0, np.float32), 0.5)
        assert names == ["clip_scale_wide"]
        np.testing.assert_allclose(found.numpy(), x * (0.5 / (3 + clip.TINY)), rtol=3e-7)


def test_which_columns_are_taken():
    def table(shape, place=0, kind="cuda", dtype="float32"):
        buffer, device = SimpleNamespace(pointer=1 << 20), SimpleNamespace(kind=kind)
        dtype = np.dtype(dtype)
        return SimpleNamespace(shape=shape, buffer=buffer, offset=place, dtype=dtype, device=device)

    assert wide_columns.takes_columns(table((1, 16, 32)))
    assert not wide_columns.takes_columns(table((1, 15, 32)))
    assert not wide_columns.takes_columns(table((1, 16, 28)))
    assert wide_columns.takes_columns(table((1, 16, 34), place=4))
    assert not wide_columns.takes_columns(table((1, 16, 32), place=2))
    assert not wide_columns.takes_columns(table((1, 16, 32), kind="cpu"))
    assert not wide_columns.takes_columns(table((1, 16, 32), dtype="float64"))
    assert not wide_columns.takes_columns(table((1, 1 << 31, 32)))


def test_without_a_gpu_nothing_changes():
    (x,) = tables(0, 20, 40, 1)
    for axis, name in ((0, "reduce_columns"), (1, "reduce_rows")):
        _, names = run(reduce.sum, x, axis)
        assert names == [name]
