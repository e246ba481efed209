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


def rows(model: Any, input_shape: Sequence[int]) -> list[Row]:
    """One row per layer that holds no other layer, in the order they run.

    Runs the model on an empty batch, in evaluation mode and without gradients: the shapes come
    out, but no kernel has anything to do, so none is compiled.

    Args:
        model: a Module.
        input_shape: shape of one input, without the batch axis.
    """
    from .kernels.engine import array
    from .tensor import Tensor
    from .train.inference import inference_mode, model_device

    found: list[Row] = []
    empty = np.zeros((0, *input_shape), np.float32)
    with _watched(model, found), inference_mode(model):
        model(Tensor(array(empty, device=model_device(model))))
    return found


@contextmanager
def _watched(model: Any, found: list[Row]) -> Iterator[None]:
    """Note a row whenever a layer without sublayers runs."""
    from .nn import Sequential

    changed = []
    for name, layer in list(model.named_modules()):
        if type(layer) is Sequential:
            forward = _one_by_one(layer)  # instead of fused pairs, which skip their layers
        elif not any(True for _ in layer.children()):
            forward = _noting(name, layer, found)
        else:
            continue
        object.__setattr__(layer, "forward", forward)
        changed.append(layer)
    try:
        yield
    finally:
        for layer in changed:
            object.__delattr__(layer, "forward")


def _one_by_one(sequence: Any) -> Any:
    def forward(x: Any) -> Any:
        for module in sequence:
            x = module(x)
        return x

    return forward


def _noting(name: str, layer: Any, found: list[Row]) -> Any:
    forward = layer.forward

    def noting(*args: Any, **options: Any) -> Any:
        output = forward(*args, **options)
        found.append(Row(name, repr(layer), tuple(output.shape[1:]), parameter_count(layer)))
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
