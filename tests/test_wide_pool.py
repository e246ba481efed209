"""Pooling of 2 x 2 cells by 128-bit access on a GPU: bits of the scalar kernels, on a CPU."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from nnlite.errors import DeviceError, DtypeError
from nnlite.kernels import pool
from nnlite.kernels.engine import array
from nnlite.kernels.pool import wide_cells
from nnlite.testing.compare import assert_same_bits
from nnlite.testing.pretend import run, tables

# Planes, and rows and columns of the results; more than one block.
SHAPES = ((1, 1, 4), (3, 5, 8), (2, 7, 36), (5, 33, 8))


@pytest.fixture
def on_a_gpu(monkeypatch):
    def choose():
        monkeypatch.setattr(wide_cells, "takes", lambda cells, *arrays: cells == wide_cells.CELLS)
        monkeypatch.setattr(wide_cells, "begins_aligned", lambda index: True)

    return choose


def images(planes: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """x with equal numbers, infinities, NaN and zeros of both signs; dy."""
    x, dy = (t.reshape(planes, height, -1) for t in tables(width, planes * height, 4 * width, 2))
    x = np.round(x).reshape(planes, 2 * height, 2 * width)
    x[:, ::3, ::5], x[0, 0, 1], x[0, 1, :4] = -0.0, math.inf, (math.nan, 1, -math.inf, -math.inf)
    return x, np.ascontiguousarray(dy[:, :, :width])


@pytest.mark.parametrize("shape", SHAPES)
def test_maximum(shape, on_a_gpu):
    x, dy = images(*shape)
    (y, index), names = run(pool.max_pool2d, x, 2)
    assert names == ["max_cells"]
    dx, _ = run(pool.max_pool2d_backward, dy, index, x.shape, 2)
    on_a_gpu()
    found, names = run(pool.max_pool2d, x, 2)
    assert names == ["max_cells_wide"]
    np.testing.assert_array_equal(found[1].numpy(), index.numpy())
    assert_same_bits(found[0].numpy(), y.numpy())
    found, names = run(pool.max_pool2d_backward, dy, index, x.shape, 2)
    assert names == ["max_cells_backward_wide"]
    assert_same_bits(found.numpy(), dx.numpy())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("divisor", [None, 3])
def test_average(shape, divisor, on_a_gpu):
    options = (2, None, 0, False, True, divisor)
    x, dy = images(*shape)
    y, names = run(pool.avg_pool2d, x, *options)
    assert names == ["average_cells"]
    dx, _ = run(pool.avg_pool2d_backward, dy, x.shape, *options)
    on_a_gpu()
    found, names = run(pool.avg_pool2d, x, *options)
    assert names == ["average_cells_wide"]
    assert_same_bits(found.numpy(), y.numpy())
    found, names = run(pool.avg_pool2d_backward, dy, x.shape, *options)
    assert names == ["average_cells_backward_wide"]
    assert_same_bits(found.numpy(), dx.numpy())


def test_what_is_taken():
    def planes(shape, place=0, kind="cuda"):
        buffer, device = SimpleNamespace(pointer=1 << 20), SimpleNamespace(kind=kind)
        size, dtype = math.prod(shape), np.dtype(np.float32)
        given = {"offset": place, "dtype": dtype, "device": device, "size": size}
        return SimpleNamespace(shape=shape, buffer=buffer, **given)

    large = planes((2, 6, 16))
    assert wide_cells.takes((2, 2), planes((2, 3, 8)), large)
    assert not wide_cells.takes((2, 2), planes((2, 3, 6)), planes((2, 6, 12)))
    assert not wide_cells.takes((2, 2), planes((2, 3, 8), 4), large)
    assert not wide_cells.takes((2, 2), planes((2, 3, 8), kind="cpu"), large)
    assert not wide_cells.takes((1, 2), planes((2, 6, 8)), large)
    assert not wide_cells.takes(None, planes((2, 3, 8)), large)
    assert wide_cells.begins_aligned(planes((1,), 32))
    assert not wide_cells.begins_aligned(planes((1,), 8))


def test_winners_of_another_kind_are_refused(driver):
    dy = array(np.ones((2, 4, 4), np.float32), device="cuda")
    index = np.zeros(dy.shape, np.int32)
    with pytest.raises(DtypeError, match="index: dtype int64 given, expected int32"):
        pool.max_pool2d_backward(dy, array(index.astype(np.int64), device="cuda"), (2, 8, 8), 2)
    with pytest.raises(DeviceError, match="index: on device cpu, expected cuda"):
        pool.max_pool2d_backward(dy, array(index, device="cpu"), (2, 8, 8), 2)
    with pytest.raises(DtypeError, match="index: ndarray given, expected an Array"):
        pool.max_pool2d_backward(dy, index, (2, 8, 8), 2)  # type: ignore[arg-type]
