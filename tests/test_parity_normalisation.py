"""Normalisation layers against PyTorch: 40 drawn configurations of each, and their numerics.

Bound: mean and variance are sums of N terms, and the result takes five roundings more:
4 (sqrt(N) + 5) eps of the largest value. Gradients to the input are what is left of dy when its
mean and its part along x are taken away: with few items per row little is left, so the bound is
relative to dy / deviation at least.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError, DtypeError, NnliteError, ShapeError
from nnlite.kernels import norm
from nnlite.nn import functional as F
from nnlite.testing.parity import check_parity

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

EPS = float(np.finfo(np.float32).eps)
CASES = 40


def bound_of(n: int) -> float:
    return 4 * (np.sqrt(n) + 5) * EPS


def floor_of(rows: np.ndarray, eps: float) -> float:
    """Largest 1 / deviation of the rows (and gradients of the outputs reach 2)."""
    return float(2 / np.sqrt(rows.var(axis=-1).min() + eps))


def batch(rng: np.random.Generator, name: str) -> np.ndarray:
    c = int(rng.integers(1, 40))
    rank = 4 if name == "BatchNorm2d" else int(rng.integers(2, 4))
    inner = tuple(map(int, rng.integers(1, 12, rank - 2)))
    return rng.normal(rng.normal(), 2, (int(rng.integers(2, 20)), c, *inner)).astype(np.float32)


def prepared(name: str, rng: np.random.Generator, *args: Any, **options: Any) -> tuple[Any, Any]:
    """Our layer and PyTorch's, with parameters and statistics that are not the first ones."""
    ours, theirs = getattr(nl.nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    for key, value in theirs.state_dict().items():
        if value.dtype == torch.float32:
            drawn = rng.uniform(0.5, 2.0, value.shape).astype(np.float32)
            value.copy_(torch.from_numpy(drawn))
        else:
            value.fill_(int(rng.integers(0, 5)))
        assert key in ours.state_dict()
    return ours, theirs


@pytest.mark.parametrize("case", range(CASES))
@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d"])
def test_batch_norm(name: str, case: int) -> None:
    rng = np.random.default_rng([case, len(name), int(name[-2])])
    x = batch(rng, name)
    n = x.size // x.shape[1]
    options: dict[str, Any] = {
        "eps": float(rng.choice([1e-5, 1e-3])),
        "momentum": (0.1, 0.7, None)[case % 3],
        "affine": bool(case % 4),
        "track_running_stats": bool(case % 5),
    }
    ours, theirs = prepared(name, rng, x.shape[1], **options)
    floor = floor_of(np.moveaxis(x, 1, 0).reshape(x.shape[1], -1), options["eps"])
    for train in (True, False):
        check_parity(ours, theirs, x, bound=bound_of(n), train=train, floor=floor)
    # Twice more in training without loading between: the counter and the statistics go on.
    ours.train()
    theirs.train()
    for _ in range(2):
        y, z = ours(nl.tensor(x)), theirs(torch.from_numpy(x))
    assert np.abs(y.numpy() - z.detach().numpy()).max() <= bound_of(n) * floor * np.abs(x).max()
    for (key, value), (_, peer) in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        error = np.abs(value.numpy() - peer.numpy()).max()
        assert error <= bound_of(n) * np.abs(peer.numpy()).max(), key


@pytest.mark.parametrize("case", range(CASES))
@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_layer_and_rms_norm(name: str, case: int) -> None:
    rng = np.random.default_rng([case, len(name)])
    axes = int(rng.integers(1, 3))
    shape = tuple(map(int, rng.integers(1, 20, axes)))
    if case % 10 == 0:
        shape = (1100,)  # longer than a warp takes
    lead = tuple(map(int, rng.integers(1, 8, int(rng.integers(0, 3)))))
    if case % 10 == 1:
        lead, shape = (1100,), (3,)  # more rows than one block adds up
    x = rng.normal(rng.normal(), 2, (*lead, *shape)).astype(np.float32)
    options: dict[str, Any] = {"elementwise_affine": bool(case % 4)}
    if name == "LayerNorm":
        options["bias"] = bool(case % 3)
        options["eps"] = float(rng.choice([1e-5, 1e-2]))
    else:
        options["eps"] = (None, 1e-5, 0.1)[case % 3]
    ours, theirs = prepared(name, rng, shape if len(shape) > 1 else shape[0], **options)
    rows = x.reshape(-1, int(np.prod(shape)))
    eps = float(options["eps"] or EPS)
    floor = floor_of(rows, eps) if name == "LayerNorm" else 2 / np.sqrt((rows**2).mean(1).min())
    # dw and db add up the rows as well.
    n = max(rows.shape)
    check_parity(ours, theirs, x, bound=bound_of(n), floor=float(floor))


@pytest.mark.parametrize("name", ["InstanceNorm1d", "InstanceNorm2d"])
def test_instance_norm(name: str) -> None:
    for case in range(CASES):
        rng = np.random.default_rng([case, len(name), int(name[-2])])
        shape = (*rng.integers(1, 9, 2), *rng.integers(2, 9, int(name[-2])))
        shape = shape[1:] if case % 7 == 0 else shape
        x = rng.normal(rng.normal(), 2, shape).astype(np.float32)
        options = {"affine": bool(case % 2), "track_running_stats": bool(case % 3)}
        options["momentum"] = (0.1, 0.7, None)[case % 5 % 3]
        channels = int(shape[-1 - int(name[-2])])
        ours, theirs = prepared(name, rng, channels, **options)
        rows = x.reshape(-1, int(np.prod(shape[-int(name[-2]) :])))
        floor = floor_of(rows, 1e-5)
        # PyTorch computes x a - mean a, which cancels where few items of a row lie close together.
        if rows.shape[1] < 9:
            ours.to(dtype="float64")
            theirs.double()
            x = x.astype(np.float64)
        for train in (True, False):
            check_parity(ours, theirs, x, bound=bound_of(x.size), train=train, floor=floor)


@pytest.mark.parametrize("case", range(CASES))
def test_group_norm(case: int) -> None:
    rng = np.random.default_rng(case)
    groups, per = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    inner = tuple(map(int, rng.integers(1, 12, int(rng.integers(0, 3)))))
    if per == 1 and np.prod(inner) == 1:
        inner = (3,)  # PyTorch refuses rows of one item
    lead = int(rng.integers(1, 6))
    x = rng.normal(rng.normal(), 2, (lead, groups * per, *inner))
    rows = x.reshape(lead * groups, -1)
    ours, theirs = prepared("GroupNorm", rng, groups, groups * per, affine=bool(case % 4))
    # PyTorch computes x a - mean a, which cancels where few items of a row lie close together.
    if rows.shape[1] < 5:
        ours.to(dtype="float64")
        theirs.double()
    else:
        x = x.astype(np.float32)
    bound = bound_of(max(rows.shape[1], x.size // (groups * per)))
    check_parity(ours, theirs, x, bound=bound, floor=floor_of(rows, 1e-5))


@pytest.mark.parametrize("shape", [(64, 8), (16, 8, 100)])
def test_a_mean_far_above_the_deviation(shape: tuple[int, ...]) -> None:
    """The formula ``mean(x^2) - mean(x)^2`` loses every digit here; a plain mean three of them."""
    rng = np.random.default_rng(0)
    x = (1e4 + rng.normal(size=shape)).astype(np.float32)
    wide = x.astype(np.float64)
    axes = (0, 2)[: len(shape) - 1]
    expected = wide - wide.mean(axis=axes, keepdims=True)
    expected /= np.sqrt((expected**2).mean(axis=axes, keepdims=True) + 1e-5)
    n = x.size // x.shape[1]
    tolerance = bound_of(n) * np.abs(expected).max()
    mean, var = nl.tensor(np.zeros(8, np.float32)), nl.tensor(np.ones(8, np.float32))
    y = F.batch_norm(nl.tensor(x), mean, var, training=True, momentum=1.0)
    assert np.abs(y.numpy() - expected).max() <= tolerance
    unbiased = wide.var(axis=axes, ddof=1)
    assert np.abs(var.numpy() - unbiased).max() <= bound_of(n) * unbiased.max()
    rows = np.moveaxis(x, 1, 0).reshape(8, -1)
    flat = np.moveaxis(expected, 1, 0).reshape(8, -1)
    assert np.abs(F.layer_norm(nl.tensor(rows), rows.shape[1]).numpy() - flat).max() <= tolerance
    grouped = F.group_norm(nl.tensor(rows[:, None]), 1).numpy()[:, 0]
    assert np.abs(grouped - flat).max() <= tolerance


def test_constant_rows_become_zero() -> None:
    x = nl.tensor(np.full((6, 4, 5), 12345.678, np.float32))
    nothing = np.zeros((6, 4, 5))
    assert np.array_equal(F.layer_norm(x, (4, 5)).numpy(), nothing)
    assert np.array_equal(F.group_norm(x, 2).numpy(), nothing)
    assert np.array_equal(F.batch_norm(x, None, None, training=True).numpy(), nothing)


def test_a_nan_stays_in_its_channel_or_row() -> None:
    x = np.random.default_rng(2).normal(size=(5, 3, 4)).astype(np.float32)
    x[1, 2, 3] = np.nan
    for ours, theirs in (
        (nl.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)),
        (nl.nn.LayerNorm(4), torch.nn.LayerNorm(4)),
        (nl.nn.GroupNorm(3, 3), torch.nn.GroupNorm(3, 3)),
        (nl.nn.RMSNorm(4), torch.nn.RMSNorm(4)),
    ):
        check_parity(ours, theirs, x, bound=bound_of(20), floor=4.0)


def test_runs_repeat_bit_for_bit() -> None:
    x = np.random.default_rng(3).normal(size=(8, 5, 30, 30)).astype(np.float32)
    found = []
    for _ in range(3):
        t = nl.tensor(x, requires_grad=True)
        layer = nl.nn.BatchNorm2d(5)
        layer(t).backward(nl.tensor(x[::-1]))
        found.append((t.grad.numpy(), layer.weight.grad.numpy(), layer.running_var.numpy()))
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other))


