"""Learning curves, drawn with matplotlib into a file (no window, no display needed)."""

from __future__ import annotations

import os
from typing import Any

from .train import History


def learning_curves(history: History, path: str | os.PathLike[str], title: str = "") -> None:
    """Draw loss and accuracy over the epochs, for training and validation data, as an image.

    Args:
        history: of at least one epoch.
        path: file to write; its suffix decides the format.
        title: heading of the figure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    epochs = history["epoch"]
    for axes, key, scale, label in (
        (left, "loss", 1.0, "loss"),
        (right, "accuracy", 100.0, "accuracy in %"),
    ):
        for prefix, name, colour in (("", "train", "C0"), ("val_", "test", "C1")):
            _draw(axes, epochs, history[prefix + key], scale, name, colour)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    if title:
        figure.suptitle(title)
    figure.savefig(path, dpi=120)


def _draw(axes: Any, x: list[int], values: list[Any], scale: float, name: str, colour: str) -> None:
    """One curve with its last value in the legend; nothing if the values are missing."""
    if not values or values[-1] is None:
        return
    y = [float("nan") if v is None else v * scale for v in values]
    axes.plot(x, y, marker=".", color=colour, label=f"{name} ({y[-1]:.4g})")
