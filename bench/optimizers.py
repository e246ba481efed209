"""One update of all parameters of a network by each optimizer, clipping and average."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import nnlite as nl

from . import peers
from .harness import Case, Side, synchronizer

# Weights and biases of twenty layers: many small parameters, a few large ones.
SHAPES = ((256, 256), (256,)) * 20
STEPS = 3  # compared before anything is timed
# Both round each step of a formula of some ten operations differently.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Line:
    """One optimizer.

    Args:
        name: in ``nnlite.optim``, and in ``torch.optim`` if it is there.
        options: of both.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)


def _values(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]


def _case(name: str, make: Callable[[Any, list[Any]], Callable[[], Any] | None]) -> Case:
    """``make(library, parameters)`` returns the step, or None where the library has none."""

    def setup(device: Any) -> list[Side]:
        ours = [nl.nn.Parameter(nl.tensor(x, device=device)) for x in _values(0)]
        for p, g in zip(ours, _values(1)):
            p.grad = nl.tensor(g, device=device)
        run = make(nl, ours)
        assert run is not None
        sides = [Side("nnlite", run, synchronizer(device))]
        if peers.installed("torch"):
            import torch

            where, wait = peers.torch_device(device)
            theirs = [torch.nn.Parameter(torch.tensor(x, device=where)) for x in _values(0)]
            for p, g in zip(theirs, _values(1)):
                p.grad = torch.tensor(g, device=where)
            step = make(torch, theirs)
            if step is not None:
                sides.append(Side(f"PyTorch {torch.__version__}", step, wait))
                _compare(sides, ours, theirs)
        return sides

    return Case(name, setup, 8.0 * sum(map(math.prod, SHAPES)), "B")


def _compare(sides: list[Side], ours: list[Any], theirs: list[Any]) -> None:
    """Raise AssertionError unless both update the parameters and gradients alike."""
    for _ in range(STEPS):
        for side in sides:
            side.run()
    for p, q in zip(ours, theirs):
        for x, y in ((p, q), (p.grad, q.grad)):
            error = np.abs(x.numpy() - y.detach().cpu().numpy()).max()
            if not error <= TOLERANCE * np.abs(x.numpy()).max():
                raise AssertionError(f"{sides[1].name} differs by {error}")


def update(line: Line) -> Case:
    """A step of an optimizer with fixed gradients."""

    def make(library: Any, parameters: list[Any]) -> Callable[[], Any] | None:
        kind = getattr(library.optim, line.name, None)
        return kind and kind(parameters, **line.options).step

    options = ", ".join(f"{k}={v}" for k, v in line.options.items())
    return _case(f"update {line.name} {options}".strip(), make)


def clip(name: str, limit: float) -> Case:
    """Clipping of gradients by their norm or value."""

    def make(library: Any, parameters: list[Any]) -> Callable[[], Any]:
        return lambda: getattr(library.nn.utils, name)(parameters, limit)

    return _case(name.strip("_"), make)


def average() -> Case:
    """A moving average of the parameters; PyTorch's is a model's, so there is no peer."""

    def make(library: Any, parameters: list[Any]) -> Callable[[], Any] | None:
        if library is not nl:
            return None
        return nl.optim.ExponentialMovingAverage(parameters).update

    return _case("moving average", make)


def cases() -> list[Case]:
    """Every optimizer, clipping by norm and by value, and the moving average."""
    lines = (
        Line("SGD", {"lr": 0.01}),
        Line("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
        Line("Adam", {"lr": 0.001}),
        Line("Adam", {"lr": 0.001, "amsgrad": True}),
        Line("AdamW", {"lr": 0.001}),
        Line("RMSprop", {"lr": 0.001, "momentum": 0.9}),
        Line("Adagrad", {"lr": 0.01}),
        Line("Lion", {"lr": 0.0001}),
    )
    clips = [clip("clip_grad_norm_", 1.0), clip("clip_grad_value_", 0.5)]
    return [*map(update, lines), *clips, average()]
