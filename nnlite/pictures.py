"""Pictures of what a model has learned: confusion matrix, first filters, wrong predictions."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import ArgumentError
from .figures import new_figure, save_figure

MOST_NUMBERS = 20  # classes up to which the cells of a matrix are labelled with their counts


def confusion_matrix(
    truth: np.ndarray,
    predicted: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    title: str = "",
) -> np.ndarray:
    """Draw how often items of each class are taken for each other class.

    Args:
        truth, predicted: class numbers (n,).
        class_names: one name per class.
        path: file to write, atomically; its suffix decides the format (.png, .svg, .pdf).
        title: heading of the figure.

    Returns:
        The counts (classes, classes), a row for each true class.

    Raises:
        ArgumentError: the numbers do not fit each other or the names, or the suffix is no format
            of matplotlib.
        CheckpointError: the file cannot be written.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    k = len(class_names)
    fits = truth.ndim == 1 and truth.shape == predicted.shape and len(truth) > 0
    if not fits or min(truth.min(), predicted.min()) < 0 or max(truth.max(), predicted.max()) >= k:
        raise ArgumentError(
            f"confusion_matrix: truth {truth.shape} and predicted {predicted.shape} given, "
            f"expected as many numbers each, below the {k} of the classes"
        )
    counts = np.zeros((k, k), np.int64)
    np.add.at(counts, (truth, predicted), 1)
    side = min(max(4.0, 0.5 * k + 1.5), 14.0)
    figure, target = new_figure("confusion_matrix", path, (side, side))
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(k), class_names, rotation=90 if k > MOST_NUMBERS else 45)
    axes.set_yticks(range(k), class_names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if k <= MOST_NUMBERS:
        for i, j in np.ndindex(k, k):
            if counts[i, j]:
                colour = "white" if share[i, j] > 0.5 else "black"
                axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour, size=8)
    if title:
        axes.set_title(title)
    save_figure(figure, target)
    return counts


def first_filters(
    model: Any,
    input_shape: Sequence[int],
    path: str | os.PathLike[str],
    most: int = 64,
    title: str = "",
) -> np.ndarray:
    """Draw the weights of the first layer as images.

    Args:
        model: a Module that begins with a convolution, or with a linear layer for images.
        input_shape: (channels, height, width) of one input.
        path, title: see :func:`confusion_matrix`.
        most: how many to draw.

    Returns:
        The filters drawn, (count, height, width) or (count, height, width, 3) for RGB, each
        scaled to [0, 1] with 0.5 for a weight of 0.

    Raises:
        ArgumentError: the first layer is none of these, or the suffix is no format of matplotlib.
        CheckpointError: the file cannot be written.
    """
    weight = next((p.numpy() for p in model.parameters() if len(p.shape) in (2, 4)), None)
    shape = tuple(input_shape)
    if weight is not None and weight.ndim == 2 and weight.shape[1] == math.prod(shape):
        weight = weight.reshape(-1, *shape)
    if weight is None or weight.ndim != 4:
        raise ArgumentError(
            "first_filters: the model begins with neither a convolution nor a linear layer for "
            f"images of shape {shape}"
        )
    weight = weight[:most]
    weight = weight.transpose(0, 2, 3, 1) if weight.shape[1] == 3 else weight[:, 0]
    largest = np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True)
    scaled = 0.5 + 0.5 * weight / np.where(largest > 0, largest, 1)
    _grid("first_filters", path, scaled, [""] * len(scaled), title)
    return scaled


def wrong_predictions(
    images: np.ndarray,
    truth: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    most: int = 36,
    title: str = "",
) -> np.ndarray:
    """Draw the images that a model is wrong about, those it is surest of first.

    Args:
        images: (n, channels, height, width), of any scale.
        truth: class numbers (n,).
        probabilities: (n, classes).
        class_names: one name per class.
        path, title: see :func:`confusion_matrix`.
        most: how many to draw.

    Returns:
        The numbers of the images drawn.

    Raises:
        ArgumentError: the arrays do not fit, no prediction is wrong, or the suffix is no format of
            matplotlib.
        CheckpointError: the file cannot be written.
    """
    if images.ndim != 4 or probabilities.shape != (len(images), len(class_names)):
        raise ArgumentError(
            f"wrong_predictions: images {images.shape} and probabilities {probabilities.shape} "
            f"given, expected (n, channels, height, width) and (n, {len(class_names)})"
        )
    predicted = probabilities.argmax(axis=1)
    wrong = np.nonzero(predicted != truth)[0]
    if len(wrong) == 0:
        raise ArgumentError("wrong_predictions: every prediction is right: nothing to draw")
    chosen = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:most]
    texts = [
        f"{class_names[predicted[i]]} {probabilities[i].max():.0%}\nis {class_names[truth[i]]}"
        for i in chosen
    ]
    found = images[chosen].astype(np.float64)
    found = found.transpose(0, 2, 3, 1) if found.shape[1] == 3 else found[:, 0]
    low, high = found.min(), found.max()
    _grid("wrong_predictions", path, (found - low) / ((high - low) or 1.0), texts, title)
    return chosen


def _grid(
    op: str, path: str | os.PathLike[str], images: np.ndarray, texts: list[str], title: str
) -> None:
    """Images beside and below each other, each under its text."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = -(-len(images) // columns)
    height = 1.0 if not any(texts) else 1.5
    figure, target = new_figure(op, path, (1.1 * columns + 0.4, height * rows + 0.6))
    places = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, image, text in zip(places, images, texts):
        axes.imshow(image, cmap="gray", vmin=0, vmax=1)
        if text:
            axes.set_title(text, size=7)
    if title:
        figure.suptitle(title, size=9)
    save_figure(figure, target)
