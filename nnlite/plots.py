"""Learning curves, drawn with matplotlib into a file (no window, no display needed)."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from .checkpoint import write_atomically
from .errors import ArgumentError
from .train import History


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
    path = Path(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    formats = FigureCanvasAgg.get_supported_filetypes()
    suffix = path.suffix[1:].lower()
    if not len(history) or suffix not in formats:
        raise ArgumentError(
            f"learning_curves: {len(history)} epochs and path {str(path)!r} given, expected at "
            f"least one epoch and a suffix out of {', '.join(sorted(formats))}"
        )
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
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
    content = io.BytesIO()
    figure.savefig(content, format=suffix, dpi=120)
    write_atomically(path, content.getvalue())


def _draw(
    axes: Any, x: list[int], values: list[Any], scale: float, form: str, name: str, colour: str
) -> None:
    """One curve with its last value in the legend; nothing if the values are missing."""
    if not values or values[-1] is None:
        return
    y = [float("nan") if v is None else v * scale for v in values]
    axes.plot(x, y, marker=".", color=colour, label=f"{name} ({y[-1]:{form}})")
