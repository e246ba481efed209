"""Optimizers: formulas against NumPy, groups, state, errors."""

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


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_state_follows_the_dtype_of_its_parameter(kind: Any) -> None:
    model = nl.nn.Linear(3, 2)
    options = {"momentum": 0.9} if kind is SGD else {}
    optimizer = kind(model.parameters(), lr=0.1, **options)
    for dtype in ("float32", "float64"):
        model.to(dtype=dtype)
        optimizer.zero_grad()
        model(nl.tensor(np.ones((2, 3)), dtype=dtype)).sum().backward()
        optimizer.step()
    state = optimizer.state_dict()
    assert state["state.0.step"] == 2
    assert {v.dtype.name for v in state.values() if isinstance(v, np.ndarray)} == {"float64"}
    assert np.abs(state[f"state.0.{kind.slots[0]}"]).min() > 0


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
        (lambda p: SGD([p, p]), ArgumentError, "item 1: given twice"),
        (lambda p: SGD([p * 2.0]), AutogradError, "leaf"),
        (lambda p: SGD([3]), TypeError, "item 0: int"),
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


OPTIMIZERS = {
    "sgd": lambda p: SGD(p, lr=0.1),
    "momentum": lambda p: SGD(p, lr=0.1, momentum=0.9, dampening=0.3),
    "adam": lambda p: Adam(p, lr=0.01, betas=(0.8, 0.95)),
    "adamw": lambda p: AdamW(p, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_resumed_equals_uninterrupted(name: str) -> None:
    whole, part = [parameter(4, 3), parameter(4, seed=1)], [parameter(4, 3), parameter(4, seed=1)]
    grads = [gradients(p, 6) for p in whole]

    def run(optimizer: Any, params: list[Any], start: int, stop: int) -> None:
        for t in range(start, stop):
            for p, g in zip(params, grads):
                p.grad = nl.tensor(g[t])
            optimizer.step()

    run(OPTIMIZERS[name](whole), whole, 0, 6)
    first = OPTIMIZERS[name](part)
    first.lr = 0.1 if "adam" not in name else 0.01
    run(first, part, 0, 3)
    state = first.state_dict()
    for key, value in state.items():
        if key.startswith("group."):
            assert isinstance(value, (int, float, bool)), key
    second = OPTIMIZERS[name](part)
    second.lr = 77.0
    second.load_state_dict(state)
    run(second, part, 3, 6)
    for a, b in zip(whole, part):
        assert np.array_equal(a.numpy(), b.numpy())


def test_state_dict_is_a_copy() -> None:
    p = parameter(3)
    optimizer = Adam([p])
    train(optimizer, p, gradients(p, 1))
    state = optimizer.state_dict()
    assert set(state) == {
        "group.0.lr",
        "group.0.betas.0",
        "group.0.betas.1",
        "group.0.eps",
        "group.0.weight_decay",
        "state.0.exp_avg",
        "state.0.exp_avg_sq",
        "state.0.step",
    }
    state["state.0.exp_avg"][:] = 99.0
    assert optimizer.state_dict()["state.0.exp_avg"].max() < 99.0


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda s: s.pop("group.0.lr"), ArgumentError, "missing options: group.0.lr"),
        (lambda s: s.update({"group.1.lr": 1.0}), ArgumentError, "unexpected: group.1.lr"),
        (lambda s: s.update({"state.5.step": 1}), ArgumentError, "'state.5.step'"),
        (lambda s: s.update({"other": 1}), ArgumentError, "'other'"),
        (lambda s: s.pop("state.0.exp_avg"), ArgumentError, "state.0 with"),
        (lambda s: s.update({"state.0.exp_avg": 1.0}), ArgumentError, "exp_avg: float given"),
        (lambda s: s.update({"state.0.step": "1"}), ArgumentError, "step: '1' given"),
        (lambda s: s.update({"group.0.lr": "fast"}), ArgumentError, "lr: 'fast' given"),
        (lambda s: s.update({"group.0.betas.1": 2.0}), ArgumentError, "betas"),
        (
            lambda s: s.update({"state.0.exp_avg": np.zeros(4, np.float32)}),
            ShapeError,
            r"state.0.exp_avg: shape \(4,\) given, expected \(3,\)",
        ),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(
    change: Any, error: type[Exception], match: str
) -> None:
    p = parameter(3)
    optimizer = Adam([p], lr=0.25)
    train(optimizer, p, gradients(p, 1))
    state = optimizer.state_dict()
    state["group.0.lr"] = 0.5
    change(state)
    with pytest.raises(error, match=match):
        optimizer.load_state_dict(state)
    assert optimizer.lr == 0.25
    assert optimizer.state[0]["step"] == 1
