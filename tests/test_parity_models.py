"""Ready models against the same models in PyTorch: outputs, gradients, and files both ways.

Bound: a model is at most ``depth`` layers, each a sum over at most ``terms`` products, so an output
may differ by ``4 sqrt(terms) eps depth`` of the largest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from nnlite import models
from nnlite.testing.parity import check_parity

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

EPS = float(np.finfo(np.float32).eps)


def torch_mlp() -> Any:
    t = torch.nn
    return t.Sequential(
        t.Flatten(), t.Linear(35, 16), t.ReLU(), t.Linear(16, 8), t.ReLU(), t.Linear(8, 4)
    )


class TorchCharLSTM(torch.nn.Module):
    def __init__(self, characters: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(characters, embedding)
        self.lstm = torch.nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.output = torch.nn.Linear(hidden, characters)

    def forward(self, x: Any, state: Any = None) -> Any:
        y, state = self.lstm(self.embedding(x), state)
        return self.output(y), state


Case = tuple[Callable[[], Any], Callable[[], Any], np.ndarray, int, int]
RNG = np.random.default_rng(0)
NUMBERS = RNG.integers(0, 11, (3, 6))


def images(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


# Name -> ours, PyTorch's, an input, the terms of the longest sum, the depth.
MODELS: dict[str, Case] = {
    "mlp": (lambda: models.mlp((5, 7), 4, (16, 8)), torch_mlp, images(3, 5, 7), 35, 3),
    "char-lstm": (
        lambda: models.CharLSTM(11, 5, 7, 2),
        lambda: TorchCharLSTM(11, 5, 7, 2),
        NUMBERS,
        14,
        14,
    ),
}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_model(name: str, train: bool) -> None:
    ours, theirs, x, terms, depth = MODELS[name]
    bound = 4 * np.sqrt(terms) * EPS * depth
    torch.manual_seed(0)
    check_parity(ours(), theirs(), x, bound=bound, floor=1.0, train=train)


@pytest.mark.parametrize("name", MODELS)
def test_files_go_both_ways(name: str, tmp_path: Path) -> None:
    safetensors_torch = pytest.importorskip("safetensors.torch")
    ours, theirs = MODELS[name][0](), MODELS[name][1]()
    save_file(ours.state_dict(), tmp_path / "ours.safetensors")
    theirs.load_state_dict(safetensors_torch.load_file(tmp_path / "ours.safetensors"))
    safetensors_torch.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    again = MODELS[name][0]()
    again.load_state_dict(load_file(tmp_path / "theirs.safetensors"))
    state, found = ours.state_dict(), again.state_dict()
    assert list(state) == list(found) == list(theirs.state_dict())
    assert all(np.array_equal(state[n], found[n]) for n in state)
