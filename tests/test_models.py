"""Models by name, the summary of a model, and the curves of its training."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite as nl
from nnlite import models
from nnlite.errors import ArgumentError, CheckpointError
from nnlite.plots import learning_curves
from nnlite.summary import rows
from nnlite.train import History


@pytest.fixture(autouse=True)
def on_the_cpu():
    before = nl.default_device()
    nl.set_default_device("cpu")
    yield
    nl.set_default_device(before)


def history_of(epochs: int, validation: bool = True) -> History:
    """A history as :func:`nnlite.fit` writes it."""
    share = [e / (epochs + 1) for e in range(1, epochs + 1)]
    return History(
        [
            {
                "epoch": i + 1,
                "loss": 1 - s,
                "accuracy": s,
                "val_loss": 1.2 - s if validation else None,
                "val_accuracy": s / 2 if validation else None,
            }
            for i, s in enumerate(share)
        ]
    )


def test_summary_names_layers_shapes_and_parameters():
    model = models.build("mlp", (1, 28, 28), 10)
    table = rows(model, (1, 28, 28))
    assert [(r.name, r.layer.split("(")[0], r.output_shape, r.parameters) for r in table] == [
        ("0", "Flatten", (784,), 0),
        ("1", "Linear", (128,), 100_480),
        ("2", "ReLU", (128,), 0),
        ("3", "Linear", (10,), 1_290),
    ]
    text = nl.summary(model, (1, 28, 28))
    assert "(N, 128)" in text
    assert text.splitlines()[-1].split() == ["total", "101,770"]
    assert "forward" not in vars(model[1])


def test_models_by_name():
    model = models.build("mlp", (3, 4), 5, hidden=(8, 6))
    shapes = [p.shape for p in model.parameters()]
    assert shapes == [(8, 12), (8,), (6, 8), (6,), (5, 6), (5,)]
    assert [p.shape for p in models.build("mlp", (7,), 2, hidden=()).parameters()] == [(2, 7), (2,)]
    with pytest.raises(ArgumentError, match="model 'transformer' given, expected one of .*mlp"):
        models.build("transformer", (7,), 2)
    with pytest.raises(ArgumentError, match="unexpected keyword argument 'depth'"):
        models.build("mlp", (7,), 2, depth=3)
    with pytest.raises(ArgumentError, match=r"hidden: \(0,\) given"):
        models.build("mlp", (7,), 2, hidden=(0,))


def test_register_adds_a_model(monkeypatch):
    registry = models.registry
    monkeypatch.setattr(registry, "_BUILDERS", dict(registry._BUILDERS))

    @models.register("linear")
    def linear(input_shape, num_classes):
        return nl.nn.Sequential(nl.nn.Flatten(), nl.nn.Linear(4, num_classes))

    assert "linear" in models.names()
    assert "mlp" in models.names()
    assert models.build("linear", (1, 2, 2), 3)(nl.zeros((2, 1, 2, 2))).shape == (2, 3)


def test_learning_curves_are_drawn(tmp_path):
    from PIL import Image

    for name, validation in (("with", True), ("without", False)):
        learning_curves(history_of(2, validation), tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
        blue = np.all(np.abs(pixels.astype(int) - (31, 119, 180)) < 8, axis=1).sum()
        orange = np.all(np.abs(pixels.astype(int) - (255, 127, 14)) < 8, axis=1).sum()
        assert blue > 100
        assert (orange > 100) == validation


def test_learning_curves_of_nothing_or_in_no_format(tmp_path):
    history = history_of(1)
    with pytest.raises(ArgumentError, match=r"0 epochs .* expected at least one epoch"):
        learning_curves(History(), tmp_path / "a.png")
    with pytest.raises(ArgumentError, match=r"a.txt' given, expected .* png"):
        learning_curves(history, tmp_path / "a.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"file/a.png: cannot be written"):
        learning_curves(history, tmp_path / "file" / "a.png")
    learning_curves(history, tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text()


def test_the_autoencoder_halves_its_error_in_three_epochs():
    data = nl.data.load("mnist-5k")
    nl.manual_seed(0)
    model = models.ConvAutoencoder(data.input_shape)
    optimizer = nl.optim.Adam(model.parameters(), lr=2e-3)
    images = nl.tensor(data.test[:][0])

    def error():
        with nl.no_grad():
            return nl.functional.mse_loss(model(images), images).item()

    before = error()
    for epoch in range(3):
        for x, _ in nl.data.DataLoader(data.train, 64, shuffle=True, seed=epoch):
            loss = nl.functional.mse_loss(model(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert error() < before / 2
