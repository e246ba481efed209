"""Tensors put together from the items of others: embedding, one-hot codes, padding, joining."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd import Gradients, Node
from ..errors import ArgumentError
from ..kernels import indexing
from ..kernels.engine import Array, default_device
from ..tensor import Tensor, as_tensor, record
from .losses import labels_on
from .shapes import getitem


def embedding(index: Any, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    r"""Rows of a table by their numbers, :math:`y_i = W_{t_i}`.

    The gradient of a row is summed over its uses in a fixed order, so runs repeat bit for bit.

    Args:
        index: numbers :math:`t` of rows: a tensor, an array, or integers on the host.
        weight: the table :math:`W`.
        padding_idx: number of a row that gets no gradient; negative ones count from the end.

    Shape:
        ``index`` (...), ``weight`` (rows, d), result (..., d).

    Raises:
        ArgumentError: a number is outside the table (on a GPU its row is NaN instead), or there
            is no row ``padding_idx``.
        ShapeError: ``weight`` is not a matrix.
        DtypeError, DeviceError: ``weight`` is not of float dtype, ``index`` are not int32 or
            int64, or they are on different devices.
    """
    weight = as_tensor(weight, "embedding", "weight")
    found = labels_on(index, weight.device)
    out = indexing.embedding(weight.array, found, padding_idx)
    kept = index if isinstance(index, Tensor) else found
    # The gradient needs the shape of the table only; the tensor itself may be updated in place.
    return record("embedding", out, (weight,), _embedding_backward, (kept,), (weight, padding_idx))


def _embedding_backward(node: Node, dy: Array) -> Gradients:
    (index,) = node.saved
    weight, padding_idx = node.constants
    return (indexing.embedding_backward(dy, weight.array, index, padding_idx),)


def one_hot(index: Any, num_classes: int = -1) -> Tensor:
    """One-hot codes: 1 at the number, 0 elsewhere; an int64 tensor. Not differentiable.

    Args:
        index: class numbers: a tensor, an array, or integers on the host.
        num_classes: how many; -1 counts up to the largest number, for which a tensor on a GPU is
            copied to the host.

    Shape:
        ``index`` (...), result (..., num_classes).

    Raises:
        ArgumentError: a number is outside the classes.
    """
    found = labels_on(index, default_device())
    if num_classes == -1:
        num_classes = int(found.numpy().max()) + 1 if found.size else 0
    return Tensor(indexing.one_hot(found, num_classes))


def gather(x: Tensor, dim: int, index: Any) -> Tensor:
    r"""Items along an axis by their numbers, for each place a number of its own.

    .. math:: y_{i, k, j} = x_{i, t_{i, k, j}, j}

    The gradient of an item is summed over its uses in a fixed order, so runs repeat bit for bit.

    Args:
        x: of float dtype.
        dim: the axis; negative ones count from the end.
        index: the numbers :math:`t`, as PyTorch's: of as many axes as ``x``, no longer than it
            but along ``dim``; a tensor, an array, or integers on the host.

    Shape:
        Result: that of ``index``.

    Raises:
        ArgumentError: there is no such axis, or a number is outside it (on a GPU the item is NaN
            instead).
        ShapeError: ``index`` does not fit ``x``.
        DtypeError, DeviceError: ``x`` is not of float dtype, ``index`` are not int32 or int64, or
            they are on different devices.

    Examples:
        >>> scores = nl.tensor([[0.1, 0.9], [0.8, 0.2]])
        >>> F.gather(scores, 1, [[1], [0]])
        tensor([[0.9],
                [0.8]], dtype=float32)
    """
    x = as_tensor(x, "gather", "x")
    found = labels_on(index, x.device)
    rank = x.ndim
    if len(found.shape) == rank and isinstance(dim, int) and -rank <= dim < rank:
        key = tuple(
            slice(None) if i == dim % rank else slice(min(n, m))
            for i, (n, m) in enumerate(zip(found.shape, x.shape))
        )
        if x.array[key].shape != x.shape:  # a smaller index takes items of a corner
            x = getitem(x, key)
    out = indexing.gather(x.array, dim, found)
    kept = index if isinstance(index, Tensor) else found
    # The gradient needs the shape of x only; the tensor itself may be updated in place.
    return record("gather", out, (x,), _gather_backward, (kept,), (x.array, dim))


def _gather_backward(node: Node, dy: Array) -> Gradients:
    (index,) = node.saved
    x, dim = node.constants
    return (indexing.gather_backward(dy, x, dim, index),)


def pad(
    x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """New items around ``x``.

    Args:
        x: any shape.
        pad: how many items before and after the last axis, then before and after the one before
            it, and so on. Negative ones, for ``"constant"`` only, cut items off.
        mode: ``"constant"``, ``"reflect"`` (mirrored, the edge not repeated), ``"replicate"``
            (the edge repeated) or ``"circular"``.
        value: the number for ``"constant"``; None is 0.

    Raises:
        ArgumentError: ``pad`` are not pairs of integers, or another option is wrong.
        ShapeError: an axis has too few items for its padding, or there are too few axes.
        DtypeError: ``x`` is not of float dtype.
    """
    x = as_tensor(x, "pad", "x")
    out = indexing.pad(x.array, pad, mode, 0.0 if value is None else value)
    return record("pad", out, (x,), _pad_backward, (), (x.shape, tuple(pad), mode))


def _pad_backward(node: Node, dy: Array) -> Gradients:
    return (indexing.pad_backward(dy, *node.constants),)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after the other along an axis; their shapes differ in that axis only.

    Raises:
        ArgumentError: there is no tensor, or no such axis.
        ShapeError: the shapes differ in another axis.
        DtypeError, DeviceError: the tensors differ in dtype or device.
    """
    given = _tensors("cat", tensors)
    out = indexing.concatenate([x.array for x in given], dim)
    axis = dim % out.ndim
    ends = [0]
    for x in given:
        ends.append(ends[-1] + x.shape[axis])
    return record("cat", out, given, _cat_backward, (), (axis, ends), fresh=False)


def _cat_backward(node: Node, dy: Array) -> Gradients:
    axis, ends = node.constants
    parts = zip(ends, ends[1:])
    return tuple(
        indexing.part(dy, axis, start, stop) if node.needs(i) else None
        for i, (start, stop) in enumerate(parts)
    )


concatenate = cat


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, along a new axis. Errors as :func:`cat`."""
    given = _tensors("stack", tensors)
    out = indexing.stack([x.array for x in given], dim)
    return record("stack", out, given, _stack_backward, (), dim % out.ndim, fresh=False)


def _stack_backward(node: Node, dy: Array) -> Gradients:
    key = (slice(None),) * node.constants
    return tuple(dy[key + (i,)] if node.needs(i) else None for i in range(len(node.edges)))


def _tensors(op: str, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    if not isinstance(tensors, (tuple, list)) or not tensors:
        raise ArgumentError(f"{op}: tensors: {tensors!r} given, expected one or more tensors")
    return tuple(as_tensor(x, op, f"tensors[{i}]") for i, x in enumerate(tensors))
