"""The training steps of the benchmark, in nnlite and in PyTorch, from the same weights.

Both libraries name their layers alike, so each network is written once, for either ``nn``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import nnlite as nl

RATES = {"sgd": 0.1, "adam": 1e-3}


@dataclass(frozen=True)
class Network:
    """A network for ten classes.

    Args:
        build: from a namespace of layers, ``nnlite.nn`` or ``torch.nn``, to the model.
        shape: of one input.
        first: multiplications of the first layer per input; its input needs no gradient.
        others: multiplications of all later layers per input.
    """

    build: Callable[[Any], Any]
    shape: tuple[int, ...]
    first: int
    others: int

    def work(self, batch: int) -> float:
        """Floating-point operations of the products of one step: forward and both gradients."""
        return 2.0 * batch * (2 * self.first + 3 * self.others)


def mlp(nn: Any) -> Any:
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def lenet(nn: Any) -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip


def cnn(nn: Any) -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


NETWORKS = {
    "MLP": Network(mlp, (784,), 784 * 128, 128 * 10),
    "LeNet-5": Network(
        lenet, (1, 28, 28), 784 * 6 * 25, 100 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    ),
    "CNN": Network(cnn, (1, 28, 28), 784 * 32 * 9, 196 * 64 * 288 + 64 * 49 * 128 + 128 * 10),
}


def batch_of(network: Network, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs and labels."""
    x = np.random.default_rng(0).random((batch, *network.shape), dtype=np.float32)
    return x, np.random.default_rng(1).integers(0, 10, batch)


def nnlite_step(
    network: Network, x: np.ndarray, labels: np.ndarray, device: Any, optimizer: str
) -> tuple[Callable[[], Any], dict[str, np.ndarray]]:
    """(the step, the weights it starts from)."""
    nl.manual_seed(0)
    model = network.build(nl.nn)
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
    network: Network,
    x: np.ndarray,
    labels: np.ndarray,
    device: Any,
    optimizer: str,
    weights: dict[str, np.ndarray],
) -> tuple[Callable[[], Any], Callable[[], None], str]:
    """(the same step in PyTorch, function that waits for the device, PyTorch's version)."""
    import torch

    from .peers import torch_device

    where, wait = torch_device(device)
    model = network.build(torch.nn).to(where)
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
            raise AssertionError(f"training step: loss {a} after {i} steps, PyTorch's is {b}")
