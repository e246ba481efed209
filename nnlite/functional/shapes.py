"""Views, and copies where there is no view: reshape, permute, index, split, broadcast, ``to``."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import Gradients, Node
from ..errors import ArgumentError, ShapeError
from ..kernels import elementwise, reduce
from ..kernels.engine import Array, Device, zeros
from ..kernels.engine.device import device as find_device
from ..kernels.engine.layout import resolve_shape
from ..kernels.engine.memory import check_dtype
from ..tensor import Tensor, as_tensor, record


def _viewed(out: Tensor, x: Tensor) -> Tensor:
    """``out``, sharing the version of the tensor whose memory it shows."""
    out.version = x.version
    return out


def _axis(op: str, name: str, value: int, ndim: int) -> int:
    """``value`` counted from the front; ArgumentError if the tensor has no such axis."""
    if not -ndim <= value < ndim:
        raise ArgumentError(f"{op}: {name}: {value} given, the tensor has {ndim} axes")
    return value % ndim


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """The items of ``x`` in C order with another shape: a view if ``x`` is contiguous, else a copy.

    Args:
        x: any shape.
        shape: integers or one tuple of them; one may be -1 and follows from the others.

    Raises:
        ShapeError: the number of items differs.
    """
    x = as_tensor(x, "reshape", "x")
    a = x.array
    if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)):
        shape = tuple(shape[0])
    if a.is_contiguous:
        return _viewed(_reshaped(x, a.reshape(shape)), x)
    resolve_shape(a.size, shape)  # before anything is copied
    return _reshaped(x, elementwise.copy(a).reshape(shape))


def _reshaped(x: Tensor, out: Array) -> Tensor:
    return record("reshape", out, (x,), _reshape_backward, (), x.shape, fresh=False)


def _reshape_backward(node: Node, dy: Array) -> Gradients:
    dense = dy if dy.is_contiguous else elementwise.copy(dy)
    return (dense.reshape(*node.constants),)


def view(x: Tensor, *shape: Any) -> Tensor:
    """:func:`reshape` that never copies.

    Raises:
        ShapeError: ``x`` is not contiguous.
    """
    x = as_tensor(x, "view", "x")
    if not x.array.is_contiguous:
        raise ShapeError(
            f"view: x: strides {x.array.strides} of shape {x.shape} are not contiguous; use reshape"
        )
    return reshape(x, *shape)


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from ``start_dim`` to ``end_dim``, both included, as one; otherwise :func:`reshape`.

    Shape:
        ``x`` (n, c, h, w) with ``start_dim=1`` becomes (n, c h w); a tensor without axes (1,).

    Raises:
        ArgumentError: there is no such axis, or ``start_dim`` lies after ``end_dim``.
    """
    x = as_tensor(x, "flatten", "x")
    shape = x.shape or (1,)
    start = _axis("flatten", "start_dim", start_dim, len(shape))
    end = _axis("flatten", "end_dim", end_dim, len(shape))
    if end < start:
        raise ArgumentError(f"flatten: start_dim {start_dim} lies after end_dim {end_dim}")
    if x.shape and start == end:
        return x
    merged = 1
    for size in shape[start : end + 1]:
        merged *= size
    return reshape(x, *shape[:start], merged, *shape[end + 1 :])


def permute(x: Tensor, *dims: Any) -> Tensor:
    """View with the axes in the order ``dims``; without ``dims`` they are reversed.

    Args:
        x: any shape.
        dims: integers or one tuple of them; negative ones count from the end.

    Raises:
        ShapeError: ``dims`` is no permutation of the axes.
    """
    x = as_tensor(x, "permute", "x")
    ndim = x.ndim
    if len(dims) == 1 and isinstance(dims[0], (tuple, list)):
        dims = tuple(dims[0])
    order = tuple(reversed(range(ndim))) if not dims else tuple(dims)
    out = x.array.transpose(*order)  # checks the order
    inverse = [0] * ndim
    for i, d in enumerate(order):
        inverse[d] = i
    return _viewed(
        record("permute", out, (x,), _permute_backward, (), tuple(inverse), fresh=False), x
    )


def _permute_backward(node: Node, dy: Array) -> Gradients:
    return (dy.transpose(*node.constants),)


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """View with two axes swapped, as in PyTorch.

    Raises:
        ArgumentError: there is no axis ``dim0`` or ``dim1``; negative ones count from the end.
    """
    x = as_tensor(x, "transpose", "x")
    order = list(range(x.ndim))
    i = _axis("transpose", "dim0", dim0, x.ndim)
    j = _axis("transpose", "dim1", dim1, x.ndim)
    order[i], order[j] = order[j], order[i]
    return permute(x, *order)


