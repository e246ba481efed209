"""What a model consists of: its layers, their output shapes and their parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
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


def rows(model: Any, input_shape: Sequence[int], dtype: Any = "float32") -> list[Row]:
    """One row per layer, in the order they end.

    A layer is a module that holds no other, or one with parameters of its own beside those of the
    modules in it; of those, its row counts its own only.

    Runs the model on an empty batch, in evaluation mode and without gradients: the shapes come
    out, but no kernel has anything to do, so none is compiled.

    Args:
        model: a Module.
        input_shape: shape of one input, without the batch axis.
        dtype: dtype of the input; ``"int64"`` for a model that begins with an embedding.
    """
    from .kernels.engine import array
    from .tensor import Tensor
    from .train.inference import inference_mode, model_device

    found: list[Row] = []
    empty = np.zeros((0, *input_shape), dtype)
    with contextlib.ExitStack() as watching:
        for name, layer in list(model.named_modules()):
            if layer._parameters or not any(True for _ in layer.children()):
                watching.enter_context(layer.register_forward_hook(_noting(name, found)))
        with inference_mode(model):
            model(Tensor(array(empty, device=model_device(model))))
    return found


def _noting(name: str, found: list[Row]) -> Any:
    def note(layer: Any, args: Any, output: Any) -> None:
        while isinstance(output, (tuple, list)):  # of a recurrent layer: without its last state
            output = output[0]
        count = sum(p.size for p in layer._parameters.values() if p is not None)
        text = f"{type(layer).__name__}({layer.extra_repr()})"
        found.append(Row(name, text, tuple(output.shape[1:]), count))

    return note


def parameter_count(model: Any) -> int:
    """Number of trainable values of a model."""
    return sum(p.size for p in model.parameters())


def summary(model: Any, input_shape: Sequence[int], dtype: Any = "float32") -> str:
    """The table of :func:`rows` as text, with the total below.

    Example:
        >>> print(nl.summary(model, (1, 28, 28)))
    """
    table = [("", "layer", "output", "parameters")]
    for row in rows(model, input_shape, dtype):
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
