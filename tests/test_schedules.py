"""Learning-rate schedules: their formulas, groups, resuming, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError
from nnlite.optim import SGD, lr_scheduler


def parameter(*shape: int, seed: int = 0) -> nl.nn.Parameter:
    return nl.nn.Parameter(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def rates(schedule: Any, n: int) -> list[float]:
    found = []
    for _ in range(n):
        found.append(schedule.optimizer.lr)
        schedule.step()
    return found


def test_step_schedule() -> None:
    schedule = lr_scheduler.StepLR(SGD([parameter(1)], lr=1.0), step_size=2, gamma=0.5)
    assert rates(schedule, 6) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_cosine_schedule() -> None:
    schedule = lr_scheduler.CosineAnnealingLR(SGD([parameter(1)], lr=1.0), T_max=4, eta_min=0.2)
    expected = [0.2 + 0.8 * (1 + math.cos(math.pi * t / 4)) / 2 for t in range(5)] + [0.2]
    assert rates(schedule, 6) == pytest.approx(expected, rel=1e-12)


def test_warmup_then_cosine() -> None:
    optimizer = SGD([parameter(1)], lr=1.0)
    schedule = lr_scheduler.Warmup(lr_scheduler.CosineAnnealingLR(optimizer, T_max=2), steps=3)
    found = rates(schedule, 6)
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, 0.5, 0.0], abs=1e-12)
    constant = lr_scheduler.Warmup(SGD([parameter(1)], lr=1.0), steps=1)
    assert rates(constant, 4) == [0.5, 1.0, 1.0, 1.0]


def test_schedules_scale_every_group() -> None:
    p, q = parameter(1), parameter(1)
    optimizer = SGD([{"params": [p]}, {"params": [q], "lr": 0.5}], lr=1.0)
    schedule = lr_scheduler.StepLR(optimizer, 1, 0.1)
    schedule.step()
    assert schedule.get_last_lr() == pytest.approx([0.1, 0.05])


def test_schedule_resumes() -> None:
    def make() -> Any:
        optimizer = SGD([parameter(1)], lr=1.0)
        return lr_scheduler.Warmup(lr_scheduler.StepLR(optimizer, 2), steps=2)

    whole = rates(make(), 8)
    first = make()
    for _ in range(3):
        first.step()
    second = make()
    second.optimizer.lr = 0.123
    second.load_state_dict(first.state_dict())
    assert rates(second, 5) == whole[3:]
    with pytest.raises(ArgumentError, match="expected numbers"):
        second.load_state_dict({"steps": "1", "base_lrs": [1.0]})
    with pytest.raises(ArgumentError, match="at least 0"):
        second.load_state_dict({"steps": -1, "base_lrs": [1.0]})
    with pytest.raises(ArgumentError, match="base_lrs 1.0"):
        second.load_state_dict({"steps": 1, "base_lrs": 1.0})
    with pytest.raises(ArgumentError, match="keys"):
        second.load_state_dict({"steps": 1})
    with pytest.raises(ArgumentError, match="2 groups"):
        second.load_state_dict({"steps": 1, "base_lrs": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda p: lr_scheduler.StepLR(SGD([p]), 0), "step_size"),
        (lambda p: lr_scheduler.CosineAnnealingLR(SGD([p]), 0), "T_max"),
        (lambda p: lr_scheduler.Warmup(SGD([p]), -1), "steps"),
    ],
)
def test_wrong_arguments(make: Any, match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        make(parameter(3))
