"""Normalisation of rows by 128-bit access on a GPU: right results, checked on a CPU."""

from __future__ import annotations

import functools
import sys

import numpy as np
import pytest

from nnlite.kernels import all_specs
from nnlite.kernels.norm import (
    batch_wide,
    row_sums,
    row_wide,
    row_wide_gradients,
    row_wide_slopes,
    rows,
)
from nnlite.kernels.norm.specs import normalised
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.pretend import launched, pretend, run, sums_to, tables

OPS = {spec.name: spec for spec in all_specs()}
LENGTHS = (9, 36, 67, 132, 515, 516, 1030)
EPS = 1e-5
NORMS = {
    "layer_norm": (rows.layer_norm, rows.layer_norm_backward),
    "rms_norm": (rows.rms_norm, rows.rms_norm_backward),
}


@pytest.fixture
def on_a_gpu(monkeypatch):
    return functools.partial(pretend, monkeypatch)


def place(monkeypatch, where: int) -> None:
    """Let weight and bias lie at a place of their own."""
    for module in (row_wide, row_wide_slopes, row_wide_gradients):
        monkeypatch.setattr(module, "place_of", lambda *vectors: np.uint32(where))


def slopes(dy, x, weight, centred: bool):
    """Reference and sizes of (dx, dw, db), in float64."""
    dy, x, weight = (a.astype(np.float64) for a in (dy, x, weight))
    mean = x.mean(1, keepdims=True) if centred else 0.0
    inverse = 1 / np.sqrt(((x - mean) ** 2).mean(1, keepdims=True) + EPS)
    hat = (x - mean) * inverse
    size = normalised(x, (1,), EPS)[1] if centred else 2 * np.abs(hat)
    g = dy * weight
    plain = g.mean(1, keepdims=True) if centred else 0.0
    dx = (g - plain - hat * (g * hat).mean(1, keepdims=True)) * inverse
    terms = np.abs(g) + np.abs(g).mean(1, keepdims=True)
    terms += size * (np.abs(g) * size).mean(1, keepdims=True)
    dw, db = (dy * hat).sum(0), dy.sum(0)
    return (dx, dw, db), (terms * inverse, (np.abs(dy) * size).sum(0), np.abs(dy).sum(0))


@pytest.mark.parametrize(("name", "long"), [("layer_norm", True), ("rms_norm", False)])
def test_rows_are_normalised(name, long, on_a_gpu, monkeypatch):
    if long:
        monkeypatch.setattr(row_wide, "LONGEST", 0)
        monkeypatch.setattr(row_wide_slopes, "LONGEST", 0)
    centred, kind = name == "layer_norm", "_long" if long else ""
    forward, backward = NORMS[name]
    for i, c in enumerate(LENGTHS):
        on_a_gpu(i % 4, rows)
        place(monkeypatch, (i % 4, 4)[i % 2])
        x, dy = tables(i, 1 + i % 3, c, 2)
        weight, bias = tables(i + 50, 1, c, 2)
        vectors = (weight[0], bias[0])[: 1 + centred]
        (y, stats), names = run(forward, x, *vectors)
        assert names == [f"{name}{kind}_wide"]
        spec, options = OPS[name], {"eps": EPS}
        given = (x.astype(float), *vectors)
        sums_to(y, spec.reference(*given, **options), spec.magnitude(*given, **options), c, name)
        (dx, *_), names = run(backward, dy, x, weight[0], stats, False)
        assert names == [f"{name}_backward{kind}_wide"]
        expected, sizes = slopes(dy, x, weight[0], centred)
        sums_to(dx, expected[0], sizes[0], c, f"{name}_backward of {c}")


@pytest.mark.parametrize("name", NORMS)
def test_all_gradients_from_one_read(name, on_a_gpu, monkeypatch):
    """With one row of threads for all rows, more rows than parts, and parts without a row."""
    place(monkeypatch, 0)
    on_a_gpu(0, rows)
    monkeypatch.setattr(row_wide_gradients, "ROWS_OF_PART", 2)
    forward, backward = NORMS[name]
    for n, c in ((1, 12), (7, 36), (41, 68), (13, 132), (9, 520), (6, 1032)):
        x, dy = tables(n, n, c, 2)
        weight = tables(n + 50, 1, c, 1)[0][0]
        (_, stats), _ = run(forward, x, weight)
        gradients, names = run(backward, dy, x, weight, stats)
        assert names[0] == f"{name}_gradients_wide"
        expected, sizes = slopes(dy, x, weight, name == "layer_norm")
        for found, want, size, what in zip(gradients, expected, sizes, ("dx", "dw", "db")):
            sums_to(found, want, size, c + n, f"{what} of {n} rows of {c}")


