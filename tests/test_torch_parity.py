"""The same network in PyTorch on the CPU: forward, gradients, updates and schedules agree.

Bound: a product over k terms may differ by ``4 sqrt(k) eps`` of the sum of the absolute values of
its terms, in either library. What comes after it inherits that relative error, so the comparisons
of a whole network use one bound, relative to the largest value of each array, made from the longest
sum. Optimizers that get the same gradients are compared item by item.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.testing import assert_close

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
    loss = nl.nn.CrossEntropyLoss(reduction=reduction)(y, labels)
    peer = torch.nn.CrossEntropyLoss(reduction=reduction)(z, torch.from_numpy(labels))
    close(loss, peer)
    loss.backward()
    peer.backward()
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    for p, q in zip(ours.parameters(), theirs.parameters()):
        close(p.grad, q.grad)


SGD_OPTIONS = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.05},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.05},
    {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
]
ADAM_OPTIONS = [
    {"lr": 0.01},
    {"lr": 0.01, "weight_decay": 0.1},
    {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.1},
]
OPTIMIZERS = [
    *[("SGD", options) for options in SGD_OPTIONS],
    *[(name, options) for name in ("Adam", "AdamW") for options in ADAM_OPTIONS],
]


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_five_steps_of_training(name: str, options: dict[str, Any]) -> None:
    """Losses agree with every optimizer, parameters with SGD.

    Adam divides a gradient by its size: near zero, where the gradients of two libraries differ by
    rounding as much as they are large, the parameters part by up to lr in one step. The loss
    hardly depends on such parameters. The updates of Adam themselves are compared below, where
    both libraries get the same gradients.
    """
    ours, theirs = networks("Tanh")
    optimizer = getattr(nl.optim, name)(ours.parameters(), **options)
    peer = getattr(torch.optim, name)(theirs.parameters(), **options)
    x, labels = data()
    losses = []
    for _ in range(5):
        loss = nl.functional.cross_entropy(ours(nl.tensor(x)), labels)
        theirs_loss = torch.nn.functional.cross_entropy(
            theirs(torch.from_numpy(x)), torch.from_numpy(labels)
        )
        close(loss, theirs_loss)
        losses.append(loss.item())
        for opt, value in ((optimizer, loss), (peer, theirs_loss)):
            opt.zero_grad()
            value.backward()
            opt.step()
    assert losses == sorted(losses, reverse=True)
    if name == "SGD":
        for p, q in zip(ours.parameters(), theirs.parameters()):
            close(p, q)


STEPS = 8
SLOTS = {"SGD": ("momentum_buffer",), "Adam": ("exp_avg", "exp_avg_sq")}


def sum_of_terms(
    name: str, o: dict[str, Any], p: np.ndarray, grads: list[np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Sums of the absolute values of the terms that make up a parameter and its state.

    The formulas of the optimizers, in float64, with the absolute value of every term; only the
    denominator of Adam needs the terms with their signs.
    """
    lr, adam, decoupled = o["lr"], name != "SGD", name == "AdamW"
    decay = o.get("weight_decay", 0.01 if decoupled else 0.0)
    mu, damp = o.get("momentum", 0.0), o.get("dampening", 0.0)
    b1, b2 = o.get("betas", (0.9, 0.999))
    total, first, absolute, second = np.abs(p), *np.zeros((3, *p.shape))
    for t, g in enumerate(grads, 1):
        shrink = lr * decay if decoupled else 0.0
        p, total = p * (1 - shrink), total * (1 + shrink)
        size = np.abs(g) + (0.0 if decoupled else decay) * total
        g = g + (0.0 if decoupled else decay) * p
        if adam:
            first, absolute = b1 * first + (1 - b1) * g, b1 * absolute + (1 - b1) * size
            second = b2 * second + (1 - b2) * g * g
            rate = lr / (1 - b1**t) / (np.sqrt(second / (1 - b2**t)) + 1e-8)
            p, total = p - rate * first, total + rate * absolute
        else:
            absolute = mu * absolute + (1.0 if t == 1 else 1 - damp) * size
            ahead = size + mu * absolute if o.get("nesterov") else absolute
            total = total + lr * (ahead if mu else size)
    return total, dict(zip(SLOTS["Adam" if adam else "SGD"], (absolute, second)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_updates_with_the_same_gradients(name: str, options: dict[str, Any], dtype: str) -> None:
    """The bound is that of the numerics contract for a sum of one term per step and the start.

    The sizes of the gradients span twelve powers of ten, so that eps (1e-8, the default) matters
    for some and not for others. The second parameter has no gradient in two of the steps.
    """
    rng = np.random.default_rng(6)
    starts = [rng.normal(size=n).astype(dtype) for n in (300, 7)]
    sizes = [10.0 ** rng.uniform(-10, 2, s.size) for s in starts]
    ours = [nl.nn.Parameter(s) for s in starts]
    theirs = [torch.nn.Parameter(torch.tensor(s)) for s in starts]
    optimizer = getattr(nl.optim, name)(ours, **options)
    peer = getattr(torch.optim, name)(theirs, **options)
    seen: list[list[np.ndarray]] = [[], []]
    for step in range(STEPS):
        for i, (p, q) in enumerate(zip(ours, theirs)):
            p.grad = q.grad = None
            if i == 0 or step not in (0, 3):
                g = (rng.normal(size=p.shape) * sizes[i]).astype(dtype)
                p.grad, q.grad = nl.tensor(g), torch.tensor(g)
                seen[i].append(g)
        optimizer.step()
        peer.step()
    for i, (p, q) in enumerate(zip(ours, theirs)):
        grads = [g.astype(np.float64) for g in seen[i]]
        total, state = sum_of_terms(name, options, starts[i].astype(np.float64), grads)
        pairs = [("parameter", p.numpy(), q.detach().numpy(), total)]
        for slot, size in state.items() if name != "SGD" or options.get("momentum") else ():
            pairs.append(
                (slot, optimizer.state[i][slot].numpy(), peer.state[q][slot].numpy(), size)
            )
        for what, found, expected, magnitude in pairs:
            wide = expected.astype(np.float64)
            terms = len(grads) + 1
            assert_close(found, wide, dtype=dtype, terms=terms, magnitude=magnitude, what=what)
        assert np.abs(p.numpy() - starts[i]).max() > 1e-3


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
