"""Buckets: what is updated together, and that nobody can tell but by the time it takes."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError, DeviceError, DtypeError, ShapeError
from nnlite.optim import SGD, Adam, ExponentialMovingAverage
from nnlite.optim.buckets import LARGE

SIZES = ((6, 5), (6,), (), (16, 6), (LARGE,))


def parameters() -> list[nl.nn.Parameter]:
    rng = np.random.default_rng(0)
    return [nl.nn.Parameter(np.asarray(rng.normal(size=s)).astype(np.float32)) for s in SIZES]


def give_gradients(params: list[Any], step: int, skip: tuple[int, ...] = ()) -> None:
    for i, p in enumerate(params):
        g = np.asarray(np.random.default_rng([step, i]).normal(size=p.shape)).astype(np.float32)
        p.grad = None if i in skip else nl.tensor(g)


def bits(params: list[Any]) -> list[bytes]:
    return [p.numpy().tobytes() for p in params]


def test_small_parameters_share_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    params = parameters()
    optimizer = SGD(params, lr=0.1)
    sizes: list[int] = []
    update = optimizer._update
    monkeypatch.setattr(optimizer, "_update", lambda *a: (sizes.append(a[2].size), update(*a)))
    give_gradients(params, 0)
    optimizer.step()
    assert len(sizes) == 2
    assert LARGE in sizes
    sizes.clear()
    give_gradients(params, 1, skip=(1,))
    optimizer.step()
    assert len(sizes) == 3  # those before and after the one without a gradient


def test_together_and_alone_give_the_same_bits() -> None:
    together, alone = parameters(), parameters()
    held = [p.detach() for p in alone]  # keeps each where it is
    first, second = Adam(together, lr=0.1), Adam(alone, lr=0.1)
    for step in range(6):
        for params, optimizer in ((together, first), (alone, second)):
            give_gradients(params, step, skip=(step % 4,) if step > 2 else ())
            optimizer.step()
    assert len(first._buckets[0].buckets) == 2
    assert len(second._buckets[0].buckets) == len(SIZES)
    assert bits(together) == bits(alone) == bits(held)


def test_a_view_taken_later_goes_on_seeing_the_parameter() -> None:
    params = parameters()
    optimizer = SGD(params, lr=0.1)
    give_gradients(params, 0)
    optimizer.step()
    views = [p.detach() for p in params]
    give_gradients(params, 1)
    optimizer.step()
    assert bits(views) == bits(params)


def test_a_replaced_array_keeps_its_state() -> None:
    plain, replaced = parameters(), parameters()
    first, second = Adam(plain, lr=0.1), Adam(replaced, lr=0.1)
    for step in range(4):
        for params, optimizer in ((plain, first), (replaced, second)):
            give_gradients(params, step)
            optimizer.step()
        replaced[step % 3].array = nl.array(replaced[step % 3].numpy())
    assert bits(plain) == bits(replaced)


def test_a_loaded_state_replaces_the_one_in_use() -> None:
    params = parameters()
    optimizer = Adam(params, lr=0.1)
    give_gradients(params, 0)
    optimizer.step()
    state = optimizer.state_dict()
    give_gradients(params, 1)
    optimizer.step()
    optimizer.load_state_dict({k: v for k, v in state.items() if not k.startswith("state.1.")})
    give_gradients(params, 2, skip=(2,))
    optimizer.step()
    fresh = parameters()
    other = Adam(fresh, lr=0.1)
    give_gradients(fresh, 2)
    other.step()
    found = optimizer.state_dict()
    assert np.array_equal(found["state.1.exp_avg"], other.state_dict()["state.1.exp_avg"])
    assert found["state.1.step"] == 1
    assert found["state.0.step"] == 2
    assert np.array_equal(found["state.2.exp_avg"], state["state.2.exp_avg"])


def test_the_version_of_a_parameter_counts_its_updates() -> None:
    params = parameters()
    optimizer = SGD(params, lr=0.1)
    x = (params[0] * params[0]).sum()
    give_gradients(params, 0)
    optimizer.step()
    with pytest.raises(nl.errors.AutogradError, match="changed in place"):
        x.backward()


def test_clipping_is_in_place_and_counts_all() -> None:
    params = parameters()
    give_gradients(params, 0)
    grads = [p.grad for p in params]
    before = np.concatenate([g.numpy().ravel() for g in grads]).astype(np.float64)
    norm = nl.nn.utils.clip_grad_norm_(params, 1.0)
    assert norm.item() == pytest.approx(np.linalg.norm(before), rel=1e-5)
    after = np.concatenate([g.numpy().ravel() for g in grads])
    assert np.linalg.norm(after) == pytest.approx(1.0, rel=1e-5)
    assert all(p.grad is g for p, g in zip(params, grads))
    untouched = bits(grads)
    nl.nn.utils.clip_grad_norm_(params, 2.0)
    assert bits(grads) == untouched


def test_clipping_refuses_and_changes_nothing() -> None:
    params = parameters()
    give_gradients(params, 0)
    params[1].grad = nl.tensor(np.full(6, np.inf, np.float32))
    before = bits([p.grad for p in params])
    clip = nl.nn.utils
    with pytest.raises(ArgumentError, match="max_norm: -1.0"):
        clip.clip_grad_norm_(params, -1.0)
    with pytest.raises(ArgumentError, match="norm_type: 3"):
        clip.clip_grad_norm_(params, 1.0, 3)
    with pytest.raises(ArgumentError, match="is inf"):
        clip.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    with pytest.raises(ArgumentError, match="clip_value: -1"):
        clip.clip_grad_value_(params, -1)
    params[0].grad = nl.tensor(np.ones((6, 5)))
    with pytest.raises(ArgumentError, match="float32 on cpu, float64 on cpu"):
        clip.clip_grad_value_(params, 1)
    assert bits([p.grad for p in params])[1:] == before[1:]
    assert clip.clip_grad_norm_([nl.nn.Parameter(np.ones(3))], 1.0).item() == 0.0


def test_average_is_applied_and_taken_back() -> None:
    model = nl.nn.Linear(3, 2)
    average = ExponentialMovingAverage(model.parameters(), 0.5)
    first = model.weight.numpy()
    with nl.no_grad():
        model.weight.copy_(first + 2)
    average.update()
    inside = []
    with contextlib.suppress(RuntimeError), average.applied():
        inside.append(model.weight.numpy())
        raise RuntimeError
    assert np.allclose(inside[0], first + 1)
    assert np.array_equal(model.weight.numpy(), first + 2)
    state = average.state_dict()
    other = ExponentialMovingAverage(model.parameters())
    other.load_state_dict(state)
    assert other.decay == 0.5
    assert np.array_equal(other.averages[0].numpy(), average.averages[0].numpy())
    model.to(dtype="float64")
    average.update()
    assert np.allclose(average.averages[0].numpy(), first + 1.5)
    assert average.averages[0].dtype == np.float64


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda s: s.pop("decay"), ArgumentError, "expected .*'decay'"),
        (lambda s: s.update({"average.2": np.ones(3)}), ArgumentError, "average.2"),
        (lambda s: s.update({"average.1": np.ones(3)}), ShapeError, r"average.1: \(3,\) given"),
        (lambda s: s.update({"average.1": 1.0}), ShapeError, "average.1: float given"),
    ],
)
def test_an_average_that_does_not_fit_changes_nothing(
    change: Any, error: type[Exception], match: str
) -> None:
    average = ExponentialMovingAverage(nl.nn.Linear(3, 2).parameters())
    before = bits(average.averages)
    state = {k: v * 0 for k, v in average.state_dict().items()}
    change(state)
    with pytest.raises(error, match=match):
        average.load_state_dict(state)
    assert bits(average.averages) == before


@pytest.mark.parametrize("decay", [-0.1, 1.5, "much"])
def test_wrong_averages(decay: Any) -> None:
    with pytest.raises(ArgumentError, match="decay"):
        ExponentialMovingAverage(nl.nn.Linear(3, 2).parameters(), decay)
    with pytest.raises(ArgumentError, match="params: 0 of 0"):
        ExponentialMovingAverage([])


@pytest.mark.parametrize(
    ("other", "error", "match"),
    [
        (lambda: nl.array(np.ones(8)), DtypeError, "parameter 1: dtype float64 given"),
        (lambda: nl.array(np.ones(3, np.float32)), ShapeError, r"parameter 1: shape \(3,\) given"),
        (lambda: nl.array(np.ones(8, np.float32), device="cpu"), DeviceError, "parameter 1: on"),
    ],
)
def test_a_weight_that_is_no_longer_like_its_average_changes_nothing(
    driver: Any, other: Any, error: type[Exception], match: str
) -> None:
    """On a GPU weights are read where they lie, whatever lies there."""
    params = [nl.tensor(np.ones(8, np.float32)) for _ in range(2)]
    average = ExponentialMovingAverage(params, 0.5)
    params[0].array, params[1].array = nl.array(np.zeros(8, np.float32)), other()
    with pytest.raises(error, match=f"ExponentialMovingAverage.update: {match}"):
        average.update()
    assert all((a.numpy() == 1).all() for a in average.averages)
