"""Losses against PyTorch: value, and gradients for prediction and target, in all reductions.

Bound: a loss of n items is a sum of n terms, each good to some eight roundings: ``4 sqrt(n) eps``
and 16 eps of the largest item compared, which for a mean or a sum is the loss itself: terms of one
sign. Kullback-Leibler divergences cancel: there ``floor`` is the size of the terms.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError, DtypeError, ShapeError
from nnlite.testing.parity import check_parity

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

CASES = 30
EPS = float(np.finfo(np.float32).eps)
SIZES = (1, 2, 3, 5, 7, 16, 31, 33)
REDUCTIONS = ("mean", "sum", "none")


def draw_shape(rng: np.random.Generator, case: int) -> tuple[int, ...]:
    """Ranks 0 to 3, now and then with more items than one block sums up in one part."""
    if case == 11:
        return (300, 67)
    return tuple(int(rng.choice(SIZES)) for _ in range(case % 4))


def bound_of(size: int) -> float:
    return (16 + 4 * math.sqrt(max(size, 1))) * EPS


def number(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.float32(rng.uniform(low, high)))


def weight_for(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray | None:
    """None, or weights of a shape that broadcasts to ``shape``."""
    kind = int(rng.integers(4))
    if kind == 0:
        return None
    kept = shape if kind == 1 else shape[-1:] if kind == 2 else tuple(1 for _ in shape)
    return rng.uniform(0.25, 3.0, kept).astype(np.float32)


def pair(name: str, weights: dict[str, Any], **options: Any) -> tuple[Any, Any]:
    """Our module and PyTorch's with the same options."""
    ours = {key: w if w is None else nl.tensor(w) for key, w in weights.items()}
    theirs = {key: w if w is None else torch.from_numpy(w) for key, w in weights.items()}
    return (
        getattr(nl.nn, name)(**ours, **options),
        getattr(torch.nn, name)(**theirs, **options),
    )


OPTIONS: dict[str, Any] = {
    "MSELoss": lambda rng: {},
    "L1Loss": lambda rng: {},
    "SmoothL1Loss": lambda rng: {"beta": 0.0 if rng.integers(5) == 0 else number(rng, 0.1, 2.0)},
    "HuberLoss": lambda rng: {"delta": number(rng, 0.1, 2.0)},
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", OPTIONS)
def test_distances(name: str, reduction: str) -> None:
    for case in range(CASES):
        rng = np.random.default_rng([3, case])
        shape = draw_shape(rng, case)
        p, t = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
        ours, theirs = pair(name, {}, reduction=reduction, **OPTIONS[name](rng))
        check_parity(ours, theirs, p, t, bound=bound_of(p.size), seed=case)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["BCELoss", "BCEWithLogitsLoss"])
def test_binary_cross_entropy(name: str, reduction: str) -> None:
    for case in range(CASES):
        rng = np.random.default_rng([4, case])
        shape = draw_shape(rng, case)
        weights = {"weight": weight_for(rng, shape)}
        p = (4.0 * rng.normal(size=shape)).astype(np.float32)
        if name == "BCELoss":
            p = rng.uniform(0.02, 0.98, shape).astype(np.float32)
        else:
            weights["pos_weight"] = weight_for(rng, shape)
        t = rng.uniform(size=shape).astype(np.float32)
        if case % 3:
            t = np.asarray(np.round(t))
        ours, theirs = pair(name, weights, reduction=reduction)
        check_parity(ours, theirs, p, t, bound=bound_of(p.size), floor=1.0, seed=case)


@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
def test_kl_divergence(reduction: str, log_target: bool) -> None:
    for case in range(CASES):
        rng = np.random.default_rng([5, case])
        shape = draw_shape(rng, case) or (3,)
        scores = [rng.normal(size=shape) for _ in range(2)]
        logs = [s - np.log(np.exp(s).sum(-1, keepdims=True)) for s in scores]
        x = logs[0].astype(np.float32)
        t = (logs[1] if log_target else np.exp(logs[1])).astype(np.float32)
        ours, theirs = pair("KLDivLoss", {}, reduction=reduction, log_target=log_target)
        floor = float(np.abs(x).max()) * (math.prod(shape[:-1]) if reduction == "sum" else 1)
        check_parity(ours, theirs, x, t, bound=bound_of(x.size), floor=floor, seed=case)


