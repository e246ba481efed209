"""Activation functions and softmax.

All take a tensor of float dtype and of any shape, unless it is said otherwise, and return a new one
of the same dtype and shape. They raise ``DtypeError`` for another dtype and ``TypeError`` for what
is no tensor.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..autograd import Gradients, Node
from ..errors import ArgumentError
from ..kernels import activations
from ..kernels import softmax as softmax_kernels
from ..kernels.engine import Array
from ..tensor import Tensor, as_tensor, record
from .shapes import reshape, transpose


def relu(x: Tensor) -> Tensor:
    r"""Rectifier :math:`\max(x, 0)`; the gradient at zero is zero."""
    x = as_tensor(x, "relu", "x")
    out = activations.relu(x.array)
    return record("relu", out, (x,), _relu_backward, (out,))


def _relu_backward(node: Node, dy: Array) -> Gradients:
    (out,) = node.saved
    return (activations.relu_backward_from_output(dy, out),)


def sigmoid(x: Tensor) -> Tensor:
    r"""Logistic function :math:`1 / (1 + e^{-x})`."""
    x = as_tensor(x, "sigmoid", "x")
    out = activations.sigmoid(x.array)
    return record("sigmoid", out, (x,), _sigmoid_backward, (out,))


def _sigmoid_backward(node: Node, dy: Array) -> Gradients:
    (out,) = node.saved
    return (activations.sigmoid_backward_from_output(dy, out),)


def tanh(x: Tensor) -> Tensor:
    r"""Hyperbolic tangent :math:`(e^x - e^{-x}) / (e^x + e^{-x})`."""
    x = as_tensor(x, "tanh", "x")
    out = activations.tanh(x.array)
    return record("tanh", out, (x,), _tanh_backward, (out,))


def _tanh_backward(node: Node, dy: Array) -> Gradients:
    (out,) = node.saved
    return (activations.tanh_backward_from_output(dy, out),)


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    r"""Leaky rectifier: :math:`x` where positive, else ``negative_slope`` times :math:`x`.

    Args:
        x: any shape.
        negative_slope: a number of any sign.

    Raises:
        ArgumentError: ``negative_slope`` is no number.
    """
    x = as_tensor(x, "leaky_relu", "x")
    out = activations.leaky_relu(x.array, negative_slope=negative_slope)
    return record("leaky_relu", out, (x,), _leaky_relu_backward, (x,), negative_slope)


def _leaky_relu_backward(node: Node, dy: Array) -> Gradients:
    (x,) = node.saved
    return (activations.leaky_relu_backward(dy, x, negative_slope=node.constants),)


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    r"""Gaussian error linear unit :math:`x \Phi(x)`, with the normal distribution function.

    Source: D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415.

    Args:
        x: any shape.
        approximate: ``"none"`` uses the error function, ``"tanh"`` its approximation by a tanh.

    Raises:
        ArgumentError: ``approximate`` is neither.
    """
    x = as_tensor(x, "gelu", "x")
    out = activations.gelu(x.array, approximate=approximate)
    return record("gelu", out, (x,), _gelu_backward, (x,), approximate)


def _gelu_backward(node: Node, dy: Array) -> Gradients:
    (x,) = node.saved
    return (activations.gelu_backward(dy, x, approximate=node.constants),)


def silu(x: Tensor) -> Tensor:
    r"""Sigmoid linear unit (swish) :math:`x / (1 + e^{-x})`."""
    x = as_tensor(x, "silu", "x")
    return record("silu", activations.silu(x.array), (x,), _silu_backward, (x,))


def _silu_backward(node: Node, dy: Array) -> Gradients:
    (x,) = node.saved
    return (activations.silu_backward(dy, x),)


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    r"""Softmax :math:`e^{x_i} / \sum_j e^{x_j}` over one axis, without overflow.

    Args:
        x: of at least one axis.
        dim: the axis; for another than the last, ``x`` and the result are copied.

    Raises:
        ArgumentError: there is no axis ``dim``.
    """
    return _over_rows("softmax", _softmax_rows, x, dim)


def _softmax_rows(x: Tensor) -> Tensor:
    out = softmax_kernels.softmax(x.array)
    return record("softmax", out, (x,), _softmax_backward, (out,))


def _softmax_backward(node: Node, dy: Array) -> Gradients:
    (out,) = node.saved
    return (softmax_kernels.softmax_backward(dy, out),)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    r"""Logarithm of :func:`softmax`, :math:`x_i - \ln \sum_j e^{x_j}`, without overflow.

    Arguments and errors as :func:`softmax`.
    """
    return _over_rows("log_softmax", _log_softmax_rows, x, dim)


def _log_softmax_rows(x: Tensor) -> Tensor:
    out = softmax_kernels.log_softmax(x.array)
    return record("log_softmax", out, (x,), _log_softmax_backward, (out,))


def _log_softmax_backward(node: Node, dy: Array) -> Gradients:
    (out,) = node.saved
    return (softmax_kernels.log_softmax_backward(dy, out),)


def _over_rows(op: str, function: Callable[[Tensor], Tensor], x: Tensor, dim: int) -> Tensor:
    """``function``, which takes a matrix, over one axis of a tensor of any rank."""
    x = as_tensor(x, op, "x")
    if not isinstance(dim, (int, np.integer)) or not -x.ndim <= dim < x.ndim:
        raise ArgumentError(f"{op}: dim: {dim!r} given, shape {x.shape} has {x.ndim} axes")
    last = x.ndim - 1
    if dim % x.ndim != last:
        return transpose(_over_rows(op, function, transpose(x, dim, last), last), dim, last)
    if x.ndim == 2:
        return function(x)
    rows = 1
    for size in x.shape[:-1]:
        rows *= size
    return reshape(function(reshape(x, rows, x.shape[-1])), *x.shape)
