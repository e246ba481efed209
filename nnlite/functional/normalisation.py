"""Normalisation: of batches, of layers, of groups of channels, by the root mean square."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import Gradients, Node, no_grad
from ..errors import ArgumentError, ShapeError
from ..kernels import norm
from ..kernels.checks import require_option
from ..kernels.engine import Array
from ..tensor import Tensor, as_tensor, record


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""Batch normalisation of each channel.

    .. math:: y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \, w + b

    In training :math:`\mu` and :math:`\sigma^2` are those of the batch, and the running statistics,
    if given, move towards them in place; otherwise they are the running statistics.

    Args:
        x: the batch.
        running_mean, running_var: running statistics; both or neither, not neither in evaluation.
        weight, bias: one item for each channel; 1 and 0 if None.
        training: take the statistics of the batch.
        momentum: weight of the batch in the running statistics.
        eps: added to the variance.

    Shape:
        ``x`` (n, c, ...), the vectors (c,), result like ``x``.

    Raises:
        ShapeError: the vectors do not fit ``x``, or training with one item per channel.
        DtypeError, DeviceError: ``x`` is not of float dtype, or a vector is not like it.
        ArgumentError: an option is not in its range.
    """
    op = "batch_norm"
    x = as_tensor(x, op, "x")
    require_option(op, "training", training, (False, True))
    tensors = _present(op, weight=weight, bias=bias)
    means = _present(op, running_mean=running_mean, running_var=running_var)
    w, b = (_array(t) for t in tensors)
    mean, var = (_array(t) for t in means)
    constants = (tensors[0] is not None, tensors[1] is not None, training)
    inputs = (x, *(t for t in tensors if t is not None))
    if not training:
        if mean is None or var is None:
            raise ArgumentError(f"{op}: training: False given without running statistics")
        out = norm.batch_norm_inference(x.array, mean, var, w, b, eps)
        if not any(t.requires_grad for t in inputs):
            return record(op, out, inputs, _batch_backward)
        stats = norm.batch_norm_constants(mean, var, eps)
    else:
        out, stats = norm.batch_norm(x.array, w, b, eps, mean, var, momentum)
        for t in means:
            if t is not None:
                t.mark_changed()
    return record(op, out, inputs, _batch_backward, (x, tensors[0], stats), constants)


def _batch_backward(node: Node, dy: Array) -> Gradients:
    x, weight, stats = node.saved
    has_weight, has_bias, training = node.constants
    dx, dw, db = norm.batch_norm_backward(dy, x, weight, stats, training)
    return (dx, *([dw] if has_weight else []), *([db] if has_bias else []))


