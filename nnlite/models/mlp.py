"""Multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from .. import nn
from ..errors import ArgumentError
from .registry import register


@register("mlp")
def mlp(input_shape: Sequence[int], num_classes: int, hidden: Sequence[int] = (128,)) -> Any:
    """Multi-layer perceptron: Flatten, then Linear and ReLU per hidden layer, then Linear.

    Args:
        input_shape: shape of one input.
        num_classes: number of outputs.
        hidden: widths of the hidden layers; none gives a linear classifier.

    Raises:
        ArgumentError: a width is below 1.
    """
    if any(width < 1 for width in hidden):
        raise ArgumentError(f"mlp: hidden: {tuple(hidden)} given, expected widths of 1 or more")
    layers: list[Any] = [nn.Flatten()]
    width = prod(input_shape)
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU()]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, num_classes))
