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


class TorchTwoParts(torch.nn.Module):
    """Two sequences under the names that they have in our models."""

    def __init__(self, names: tuple[str, str], first: list[Any], second: list[Any]) -> None:
        super().__init__()
        self.names = names
        setattr(self, names[0], torch.nn.Sequential(*first))
        setattr(self, names[1], torch.nn.Sequential(*second))

    def forward(self, x: Any) -> Any:
        return getattr(self, self.names[1])(getattr(self, self.names[0])(x))


def torch_lenet() -> Any:
    t = torch.nn
    features = [t.Conv2d(2, 6, 5, padding=2), t.ReLU(), t.MaxPool2d(2)]
    features += [t.Conv2d(6, 16, 5), t.ReLU(), t.MaxPool2d(2)]
    classifier = [t.Flatten(), t.Linear(32, 120), t.ReLU(), t.Linear(120, 84), t.ReLU()]
    return TorchTwoParts(("features", "classifier"), features, [*classifier, t.Linear(84, 5)])


def torch_vgg() -> Any:
    t = torch.nn
    features: list[Any] = []
    for inputs, outputs in ((3, 4), (4, 8)):
        for channels in (inputs, outputs):
            features += [t.Conv2d(channels, outputs, 3, padding=1), t.BatchNorm2d(outputs)]
            features.append(t.ReLU())
        features.append(t.MaxPool2d(2))
    classifier = [t.Flatten(), t.Linear(32, 10), t.ReLU(), t.Linear(10, 5)]
    return TorchTwoParts(("features", "classifier"), features, classifier)


def torch_autoencoder() -> Any:
    t = torch.nn
    encoder = [t.Conv2d(1, 8, 3, stride=2, padding=1), t.ReLU()]
    encoder += [t.Conv2d(8, 4, 3, stride=2, padding=1), t.ReLU()]
    decoder = [t.ConvTranspose2d(4, 8, 4, stride=2, padding=1), t.ReLU()]
    decoder.append(t.ConvTranspose2d(8, 1, 4, stride=2, padding=1))
    return TorchTwoParts(("encoder", "decoder"), encoder, decoder)


class TorchBlock(torch.nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        t = torch.nn
        self.conv1 = t.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = t.BatchNorm2d(outputs)
        self.conv2 = t.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = t.BatchNorm2d(outputs)
        self.stride, self.grown = stride, outputs - inputs

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        x = x[:, :, :: self.stride, :: self.stride]
        half = self.grown // 2
        x = torch.nn.functional.pad(x, (0, 0, 0, 0, half, self.grown - half))
        return torch.relu(y + x)


class TorchResNet(torch.nn.Module):
    def __init__(self, blocks: int, channels: int, classes: int) -> None:
        super().__init__()
        t = torch.nn
        self.conv1 = t.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = t.BatchNorm2d(16)
        for number, (inputs, outputs) in enumerate(((16, 16), (16, 32), (32, 64)), 1):
            first = TorchBlock(inputs, outputs, 1 if number == 1 else 2)
            rest = [TorchBlock(outputs, outputs, 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{number}", t.Sequential(first, *rest))
        self.fc = t.Linear(64, classes)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean(dim=(2, 3)))


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
    "lenet": (lambda: models.LeNet5((2, 16, 15), 5), torch_lenet, images(3, 2, 16, 15), 150, 5),
    "vgg": (
        lambda: models.VGG((3, 8, 11), 5, (4, 8), 10),
        torch_vgg,
        images(6, 3, 8, 11),
        6 * 8 * 11,
        6,
    ),
    "resnet8": (
        lambda: models.ResNet(8, (3, 9, 8), 4),
        lambda: TorchResNet(1, 3, 4),
        images(4, 3, 9, 8),
        9 * 64,
        8,
    ),
    "resnet20": (
        lambda: models.ResNet(20, (1, 8, 8), 10),
        lambda: TorchResNet(3, 1, 10),
        images(4, 1, 8, 8),
        9 * 64,
        20,
    ),
    "autoencoder": (
        models.ConvAutoencoder,
        torch_autoencoder,
        images(2, 1, 28, 28),
        14 * 14 * 9,
        4,
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
    assert set(state) == set(found) == set(theirs.state_dict())
    assert all(np.array_equal(state[n], found[n]) for n in state)