def layer_norm(
    x: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    r"""Layer normalisation: mean 0 and variance 1 over the last axes of each item.

    .. math:: y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \, w + b

    Args:
        x: the input.
        normalized_shape: sizes of the last axes, over which each item is normalised.
        weight, bias: of that shape; 1 and 0 if None.
        eps: added to the variance.

    Shape:
        ``x`` (..., \*normalized_shape), result like ``x``.

    Raises:
        ShapeError: the shapes do not fit.
        DtypeError, DeviceError: ``x`` is not of float dtype, or another tensor is not like it.
        ArgumentError: eps is not in its range.
    """
    op = "layer_norm"
    x = as_tensor(x, op, "x")
    shape = _last_axes(op, x, normalized_shape)
    tensors = _present(op, weight=weight, bias=bias)
    w, b = (_flat(op, name, t, shape) for name, t in zip(("weight", "bias"), tensors))
    rows = _rows(x.array, shape)
    out, stats = norm.layer_norm(rows, w, b, eps)
    inputs = (x, *(t for t in tensors if t is not None))
    constants = (tensors[0] is not None, tensors[1] is not None, shape)
    saved = (x, tensors[0], stats)
    return record(op, out.reshape(x.shape), inputs, _layer_backward, saved, constants)


def _layer_backward(node: Node, dy: Array) -> Gradients:
    x, weight, stats = node.saved
    has_weight, has_bias, shape = node.constants
    w = None if weight is None else _contiguous(weight).reshape((math.prod(shape),))
    sums = has_weight or has_bias
    dx, dw, db = norm.layer_norm_backward(_rows(dy, shape), _rows(x, shape), w, stats, sums)
    found: list[Any] = [dx.reshape(x.shape)]
    if has_weight and dw is not None:
        found.append(dw.reshape(shape))
    if has_bias and db is not None:
        found.append(db.reshape(shape))
    return tuple(found)


def rms_norm(
    x: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    r"""Division by the root mean square over the last axes of each item.

    .. math:: y = \frac{x}{\sqrt{\overline{x^2} + \epsilon}} \, w

    Args:
        x: the input.
        normalized_shape: sizes of the last axes, over which each item is normalised.
        weight: of that shape; 1 if None.
        eps: added to the mean square; None is the distance from 1 to the next number of the dtype.

    Shape, Raises: as :func:`layer_norm`.
    """
    op = "rms_norm"
    x = as_tensor(x, op, "x")
    shape = _last_axes(op, x, normalized_shape)
    (tensor,) = _present(op, weight=weight)
    if eps is None:
        eps = float(np.finfo(x.dtype).eps) if x.dtype.kind == "f" else 0.0
    out, stats = norm.rms_norm(_rows(x.array, shape), _flat(op, "weight", tensor, shape), eps)
    inputs = (x,) if tensor is None else (x, tensor)
    saved = (x, tensor, stats)
    return record(op, out.reshape(x.shape), inputs, _rms_backward, saved, shape)


def _rms_backward(node: Node, dy: Array) -> Gradients:
    x, weight, stats = node.saved
    shape = node.constants
    w = None if weight is None else _contiguous(weight).reshape((math.prod(shape),))
    rows = _rows(dy, shape), _rows(x, shape)
    dx, dw = norm.rms_norm_backward(*rows, w, stats, weight is not None)
    return (dx.reshape(x.shape), *([] if dw is None else [dw.reshape(shape)]))


def group_norm(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    r"""Group normalisation: mean 0 and variance 1 over each group of channels of each item.

    .. math:: y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \, w + b

    Args:
        x: the batch.
        num_groups: number of groups, a divisor of the channels.
        weight, bias: one item for each channel; 1 and 0 if None.
        eps: added to the variance.

    Shape:
        ``x`` (n, c, ...), weight and bias (c,), result like ``x``.

    Raises:
        ShapeError: the shapes do not fit.
        DtypeError, DeviceError: ``x`` is not of float dtype, or another tensor is not like it.
        ArgumentError: ``num_groups`` does not divide c, or eps is not in its range.
    """
    op = "group_norm"
    x = as_tensor(x, op, "x")
    tensors = _present(op, weight=weight, bias=bias)
    w, b = (_array(t) for t in tensors)
    out, stats = norm.group_norm(x.array, w, b, num_groups, eps)
    inputs = (x, *(t for t in tensors if t is not None))
    constants = (tensors[0] is not None, tensors[1] is not None, num_groups)
    return record(op, out, inputs, _group_backward, (x, tensors[0], stats), constants)


def _group_backward(node: Node, dy: Array) -> Gradients:
    x, weight, stats = node.saved
    has_weight, has_bias, groups = node.constants
    sums = has_weight or has_bias
    dx, dw, db = norm.group_norm_backward(dy, x, weight, stats, groups, sums)
    return (dx, *([dw] if has_weight else []), *([db] if has_bias else []))


def instance_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Instance normalisation: :func:`group_norm` with a group for each channel of each item.

    Args:
        x: the batch, of 3 or more axes.
        running_mean, running_var: running statistics, which move in place towards the mean of
            those of the items; both or neither.
        weight, bias: one item for each channel; 1 and 0 if None.
        use_input_stats: False normalises by the running statistics, as :func:`batch_norm` does.
        momentum: weight of the batch in the running statistics.
        eps: added to the variance.

    Shape, Raises: as :func:`batch_norm`.
    """
    op = "instance_norm"
    x = as_tensor(x, op, "x")
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    if (running_mean is None) != (running_var is None):
        raise ArgumentError(f"{op}: running_mean, running_var: one given, expected both or neither")
    if x.ndim < 3 or math.prod(x.shape[2:]) == 1:
        raise ShapeError(
            f"{op}: x: shape {x.shape} given, expected (n, c, ...) with more than one item for "
            "each channel"
        )
    y = group_norm(x, x.shape[1], weight, bias, eps)
    if running_mean is not None and running_var is not None and x.size:
        axes = tuple(range(2, x.ndim))
        with no_grad():
            mean = x.mean(axes, True)
            count = math.prod(x.shape[2:])
            var = ((x - mean) ** 2).sum(axes) * (1.0 / (count - 1))
            for running, found in ((running_mean, mean.reshape(x.shape[:2])), (running_var, var)):
                running.copy_((1.0 - momentum) * running + momentum * found.mean(0))
    return y


def _present(op: str, **tensors: Tensor | None) -> list[Tensor | None]:
    return [None if t is None else as_tensor(t, op, name) for name, t in tensors.items()]


def _array(t: Tensor | None) -> Array | None:
    return None if t is None else t.array


def _last_axes(op: str, x: Tensor, given: int | Sequence[int]) -> tuple[int, ...]:
    """The last axes of ``x``, after checking that they have the sizes ``given``."""
    shape = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ShapeError(
            f"{op}: x: shape {x.shape} given, expected one that ends with normalized_shape {shape}"
        )
    return shape


def _flat(op: str, name: str, t: Tensor | None, shape: tuple[int, ...]) -> Array | None:
    """Weight or bias of ``shape`` as one axis."""
    if t is None:
        return None
    if t.shape != shape:
        raise ShapeError(f"{op}: {name}: shape {t.shape} given, expected {shape}")
    return _contiguous(t.array).reshape((math.prod(shape),))


def _rows(a: Array, shape: tuple[int, ...]) -> Array:
    """(..., *shape) with one last axis instead of ``shape``."""
    if len(shape) == 1:
        return a
    return _contiguous(a).reshape((*a.shape[: -len(shape)], math.prod(shape)))


def _contiguous(a: Array) -> Array:
    return a if a.is_contiguous else a.copy()