def classes_case(case: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray, dict[str, Any]]:
    """Scores (n, c, ...), labels (n, ...), weights; every fifth case is a single row."""
    rng = np.random.default_rng([6, case])
    c = int(rng.choice((1, 2, 3, 10, 64, 65, 130)))
    outer = [int(rng.choice(SIZES))] + [int(rng.integers(1, 5)) for _ in range(case % 3)]
    x = (3.0 * rng.normal(size=(outer[0], c, *outer[1:]))).astype(np.float32)
    labels = rng.integers(0, c, outer)
    if case % 5 == 4:
        x, labels = x[0, :, ..., 0] if x.ndim == 3 else x.reshape(-1)[:c], np.asarray(c // 2)
        x = x.reshape(c)
    weight = rng.uniform(0.25, 3.0, c).astype(np.float32) if rng.integers(2) else None
    return rng, x, labels, {"weight": weight}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss"])
def test_losses_of_classes(name: str, reduction: str) -> None:
    ignored = 0
    for case in range(CASES + 10):
        rng, x, labels, weights = classes_case(case)
        options: dict[str, Any] = {"reduction": reduction}
        if rng.integers(2):
            options["ignore_index"] = int(rng.choice([-100, 0, -7]))
            labels = np.where(rng.uniform(size=labels.shape) < 0.3, options["ignore_index"], labels)
            ignored += int((labels == options["ignore_index"]).sum())
        if name == "CrossEntropyLoss" and rng.integers(2):
            options["label_smoothing"] = number(rng, 0.0, 0.5)
        ours, theirs = pair(name, weights, **options)
        given = x if name == "CrossEntropyLoss" else np.minimum(x, 0.0)
        check_parity(ours, theirs, given, labels, bound=bound_of(x.size), floor=0.1, seed=case)
    assert ignored > 50


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_probabilities(reduction: str) -> None:
    """The target gets a gradient too; -inf in the logits, where the target is 0, gives NaN."""
    for case in range(CASES):
        rng = np.random.default_rng([8, case])
        n, c = int(rng.integers(1, 6)), int(rng.integers(1, 70 if case % 5 == 0 else 9))
        shape = (c,) if case % 6 == 0 else (n, c, *rng.integers(1, 4, case % 3))
        x = np.asarray(rng.normal(size=shape) * 3, np.float32)
        t = np.asarray(rng.random(shape), np.float32)
        if case % 7 == 0:
            x.reshape(-1)[0] = -np.inf
        options: dict[str, Any] = {"reduction": reduction}
        if case % 2:
            options["label_smoothing"] = float(rng.uniform(0, 1))
        w = np.asarray(rng.random(c), np.float32) if case % 4 > 1 else None
        ours = nl.nn.CrossEntropyLoss(w, **options)
        theirs = torch.nn.CrossEntropyLoss(None if w is None else torch.from_numpy(w), **options)
        check_parity(ours, theirs, x, t, bound=bound_of(x.size), seed=case)


def test_ignored_label_by_default() -> None:
    """The plain kernel refuses -100; the loss then takes the one that knows it."""
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    labels = np.array([0, -100, 3, -100, 1, 2])
    check_parity(
        nl.nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss(), x, labels, bound=bound_of(x.size)
    )
    every = np.full(6, -100)
    loss = nl.functional.cross_entropy(nl.tensor(x, requires_grad=True), every)
    assert math.isnan(loss.item())
    with pytest.raises(ArgumentError, match="-100 given at index 1"):
        nl.functional.cross_entropy(nl.tensor(x), labels, ignore_index=None)
    labels[0] = -3
    with pytest.raises(ArgumentError, match="-3 given at index 0"):
        nl.functional.cross_entropy(nl.tensor(x), labels)


def test_weights_are_buffers_with_pytorchs_names() -> None:
    w = np.ones(3, np.float32)
    for name, given in (("NLLLoss", ["weight"]), ("BCEWithLogitsLoss", ["weight", "pos_weight"])):
        ours, theirs = pair(name, dict.fromkeys(given, w))
        assert list(ours.state_dict()) == list(theirs.state_dict()) == given
        assert list(getattr(nl.nn, name)().state_dict()) == []


def call(name: str, *args: Any, **options: Any) -> Any:
    return lambda: getattr(nl.functional, name)(*args, **options)


X = nl.tensor(np.ones((2, 3), np.float32))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: nl.nn.KLDivLoss("batch"), ArgumentError, "'sum', 'none' or 'batchmean'"),
        (lambda: nl.nn.L1Loss("batchmean"), ArgumentError, "reduction: 'batchmean' given"),
        (lambda: nl.nn.CrossEntropyLoss("mean"), ArgumentError, "weight: 'mean' given"),
        (call("l1_loss", X, X.sum()), ShapeError, r"l1: target: shape \(\) given"),
        (call("huber_loss", X, X, delta=-1.0), ArgumentError, "delta: -1.0 given"),
        (call("smooth_l1_loss", X, X, beta=-1.0), ArgumentError, "beta: -1.0 given"),
        (call("binary_cross_entropy", X, X, X.to(dtype="float64")), DtypeError, "weight: dtype"),
        (call("kl_div", X, X, log_target=1), ArgumentError, "log_target: 1 given"),
        (call("nll_loss", X, [0, 3]), ArgumentError, "labels: 3 given at index 1"),
        (call("nll_loss", X, [[0, 1]]), ShapeError, "labels"),
        (call("cross_entropy", X.reshape(1, 2, 3), [0]), ShapeError, "logits of shape"),
        (call("cross_entropy", X, [0, 1], label_smoothing=2.0), ArgumentError, "label_smoothing"),
        (call("cross_entropy", X, X, label_smoothing=2.0), ArgumentError, "label_smoothing"),
        (call("cross_entropy", X, X[0]), ShapeError, r"shape \(3,\) of .* class numbers of an int"),
        (call("cross_entropy", X, X.to(dtype="float64")), DtypeError, "labels: dtype float64"),
        (call("cross_entropy", X, X, X), ShapeError, "weight: shape"),
        (call("cross_entropy", X, X, ignore_index=1), ArgumentError, "ignore_index: 1 given"),
        (call("cross_entropy", X, X, reduction="max"), ArgumentError, "reduction: 'max' given"),
    ],
)
def test_wrong_calls(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()
