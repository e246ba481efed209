"""State of optimizers: resuming, what does not fit, following a model to another dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError, ShapeError
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
        "group.0.amsgrad",
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
