"""The same network in PyTorch on the CPU: forward, gradients and three updates agree.

Bound: a product over k terms may differ by ``4 sqrt(k) eps`` of the sum of the absolute values of
its terms, in either library. What comes after it inherits that relative error, so every comparison
below uses one bound, relative to the largest value of each array, made from the longest sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

WIDTHS = (20, 16, 5)
BATCH = 12
EPS = float(np.finfo(np.float32).eps)
BOUND = 4 * np.sqrt(max(WIDTHS)) * EPS * len(WIDTHS)


def networks(activation: str) -> tuple[Any, Any]:
    nl.manual_seed(3)
    ours = nl.nn.Sequential(
        nl.nn.Flatten(),
        nl.nn.Linear(WIDTHS[0], WIDTHS[1]),
        getattr(nl.nn, activation)(),
        nl.nn.Linear(WIDTHS[1], WIDTHS[2]),
    )
    theirs = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(WIDTHS[0], WIDTHS[1]),
        getattr(torch.nn, activation)(),
        torch.nn.Linear(WIDTHS[1], WIDTHS[2]),
    )
    theirs.load_state_dict({n: torch.from_numpy(v) for n, v in ours.state_dict().items()})
    return ours, theirs


def data(step: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([1, step])
    x = rng.normal(size=(BATCH, 4, WIDTHS[0] // 4)).astype(np.float32)
    return x, rng.integers(0, WIDTHS[2], BATCH)


def close(ours: Any, theirs: Any) -> None:
    found, expected = ours.numpy(), theirs.detach().numpy()
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert np.isfinite(found).all()
    assert float(np.abs(found - expected).max()) <= BOUND * float(np.abs(expected).max())


@pytest.mark.parametrize("activation", ["ReLU", "LeakyReLU", "Sigmoid", "Tanh", "GELU", "SiLU"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_forward_and_gradients(activation: str, reduction: str) -> None:
    ours, theirs = networks(activation)
    x, labels = data()
    y, z = ours(nl.tensor(x)), theirs(torch.from_numpy(x))
    close(y, z)
    loss = nl.nn.CrossEntropyLoss(reduction)(y, labels)
    peer = torch.nn.CrossEntropyLoss(reduction=reduction)(z, torch.from_numpy(labels))
    close(loss, peer)
    loss.backward()
    peer.backward()
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    for p, q in zip(ours.parameters(), theirs.parameters()):
        close(p.grad, q.grad)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.05}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
        # Adam divides a gradient by its size, so the error of one near zero is multiplied by
        # lr / eps: 1 in the cases with an eps.
        ("Adam", {"lr": 0.01}),
        ("Adam", {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-2, "weight_decay": 0.1}),
        ("AdamW", {"lr": 0.01}),
        ("AdamW", {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-2, "weight_decay": 0.1}),
    ],
)
def test_three_updates(name: str, options: dict[str, Any]) -> None:
    ours, theirs = networks("Tanh")
    optimizer = getattr(nl.optim, name)(ours.parameters(), **options)
    peer = getattr(torch.optim, name)(theirs.parameters(), **options)
    for step in range(3):
        x, labels = data(step)
        loss = nl.functional.cross_entropy(ours(nl.tensor(x)), labels)
        theirs_loss = torch.nn.functional.cross_entropy(
            theirs(torch.from_numpy(x)), torch.from_numpy(labels)
        )
        for opt, value in ((optimizer, loss), (peer, theirs_loss)):
            opt.zero_grad()
            value.backward()
            opt.step()
    for p, q in zip(ours.parameters(), theirs.parameters()):
        close(p, q)


@pytest.mark.parametrize(
    ("name", "options"),
    [("StepLR", {"step_size": 2, "gamma": 0.3}), ("CosineAnnealingLR", {"T_max": 7})],
)
def test_schedules(name: str, options: dict[str, Any]) -> None:
    p = nl.nn.Parameter(np.zeros(1, np.float32))
    q = torch.nn.Parameter(torch.zeros(1))
    optimizer, peer = nl.optim.SGD([p], lr=0.5), torch.optim.SGD([q], lr=0.5)
    ours = getattr(nl.optim.lr_scheduler, name)(optimizer, **options)
    theirs = getattr(torch.optim.lr_scheduler, name)(peer, **options)
    for _ in range(8):
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12, abs=1e-12)
        ours.step()
        peer.step()
        theirs.step()


def test_default_initialisation_has_the_same_bounds() -> None:
    torch.manual_seed(0)
    ours, theirs = nl.nn.Linear(400, 300), torch.nn.Linear(400, 300)
    for p, q in zip(ours.parameters(), theirs.parameters()):
        a, b = p.numpy(), q.detach().numpy()
        assert np.abs(a).max() <= 1 / 20 * (1 + 1e-6)
        assert np.abs(b).max() <= 1 / 20 * (1 + 1e-6)
        assert a.std() == pytest.approx(b.std(), rel=0.1)
