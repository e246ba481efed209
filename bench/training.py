"""The training step of the benchmark, in nnlite and in PyTorch, from the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import nnlite as nl

RATES = {"sgd": 0.1, "adam": 1e-3}


def nnlite_step(
    x: np.ndarray, labels: np.ndarray, device: Any, optimizer: str
) -> tuple[Callable[[], Any], dict[str, np.ndarray]]:
    """(the step, the weights it starts from)."""
    nl.manual_seed(0)
    model = nl.nn.Sequential(nl.nn.Linear(784, 128), nl.nn.ReLU(), nl.nn.Linear(128, 10))
    model.to(device)
    weights = {k: v.copy() for k, v in model.state_dict().items()}
    make = {"sgd": nl.optim.SGD, "adam": nl.optim.Adam}[optimizer]
    update = make(model.parameters(), lr=RATES[optimizer])
    data = nl.Tensor(x, device=device)
    target = nl.array(labels, device=device)

    def step() -> Any:
        update.zero_grad()
        loss = nl.functional.cross_entropy(model(data), target)
        loss.backward()
        update.step()
        return loss

    return step, weights


def torch_step(
    x: np.ndarray, labels: np.ndarray, device: Any, optimizer: str, weights: dict[str, np.ndarray]
) -> tuple[Callable[[], Any], Callable[[], None], str]:
    """(the same step in PyTorch, function that waits for the device, PyTorch's version)."""
    import torch

    from .peers import torch_device

    where, wait = torch_device(device)
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    ).to(where)
    model.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
    update = make(model.parameters(), lr=RATES[optimizer])
    data, target = torch.tensor(x, device=where), torch.tensor(labels, device=where)

    def step() -> Any:
        update.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(data), target)
        loss.backward()
        update.step()
        return loss

    return step, wait, torch.__version__


def same_losses(ours: Callable[[], Any], theirs: Callable[[], Any], steps: int = 5) -> None:
    """Raise AssertionError unless both give the same losses while they learn."""
    for i in range(steps):
        a, b = float(ours().item()), float(theirs().item())
        if not abs(a - b) <= 1e-4 * abs(b):
            raise AssertionError(f"MLP step: loss {a} after {i} steps, PyTorch's is {b}")
