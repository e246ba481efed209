"""Copies of transposed arrays by 128-bit access on a GPU: right results, checked on a CPU."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from nnlite.kernels.elementwise import convert, transposing, wide_transposing
from nnlite.kernels.engine import array, empty
from nnlite.kernels.engine.resources import ptx
from nnlite.testing.compare import assert_same_bits
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.machine import Machine
from nnlite.testing.pretend import run

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


# Planes, columns and rows; within a tile, over its edges, and of several.
@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 16, 36), (2, 32, 32), (1, 100, 60)])
def test_planes_are_turned(shape, monkeypatch):
    """Also by blocks that take several planes."""
    monkeypatch.setattr(transposing, "MAX_GRID", 2)
    monkeypatch.setattr(wide_transposing, "takes", lambda x, y: True)
    x = numbers(*shape)
    y = empty((shape[0], shape[2], shape[1]))
    _, names = run(transposing.transpose_planes, x, y)
    assert names == ["transpose_wide"]
    assert_same_bits(y.numpy(), x.transpose(0, 2, 1))


def test_more_rows_than_a_grid_has_blocks():
    """As an image of 2048 x 1025 pixels, whose channels are to come last; rows have room behind."""
    x = np.arange(4 * 2048 * 1025, dtype=np.float32).reshape(1, 4, 2048 * 1025)
    y = array(np.full((1, 2048 * 1025, 5), 7, np.float32), device="cpu")
    transposing.transpose_planes(array(x, device="cpu"), y)
    assert_same_bits(y.numpy()[:, :, :4], x.transpose(0, 2, 1))
    assert (y.numpy()[:, :, 4] == 7).all()


@linux
def test_no_bank_is_touched_twice():
    (found,) = wide_transposing.gpu_kernels()
    runs = Machine(ptx(found.kernel, found.signature, "sm_80"))
    x, y = numbers(40, 36), np.zeros((36, 40), np.float32)
    runs.launch((2, 2), (8, 8), x.reshape(-1), y.reshape(-1), 1, 40, 36, 40)
    assert_same_bits(y, x.T)
    assert set(runs.ways.values()) == {1}, runs.ways


def test_rows_with_room_behind_them(monkeypatch):
    monkeypatch.setattr(wide_transposing, "takes", lambda x, y: True)
    x, y = numbers(2, 8, 12), np.full((2, 12, 16), 7, np.float32)
    target = array(y)
    run(transposing.transpose_planes, x, target)
    expected = np.concatenate([x.transpose(0, 2, 1), y[:, :, 8:]], axis=2)
    assert_same_bits(target.numpy(), expected)


def test_what_is_taken():
    def planes(shape, place=0, kind="cuda", dtype="float32"):
        buffer, device = SimpleNamespace(pointer=1 << 20), SimpleNamespace(kind=kind)
        given = {"offset": place, "dtype": np.dtype(dtype), "device": device}
        return SimpleNamespace(shape=shape, buffer=buffer, **given)

    takes = wide_transposing.takes
    y = planes((3, 36, 16))
    assert takes(planes((3, 16, 36)), y)
    assert takes(planes((3, 16, 36)), planes((3, 36, 20), 16))
    assert not takes(planes((3, 16, 36)), planes((3, 36, 18)))
    assert not takes(planes((3, 14, 36)), planes((3, 36, 16)))
    assert not takes(planes((3, 16, 34)), planes((3, 34, 16)))
    assert not takes(planes((3, 16, 36), 4), y)
    assert not takes(planes((3, 16, 36), 4), planes((3, 36, 16), 4))
    assert not takes(planes((3, 16, 36), dtype="float64"), y)
    assert not takes(planes((3, 16, 36), kind="cpu"), y)
    assert not takes(planes((0, 16, 36)), planes((0, 36, 16)))
    assert not takes(planes((1, 1 << 31, 36)), planes((1, 36, 1 << 31)))


@linux
def test_on_a_pretended_gpu():
    """Launchers and code as for a GPU, which a machine runs; some are not taken."""
    with fake_gpu(run="machine") as driver:
        for shape, axes, dtype in (
            ((36, 20), (1, 0), np.float32),
            ((2, 16, 4, 9), (0, 2, 3, 1), np.float32),
            ((34, 20), (1, 0), np.float32),
            ((36, 20), (1, 0), np.float64),
        ):
            x = numbers(*shape).astype(dtype)
            turned = convert.copy(array(x, device="cuda").transpose(*axes))
            assert_same_bits(turned.numpy(), x.transpose(axes))
        names = [name for name, *_ in driver.launches]
    assert names == ["transpose_wide", "transpose_wide", "transpose", "transpose"]
