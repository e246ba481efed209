"""Launchers of the activations and their gradients.

``<name>(x)`` returns a new array, ``<name>_backward(dy, x)`` the gradient for x, given the
gradient ``dy`` of the output and the *input* x. Where the output y alone determines the slope,
``<name>_backward_from_output(dy, y)`` does without x: after a fused matrix multiply only y exists.

Shape: any, rank 8 at most, any strides; ``dy``, x and y have one shape.
dtype: float32 or float64; ``dy``, x and y have one dtype.
Errors: DtypeError, ShapeError and DeviceError where this does not hold, ArgumentError for options.
"""

from __future__ import annotations

from typing import Any

from numba import float32, float64

from ..checks import FLOAT32, FLOAT64, require_float, require_number, require_option
from ..elementwise.arithmetic import like
from ..elementwise.mapping import Map
from ..elementwise.unary import require_pair
from ..engine import Array
from . import functions

RELU = Map("relu", functions.relu)
RELU_BACKWARD = Map("relu_backward", functions.relu_backward, inputs=2)
LEAKY_RELU = Map("leaky_relu", functions.leaky_relu, scalars=1)
LEAKY_RELU_BACKWARD = Map("leaky_relu_backward", functions.leaky_relu_backward, inputs=2, scalars=1)
SIGMOID = Map("sigmoid", functions.sigmoid)
SIGMOID_BACKWARD = Map("sigmoid_backward", functions.sigmoid_backward, inputs=2)
SIGMOID_FROM_OUTPUT = Map(
    "sigmoid_backward_from_output", functions.sigmoid_backward_from_output, inputs=2
)
TANH = Map("tanh", functions.tanh)
TANH_BACKWARD = Map("tanh_backward", functions.tanh_backward, inputs=2)
TANH_FROM_OUTPUT = Map("tanh_backward_from_output", functions.tanh_backward_from_output, inputs=2)
SILU = Map("silu", functions.silu)
SILU_BACKWARD = Map("silu_backward", functions.silu_backward, inputs=2)


def _per_dtype(name: str, make: Any, inputs: int = 1) -> dict[Any, Map]:
    return {
        FLOAT32: Map(name, make(float32), inputs=inputs),
        FLOAT64: Map(name, make(float64), inputs=inputs),
    }


APPROXIMATIONS = ("none", "tanh")
GELU = {
    "none": _per_dtype("gelu", functions.gelu),
    "tanh": _per_dtype("gelu_tanh", functions.gelu_tanh),
}
GELU_BACKWARD = {
    "none": _per_dtype("gelu_backward", functions.gelu_backward, 2),
    "tanh": _per_dtype("gelu_tanh_backward", functions.gelu_tanh_backward, 2),
}


def relu(x: Array) -> Array:
    """``max(x, 0)``; NaN stays NaN."""
    require_float("relu", "x", x)
    return like("relu", RELU, x)


def relu_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`relu`: dy where x > 0 (or NaN), else 0."""
    require_pair("relu_backward", dy, "x", x)
    return like("relu_backward", RELU_BACKWARD, dy, x)


def relu_backward_from_output(dy: Array, y: Array) -> Array:
    """Gradient of :func:`relu` from its output: y > 0 exactly where x > 0."""
    require_pair("relu_backward_from_output", dy, "y", y)
    return like("relu_backward_from_output", RELU_BACKWARD, dy, y)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """``x`` where x > 0, else ``negative_slope * x``.

    Source: Maas, Hannun, Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models",
    2013.
    """
    require_float("leaky_relu", "x", x)
    require_number("leaky_relu", "negative_slope", negative_slope)
    return like("leaky_relu", LEAKY_RELU, x, x.dtype.type(negative_slope))


def leaky_relu_backward(dy: Array, x: Array, negative_slope: float = 0.01) -> Array:
    """Gradient of :func:`leaky_relu`: dy where x > 0, else ``negative_slope * dy``."""
    op = "leaky_relu_backward"
    require_pair(op, dy, "x", x)
    require_number(op, "negative_slope", negative_slope)
    return like(op, LEAKY_RELU_BACKWARD, dy, x, x.dtype.type(negative_slope))


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``, without overflow for any x."""
    require_float("sigmoid", "x", x)
    return like("sigmoid", SIGMOID, x)


def sigmoid_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`sigmoid`: ``dy s (1 - s)`` with s = sigmoid(x)."""
    require_pair("sigmoid_backward", dy, "x", x)
    return like("sigmoid_backward", SIGMOID_BACKWARD, dy, x)


def sigmoid_backward_from_output(dy: Array, y: Array) -> Array:
    """Gradient of :func:`sigmoid` from its output: ``dy y (1 - y)``."""
    require_pair("sigmoid_backward_from_output", dy, "y", y)
    return like("sigmoid_backward_from_output", SIGMOID_FROM_OUTPUT, dy, y)


def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    require_float("tanh", "x", x)
    return like("tanh", TANH, x)


def tanh_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`tanh`: ``dy (1 - tanh(x)²)``, precise for large x too."""
    require_pair("tanh_backward", dy, "x", x)
    return like("tanh_backward", TANH_BACKWARD, dy, x)


def tanh_backward_from_output(dy: Array, y: Array) -> Array:
    """Gradient of :func:`tanh` from its output: ``dy (1 - y) (1 + y)``."""
    require_pair("tanh_backward_from_output", dy, "y", y)
    return like("tanh_backward_from_output", TANH_FROM_OUTPUT, dy, y)


def gelu(x: Array, approximate: str = "none") -> Array:
    """``x Phi(x)`` with the cumulative normal distribution Phi.

    Source: Hendrycks, Gimpel, "Gaussian Error Linear Units", arXiv:1606.08415.

    Args:
        x: the input.
        approximate: ``"none"`` for the exact function, or ``"tanh"`` for
            ``x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³)))``.
    """
    require_float("gelu", "x", x)
    require_option("gelu", "approximate", approximate, APPROXIMATIONS)
    return like("gelu", GELU[approximate][x.dtype], x)


def gelu_backward(dy: Array, x: Array, approximate: str = "none") -> Array:
    """Gradient of :func:`gelu`: ``dy (Phi(x) + x phi(x))``, or that of the approximation."""
    require_pair("gelu_backward", dy, "x", x)
    require_option("gelu_backward", "approximate", approximate, APPROXIMATIONS)
    return like("gelu_backward", GELU_BACKWARD[approximate][x.dtype], dy, x)


def silu(x: Array) -> Array:
    """``x sigmoid(x)``; 0 at -inf, its limit.

    Source: Elfwing, Uchibe, Doya, "Sigmoid-Weighted Linear Units", arXiv:1702.03118.
    """
    require_float("silu", "x", x)
    return like("silu", SILU, x)


def silu_backward(dy: Array, x: Array) -> Array:
    """Gradient of :func:`silu`: ``dy (s + x s (1 - s))`` with s = sigmoid(x)."""
    require_pair("silu_backward", dy, "x", x)
    return like("silu_backward", SILU_BACKWARD, dy, x)
