"""Recurrent layers and cells against PyTorch's: outputs, states, gradients.

Bound: a gate is a sum over ``in + m + 2`` terms; each of the steps and layers it goes through may
add as much again, and the gates contract, so errors add up but do not grow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError, ShapeError
from nnlite.testing.parity import check_parity

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

CASES = range(32)
EPS = {"float32": float(np.finfo(np.float32).eps), "float64": float(np.finfo(np.float64).eps)}
SIZES = (1, 2, 3, 7, 16, 33)


def draw(rng: np.random.Generator) -> int:
    return int(rng.choice(SIZES))


class WithState(nl.nn.Module):
    """A layer or cell called with one tensor for each part of its state."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Any, *state: Any) -> Any:
        return self.layer(x, *((state,) if len(state) > 1 else state))


class TorchWithState(torch.nn.Module):
    """The same for PyTorch."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Any, *state: Any) -> Any:
        return self.layer(x, *((state,) if len(state) > 1 else state))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_layers(name: str, case: int) -> None:
    rng = np.random.default_rng([case, len(name), ord(name[0])])
    dtype = "float64" if case % 8 == 7 else "float32"
    steps, n, inputs, hidden = int(rng.integers(1, 9)), draw(rng), draw(rng), draw(rng)
    options: dict[str, Any] = {
        "num_layers": int(rng.integers(1, 4)),
        "bias": bool(rng.integers(4)),
        "batch_first": bool(rng.integers(2)),
        "bidirectional": bool(rng.integers(2)),
    }
    if options["num_layers"] > 1:
        options["dropout"] = (0.0, 0.5, 1.0)[case % 3]
    train = options.get("dropout") != 0.5  # whose masks are random
    if name == "RNN":
        options["nonlinearity"] = ("tanh", "relu")[case % 2]
    ours = getattr(nl.nn, name)(inputs, hidden, **options, dtype=dtype)
    theirs = getattr(torch.nn, name)(inputs, hidden, **options, dtype=getattr(torch, dtype))
    assert ours.extra_repr() == theirs.extra_repr()
    layers = options["num_layers"] * (1 + options["bidirectional"])
    shape, state = [(steps, n), (n, steps)][options["batch_first"]], (layers, n, hidden)
    if case % 4 == 1:  # a single sequence
        shape, state = (steps,), (layers, hidden)
    given = [rng.normal(size=(*shape, inputs)).astype(dtype)]
    if case % 3:
        count = 2 if name == "LSTM" else 1
        given += [rng.normal(size=state).astype(dtype) for _ in range(count)]
    depth = steps * options["num_layers"]
    bound = 4 * np.sqrt(inputs + 2 * hidden + 2) * EPS[dtype] * depth
    pair = WithState(ours), TorchWithState(theirs)
    check_parity(*pair, *given, bound=bound, floor=1.0, train=train)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells(name: str, case: int) -> None:
    rng = np.random.default_rng([case, len(name), ord(name[0])])
    n, inputs, hidden = draw(rng), draw(rng), draw(rng)
    options: dict[str, Any] = {"bias": bool(rng.integers(3))}
    if name == "RNNCell":
        options["nonlinearity"] = ("tanh", "relu")[case % 2]
    ours = getattr(nl.nn, name)(inputs, hidden, **options)
    theirs = getattr(torch.nn, name)(inputs, hidden, **options)
    rows = () if case % 4 == 1 else (n,)
    given = [rng.normal(size=(*rows, inputs)).astype(np.float32)]
    if case % 3:
        count = 2 if name == "LSTMCell" else 1
        given += [rng.normal(size=(*rows, hidden)).astype(np.float32) for _ in range(count)]
    bound = 4 * np.sqrt(inputs + hidden + 2) * EPS["float32"] * 2
    check_parity(WithState(ours), TorchWithState(theirs), *given, bound=bound, floor=1.0)


def test_a_part_of_the_results_is_enough() -> None:
    """Gradients when only the last state, or only one output, is used; and twice the same layer."""
    ours, theirs = nl.nn.LSTM(3, 4), torch.nn.LSTM(3, 4)
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)

    class Last(nl.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = ours

        def forward(self, x: Any) -> Any:
            y, state = self.layer(x)
            return y[-1], self.layer(x, state)[1][1]

    class TorchLast(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = theirs

        def forward(self, x: Any) -> Any:
            y, state = self.layer(x)
            return y[-1], self.layer(x, state)[1][1]

    check_parity(Last(), TorchLast(), x, bound=4 * 4 * EPS["float32"] * 10, floor=1.0)


def test_dropout_lies_between_the_layers() -> None:
    x = nl.tensor(np.random.default_rng(0).normal(size=(3, 2, 5)).astype(np.float32))
    one, two = nl.nn.GRU(5, 4, dropout=0.5), nl.nn.GRU(5, 4, num_layers=2, dropout=0.5)
    assert np.array_equal(one(x)[0].numpy(), one(x)[0].numpy())
    assert not np.array_equal(two(x)[0].numpy(), two(x)[0].numpy())
    nl.manual_seed(1)
    first = two(x)[0].numpy()
    nl.manual_seed(1)
    assert np.array_equal(first, two(x)[0].numpy())


def test_initial_values_have_the_same_bounds() -> None:
    layer = nl.nn.GRU(30, 64, num_layers=2)
    for p in layer.parameters():
        assert 0.9 / 8 < np.abs(p.numpy()).max() <= 1 / 8


def test_no_gradient_is_kept_under_no_grad_and_changes_are_noticed() -> None:
    layer = nl.nn.LSTM(3, 4)
    x = nl.tensor(np.ones((2, 1, 3), np.float32))
    with nl.no_grad():
        assert not layer(x)[0].requires_grad
    y, _ = layer(x)
    with nl.no_grad():
        layer.weight_hh_l0.copy_(layer.weight_hh_l0.numpy() * 2)
    with pytest.raises(nl.errors.AutogradError, match="changed in place"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: nl.nn.LSTM(0, 3), ArgumentError, "LSTM: input_size: 0"),
        (lambda: nl.nn.LSTM(3, 3, num_layers=0), ArgumentError, "num_layers: 0"),
        (lambda: nl.nn.GRU(3, 3, dropout=1.5), ArgumentError, "GRU: dropout: 1.5"),
        (lambda: nl.nn.RNN(3, 3, nonlinearity="gelu"), ArgumentError, "RNN: nonlinearity: 'gelu'"),
        (lambda: nl.nn.RNNCell(3, 3, nonlinearity="lstm"), ArgumentError, "nonlinearity: 'lstm'"),
        (lambda: nl.nn.LSTM(3, 4)(zeros(2, 1, 5)), ShapeError, r"LSTM: x: shape \(2, 1, 5\)"),
        (lambda: nl.nn.LSTM(3, 4)(zeros(0, 1, 3)), ShapeError, "a step or more"),
        (lambda: nl.nn.LSTM(3, 4)(zeros(2, 1, 3), zeros(1, 1, 4)), ArgumentError, "2 tensors"),
        (lambda: nl.nn.GRU(3, 4)(zeros(2, 1, 3), zeros(1, 2, 4)), ShapeError, r"\(1, 2, 4\) given"),
        (lambda: nl.nn.GRUCell(3, 4)(zeros(2, 2)), ShapeError, r"GRUCell: x: shape \(2, 2\)"),
        (
            lambda: nl.functional.recurrent("elman", zeros(1, 1, 3), (), *[zeros(3, 3)] * 2),
            ArgumentError,
            "kind: 'elman'",
        ),
        (
            lambda: nl.functional.recurrent(
                "tanh", zeros(1, 1, 3), (zeros(1, 3),), *[zeros(3, 3)] * 3
            ),
            ArgumentError,
            "one bias given",
        ),
    ],
)
def test_wrong_arguments(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def zeros(*shape: int) -> nl.Tensor:
    return nl.tensor(np.zeros(shape, np.float32))
