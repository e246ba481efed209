"""Models by name, so that a checkpoint can say how to build the model it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ArgumentError

Builder = Callable[..., Any]
_BUILDERS: dict[str, Builder] = {}


def register(name: str) -> Callable[[Builder], Builder]:
    """Decorator: make ``builder(input_shape, num_classes, **options)`` known as ``name``.

    Example:
        >>> @register("linear")
        ... def linear(input_shape, num_classes):
        ...     return nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), num_classes))
    """

    def add(builder: Builder) -> Builder:
        _BUILDERS[name] = builder
        return builder

    return add


def names() -> tuple[str, ...]:
    """Names of the models that :func:`build` knows."""
    return tuple(sorted(_BUILDERS))


def build(name: str, input_shape: Sequence[int], num_classes: int, **options: Any) -> Any:
    """A new model with random parameters.

    Args:
        name: one of :func:`names`.
        input_shape: shape of one input, without the batch axis.
        num_classes: number of outputs.
        options: of the model, such as ``hidden=(128,)`` for ``mlp``.

    Raises:
        ArgumentError: unknown name, or an option that the model does not have.
    """
    if name not in _BUILDERS:
        raise ArgumentError(f"model {name!r} given, expected one of {', '.join(names())}")
    try:
        return _BUILDERS[name](tuple(input_shape), int(num_classes), **options)
    except TypeError as e:
        if "unexpected keyword" not in str(e):
            raise
        raise ArgumentError(f"model {name!r}: {e}") from e
