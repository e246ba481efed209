"""Learning-rate schedules: a closed formula of the number of steps, applied to an optimizer.

A schedule multiplies nothing in place: each step computes the rate of every group anew from the
group's first rate, so rates do not drift and a schedule resumes exactly from its state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import ArgumentError
from ..kernels.engine.replay import repeated
from .optimizer import Optimizer


class LRScheduler:
    """Base class of the schedules: define :meth:`rate`.

    Args:
        optimizer: whose ``param_groups`` get the rates; the rate of step 0 is set at once.

    Attributes:
        steps: how often :meth:`step` was called.
        base_lrs: the first rate of every group.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.base_lrs: list[float] = [group["lr"] for group in optimizer.param_groups]
        self.steps = 0
        self._set()

    def rate(self, base: float, steps: int) -> float:
        """Rate after ``steps`` steps of a group that began with ``base``."""
        raise NotImplementedError

    def step(self) -> None:
        """Go on by one step (an epoch, or a batch: whatever calls it)."""
        repeated(self._advance)

    def _advance(self) -> None:
        self.steps += 1
        self._set()

    def get_last_lr(self) -> list[float]:
        """The present rate of every group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _set(self) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = self.rate(base, self.steps)

    def state_dict(self) -> dict[str, Any]:
        """Number of steps and first rates."""
        return {"steps": self.steps, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave, and set the rates.

        Raises:
            ArgumentError: it is not the state of a schedule with as many groups.
        """
        name = f"{type(self).__name__}.load_state_dict"
        if set(state_dict) != {"steps", "base_lrs"}:
            raise ArgumentError(
                f"{name}: keys {sorted(state_dict)} given, expected base_lrs, steps"
            )
        steps, rates = state_dict["steps"], state_dict["base_lrs"]
        counted = isinstance(steps, int) and steps >= 0 and isinstance(rates, (list, tuple))
        if not counted or not all(isinstance(r, (int, float)) for r in rates):
            raise ArgumentError(
                f"{name}: steps {steps!r}, base_lrs {rates!r}: expected numbers of at least 0"
            )
        if len(rates) != len(self.base_lrs):
            raise ArgumentError(
                f"{name}: base_lrs of {len(rates)} groups given, expected {len(self.base_lrs)}"
            )
        self.steps, self.base_lrs = steps, list(rates)
        self._set()


class ConstantLR(LRScheduler):
    """The first rate throughout; of use inside :class:`Warmup`."""

    def rate(self, base: float, steps: int) -> float:
        return base


class StepLR(LRScheduler):
    r"""The rate times ``gamma`` every ``step_size`` steps.

    .. math:: \eta_t = \eta_0 \gamma^{\lfloor t / s \rfloor}

    Args:
        optimizer: see :class:`LRScheduler`.
        step_size: :math:`s`.
        gamma: :math:`\gamma`.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        if step_size < 1:
            raise ArgumentError(f"StepLR: step_size: {step_size!r} given, expected at least 1")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, base: float, steps: int) -> float:
        return base * self.gamma ** (steps // self.step_size)


class CosineAnnealingLR(LRScheduler):
    r"""The rate along half a cosine from the first to ``eta_min`` in ``T_max`` steps.

    .. math:: \eta_t = \eta_{min} + (\eta_0 - \eta_{min}) (1 + \cos(\pi t / T)) / 2

    Source: I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
    ICLR 2017, without restarts: after :math:`T` steps the rate stays at ``eta_min``.

    Args:
        optimizer: see :class:`LRScheduler`.
        T_max: :math:`T`.
        eta_min: the last rate.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        if T_max < 1:
            raise ArgumentError(f"CosineAnnealingLR: T_max: {T_max!r} given, expected at least 1")
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer)

    def rate(self, base: float, steps: int) -> float:
        part = min(steps, self.T_max) / self.T_max
        return self.eta_min + (base - self.eta_min) * (1.0 + math.cos(math.pi * part)) / 2.0


class Warmup(LRScheduler):
    r"""A linear rise to the first rate in ``steps`` steps, then another schedule from its start.

    .. math:: \eta_t = \eta_0 (t + 1) / (\mathrm{steps} + 1) \quad (t < \mathrm{steps})

    Args:
        schedule: what follows; it is not stepped itself. An optimizer stands for
            :class:`ConstantLR` of it.
        steps: length of the rise.

    Examples:
        >>> schedule = Warmup(CosineAnnealingLR(optimizer, T_max=20), steps=3)
    """

    def __init__(self, schedule: LRScheduler | Optimizer, steps: int) -> None:
        if steps < 0:
            raise ArgumentError(f"Warmup: steps: {steps!r} given, expected at least 0")
        self.schedule = schedule if isinstance(schedule, LRScheduler) else ConstantLR(schedule)
        self.warmup_steps = steps
        optimizer = self.schedule.optimizer
        for group, base in zip(optimizer.param_groups, self.schedule.base_lrs):
            group["lr"] = base  # the schedule has set its own first rate already
        super().__init__(optimizer)

    def rate(self, base: float, steps: int) -> float:
        if steps < self.warmup_steps:
            return base * (steps + 1) / (self.warmup_steps + 1)
        return self.schedule.rate(base, steps - self.warmup_steps)