def getitem(x: Tensor, key: Any) -> Tensor:
    """View by integers, slices, ``...`` and None; its gradient is zero outside the view.

    Raises:
        IndexError: an index is out of bounds, or there are too many.
        TypeError: a key of another kind: a list, an array, a tensor, a boolean.
    """
    x = as_tensor(x, "getitem", "x")
    out = x.array[key]
    constants = (key, x.shape)
    return _viewed(record("getitem", out, (x,), _getitem_backward, (), constants), x)


def _getitem_backward(node: Node, dy: Array) -> Gradients:
    key, shape = node.constants
    dx = zeros(shape, dy.dtype, dy.device)
    elementwise.assign(dx[key], dy)
    return (dx,)


def split(
    x: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """Views of the parts of ``x`` along an axis, one after the other.

    Args:
        x: of at least one axis.
        split_size_or_sections: the size of each part, the last may be smaller; or the sizes.
        dim: the axis; negative ones count from the end.

    Raises:
        ArgumentError: there is no such axis, a size is not an integer above 0 (of a list: from
            0), or the sizes of a list do not add up to that of the axis.
    """
    x = as_tensor(x, "split", "x")
    axis = _axis("split", "dim", dim, x.ndim)
    total = x.shape[axis]
    given = split_size_or_sections
    listed = isinstance(given, (tuple, list))
    sizes: list[Any] = list(given) if listed else [given]  # type: ignore[arg-type]
    least = 0 if listed or not total else 1
    if not all(type(n) is int and n >= least for n in sizes):
        raise ArgumentError(
            f"split: split_size_or_sections: {given!r} given, expected an integer above 0 or a "
            "list of integers from 0"
        )
    if not listed:
        step = sizes[0] or 1
        sizes = [min(step, total - start) for start in range(0, total, step)] or [0]
    if sum(sizes) != total:
        raise ArgumentError(
            f"split: split_size_or_sections: {given!r} given, expected sizes that add up to {total}"
        )
    ends = list(itertools.accumulate(sizes, initial=0))
    before = (slice(None),) * axis
    return tuple(getitem(x, (*before, slice(*pair))) for pair in zip(ends, ends[1:]))


def chunk(x: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` views of ``x`` along an axis, of equal size but the last; as PyTorch.

    Raises:
        ArgumentError: ``chunks`` is not an integer above 0, or there is no such axis.
    """
    x = as_tensor(x, "chunk", "x")
    axis = _axis("chunk", "dim", dim, x.ndim)
    if type(chunks) is not int or chunks < 1:
        raise ArgumentError(f"chunk: chunks: {chunks!r} given, expected an integer above 0")
    total = x.shape[axis]
    return split(x, -(-total // chunks) if total else [0] * chunks, axis)


def broadcast_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """View of ``x`` repeated to ``shape``; the gradient is summed over the repeated axes.

    Raises:
        ShapeError: by NumPy's rules ``x`` does not broadcast to ``shape``.
    """
    x = as_tensor(x, "broadcast_to", "x")
    out = x.array.broadcast_to(shape)
    return _viewed(
        record("broadcast_to", out, (x,), _broadcast_backward, (), x.shape, fresh=False), x
    )


def _broadcast_backward(node: Node, dy: Array) -> Gradients:
    return (dy if dy.shape == node.constants else reduce.sum_to(dy, node.constants),)


def contiguous(x: Tensor) -> Tensor:
    """``x`` if its items lie in C order without gaps, else a copy that does."""
    x = as_tensor(x, "contiguous", "x")
    if x.array.is_contiguous:
        return x
    return record("contiguous", elementwise.copy(x.array), (x,), _pass, fresh=False)


def _pass(node: Node, dy: Array) -> Gradients:
    return (dy,)


def to(x: Tensor, device: Device | str | None = None, dtype: Any = None) -> Tensor:
    """``x`` on another device or with another dtype; ``x`` itself if nothing changes.

    Differentiable between float dtypes and between devices.

    Raises:
        DeviceError: the device is unknown or not present.
        DtypeError: the dtype is none that kernels can hold.
    """
    x = as_tensor(x, "to", "x")
    if dtype is not None and x.dtype != check_dtype(dtype):
        out = elementwise.cast(x.array, dtype)
        if out.dtype.kind == "f":
            x = record("to", out, (x,), _cast_backward, (), x.dtype)
        else:
            x = Tensor(out)
    if device is not None and x.device != find_device(device):
        x = record("to", x.array.to(device), (x,), _move_backward, (), x.device)
    return x


def _cast_backward(node: Node, dy: Array) -> Gradients:
    return (elementwise.cast(dy, node.constants),)


def _move_backward(node: Node, dy: Array) -> Gradients:
    return (dy.to(node.constants),)
