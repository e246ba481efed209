"""Matrix products, the linear layer with its bias and activation fused, and bias addition."""

from __future__ import annotations

import math

from ..autograd import Gradients, Node, mode
from ..errors import ArgumentError, DeviceError, DtypeError, NnliteError, ShapeError
from ..kernels import activations
from ..kernels import bias as bias_kernels
from ..kernels.checks import require_float, require_like, require_option, require_shape
from ..kernels.engine import Array
from ..kernels.matmul import bmm as bmm_kernel
from ..kernels.matmul import matmul as matmul_kernel
from ..kernels.matmul.kernels import ACTIVATIONS
from ..kernels.reduce import sum_to
from ..tensor import Tensor, as_tensor, record
from .activations import gelu, silu
from .shapes import broadcast_to, reshape

FROM_OUTPUT = {
    "relu": activations.relu_backward_from_output,
    "sigmoid": activations.sigmoid_backward_from_output,
    "tanh": activations.tanh_backward_from_output,
}  # the activations whose gradient follows from their value: the product is then not kept
FROM_INPUT = {"gelu": gelu, "silu": silu}
REFUSALS = (ArgumentError, DeviceError, DtypeError, ShapeError)


def _named(
    op: str,
    error: NnliteError,
    bias: Array | None = None,
    activation: str | None = None,
    **operands: Array,
) -> NnliteError:
    """The kernel's refusal of its arguments in terms of ``op``, the function that was called.

    Only where something is wrong are the arguments checked twice.
    """
    (name, first), (other, second) = operands.items()
    try:
        require_float(op, name, first)
        require_like(op, other, second, name, first)
        if bias is not None:
            require_like(op, "bias", bias, name, first)
            require_shape(op, "bias", bias, second.shape[:1])
        require_option(op, "activation", activation, ACTIVATIONS)
    except REFUSALS as clearer:
        return clearer
    return error


def matmul(x: Tensor, y: Tensor) -> Tensor:
    """Matrix product ``x @ y``, or many of them.

    Shape:
        ``x`` (..., m, k), ``y`` (..., k, n), result (..., m, n): the leading axes are broadcast
        together. A vector (k,) is a row of x, or a column of y, whose axis the result lacks.

    Raises:
        ShapeError: the shapes are not these, their k differ, or they do not broadcast.
        DtypeError, DeviceError: ``x`` is not of float dtype, or ``y`` is not like it.
    """
    x, y = as_tensor(x, "matmul", "x"), as_tensor(y, "matmul", "y")
    if x.ndim < 1 or y.ndim < 1 or x.shape[-1] != y.shape[max(y.ndim - 2, 0)]:
        raise ShapeError(
            f"matmul: shapes {x.shape} and {y.shape} given, expected (..., m, k) and (..., k, n)"
        )
    if y.ndim == 1:
        return reshape(matmul(x, reshape(y, y.shape[0], 1)), *x.shape[:-1])
    if y.ndim > 2:
        return _many(x, y)
    if x.ndim != 2:
        return reshape(matmul(_rows(x), y), *x.shape[:-1], y.shape[1])
    try:
        out = matmul_kernel(x.array, y.array)
    except REFUSALS as error:
        raise _named("matmul", error, x=x.array, y=y.array) from None
    saved = (x if y.requires_grad else None, y if x.requires_grad else None)
    return record("matmul", out, (x, y), _matmul_backward, saved)


def _matmul_backward(node: Node, dy: Array) -> Gradients:
    x, y = node.saved
    return (
        matmul_kernel(dy, y, transpose_b=True) if node.needs(0) else None,
        matmul_kernel(x, dy, transpose_a=True) if node.needs(1) else None,
    )


def bmm(x: Tensor, y: Tensor) -> Tensor:
    """Products of the matrices of two batches.

    Shape:
        ``x`` (p, m, k), ``y`` (p, k, n), result (p, m, n).

    Raises:
        ShapeError: the shapes are not these.
        DtypeError, DeviceError: as :func:`matmul`.
    """
    x, y = as_tensor(x, "bmm", "x"), as_tensor(y, "bmm", "y")
    if x.ndim != 3 or y.ndim != 3 or x.shape[::2] != y.shape[:2]:
        raise ShapeError(
            f"bmm: shapes {x.shape} and {y.shape} given, expected (p, m, k), (p, k, n)"
        )
    return _many(x, y)


def _many(x: Tensor, y: Tensor) -> Tensor:
    """:func:`matmul` with leading axes: each factor as a batch, or as one matrix for all."""
    if x.ndim == 1:
        found = _many(reshape(x, 1, x.shape[0]), y)
        return reshape(found, *found.shape[:-2], found.shape[-1])
    lead = _together(x.shape[:-2], y.shape[:-2])
    batch = math.prod(lead)
    out = _bmm(_batch(x, lead, batch), _batch(y, lead, batch))
    return reshape(out, *lead, x.shape[-2], y.shape[-1])


