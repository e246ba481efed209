"""Every optimizer and the clipping of gradients against PyTorch's, over generated configurations.

Both libraries get the same gradients. Bound: an item is made of one term per step and its start, so
it may differ by ``4 sqrt(steps + 1) eps`` of the sum of the absolute values of its terms, which the
float64 formulas below give; a quotient inherits the relative error of its denominator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.testing import assert_close

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

CASES = range(36)
# A scalar, items of one and of several warps, more than one block, one beyond buckets.LARGE.
SHAPES = ((), (1,), (3, 5), (31,), (257,), (6, 1, 5, 5), (400, 330))


def draw_options(name: str, rng: np.random.Generator) -> dict[str, Any]:
    """One configuration; each option is at its default in some and not in others."""

    def one(*values: Any) -> Any:
        return values[int(rng.integers(len(values)))]

    decay = {"weight_decay": one(0.0, 0.02, 0.3)}
    if name == "SGD":
        momentum = one(0.0, 0.5, 0.9)
        nesterov = bool(momentum and one(False, True))
        dampening = 0.0 if nesterov else one(0.0, 0.3)
        more = {"momentum": momentum, "nesterov": nesterov, "dampening": dampening}
        return {"lr": one(0.1, 0.003), **decay, **more}
    if name in ("Adam", "AdamW"):
        betas = one((0.9, 0.999), (0.8, 0.95), (0.0, 0.9), (0.4, 0.6))
        amsgrad = one(False, True)
        return {"lr": one(0.01, 0.001), **decay, "betas": betas, "amsgrad": amsgrad, "eps": 1e-6}
    if name == "RMSprop":
        more = {"alpha": one(0.99, 0.9, 0.5), "momentum": one(0.0, 0.9), "eps": 1e-5}
        return {"lr": one(0.01, 0.001), **decay, **more, "centered": one(False, True)}
    more = {"lr_decay": one(0.0, 0.1), "initial_accumulator_value": one(0.0, 0.5), "eps": 1e-6}
    return {"lr": one(0.1, 0.01), **decay, **more}


def terms_of(name: str, o: dict[str, Any], p: np.ndarray, grads: list[np.ndarray]) -> np.ndarray:
    """Sums of the absolute values of the terms that a parameter is made of, in float64."""
    lr, decoupled = o["lr"], name == "AdamW"
    decay = 0.0 if decoupled else o["weight_decay"]
    total, first, absolute, second, most, mean, buffer = np.abs(p), *np.zeros((6, *p.shape))
    second = second + o.get("initial_accumulator_value", 0.0)
    for t, g in enumerate(grads, 1):
        shrink = lr * o["weight_decay"] if decoupled else 0.0
        p, total = p * (1 - shrink), total * (1 + shrink)
        size, g = np.abs(g) + decay * total, g + decay * p
        if name == "SGD":
            mu = o["momentum"]
            buffer = mu * buffer + (1.0 if t == 1 else 1 - o["dampening"]) * g
            absolute = mu * absolute + (1.0 if t == 1 else 1 - o["dampening"]) * size
            ahead = (g + mu * buffer, size + mu * absolute) if o["nesterov"] else (buffer, absolute)
            step, terms = ahead if mu else (g, size)
            p, total = p - lr * step, total + lr * terms
            continue
        if name == "Adagrad":
            rate, second = lr / (1 + (t - 1) * o["lr_decay"]), second + g * g
            divisor = np.sqrt(second) + o["eps"]
            p, total = p - rate * g / divisor, total + rate * size / divisor
            continue
        if name == "RMSprop":
            a = o["alpha"]
            second, mean = a * second + (1 - a) * g * g, a * mean + (1 - a) * g
            variance = second - mean * mean if o["centered"] else second
            divisor = np.sqrt(variance) + o["eps"]
            # The relative error of the variance: that of its two terms over what they leave.
            lost = 1 + (second + mean * mean) / variance
            buffer = o["momentum"] * buffer + g / divisor
            absolute = o["momentum"] * absolute + size * lost / divisor
            p, total = p - lr * buffer, total + lr * absolute
            continue
        b1, b2 = o["betas"]
        first, absolute = b1 * first + (1 - b1) * g, b1 * absolute + (1 - b1) * size
        second = b2 * second + (1 - b2) * g * g
        most = np.maximum(most, second)
        under = most if o["amsgrad"] else second
        rate = lr / (1 - b1**t) / (np.sqrt(under / (1 - b2**t)) + o["eps"])
        p, total = p - rate * first, total + rate * absolute
    return total


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_the_same_gradients_give_the_same_weights(name: str, case: int) -> None:
    """Two groups with options of their own; gradients that are missing in some of the steps."""
    rng = np.random.default_rng([case, sum(map(ord, name))])
    dtype = ("float32", "float64")[case % 4 == 3]
    chosen = [SHAPES[i] for i in rng.integers(0, len(SHAPES), int(rng.integers(2, 6)))]
    starts = [rng.normal(size=shape).astype(dtype) for shape in chosen]
    ours = [nl.nn.Parameter(s) for s in starts]
    theirs = [torch.nn.Parameter(torch.tensor(s)) for s in starts]
    first, second = draw_options(name, rng), draw_options(name, rng)
    if name == "Adagrad":  # PyTorch takes that of the first group for all
        second["initial_accumulator_value"] = first["initial_accumulator_value"]
    optimizer, peer = (
        getattr(library, name)([{"params": p[:1]}, {"params": p[1:], **second}], **first)
        for library, p in ((nl.optim, ours), (torch.optim, theirs))
    )
    seen: list[list[np.ndarray]] = [[] for _ in ours]
    missing = 0.3 if case % 3 == 0 else 0.0
    for _ in range(int(rng.integers(1, 7))):
        for i, (p, q) in enumerate(zip(ours, theirs)):
            p.grad = q.grad = None
            if rng.random() >= missing:
                g = np.asarray(rng.normal(size=p.shape) * rng.uniform(0.5, 3.0)).astype(dtype)
                p.grad, q.grad = nl.tensor(g), torch.tensor(g)
                seen[i].append(g)
        optimizer.step()
        peer.step()
    for i, (p, q) in enumerate(zip(ours, theirs)):
        options = second if i else first
        grads = [g.astype(np.float64) for g in seen[i]]
        total = terms_of(name, options, starts[i].astype(np.float64), grads)
        expected = q.detach().numpy().astype(np.float64)
        count = len(grads) + 1
        assert_close(p.numpy(), expected, dtype=dtype, terms=count, magnitude=total)
        for slot in optimizer.state.get(i, {}):
            if slot == "step":
                assert optimizer.state[i]["step"] == len(grads)
            else:
                assert optimizer.state[i][slot].shape == tuple(peer.state[q][slot].shape)


@pytest.mark.parametrize("case", CASES)
def test_lion_equals_its_formula(case: int) -> None:
    """PyTorch has no Lion: the program of Chen et al. (2023) in float64.

    Where rounding decides the sign of a mixed momentum the weights may differ by two steps; the
    gradients are drawn so that this leaves most of the items.
    """
    rng = np.random.default_rng([9, case])
    starts = [rng.normal(size=shape) for shape in SHAPES[: 2 + case % 6]]
    options = {
        "lr": float(rng.choice([0.01, 0.001])),
        "betas": ((0.9, 0.99), (0.95, 0.98), (0.0, 0.5))[case % 3],
        "weight_decay": float(rng.choice([0.0, 0.1])),
    }
    params = [nl.nn.Parameter(s.astype(np.float32)) for s in starts]
    wide = [p.numpy().astype(np.float64) for p in params]
    momenta = [np.zeros_like(w) for w in wide]
    unsure = [np.zeros(w.shape, bool) for w in wide]
    optimizer = nl.optim.Lion(params, **options)
    (b1, b2), lr, eps = options["betas"], options["lr"], float(np.finfo(np.float32).eps)
    steps = 5
    for _ in range(steps):
        for i, p in enumerate(params):
            g = np.asarray(rng.normal(size=p.shape)).astype(np.float32)
            p.grad = nl.tensor(g)
            mixed = b1 * momenta[i] + (1 - b1) * g
            terms = b1 * np.abs(momenta[i]) + (1 - b1) * np.abs(g)
            unsure[i] |= np.abs(mixed) <= 4 * np.sqrt(steps) * eps * terms
            wide[i] = wide[i] - lr * (np.sign(mixed) + options["weight_decay"] * wide[i])
            momenta[i] = b2 * momenta[i] + (1 - b2) * g
        optimizer.step()
    for p, w, skip in zip(params, wide, unsure):
        assert skip.mean() < 0.01
        found, expected = p.numpy()[~skip], w[~skip]
        size = np.abs(expected) + 2 * steps * lr
        assert_close(found, expected, dtype="float32", terms=steps + 1, magnitude=size)


@pytest.mark.parametrize("case", CASES)
def test_clipping_by_norm(case: int) -> None:
    rng = np.random.default_rng([3, case])
    dtype = ("float32", "float64")[case % 4 == 3]
    kind = (2.0, 1.0, float("inf"))[case % 3]
    chosen = [SHAPES[i] for i in rng.integers(0, len(SHAPES), int(rng.integers(1, 6)))]
    grads = [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in chosen]
    ours = [nl.nn.Parameter(np.zeros_like(g)) for g in grads]
    theirs = [torch.nn.Parameter(torch.tensor(np.zeros_like(g))) for g in grads]
    for p, q, g in zip(ours, theirs, grads):
        p.grad, q.grad = nl.tensor(g), torch.tensor(g)
    ours.append(nl.nn.Parameter(np.zeros(3, np.float32)))  # without a gradient
    most = float(rng.choice([0.1, 1.0, 1e4, 1e7]))
    norm = nl.nn.utils.clip_grad_norm_(ours, most, kind)
    expected = torch.nn.utils.clip_grad_norm_(theirs, most, kind)
    terms = sum(g.size for g in grads)
    value = np.float64(expected.item())
    bounds: dict[str, Any] = {"dtype": dtype, "terms": terms}
    assert_close(norm.numpy(), np.asarray(value), magnitude=np.asarray(value), **bounds)
    for p, q in zip(ours, theirs):
        peer = q.grad.numpy().astype(np.float64)
        assert_close(p.grad.numpy(), peer, magnitude=np.abs(peer), **bounds)


@pytest.mark.parametrize("case", CASES)
def test_clipping_by_value(case: int) -> None:
    rng = np.random.default_rng([4, case])
    chosen = [SHAPES[i] for i in rng.integers(0, len(SHAPES), int(rng.integers(1, 6)))]
    ours = [nl.nn.Parameter(np.zeros(shape, np.float32)) for shape in chosen]
    theirs = [torch.nn.Parameter(torch.zeros(shape)) for shape in chosen]
    for p, q in zip(ours, theirs):
        g = np.asarray(rng.normal(size=p.shape)).astype(np.float32)
        p.grad, q.grad = nl.tensor(g), torch.tensor(g)
    limit = float(rng.choice([0.0, 0.3, 5.0]))
    nl.nn.utils.clip_grad_value_(ours, limit)
    torch.nn.utils.clip_grad_value_(theirs, limit)
    for p, q in zip(ours, theirs):
        assert np.array_equal(p.grad.numpy(), q.grad.numpy())


@pytest.mark.parametrize("case", CASES)
def test_moving_average(case: int) -> None:
    rng = np.random.default_rng([5, case])
    decay = float(rng.choice([0.0, 0.3, 0.9, 0.999, 1.0]))
    ours, theirs = nl.nn.Linear(5, 3 + case), torch.nn.Linear(5, 3 + case)
    ours.load_state_dict({n: v.detach().numpy() for n, v in theirs.state_dict().items()})
    average = nl.optim.ExponentialMovingAverage(ours.parameters(), decay)
    swa = torch.optim.swa_utils
    peer = swa.AveragedModel(theirs, multi_avg_fn=swa.get_ema_multi_avg_fn(decay))
    peer.update_parameters(theirs)  # the first one copies
    for _ in range(4):
        for p, q in zip(ours.parameters(), theirs.parameters()):
            value = np.asarray(rng.normal(size=p.shape)).astype(np.float32)
            with nl.no_grad():
                p.copy_(value)
            q.data.copy_(torch.tensor(value))
        average.update()
        peer.update_parameters(theirs)
    for a, q in zip(average.averages, peer.module.parameters()):
        expected = q.detach().numpy().astype(np.float64)
        assert_close(a.numpy(), expected, dtype="float32", terms=5, magnitude=np.full(a.shape, 4.0))
