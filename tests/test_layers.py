"""Layers, losses and containers: shapes, labels, fusion, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite import nn
from nnlite.errors import ArgumentError, DtypeError, ShapeError


def batch(n: int = 5, width: int = 4) -> nl.Tensor:
    return nl.tensor(np.random.default_rng(1).normal(size=(n, width)).astype(np.float32))


def test_linear_on_any_rank() -> None:
    layer = nn.Linear(4, 3)
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    expected = x @ layer.weight.numpy().T + layer.bias.numpy()
    assert np.allclose(layer(nl.tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert layer(nl.tensor(x[0, 0])).shape == (3,)
    assert layer(nl.tensor(x[:0])).shape == (0, 5, 3)
    assert repr(nn.Linear(np.prod((2, 2)), np.int64(3))) == repr(layer)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: nn.Linear(4, 3)(batch(5, 6)), ShapeError, r"linear: x: shape \(5, 6\)"),
        (
            lambda: nn.Linear(4, 3)(batch().to(dtype="float64")),
            DtypeError,
            "^linear: weight: dtype float32 given, expected float64 like x; NumPy's floats are",
        ),
        (
            lambda: nl.functional.linear(batch(), nn.Linear(4, 3).weight, nl.tensor([1.0])),
            ShapeError,
            r"^linear: bias: shape \(1,\) given, expected \(3,\)",
        ),
        (lambda: nn.Linear(4, 3)(nl.tensor([[1] * 4])), DtypeError, "^linear: x: dtype int64"),
        (lambda: nn.Linear(4, -3), ArgumentError, "out_features: -3"),
        (lambda: nn.Linear(True, 3), ArgumentError, "in_features: True"),
        (lambda: nn.Linear(4.0, 3), ArgumentError, "in_features: 4.0"),
        (lambda: nn.Linear(4, 3)(np.ones((5, 4))), TypeError, "linear: x: ndarray"),
        (lambda: nn.GELU("fast"), ArgumentError, "approximate: 'fast'"),
        (lambda: nn.CrossEntropyLoss(reduction="max"), ArgumentError, "reduction: 'max'"),
        (lambda: nn.Sequential(nn.ReLU(), 3), ArgumentError, "Sequential: 1: int"),
        (
            lambda: nl.functional.linear(batch(), nn.Linear(4, 3).weight, activation="swish"),
            ArgumentError,
            "^linear: activation: 'swish'",
        ),
        (lambda: nn.CrossEntropyLoss()(batch(), [0, 1, 2, 3, 4]), ArgumentError, "label"),
        (lambda: nn.CrossEntropyLoss()(batch(), [0, 1]), ShapeError, "label"),
        (lambda: nn.CrossEntropyLoss()(batch(), [0.5] * 5), ShapeError, "label"),
        (lambda: nn.MSELoss()(batch(), batch(4)), ShapeError, "mse"),
    ],
)
def test_wrong_calls(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "int64", "list", "array", "tensor"])
def test_labels_of_every_kind(kind: str) -> None:
    host = np.array([0, 3, 1, 2, 1])
    labels: Any = {
        "list": host.tolist(),
        "array": nl.array(host),
        "tensor": nl.tensor(host),
    }.get(kind)
    labels = host.astype(kind) if labels is None else labels
    expected = nn.CrossEntropyLoss()(batch(), host).item()
    assert nn.CrossEntropyLoss()(batch(), labels).item() == expected
    right = int((batch().numpy().argmax(1) == host).sum())
    assert nl.functional.accuracy(batch(), labels).item() == right


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Sigmoid, nn.Tanh])
@pytest.mark.parametrize("bias", [True, False])
def test_sequential_fuses_without_changing_results(activation: Any, bias: bool) -> None:
    linear, act = nn.Linear(7, 5, bias=bias), activation()
    results = []
    for model in (nn.Sequential(linear, act), lambda x: act(linear(x))):
        linear.zero_grad()
        x = batch(6, 7)
        x.requires_grad = True
        y = model(x)
        y.backward(nl.tensor(np.random.default_rng(2).normal(size=(6, 5)).astype(np.float32)))
        results.append([y, x.grad, *[p.grad for p in linear.parameters()]])
    assert results[0][0].edge()[0].name == "linear"
    for fused, plain in zip(*results):
        assert np.allclose(fused.numpy(), plain.numpy(), rtol=2e-6, atol=2e-6)


def test_sequential_respects_subclasses() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: nl.Tensor) -> nl.Tensor:
            return super().forward(x) * 2.0

    class Shifted(nn.ReLU):
        def forward(self, x: nl.Tensor) -> nl.Tensor:
            return super().forward(x) + 1.0

    doubled, shifted = Doubled(4, 3), Shifted()
    x = batch()
    found = nn.Sequential(doubled, nn.ReLU(), shifted)(x).numpy()
    expected = np.maximum(doubled(x).numpy(), 0.0) + 1.0
    assert np.array_equal(found, expected)


def test_sequential_as_a_list() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    assert model.append(nn.Linear(4, 2)) is model
    assert len(model) == 3
    assert isinstance(model[1], nn.ReLU)
    assert isinstance(model[-1], nn.Linear)
    head = model[:2]
    assert isinstance(head, nn.Sequential)
    assert head[0] is model[0]
    assert list(model)[0] is model[0]
    named = nn.Sequential({"first": nn.Linear(4, 2), "act": nn.Tanh()})
    assert list(named.state_dict()) == ["first.weight", "first.bias"]
    assert nn.Sequential()(3) == 3


def test_activation_modules_equal_their_functions() -> None:
    x = batch()
    for module, expected in [
        (nn.ReLU(), nl.functional.relu(x)),
        (nn.LeakyReLU(0.3), nl.functional.leaky_relu(x, 0.3)),
        (nn.Sigmoid(), nl.functional.sigmoid(x)),
        (nn.Tanh(), nl.functional.tanh(x)),
        (nn.GELU(), nl.functional.gelu(x)),
        (nn.GELU("tanh"), nl.functional.gelu(x, "tanh")),
        (nn.SiLU(), nl.functional.silu(x)),
        (nn.Softmax(dim=1), nl.functional.softmax(x)),
        (nn.Flatten(0), x.reshape(20)),
        (nn.Identity(1, two=2), x),
    ]:
        assert np.array_equal(module(x).numpy(), expected.numpy())