def _together(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The leading axes of both factors, broadcast."""
    rank = max(len(a), len(b))
    pairs = list(zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b))
    if any(s != t and 1 not in (s, t) for s, t in pairs):
        raise ShapeError(f"matmul: leading axes {a} and {b} given, expected ones that broadcast")
    return tuple(t if s == 1 else s for s, t in pairs)


def _batch(x: Tensor, lead: tuple[int, ...], batch: int) -> Tensor:
    """``x`` as (batch, rows, columns), or (1, rows, columns) if all products share it."""
    matrix = x.shape[-2:]
    if math.prod(x.shape[:-2]) == 1:
        return reshape(x, 1, *matrix)
    return reshape(broadcast_to(x, (*lead, *matrix)), batch, *matrix)


def _bmm(x: Tensor, y: Tensor) -> Tensor:
    try:
        out = bmm_kernel(x.array, y.array)
    except REFUSALS as error:
        raise _named("matmul", error, x=x.array, y=y.array) from None
    saved = (x if y.requires_grad else None, y if x.requires_grad else None)
    return record("bmm", out, (x, y), _bmm_backward, saved, (x.shape, y.shape))


def _bmm_backward(node: Node, dy: Array) -> Gradients:
    x, y = node.saved
    a, b = node.constants
    return (
        sum_to(bmm_kernel(dy, y, transpose_b=True), a) if node.needs(0) else None,
        sum_to(bmm_kernel(x, dy, transpose_a=True), b) if node.needs(1) else None,
    )


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str | None = None
) -> Tensor:
    r"""Linear map :math:`y = f(x W^T + b)`, in one kernel.

    Args:
        x: the input.
        weight: :math:`W`, one row per output.
        bias: :math:`b`, or None.
        activation: :math:`f`: ``"relu"``, ``"sigmoid"``, ``"tanh"``, ``"gelu"``, ``"silu"``; None
            is the identity.

    Shape:
        ``x`` (..., in), ``weight`` (out, in), ``bias`` (out,), result (..., out).

    Raises:
        ShapeError: the last axis of ``x`` is not that of ``weight``, or ``bias`` does not fit.
        DtypeError, DeviceError: ``x`` is not of float dtype, or another argument is not like it.
        ArgumentError: the activation is unknown.
    """
    x, weight = as_tensor(x, "linear", "x"), as_tensor(weight, "linear", "weight")
    bias = None if bias is None else as_tensor(bias, "linear", "bias")
    rows, columns = x.array.shape, weight.array.shape
    if len(columns) != 2 or not rows or rows[-1] != columns[1]:
        raise ShapeError(
            f"linear: x: shape {rows} given, expected (..., in) for a weight of shape "
            f"(out, in), here {columns}"
        )
    if len(rows) != 2:
        return reshape(linear(_rows(x), weight, bias, activation), *rows[:-1], columns[0])
    inputs = (x, weight) if bias is None else (x, weight, bias)
    if activation in FROM_INPUT and mode.enabled and any(t.requires_grad for t in inputs):
        return FROM_INPUT[activation](linear(x, weight, bias))  # its gradient needs its input
    b = None if bias is None else bias.array
    try:
        out = matmul_kernel(x.array, weight.array, transpose_b=True, bias=b, activation=activation)
    except REFUSALS as error:
        raise _named("linear", error, b, activation, x=x.array, weight=weight.array) from None
    saved = (
        x if weight.requires_grad else None,
        weight if x.requires_grad else None,
        out if activation else None,
    )
    return record("linear", out, inputs, _linear_backward, saved, activation)


def _linear_backward(node: Node, dy: Array) -> Gradients:
    x, weight, y = node.saved
    edges = node.edges
    if y is not None:
        dy = FROM_OUTPUT[node.constants](dy, y)
    return (
        matmul_kernel(dy, weight) if edges[0] else None,
        matmul_kernel(dy, x, transpose_a=True) if edges[1] else None,
        bias_kernels.bias_grad(dy) if len(edges) == 3 and edges[2] else None,
    )


def bias_add(x: Tensor, bias: Tensor) -> Tensor:
    """``x + bias`` along the last axis.

    Shape:
        ``x`` (..., c), ``bias`` (c,), result like ``x``.

    Raises:
        ShapeError: ``bias`` does not fit the last axis of ``x``.
        DtypeError, DeviceError: ``x`` is not of float dtype, or ``bias`` is not like it.
    """
    x, bias = as_tensor(x, "bias_add", "x"), as_tensor(bias, "bias_add", "bias")
    if x.ndim != 2:
        if bias.ndim != 1 or not x.shape or x.shape[-1] != bias.shape[0]:
            raise ShapeError(
                f"bias_add: shapes {x.shape} and {bias.shape} given, expected (..., c) and (c,)"
            )
        return reshape(bias_add(_rows(x), bias), *x.shape)
    out = bias_kernels.bias_add(x.array, bias.array)
    return record("bias_add", out, (x, bias), _bias_add_backward, fresh=False)


def _bias_add_backward(node: Node, dy: Array) -> Gradients:
    return dy, bias_kernels.bias_grad(dy) if node.needs(1) else None


def _rows(x: Tensor) -> Tensor:
    """``x`` as a matrix: its leading axes made one."""
    rows = 1
    for size in x.shape[:-1]:
        rows *= size
    return reshape(x, rows, x.shape[-1])
