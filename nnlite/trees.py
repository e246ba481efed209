"""Tensors in tuples, lists and dicts: arguments and results of captured steps."""

from __future__ import annotations

from typing import Any

from .kernels.engine import Array, Device
from .tensor import Tensor, wrap


def key(tree: Any, tensors: list[Tensor]) -> Any:
    """The structure of arguments with kinds of tensors and values of others; lists the tensors."""
    if isinstance(tree, Array):
        tree = wrap(tree)
    if isinstance(tree, Tensor):
        tensors.append(tree)
        return "tensor", tree.shape, tree.dtype.str, tree.device
    if isinstance(tree, dict):
        return "dict", tuple((k, key(v, tensors)) for k, v in tree.items())
    if isinstance(tree, (tuple, list)):
        return type(tree), tuple(key(item, tensors) for item in tree)
    return type(tree), tree


def replaced(tree: Any, tensors: Any) -> Any:
    """The arguments with the next of ``tensors`` for each tensor or array."""
    if isinstance(tree, (Tensor, Array)):
        new = next(tensors)
        return new.array if isinstance(tree, Array) else new
    if isinstance(tree, dict):
        return {k: replaced(v, tensors) for k, v in tree.items()}
    if isinstance(tree, (tuple, list)):
        items = [replaced(item, tensors) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree


def detached(tree: Any) -> Any:
    """A result with its tensors taken off the tape."""
    if isinstance(tree, Tensor):
        return tree.detach() if tree.requires_grad else tree
    if isinstance(tree, dict):
        return {k: detached(v) for k, v in tree.items()}
    if isinstance(tree, (tuple, list)):
        items = [detached(item) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree


def unfit(key: Any, tensors: list[Tensor], device: Device) -> str:
    """Why arguments cannot be those of a graph; empty if they can."""
    for t in tensors:
        if t.device != device:
            return f"an argument is on {t.device}, another on {device}"
        if t.requires_grad:
            return "an argument requires a gradient"
    try:
        hash(key)
    except TypeError:
        return "an argument is neither a tensor nor hashable"
    return ""
