"""What a model consists of: its layers, their output shapes and their parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Row:
    """One layer: its name in the model, what it is, its output shape, its number of parameters."""

    name: str
    layer: str
    output_shape: tuple[int, ...]
    parameters: int


def rows(model: Any, input_shape: Sequence[int], batch_size: int = 1) -> list[Row]:
    """One row per layer that holds no other layer, in the order they run.

    Runs the model once on zeros, in evaluation mode and without gradients.

    Args:
        model: a Module.
        input_shape: shape of one input, without the batch axis.
        batch_size: of the trial run; on the CPU it decides which kernels are compiled.
    """
    from .train import predict

    found: list[Row] = []
    with _watched(model, found):
        predict(model, np.zeros((batch_size, *input_shape), np.float32), batch_size)
    return found


@contextmanager
def _watched(model: Any, found: list[Row]) -> Iterator[None]:
    """Note a row whenever a layer without sublayers runs."""
    layers = [(name, m) for name, m in model.named_modules() if not any(True for _ in m.children())]
    for name, layer in layers:
        object.__setattr__(layer, "forward", _noting(name, layer, layer.forward, found))
    try:
        yield
    finally:
        for _, layer in layers:
            object.__delattr__(layer, "forward")


def _noting(name: str, layer: Any, forward: Any, found: list[Row]) -> Any:
    def noting(*args: Any, **options: Any) -> Any:
        output = forward(*args, **options)
        count = sum(p.size for p in layer.parameters())
        found.append(Row(name, repr(layer), tuple(output.shape[1:]), count))
        return output

    return noting


def parameter_count(model: Any) -> int:
    """Number of trainable values of a model."""
    return sum(p.size for p in model.parameters())


def summary(model: Any, input_shape: Sequence[int]) -> str:
    """The table of :func:`rows` as text, with the total below.

    Example:
        >>> print(nl.summary(model, (1, 28, 28)))
    """
    table = [("", "layer", "output", "parameters")]
    for row in rows(model, input_shape):
        table.append((row.name, row.layer, shape_text(row.output_shape), f"{row.parameters:,}"))
    table.append(("", "total", "", f"{parameter_count(model):,}"))
    widths = [max(len(line[i]) for line in table) for i in range(4)]
    return "\n".join(
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip()
        for a, b, c, d in table
    )


def shape_text(shape: Sequence[int]) -> str:
    """``(N, 128)`` for an output of shape (128,)."""
    return f"({', '.join(['N', *map(str, shape)])})"
