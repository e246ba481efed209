"""Optimizers: formulas against NumPy, groups, what changes when a step is refused, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError, AutogradError, DtypeError, ShapeError
from nnlite.optim import SGD, Adam, AdamW


def parameter(*shape: int, seed: int = 0) -> nl.nn.Parameter:
    return nl.nn.Parameter(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def gradients(p: nl.Tensor, steps: int) -> list[np.ndarray]:
    rng = np.random.default_rng(9)
    return [rng.normal(size=p.shape).astype(np.float32) for _ in range(steps)]


def train(optimizer: Any, p: nl.Tensor, grads: list[np.ndarray]) -> None:
    for g in grads:
        p.grad = nl.tensor(g)
        optimizer.step()


def sgd_reference(p: np.ndarray, grads: list[np.ndarray], o: dict[str, Any]) -> np.ndarray:
    v = None
    for g in grads:
        g = g.astype(np.float64) + o.get("weight_decay", 0.0) * p
        mu = o.get("momentum", 0.0)
        if mu:
            v = g if v is None else mu * v + (1 - o.get("dampening", 0.0)) * g
            g = g + mu * v if o.get("nesterov") else v
        p = p - o["lr"] * g
    return p


def adam_reference(
    p: np.ndarray, grads: list[np.ndarray], o: dict[str, Any], decoupled: bool
) -> np.ndarray:
    m = v = np.zeros_like(p)
    b1, b2 = o.get("betas", (0.9, 0.999))
    decay = o.get("weight_decay", 0.01 if decoupled else 0.0)
    for t, g in enumerate(grads, 1):
        if decoupled:
            p = p * (1 - o["lr"] * decay)
        g = g.astype(np.float64) + (0.0 if decoupled else decay) * p
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        denominator = np.sqrt(v / (1 - b2**t)) + o.get("eps", 1e-8)
        p = p - o["lr"] * (m / (1 - b1**t)) / denominator
    return p


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.1},
        {"lr": 0.1, "weight_decay": 0.2},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ],
)
def test_sgd_equals_its_formula(options: dict[str, Any]) -> None:
    p = parameter(7, 3)
    start, grads = p.numpy().astype(np.float64), gradients(p, 4)
    train(SGD([p], **options), p, grads)
    expected = sgd_reference(start, grads, options)
    assert np.allclose(p.numpy(), expected, rtol=2e-6, atol=2e-6)
    assert not np.allclose(p.numpy(), start, atol=1e-3)


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize(
    "options", [{"lr": 0.01}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.3}]
)
def test_adam_equals_its_formula(kind: type[Adam], options: dict[str, Any]) -> None:
    p = parameter(7, 3)
    start, grads = p.numpy().astype(np.float64), gradients(p, 4)
    train(kind([p], **options), p, grads)
    expected = adam_reference(start, grads, options, kind is AdamW)
    assert np.allclose(p.numpy(), expected, rtol=5e-6, atol=5e-6)


def test_parameters_without_gradient_stay() -> None:
    p, q = parameter(3), parameter(3, seed=1)
    before = q.numpy()
    optimizer = SGD([p, q], lr=0.1, momentum=0.9, weight_decay=0.5)
    train(optimizer, p, gradients(p, 2))
    assert np.array_equal(q.numpy(), before)
    assert list(optimizer.state) == [0]
    optimizer.zero_grad()
    assert p.grad is None


def test_groups_have_options_of_their_own() -> None:
    p, q = parameter(3), parameter(3, seed=1)
    optimizer = SGD([{"params": [p]}, {"params": q, "lr": 0.0}], lr=0.1)
    before = q.numpy()
    q.grad = nl.tensor(np.ones(3, np.float32))
    train(optimizer, p, gradients(p, 1))
    assert np.array_equal(q.numpy(), before)
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.0]
    optimizer.lr = 0.5
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.5]
    assert optimizer.lr == 0.5


def test_a_refused_group_leaves_no_trace() -> None:
    p, q = parameter(3), parameter(3, seed=1)
    optimizer = SGD([p])
    with pytest.raises(ArgumentError, match="lr"):
        optimizer.add_param_group({"params": [q], "lr": -1.0})
    with pytest.raises(ArgumentError, match="item 1: given twice"):
        optimizer.add_param_group({"params": [q, p]})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [q]})
    assert len(optimizer.param_groups) == 2


@pytest.mark.parametrize(
    ("grad", "error", "match"),
    [
        (np.ones(4, np.float32), ShapeError, r"gradient of parameter 1: shape \(4,\) given"),
        (np.ones(3), DtypeError, "gradient of parameter 1: dtype float64 given"),
    ],
)
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_a_wrong_gradient_updates_nothing(
    kind: Any, grad: np.ndarray, error: type[Exception], match: str
) -> None:
    p, q = parameter(3), parameter(3, seed=1)
    before = p.numpy()
    p.grad, q.grad = nl.tensor(np.ones(3, np.float32)), nl.tensor(grad)
    optimizer = kind([p, q], lr=0.1)
    with pytest.raises(error, match=f"{kind.__name__}.step: {match}"):
        optimizer.step()
    assert np.array_equal(p.numpy(), before)
    assert not optimizer.state


def test_a_wrong_option_of_a_later_group_updates_nothing() -> None:
    p, q = parameter(3), parameter(3, seed=1)
    before = p.numpy()
    p.grad = q.grad = nl.tensor(np.ones(3, np.float32))
    optimizer = SGD([{"params": [p]}, {"params": [q]}], lr=0.1)
    optimizer.param_groups[1]["lr"] = -1.0
    with pytest.raises(ArgumentError, match="lr: -1.0"):
        optimizer.step()
    assert np.array_equal(p.numpy(), before)


def test_closure() -> None:
    p = parameter(3)
    optimizer = SGD([p], lr=0.1)

    def closure() -> nl.Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with nl.no_grad():
        first = optimizer.step(closure)
    assert optimizer.step(closure).item() < first.item()


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda p: SGD([]), ArgumentError, "SGD: params: none"),
        (lambda p: SGD(p), TypeError, "SGD: params: one Tensor"),
        (lambda p: SGD(nl.nn.Linear(2, 2)), TypeError, r"params: Linear .* its parameters\(\)"),
        (lambda p: SGD([p, p]), ArgumentError, "item 1: given twice"),
        (lambda p: SGD([p * 2.0]), AutogradError, "leaf"),
        (lambda p: SGD([3]), TypeError, "item 0: int"),
        (
            lambda p: SGD([p, nl.nn.Parameter(nl.zeros((2, 3)).T)]),
            ShapeError,
            r"item 1: strides \(4, 12\) of shape \(3, 2\)",
        ),
        (lambda p: SGD([p], lr=-1.0), ArgumentError, "lr: -1.0"),
        (lambda p: SGD([p], momentum=-0.1), ArgumentError, "momentum"),
        (lambda p: SGD([p], dampening="little"), ArgumentError, "dampening: 'little'"),
        (lambda p: SGD([p], nesterov=True), ArgumentError, "nesterov"),
        (lambda p: SGD([{"params": [p], "rate": 1}]), ArgumentError, "rate"),
        (lambda p: Adam([p], betas=(0.9, 1.0)), ArgumentError, "betas"),
        (lambda p: Adam([p], eps=-1e-8), ArgumentError, "eps"),
        (lambda p: AdamW([p], weight_decay=-1), ArgumentError, "AdamW: weight_decay"),
    ],
)
def test_wrong_arguments(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make(parameter(3))
