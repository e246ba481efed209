"""Batch normalisation by 128-bit access on a GPU, in parts: right results, checked on a CPU."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from nnlite.kernels import all_specs
from nnlite.kernels.engine import array
from nnlite.kernels.norm import batch, batch_columns_wide, batch_wide
from nnlite.kernels.norm.specs import normalised
from nnlite.testing.compare import assert_close, assert_same_bits
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.pretend import pretend, run, sums_to

OPS = {spec.name: spec for spec in all_specs()}
EPS = 1e-5
SHAPES = ((1, 3, 9), (5, 2, 49), (19, 3, 37), (3, 2, 1030))


@pytest.fixture
def on_a_gpu(monkeypatch):
    def choose(head, part=40):
        monkeypatch.setattr(batch_wide, "SPLIT", 4)
        monkeypatch.setattr(batch_wide, "PART", part)
        pretend(monkeypatch, head, batch)

    return choose


def images(seed, shape, count):
    rng = np.random.default_rng(seed)
    drift = rng.standard_normal((1, shape[1], 1)) * 3
    return [(rng.standard_normal(shape) + drift).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize(("i", "shape"), list(enumerate(SHAPES)))
@pytest.mark.parametrize("part", [40, 10**6])
def test_training(i, shape, part, on_a_gpu):
    on_a_gpu(i, part)
    x, dy = images(i, shape, 2)
    weight, bias = images(i + 9, (1, shape[1], 2), 1)[0][0].T.copy()
    means, variances = np.zeros(shape[1], np.float32), np.ones(shape[1], np.float32)
    (y, stats), names = run(batch.batch_norm, x, weight, bias, EPS, means, variances, 0.25)
    kernels = ["batch_parts_wide", "batch_combine_wide", "batch_apply_wide"]
    assert names == kernels
    count = x.size // shape[1]
    values = (x.astype(float), weight.astype(float), bias.astype(float))
    spec = OPS["batch_norm"]
    expected = spec.reference(*values, eps=EPS)
    sums_to(y, expected, spec.magnitude(*values, eps=EPS), count, "y")
    found, names = run(batch.batch_norm_backward, dy, x, weight, stats)
    assert names[0] == "batch_sums_wide"
    assert names[-1] == "batch_slopes_wide"
    for a, b, size, what in zip(found, *gradients(dy, x, weight), ("dx", "dw", "db"), strict=True):
        sums_to(a, b, size, count, what)


def gradients(dy, x, weight):
    """(dx, dw, db) and the sizes of their terms, for x (n, c, l)."""
    x, g, side, axes = x.astype(float), dy.astype(float), (1, -1, 1), (0, 2)
    hat, size = normalised(x, axes, EPS)
    scale = weight.astype(float).reshape(side) / np.sqrt(x.var(axes, keepdims=True) + EPS)
    mean = g.mean(axes, keepdims=True) + hat * (g * hat).mean(axes, keepdims=True)
    terms = np.abs(g) + np.abs(g).mean(axes, keepdims=True)
    terms += size * (np.abs(g) * size).mean(axes, keepdims=True)
    sums = (np.abs(g) * size).sum(axes), np.abs(g).sum(axes)
    values = (g - mean) * scale, (g * hat).sum(axes), g.sum(axes)
    return values, (terms * np.abs(scale), *sums)


@pytest.mark.parametrize(("n", "c"), [(2, 4), (9, 36), (40, 132), (70, 260)])
@pytest.mark.parametrize("part", [8, 10**6])
def test_columns(n, c, part, monkeypatch):
    """(n, c), four channels to a thread, in several parts or one."""
    monkeypatch.setattr(batch_columns_wide, "COLUMN_PART", part)
    monkeypatch.setattr(batch_columns_wide, "takes", lambda *arrays: True)
    x, dy = (a.reshape(n, c) for a in images(n, (n, c, 1), 2))
    weight, bias = images(c, (1, c, 2), 1)[0][0].T.copy()
    means, variances = np.zeros(c, np.float32), np.ones(c, np.float32)
    kept = batch.empty((c,)).copy_from(means), batch.empty((c,)).copy_from(variances)
    (y, stats), names = run(batch.batch_norm, x, weight, bias, EPS, *kept, 0.25)
    assert names == ["column_parts_wide", "batch_combine_wide", "column_apply_wide"]
    values = x[..., None].astype(float), weight.astype(float), bias.astype(float)
    spec = OPS["batch_norm"]
    expected, size = spec.reference(*values, eps=EPS), spec.magnitude(*values, eps=EPS)
    sums_to(y, expected[..., 0], size[..., 0], n, "y")
    moved = OPS["batch_norm_statistics"]
    given = values[0], means.astype(float), variances.astype(float)
    where = moved.reference(*given, momentum=0.25), moved.magnitude(*given, momentum=0.25)
    for a, b, size in zip(kept, *where, strict=True):
        sums_to(a, b, size, n, "running statistics")
    found, names = run(batch.batch_norm_backward, dy, x, weight, stats)
    assert names[0] == "column_sums_wide"
    assert names[-1] == "column_slopes_wide"
    expected, sizes = gradients(dy[..., None], x[..., None], weight)
    for a, b, size in zip(found, expected, sizes, strict=True):
        sums_to(a, b.reshape(a.shape), size.reshape(a.shape), n, "gradients")


@pytest.mark.parametrize("length", [1, 9, 131])
def test_given_statistics(length, monkeypatch):
    """The normalisation of inference, by the kernels that apply the statistics of training."""
    monkeypatch.setattr(batch_columns_wide, "takes", lambda *arrays: True)
    pretend(monkeypatch, None if length == 1 else 3, batch)
    (x,) = images(length, (5, 8, length), 1)
    mean, var, weight, bias = images(3, (4, 8, 1), 1)[0][..., 0]
    var = np.abs(var)
    y, names = run(batch.batch_norm_inference, x, mean, var, weight, bias, EPS)
    assert names == ["constants", f"{'column' if length == 1 else 'batch'}_apply_wide"]
    values = [a.astype(float) for a in (x, mean, var, weight, bias)]
    spec = OPS["batch_norm_inference"]
    size = spec.magnitude(*values, eps=EPS)
    expected = spec.reference(*values, eps=EPS)
    assert_close(y.numpy(), expected, dtype=np.float32, magnitude=size)


def fixed(seed, shape, form):
    """dy, x, weight and stats of given mean and variance; dw and db with the sizes of terms."""
    n, c = shape[:2]
    dy, x = (a.reshape(form) for a in images(seed, shape, 2))
    mean, weight, var = images(seed + 5, (1, c, 3), 1)[0][0].T.copy()
    stats, _ = run(batch.batch_norm_constants, mean, np.abs(var) + np.float32(0.1), EPS)
    g, size = dy.reshape(shape).astype(float), np.abs(x.reshape(shape)) + np.abs(mean)[:, None]
    _, _, inverse = (v[:, None].astype(float) for v in stats.numpy())
    hat = (x.reshape(shape).astype(float) - mean[:, None]) * inverse
    sums = (g * hat).sum((0, 2)), g.sum((0, 2))
    return (
        (dy, x, weight, stats),
        sums,
        ((np.abs(g) * size * inverse).sum((0, 2)), np.abs(g).sum((0, 2))),
    )


@pytest.mark.parametrize(
    ("shape", "part"),
    [((5, 2, 49), 40), ((19, 3, 37), 10**6), ((1, 3, 1030), 40), ((70, 36, 1), 8)],
)
def test_gradients_with_given_statistics(shape, part, on_a_gpu, monkeypatch):
    """Each item is read once; dx has the bits of the scalar kernels."""
    n, _, length = shape
    kind = "rows" if length > 1 else "columns"
    arrays, sums, sizes = fixed(n, shape, shape if length > 1 else shape[:2])
    (dx, *_), names = run(batch.batch_norm_backward, *arrays, False)
    assert names == [f"backward_{kind}"]
    monkeypatch.setattr(batch_columns_wide, "COLUMN_PART", part)
    monkeypatch.setattr(batch_columns_wide, "takes", lambda *arrays: True)
    on_a_gpu(n % 4, part)
    (found, *total), names = run(batch.batch_norm_backward, *arrays, False)
    assert names[0] == ("batch_fixed_wide" if length > 1 else "column_fixed_wide")
    assert len(names) == (1 if part > n * length or n == 1 else 2)  # and the sum of the parts
    assert_same_bits(found.numpy(), dx.numpy())
    for a, b, size, what in zip(total, sums, sizes, ("dw", "db"), strict=True):
        sums_to(a, b, size, n * length, what)


@pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
@pytest.mark.parametrize("shape", [(3, 2, 37), (17, 32, 1)])
def test_given_statistics_on_a_pretended_gpu(shape, monkeypatch):
    """Launchers and code as for a GPU, which a machine runs."""
    monkeypatch.setattr(batch_wide, "SPLIT", 4)
    (dy, x, weight, stats), sums, sizes = fixed(1, shape, shape)
    stats, scale = stats.numpy(), stats.numpy()[2] * weight
    with fake_gpu(run="machine") as driver:
        arrays = (array(a, device="cuda") for a in (dy, x, weight, stats))
        dx, *total = (a.numpy() for a in batch.batch_norm_backward(*arrays, False))
        name = "batch_fixed_wide" if shape[2] > 1 else "column_fixed_wide"
        assert [name for name, *_ in driver.launches] == [name]
    assert_same_bits(dx, dy * scale[:, None])
    for a, b, size in zip(total, sums, sizes, strict=True):
        assert_close(a, b, dtype=np.float32, terms=shape[0] * shape[2], magnitude=size)


def test_which_columns_are_taken():
    def table(shape, place=0, kind="cuda"):
        buffer, device = SimpleNamespace(pointer=1 << 20), SimpleNamespace(kind=kind)
        dtype = np.dtype(np.float32)
        return SimpleNamespace(shape=shape, buffer=buffer, offset=place, dtype=dtype, device=device)

    takes = batch_columns_wide.takes
    assert takes(table((16, 32)), table((32,), 64))
    assert not takes(table((16, 32)), table((32,), 4))
    assert not takes(table((16, 32), kind="cpu"))
    assert not takes(table((15, 32)))
    assert not takes(table((16, 28)))
    assert not takes(table((16, 34)))


def test_running_statistics_and_a_mean_far_from_zero(on_a_gpu):
    """The items are whole numbers next to 2^20, which float32 holds; each part has its mean."""
    on_a_gpu(1)
    rng = np.random.default_rng(0)
    deviations = rng.integers(-3, 4, (6, 2, 37)) + 4.0 * np.arange(6)[:, None, None]
    x = (2.0**20 + deviations).astype(np.float32)
    means, variances = (batch.full((2,), v, np.float32, "cpu") for v in (1.0, 2.0))
    (y, _), names = run(batch.batch_norm, x, None, None, EPS, means, variances, 0.25)
    assert names[0] == "batch_parts_wide"
    expected = OPS["batch_norm"].reference(deviations, None, None, eps=EPS)
    np.testing.assert_allclose(y.numpy(), expected, rtol=3e-6, atol=3e-6)
    unbiased = deviations.var((0, 2), ddof=1)
    mean = 2.0**20 + deviations.mean((0, 2))
    np.testing.assert_allclose(means.numpy(), 0.75 + 0.25 * mean, rtol=3e-7)
    np.testing.assert_allclose(variances.numpy(), 1.5 + 0.25 * unbiased, rtol=3e-6)


def test_when_a_channel_is_split(monkeypatch):
    assert batch_wide.splits(8, 1024)
    assert not batch_wide.splits(8, 1023)
    assert not batch_wide.splits(10**6, 1)  # a channel is a column
    assert batch_wide.chunk_of(128, 16, 1024) == 4
    assert batch_wide.chunk_of(128, 2048, 1024) == 128
    assert batch_wide.chunk_of(1, 3, 10**6) == 1
    assert batch_wide.chunk_of(10**5, 1, 9) == 457  # 4113 items; 219 parts


def test_without_a_gpu_nothing_changes():
    (x,) = images(0, (2, 2, 4500), 1)
    _, names = run(batch.batch_norm, x)
    assert names == ["train_rows"]
