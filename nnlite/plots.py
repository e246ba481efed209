"""Pictures of trainings and models, drawn with matplotlib into a file: learning curves, and those
of :mod:`nnlite.pictures`."""

from __future__ import annotations

import os
from typing import Any

from .errors import ArgumentError
from .figures import new_figure, save_figure
from .pictures import confusion_matrix, first_filters, wrong_predictions
from .train import History

__all__ = ["confusion_matrix", "first_filters", "learning_curves", "wrong_predictions"]


def learning_curves(history: History, path: str | os.PathLike[str], title: str = "") -> None:
    """Draw loss and accuracy over the epochs, for training and validation data, as an image.

    Args:
        history: of at least one epoch.
        path: file to write, atomically; its suffix decides the format (.png, .svg, .pdf).
        title: heading of the figure.

    Raises:
        ArgumentError: the history has no epoch, or the suffix is no format of matplotlib.
        CheckpointError: the file cannot be written.
    """
    from matplotlib.ticker import MaxNLocator

    if not len(history):
        raise ArgumentError("learning_curves: 0 epochs given, expected at least one epoch")
    figure, target = new_figure("learning_curves", path, (9, 3.6))
    left, right = figure.subplots(1, 2)
    epochs = history["epoch"]
    for axes, key, scale, label in (
        (left, "loss", 1.0, "loss"),
        (right, "accuracy", 100.0, "accuracy in %"),
    ):
        form = ".3f" if key == "loss" else ".2f"
        for prefix, name, colour in (("", "train", "C0"), ("val_", "test", "C1")):
            _draw(axes, epochs, history[prefix + key], scale, form, name, colour)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(epochs) == 1:  # else matplotlib would invent thousandths of an epoch around it
            axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
        axes.grid(alpha=0.3)
        axes.legend()
    if title:
        figure.suptitle(title)
    save_figure(figure, target)


def _draw(
    axes: Any, x: list[int], values: list[Any], scale: float, form: str, name: str, colour: str
) -> None:
    """One curve with its last value in the legend; nothing if the values are missing."""
    if not values or values[-1] is None:
        return
    y = [float("nan") if v is None else v * scale for v in values]
    axes.plot(x, y, marker=".", color=colour, label=f"{name} ({y[-1]:{form}})")
