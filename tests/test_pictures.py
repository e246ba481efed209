"""Confusion matrix, first filters, wrong predictions: what they count, draw and refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite import plots
from nnlite.errors import ArgumentError
from nnlite.testing.command import QUICK, succeed

NAMES = ("cat", "dog", "owl")
TRUTH, PREDICTED = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 0, 2])


def pixels(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_confusion_matrix_counts_and_draws(tmp_path: Path) -> None:
    path = tmp_path / "matrix.png"
    counts = plots.confusion_matrix(TRUTH, PREDICTED, NAMES, path, "pets")
    assert np.array_equal(counts, [[1, 1, 0], [0, 1, 0], [1, 0, 2]])
    dark = np.all(np.abs(pixels(path) - (8, 48, 107)) < 8, axis=2).sum()  # a share of 1
    assert dark > 1000
    many = [f"class {i}" for i in range(30)]
    plots.confusion_matrix(np.arange(30), np.arange(30), many, tmp_path / "many.svg")
    assert "<svg" in (tmp_path / "many.svg").read_text()


def test_first_filters_of_a_linear_layer(tmp_path: Path) -> None:
    model = nl.nn.Sequential(nl.nn.Flatten(), nl.nn.Linear(12, 5), nl.nn.ReLU())
    found = plots.first_filters(model, (1, 3, 4), tmp_path / "f.png", most=4)
    weight = model[1].weight.numpy()[:4].reshape(4, 3, 4)
    largest = np.abs(weight).max(axis=(1, 2), keepdims=True)
    assert np.allclose(found, 0.5 + weight / largest / 2)
    assert pixels(tmp_path / "f.png").std() > 10
    coloured = nl.nn.Sequential(nl.nn.Flatten(), nl.nn.Linear(3 * 2 * 2, 2))
    assert plots.first_filters(coloured, (3, 2, 2), tmp_path / "c.png").shape == (2, 2, 2, 3)


def test_wrong_predictions_begin_with_the_surest(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 6, 6)).astype(np.uint8)
    shares = np.array([[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.8, 0.1, 0.1], [0.1, 0.2, 0.7]])
    found = plots.wrong_predictions(
        images, np.array([0, 0, 2, 0]), shares, NAMES, tmp_path / "w.png", most=2
    )
    assert found.tolist() == [2, 3]
    assert pixels(tmp_path / "w.png").std() > 10


@pytest.mark.parametrize(
    ("draw", "match"),
    [
        (lambda p: plots.confusion_matrix(TRUTH, PREDICTED[:3], NAMES, p), r"predicted \(3,\)"),
        (lambda p: plots.confusion_matrix(TRUTH, PREDICTED, NAMES[:2], p), "below the 2"),
        (lambda p: plots.confusion_matrix(TRUTH, PREDICTED, NAMES, "a.txt"), "suffix out of"),
        (lambda p: plots.first_filters(nl.nn.ReLU(), (1, 2, 2), p), "begins with neither"),
        (lambda p: plots.first_filters(nl.nn.Linear(5, 2), (1, 2, 2), p), "begins with neither"),
        (
            lambda p: plots.wrong_predictions(
                np.zeros((2, 1, 2, 2)), np.array([1, 1]), np.eye(3)[[1, 1]], NAMES, p
            ),
            "every prediction is right",
        ),
        (
            lambda p: plots.wrong_predictions(
                np.zeros((2, 2)), np.array([1, 1]), np.eye(3)[[1, 1]], NAMES, p
            ),
            r"images \(2, 2\)",
        ),
    ],
)
def test_wrong_arguments(tmp_path: Path, draw: Any, match: str) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(ArgumentError, match=match):
        draw(path)
    assert not path.exists()


@pytest.mark.usefixtures("command_on_the_cpu")
def test_the_command_draws_them(tmp_path: Path) -> None:
    succeed("train", "digits", "--epochs", 1, "--out", tmp_path / "run", *QUICK)
    output = succeed("evaluate", tmp_path / "run", "--pictures", tmp_path / "drawn")
    assert "confusion.png, filters.png, wrong.png" in output
    for name in ("confusion.png", "filters.png", "wrong.png"):
        assert pixels(tmp_path / "drawn" / name).std() > 5
