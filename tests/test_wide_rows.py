"""Rows by 128-bit access on a GPU: right results and clean accesses, checked on a CPU."""

from __future__ import annotations

import functools
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cuda, uint32

from nnlite.kernels import all_specs, softmax
from nnlite.kernels.engine import array, empty, kernel
from nnlite.kernels.reduce import wide_rows
from nnlite.kernels.reduce.wide_rows import LONGEST, row_head, row_launch, row_threads, span_of
from nnlite.kernels.softmax import entropy, plain, weighted, weighted_wide
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.pretend import launched, pretend, run, sums_to, tables

OPS = {spec.name: spec for spec in all_specs()}
# Around what 8, 16 and 32 lanes, two warps and three have; odd lengths begin anywhere.
LENGTHS = (9, 36, 37, 67, 131, 515, 516, 1030)


@pytest.fixture
def on_a_gpu(monkeypatch):
    return functools.partial(pretend, monkeypatch)


# -- who has what ----------------------------------------------------------------------------------
def test_threads_of_a_row():
    assert [row_threads(c) for c in (1, 35, 36, 67, 68, 131)] == [8, 8, 16, 16, 32, 32]
    assert [row_threads(c) for c in (132, 515, 516, 1027, 1028)] == [32, 32, 64, 64, 96]
    assert row_threads(LONGEST + 3) == row_threads(10 * LONGEST) == 512 == LONGEST // 16
    assert row_launch(1, 9) == (1, (8, 32))
    assert row_launch(33, 9) == (2, (8, 32))
    assert row_launch(9, 131) == (2, (32, 8))
    assert row_launch(7, 516) == (7, (64, 1))


@pytest.mark.parametrize("c", [*LENGTHS, LONGEST, LONGEST + 3])
def test_a_row_is_held_by_its_threads(c):
    threads = row_threads(c)
    for before in range(4):
        runs = (c - before) // 4
        assert runs <= (threads * wide_rows.HELD if c <= LONGEST + 3 else runs)
        assert c - 4 * runs <= 6 <= threads  # one item outside the runs to a thread


def test_tables_of_a_gpu_are_taken_if_they_are_aligned_alike():
    def table(place, kind="cuda", dtype="float32"):
        buffer, device = SimpleNamespace(pointer=1 << 20), SimpleNamespace(kind=kind)
        return SimpleNamespace(buffer=buffer, offset=place, dtype=np.dtype(dtype), device=device)

    assert row_head((5, 7), table(0), table(32)) == 0
    assert row_head((5, 7), table(4), table(20)) == 3
    assert row_head((5, 7), table(0), table(4)) is None
    assert row_head((5, 7), table(0, "cpu")) is None
    assert row_head((5, 7), table(0, dtype="float64")) is None
    assert row_head((5, 0), table(0)) is row_head((0, 5), table(0)) is None
    assert row_head((1 << 31, 1), table(0)) is row_head((1, 1 << 31), table(0)) is None
    assert row_head(((1 << 31) - 1, 2), table(0)) == 0


@kernel
def spans(found, c, head):
    row = uint32(cuda.grid(1))
    if row < found.shape[0]:
        found[row, 0], found[row, 1], found[row, 2] = span_of(row, c, head)