def groups_of_channels(n, c, length, groups, kind, launch):
    """The kernels for short rows, or those of a ``kind`` of their own, launched in some way."""
    shape = (n, c, length)
    x, dy = (a.reshape(shape) for a in tables(c, n * c, length, 2))
    weight, bias = tables(50, 2, c, 1)[0]
    (y, stats), names = launch(rows.group_norm, x, weight, bias, groups)
    assert names == [f"group_norm{kind}_wide"]
    spec, options, size = OPS["group_norm"], {"groups": groups, "eps": EPS}, c * length // groups
    given = [a.astype(float) for a in (x, weight, bias)]
    sums_to(y, spec.reference(*given, **options), spec.magnitude(*given, **options), size, "y")
    (dx, dw, db), names = launch(rows.group_norm_backward, dy, x, weight, stats, groups)
    sums = "channel_sums_wide" if length > 1 else "column_sums"
    assert names[:2] == [f"group_norm_backward{kind}_wide", sums]
    table = (n * groups, size)
    weights = np.broadcast_to(weight[:, None], shape).reshape(table)
    expected, terms = slopes(dy.reshape(table), x.reshape(table), weights, True)
    sums_to(dx, expected[0].reshape(shape), terms[0].reshape(shape), size, "dx")
    hat, sizes = (a.reshape(shape) for a in normalised(given[0].reshape(table), (1,), EPS))
    g = dy.astype(float)
    count = size + n * length
    sums_to(dw, (g * hat).sum((0, 2)), (np.abs(g) * sizes).sum((0, 2)), count, "dw")
    sums_to(db, g.sum((0, 2)), np.abs(g).sum((0, 2)), n * length, "db")


@pytest.mark.parametrize(
    ("n", "c", "length", "groups"), [(2, 4, 9, 2), (3, 6, 3, 2), (5, 12, 1, 3), (1, 4, 131, 4)]
)
def test_groups_of_channels(n, c, length, groups, on_a_gpu, monkeypatch):
    """Channels that begin within four items, of fewer than four, and of one."""
    on_a_gpu(length % 4, rows, row_sums)
    place(monkeypatch, 4)
    groups_of_channels(n, c, length, groups, "", run)


@pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
def test_long_groups_of_channels(monkeypatch):
    """The code for a GPU, which a machine runs: less to compile than what the checker runs."""
    for module in (row_wide, row_wide_slopes):
        monkeypatch.setattr(module, "LONGEST", 0)
    monkeypatch.setattr(batch_wide, "SPLIT", 4)
    with fake_gpu(run="machine") as driver:
        for n, c, length, groups in ((2, 4, 9, 2), (2, 6, 87, 1)):
            groups_of_channels(n, c, length, groups, "_long", functools.partial(launched, driver))


def test_what_takes_one_read(monkeypatch):
    widest = row_wide_gradients.WIDEST
    place(monkeypatch, 0)
    assert row_wide_gradients.summable(None, 4, 0)
    assert row_wide_gradients.summable(None, widest, 0)
    assert not row_wide_gradients.summable(None, widest + 4, 0)
    assert not row_wide_gradients.summable(None, 6, 0)
    assert not row_wide_gradients.summable(None, 8, 1)
    place(monkeypatch, 2)
    assert not row_wide_gradients.summable(None, 8, 0)


def test_a_mean_far_from_zero_costs_no_digits(on_a_gpu, monkeypatch):
    """The items are whole numbers next to 2^20, which float32 holds."""
    deviations = np.random.default_rng(0).integers(-3, 4, (2, 550)).astype(np.float64)
    on_a_gpu(3, rows)
    place(monkeypatch, 4)
    (y, _), names = run(rows.layer_norm, (2.0**20 + deviations).astype(np.float32))
    assert names == ["layer_norm_wide"]
    expected = OPS["layer_norm"].reference(deviations, None, None, eps=EPS)
    np.testing.assert_allclose(y.numpy(), expected, rtol=2e-6, atol=2e-6)


def test_without_a_gpu_nothing_changes():
    (x,) = tables(0, 3, 36, 1)
    _, names = run(rows.layer_norm, x)
    assert names == ["forward"]