def test_the_gradient_of_evaluation_follows_its_statistics() -> None:
    """They may change between forward and backward, as they do when training goes on."""
    x = np.random.default_rng(4).normal(size=(6, 3)).astype(np.float32)
    layer = nl.nn.BatchNorm1d(3)
    layer.eval()
    t = nl.tensor(x, requires_grad=True)
    y = layer(t)
    layer.train()
    layer(nl.tensor(x + 5))
    y.backward(nl.tensor(np.ones_like(x)))
    assert np.abs(t.grad.numpy() - 1 / np.sqrt(1 + 1e-5)).max() <= 4 * EPS


def ones(*shape: int) -> Any:
    return nl.tensor(np.ones(shape, np.float32))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: nl.nn.BatchNorm2d(3)(ones(2, 3, 4)), ShapeError, "BatchNorm2d: x: .* 4 axes"),
        (lambda: nl.nn.BatchNorm1d(3)(ones(2, 4)), ShapeError, "BatchNorm1d: x: .* 3 channels"),
        (lambda: nl.nn.BatchNorm1d(3)(ones(1, 3)), ShapeError, "batch_norm: x: .* two elements"),
        (lambda: F.batch_norm(ones(2, 3), None, None), ArgumentError, "training: False given"),
        (lambda: nl.nn.GroupNorm(2, 3), ArgumentError, "GroupNorm: num_groups: 2 given"),
        (lambda: nl.nn.GroupNorm(2, 4)(ones(1, 6)), ShapeError, r"GroupNorm: x: .*\(n, 4"),
        (lambda: F.group_norm(ones(1, 6), 4), ArgumentError, "group_norm: groups: 4 given"),
        (lambda: nl.nn.LayerNorm((2, 3))(ones(3, 2)), ShapeError, r"layer_norm: x: .*\(2, 3\)"),
        (lambda: F.layer_norm(ones(2, 3), 3, ones(2)), ShapeError, "layer_norm: weight: shape"),
        (lambda: F.rms_norm(nl.tensor(np.ones(3, int)), 3), DtypeError, "rms_norm: x: dtype int64"),
        (lambda: F.layer_norm(ones(2, 3), 3, eps=-1), ArgumentError, "layer_norm: eps: -1 given"),
    ],
)
def test_wrong_calls(call: Any, error: type[NnliteError], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_refused_batches_change_no_statistics() -> None:
    layer = nl.nn.BatchNorm1d(3)
    before = layer.state_dict()
    with pytest.raises(ShapeError):
        layer(ones(1, 3))
    with pytest.raises(DtypeError, match="weight: dtype float32"):
        layer(nl.tensor(np.ones((2, 3))))
    assert all(np.array_equal(before[k], v) for k, v in layer.state_dict().items())


def test_reset_and_repr() -> None:
    layer = nl.nn.BatchNorm1d(3)
    first = layer.state_dict()
    layer(ones(4, 3))
    assert layer.num_batches_tracked.item() == 1
    layer.reset_running_stats()
    assert all(np.array_equal(first[k], v) for k, v in layer.state_dict().items())
    layer(ones(4, 3))
    assert layer.num_batches_tracked.item() == 1
    assert "3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True" in repr(layer)
    assert nl.nn.BatchNorm2d(3, bias=False).bias is None
    assert nl.nn.GroupNorm(1, 3, bias=False).bias is None
    assert "(4,), eps=1e-05" in repr(nl.nn.LayerNorm(4))


def test_statistics_of_a_strided_buffer_are_refused() -> None:
    x, buffer = nl.array(np.ones((4, 3), np.float32)), nl.array(np.ones((3, 2), np.float32))
    with pytest.raises(ShapeError, match="running_mean: strides"):
        norm.batch_norm(x, None, None, 1e-5, buffer[:, 0], nl.array(np.ones(3, np.float32)))
