"""Losses and dropout by 128-bit access on a GPU: right results, checked on a CPU."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace

import numpy as np
import pytest

from nnlite.kernels import all_specs, dropout, loss
from nnlite.kernels.elementwise import wide_broadcast
from nnlite.kernels.loss import wide
from nnlite.testing.compare import assert_same_bits
from nnlite.testing.pretend import run, sums_to, tables

OPS = {spec.name: spec for spec in all_specs()}
SIZES = (3, 37, 1030, 8203)


@pytest.fixture
def at(monkeypatch):
    """Lets the launchers of losses choose as for arrays of a GPU that begin at a place."""

    def begin(head):
        monkeypatch.setattr(wide, "head_of", lambda *lines: head)
        monkeypatch.setattr(wide_broadcast, "shared_head", lambda *arrays: head)

    return begin


# Each function, each way to reduce with a function of numbers and of logits: the kernels of a
# function differ in what they compute for an item, and each takes seconds to compile.
@pytest.mark.parametrize(
    ("name", "reduction"),
    [("mse", "none"), ("smooth_l1", "mean"), ("smooth_l1", "none"), ("bce_logits", "mean")],
)
def test_losses(name, reduction, at):
    spec, number = OPS[name], {"beta": 0.5} if name == "smooth_l1" else {}
    forward = functools.partial(getattr(loss, name), **number)
    extra = (None, None) if name == "bce_logits" else ()
    options = {"reduction": reduction, **number}
    for head, n in enumerate(SIZES):
        at(head)
        p, t = (x[0] for x in tables(n, 1, n, 2))
        t = np.abs(t) / 8 if extra else t
        found, names = run(forward, p, t, *extra, reduction)
        each = reduction == "none"
        assert names[0] == ("each_wide" if each else "total_wide")
        values = [x.astype(np.float64) for x in (p, t)]
        size = spec.magnitude(*values, *extra, **options)
        expected = spec.reference(*values, *extra, **options)
        sums_to(found, expected, size, 1 if each else n, f"{name} of {n}")


# Both gradients of both functions, for both ways to reduce.
@pytest.mark.parametrize(
    ("name", "reduction", "of_target"),
    [
        ("smooth_l1", "mean", False),
        ("smooth_l1", "none", True),
        ("bce_logits", "none", False),
        ("bce_logits", "mean", True),
    ],
)
def test_gradients_are_those_of_the_scalar_kernels(name, reduction, of_target, at, monkeypatch):
    number = {"beta": 0.5} if name == "smooth_l1" else {}
    backward = functools.partial(getattr(loss, f"{name}_backward"), **number)
    extra = (None, None) if name == "bce_logits" else ()
    for head, n in enumerate(SIZES):
        p, t, dloss = (x[0] for x in tables(n, 1, n, 3))
        dloss = dloss if reduction == "none" else np.array(1.5, np.float32)

        def gradient(*arrays):
            return backward(*arrays, *extra, reduction, of_target=of_target)

        with monkeypatch.context() as patch:
            expected, names = run(gradient, dloss, p, t)
            assert names == ["gradient"]
            patch.setattr(wide, "head_of", lambda *lines: head)  # noqa: B023
            found, names = run(gradient, dloss, p, t)
        assert names == ["gradient_wide"]
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=5e-7, atol=1e-12)


# Losses, reductions, whether of the target, and shapes of the weights beside (2, 3, n): each of the
# kernels, the one for each item with both functions. Others differ in what is done with an item.
WEIGHTS = (
    ("bce", "none", False, ((2, 3, 1),)),
    ("bce_logits", "sum", False, ((), None)),
    ("bce_logits", "none", True, (None, (3, 1))),
    ("bce_logits", "sum", False, (("n",), (2, 3, "n"))),
    ("bce_logits", "none", True, ((2, 1, "n"), ("n",))),
)


@pytest.mark.parametrize(("name", "reduction", "of_target", "shapes"), WEIGHTS)
def test_weighted_losses(name, reduction, of_target, shapes, monkeypatch):
    """Bits of the scalar kernels, but where sums are added in another order."""
    forward, backward = getattr(loss, name), getattr(loss, f"{name}_backward")
    each, spec = reduction == "none", OPS[name]
    for head, n in enumerate((1, 5, 12, 231)):
        p, t, dloss = (x.reshape(2, 3, n) for x in tables(n, 6, n, 3))
        p, t = (1 / (1 + np.exp(-p)) if name == "bce" else p), np.abs(t) % 1
        sizes = [s if s is None else tuple(n if k == "n" else k for k in s) for s in shapes]
        rng = np.random.default_rng(n)
        weights = [s if s is None else np.asarray(rng.random(s), np.float32) for s in sizes]
        dloss = dloss if each else np.array(1.5, np.float32)
        call = functools.partial(backward, of_target=of_target)
        expected, _ = run(call, dloss, p, t, *weights, reduction)
        losses, _ = run(forward, p, t, *weights, reduction)
        with monkeypatch.context() as patch:
            patch.setattr(wide, "head_of", lambda *lines: head)  # noqa: B023
            patch.setattr(wide_broadcast, "shared_head", lambda *arrays: head)  # noqa: B023
            found, names = run(forward, p, t, *weights, reduction)
            assert "weighted_each_wide" in names if each else "weighted_total_wide" in names
            slope, names = run(call, dloss, p, t, *weights, reduction)
        assert names[-1] == "weighted_gradient_wide"
        assert_same_bits(slope.numpy(), expected.numpy())
        if each:
            assert_same_bits(found.numpy(), losses.numpy())
        else:
            values = [None if x is None else x.astype(float) for x in (p, t, *weights)]
            size = spec.magnitude(*values, reduction=reduction)
            sums_to(found, spec.reference(*values, reduction=reduction), size, p.size, name)


def test_a_total_of_parts(at, monkeypatch):
    monkeypatch.setattr(loss.launchers, "PART", 1030)
    at(3)
    p, t = (x[0] for x in tables(1, 1, 3 * 1030 + 7, 2))
    found, names = run(loss.mse, p, t, "sum")
    assert names[0] == "total_wide"
    terms = (p.astype(float) - t) ** 2
    sums_to(found, np.asarray(terms.sum()), np.asarray(2 * terms.sum()), p.size, "sum of parts")
    p[5] = math.nan
    found, _ = run(loss.mse, p, t, "sum")
    assert math.isnan(found.item())


@pytest.mark.parametrize("n", [16, 1040, 16 * 300])
def test_dropout_gives_the_bits_of_the_scalar_kernel(n, monkeypatch):
    (x,) = (t[0] for t in tables(n, 1, n, 1))
    expected, names = run(dropout.dropout, x, 0.25, 2**40 + n)
    assert names == ["dropout"]
    monkeypatch.setattr(dropout, "_is_wide", lambda x, y: True)
    found, names = run(dropout.dropout, x, 0.25, 2**40 + n)
    assert names == ["dropout_wide"]
    assert_same_bits(found.numpy(), expected.numpy())


def test_which_lines_dropout_takes_four_at_a_time():
    def line(n, place=0, kind="cuda", dtype="float32"):
        buffer, device = SimpleNamespace(pointer=1 << 20), SimpleNamespace(kind=kind)
        dtype = np.dtype(dtype)
        return SimpleNamespace(size=n, buffer=buffer, offset=place, dtype=dtype, device=device)

    assert dropout._is_wide(line(32), line(32))
    assert not dropout._is_wide(line(36), line(36))  # the second quarter begins elsewhere
    assert not dropout._is_wide(line(32, 4), line(32, 4))
    assert not dropout._is_wide(line(32, dtype="float64"), line(32, dtype="float64"))
    assert not dropout._is_wide(line(32, kind="cpu"), line(32, kind="cpu"))