@settings(max_examples=60, deadline=None)
@given(c=st.integers(1, 70), head=st.integers(0, 3))
def test_runs_begin_at_multiples_of_16_bytes(c, head):
    found = np.zeros((40, 3), np.int64)
    spans[2, 32](found, np.uint32(c), np.uint32(head))
    start, before, runs = found.T
    np.testing.assert_array_equal(start, c * np.arange(40))
    assert (runs == (c - before) // 4).all()
    assert (before <= np.minimum(c, 3)).all()
    assert ((start + before - head) % 4 == 0)[runs > 0].all()


# -- softmax ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("log", "long"), [(False, False), (True, True)])
def test_softmax_of_rows(log, long, on_a_gpu, monkeypatch):
    if long:
        monkeypatch.setattr(softmax.wide, "LONGEST", 0)
    name = "log_softmax" if log else "softmax"
    kinds = [f"{name}{kind}{'_long' if long else ''}_wide" for kind in ("", "_backward")]
    forward, backward = getattr(plain, name), getattr(plain, f"{name}_backward")
    for i, c in enumerate(LENGTHS):
        on_a_gpu(i % 4, plain)
        x, dy = tables(i, 1 + i % 3, c, 2)
        y, names = run(forward, x)
        assert names == kinds[:1]
        spec = OPS[name]
        sums_to(y, spec.reference(x), spec.magnitude(x), c, f"{name} of {c}")
        dx, names = run(backward, dy, y.numpy())
        assert names == kinds[1:]
        y, dy = y.numpy().astype(float), dy.astype(float)
        weight, scale = (np.exp(y), 1.0) if log else (y, y)
        terms = dy if log else dy * y
        expected = scale * dy - weight * terms.sum(1, keepdims=True)
        size = np.abs(scale * dy) + weight * np.abs(terms).sum(1, keepdims=True)
        sums_to(dx, expected, size * (1 + np.abs(y) * log), c, f"{name}_backward of {c}")


@pytest.mark.parametrize(("log", "long"), [(False, False), (True, True)])
def test_softmax_of_special_values(log, long, on_a_gpu, monkeypatch):
    if long:
        monkeypatch.setattr(softmax.wide, "LONGEST", 0)
    on_a_gpu(1, plain)
    x = np.zeros((8, 550), np.float32)
    x[0, :200] = x[1, 300:] = -math.inf  # all that some threads see
    x[2] = -math.inf
    x[3, 7] = x[4, 549] = math.nan
    x[5, 100] = math.inf
    x[6, 0], x[6, 1] = 3e38, -3e38
    name = "log_softmax" if log else "softmax"
    found, _ = run(getattr(plain, name), x)
    spec = OPS[name]
    with np.errstate(invalid="ignore", divide="ignore"):
        sums_to(found, spec.reference(x.astype(float)), spec.magnitude(x.astype(float)), 550, name)


def cross_entropy_of_rows(i, c, integer, launch):
    (x,) = tables(i, 129, c, 1)
    labels = np.random.default_rng(i).integers(0, c, 129).astype(integer)
    spec, each = OPS["cross_entropy"], {"reduction": "none"}
    (losses, saved), names = launch(entropy.cross_entropy, x, labels, "none")
    assert names == ["loss_wide"]
    size = spec.magnitude(x, labels, **each)
    sums_to(losses, spec.reference(x, labels, **each), size, c, f"losses of {c}")
    dloss = np.linspace(-1, 2, 129, dtype=np.float32)
    dx, names = launch(entropy.cross_entropy_backward, dloss, saved, labels, "none")
    assert names == ["gradient_wide"]
    p = OPS["softmax"].reference(x.astype(float))
    hit = np.arange(c) == labels[:, None]
    size = (OPS["softmax"].magnitude(x) + hit) * np.abs(dloss[:, None])
    sums_to(dx, (p - hit) * dloss[:, None], size, c, f"gradient of {c}")
    dx, _ = launch(entropy.cross_entropy_backward, np.array(3, np.float32), saved, labels)
    sums_to(dx, (p - hit) * 3 / 129, (OPS["softmax"].magnitude(x) + hit) / 43, c, "mean")


@pytest.mark.parametrize("c", [9, 37, 131, 516, 1030])
def test_cross_entropy_of_rows(c, on_a_gpu):
    on_a_gpu(c % 4, entropy)
    cross_entropy_of_rows(c, c, np.int64, run)


def test_wrong_labels_make_nan(on_a_gpu, monkeypatch):
    """On a GPU they are not refused, and nothing outside the row is read."""
    on_a_gpu(0, entropy)
    monkeypatch.setattr(entropy, "require_labels", lambda *given: None)
    (x,) = tables(0, 200, 12, 1)
    labels = np.zeros(200, np.int64)
    labels[:4] = -1, 12, 1 << 32, -(1 << 32)
    (losses, saved), _ = run(entropy.cross_entropy, x, labels, "none")
    dx, _ = run(entropy.cross_entropy_backward, np.ones(200, np.float32), saved, labels, "none")
    for found in (losses.numpy(), dx.numpy().sum(1)):
        assert np.isnan(found).tolist() == [True] * 4 + [False] * 196


def cross_entropy_with_its_options(i, c, integer, smoothing, launch):
    spec, how = OPS["cross_entropy_weighted"], {"reduction": "none", "label_smoothing": smoothing}
    (x,), rng = tables(i, 40, c, 1), np.random.default_rng(i)
    labels, weight = rng.integers(0, c, 40).astype(integer), rng.random(c, np.float32) + 0.25
    call = functools.partial(weighted.cross_entropy_weighted, ignore_index=3, **how)
    (losses, saved), names = launch(call, x, labels, weight)
    assert names[0] == "weighted_loss_wide"
    values = x.astype(float), labels, weight.astype(float)
    size = spec.magnitude(*values, ignore_index=3, **how)
    sums_to(losses, spec.reference(*values, ignore_index=3, **how), size, c, f"losses of {c}")
    dloss = np.linspace(-1, 2, 40, dtype=np.float32)
    backward = functools.partial(weighted.cross_entropy_weighted_backward, **how)
    dx, names = launch(backward, dloss, saved)
    assert names == ["weighted_gradient_wide"]
    p, hit = OPS["softmax"].reference(values[0]), np.arange(c) == labels[:, None]
    target = ((1 - smoothing) * hit + smoothing / c) * weight * (labels != 3)[:, None]
    mass = target.sum(1, keepdims=True)
    size = (OPS["softmax"].magnitude(x) * mass + target) * np.abs(dloss[:, None])
    sums_to(dx, (p * mass - target) * dloss[:, None], size, c, f"gradient of {c}")


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_cross_entropy_with_its_options(smoothing, on_a_gpu, monkeypatch):
    """Class weights, a class that is ignored, a row whose class there is not."""
    for i, c in enumerate((9, 516, 131)):
        on_a_gpu(i % 4, weighted)
        side = (i % 4, None)[i % 2]
        monkeypatch.setattr(weighted_wide, "shared_head", lambda *arrays: side)  # noqa: B023
        cross_entropy_with_its_options(i, c, np.int64, smoothing, run)


@pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
def test_labels_of_32_bits():
    """The code for a GPU, which a machine runs: less to compile than what the checker runs."""
    with fake_gpu(run="machine") as driver:
        launch = functools.partial(launched, driver)
        cross_entropy_of_rows(1, 37, np.int32, launch)
        for smoothing in (0.0, 0.25):
            cross_entropy_with_its_options(2, 37, np.int32, smoothing, launch)


def test_a_class_that_there_is_not_makes_nan(monkeypatch):
    """On a GPU it is not refused, and nothing outside the row is read."""
    monkeypatch.setattr(weighted_wide, "shared_head", lambda *arrays: 0)
    labels, ones = array(np.array([-1, 12, 1 << 32, 5, 11, 0])), array(np.ones(12, np.float32))
    x, numbers = array(tables(0, 6, 12, 1)[0]), (np.float32(1), np.float32(0))
    stats, losses, dx = empty((6, 3)), empty((2, 6)), empty((6, 12))
    ignored = np.int64(weighted.NOTHING_IGNORED), *numbers
    run(weighted_wide.launch_loss, x, labels, ones, ignored, stats, losses, 0)
    saved, g, out = (stats, labels, ones), array(np.ones(6, np.float32)), array(np.ones(2, "f4"))
    run(weighted_wide.launch_gradient, g, out, x, saved, numbers, dx, 0)
    for found in (losses.numpy()[0], dx.numpy().sum(1)):
        assert np.isnan(found).tolist() == [True] * 3 + [False] * 3
