"""``check_parity`` itself: it passes what is equal and fails on every kind of difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.nn import functional as F
from nnlite.tensor import record, wrap
from nnlite.testing.parity import check_parity

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

X = np.random.default_rng(4).normal(size=(5, 3)).astype(np.float32)
# Three products and a bias, one layer: 4 sqrt(4) eps.
BOUND = 8 * float(np.finfo(np.float32).eps)


def spoiled(x: Any, forward: float = 1.0, backward: float = 1.0) -> Any:
    """``x`` times ``forward``, its gradient times ``backward`` instead."""
    out = x.array.numpy() * np.float32(forward)

    def gradient(node: Any, dy: Any) -> Any:
        return (nl.array(dy.numpy() * np.float32(backward)),)

    return record("spoiled", nl.array(out), (x,), gradient)


class Counting(nl.nn.Linear):
    """A linear layer that counts its calls in a buffer, by steps of ``step``."""

    def __init__(self, step: int = 1, **spoil: float) -> None:
        super().__init__(3, 2)
        self.step, self.spoil = step, spoil
        self.register_buffer("calls", nl.tensor(np.zeros((), np.int64)))

    def forward(self, x: Any) -> Any:
        if self.training:
            self.calls = nl.tensor(self.calls.numpy() + self.step)
        bias = spoiled(self.bias, backward=self.spoil.get("bias", 1.0))
        x = spoiled(x, self.spoil.get("forward", 1.0), self.spoil.get("backward", 1.0))
        return F.linear(x, self.weight, bias)


class Peer(torch.nn.Linear):  # type: ignore[name-defined,misc]
    """PyTorch's side of ``Counting``."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x: Any) -> Any:
        if self.training:
            self.calls += 1
        return super().forward(x)


def test_equal_modules_pass() -> None:
    ours, theirs = Counting(), Peer()
    check_parity(ours, theirs, X, bound=BOUND)
    assert ours.calls.item() == 1
    check_parity(ours, theirs, X, bound=BOUND, train=False)
    assert ours.calls.item() == 1
    assert not ours.training
    assert not theirs.training


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"forward": 1.001}, "^output 0: .* of 10 elements differ"),
        ({"forward": float("nan")}, "^output 0: 10 of 10"),
        ({"backward": 1.001}, "^gradient of input 0: "),
        ({"backward": 0.0}, "^gradient of input 0: "),
        ({"bias": -1.0}, "^gradient of bias: 2 of 2"),
        ({"step": 2}, "^buffer calls: 1 of 1"),
    ],
)
def test_a_difference_fails(spoil: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_parity(Counting(**spoil), Peer(), X, bound=BOUND)


def test_a_missing_gradient_fails() -> None:
    def detached(x: Any) -> Any:
        return wrap(x.array)

    with pytest.raises(AssertionError, match="output 0: requires_grad is False"):
        check_parity(detached, lambda x: x * 1.0, X, bound=BOUND)
    ours = nl.nn.Linear(3, 2)
    ours.weight.requires_grad = False
    with pytest.raises(AssertionError, match="gradient of weight: ours has none"):
        check_parity(ours, torch.nn.Linear(3, 2), X, bound=BOUND)


def test_other_shapes_dtypes_and_counts_fail() -> None:
    with pytest.raises(AssertionError, match=r"output 0: float32\(3, 5\)"):
        check_parity(lambda x: x.T, lambda x: x * 1.0, X, bound=BOUND)
    with pytest.raises(AssertionError, match="output 0: float32"):
        check_parity(lambda x: x * 1.0, lambda x: x.double(), X, bound=BOUND)
    with pytest.raises(AssertionError, match="1 outputs, PyTorch has 2"):
        check_parity(lambda x: x, lambda x: (x, [None, x]), X, bound=BOUND)


def test_nested_outputs_and_integers() -> None:
    def ours(x: Any) -> Any:
        return x * 2.0, [F.argmax(x, 1)]

    check_parity(ours, lambda x: (x * 2.0, [x.argmax(1)]), X, bound=BOUND)
    with pytest.raises(AssertionError, match="output 1: .* allowed difference 0"):
        check_parity(ours, lambda x: (x * 2.0, [x.argmin(1)]), X, bound=BOUND)


def test_nan_and_infinity_must_be_in_the_same_places() -> None:
    x = np.array([1.0, np.nan, np.inf, -np.inf], np.float32)
    check_parity(lambda x: x * 2.0, lambda x: x * 2.0, x, bound=BOUND)
    for value in (0.0, -np.inf, np.nan):
        y = np.where(np.isposinf(x), np.float32(value), x * 2.0)
        with pytest.raises(AssertionError, match=r"1 of 4 elements differ; first at \(2,\)"):
            check_parity(lambda x, y=y: nl.tensor(y), lambda x: x.detach() * 2, x, bound=1e30)


def test_the_floor_allows_what_cancels() -> None:
    def noise(x: Any) -> Any:
        return spoiled(x, 1e-9)

    def nothing(x: Any) -> Any:
        return x * 0.0

    with pytest.raises(AssertionError, match="output 0"):
        check_parity(noise, nothing, X, bound=BOUND)
    with pytest.raises(AssertionError, match="gradient of input 0"):
        check_parity(noise, nothing, X, bound=BOUND, floor=1.0)
