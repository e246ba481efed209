"""Figures drawn by matplotlib into a file: no window, no display needed."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from .checkpoint import write_atomically
from .errors import ArgumentError


def new_figure(
    op: str, path: str | os.PathLike[str], size: tuple[float, float]
) -> tuple[Any, Path]:
    """An empty figure of ``size`` inches, to be saved at ``path``.

    Raises:
        ArgumentError: the suffix of the path is no format of matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(path)
    formats = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise ArgumentError(
            f"{op}: path {str(path)!r} given, expected a suffix out of {', '.join(sorted(formats))}"
        )
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, path


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure, atomically, in the format that the suffix names.

    Raises:
        CheckpointError: the file cannot be written.
    """
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:].lower(), dpi=120)
    write_atomically(path, content.getvalue())
