"""Further activation functions: ELU and its kin, softplus, Mish, the piecewise linear, GLU, PReLU.

Names, defaults and meaning are those of ``torch.nn.functional``; formulas and sources are in
:mod:`nnlite.kernels.activations`. All take a tensor of float dtype and of any shape, unless it is
said otherwise, and return a new one of the same dtype and shape; none works in place. They raise
``DtypeError`` for another dtype, and ``ArgumentError`` for an option that is no number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import Gradients, Node
from ..kernels import activations
from ..kernels import prelu as prelu_kernels
from ..kernels.engine import Array
from ..tensor import Tensor, as_tensor, record


def _unit(
    name: str,
    x: Tensor,
    value: Callable[..., Array],
    slope: Callable[..., Array],
    *options: Any,
) -> Tensor:
    """Record ``value(x, *options)``, whose gradient is ``slope(dy, x, *options)``."""
    x = as_tensor(x, name, "x")
    return record(name, value(x.array, *options), (x,), _backward, (x,), (slope, options))


def _backward(node: Node, dy: Array) -> Gradients:
    (x,) = node.saved
    slope, options = node.constants
    return (slope(dy, x, *options),)


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    r"""Exponential linear unit: :math:`x` where positive, else :math:`\alpha (e^x - 1)`.

    Source: D. Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear Units
    (ELUs)", ICLR 2016.
    """
    return _unit("elu", x, activations.elu, activations.elu_backward, alpha)


def selu(x: Tensor) -> Tensor:
    r"""Scaled ELU: :math:`s x` where positive, else :math:`s a (e^x - 1)`.

    s = 1.0507... and a = 1.6733... keep mean 0 and variance 1 from layer to layer.

    Source: G. Klambauer et al., "Self-Normalizing Neural Networks", NeurIPS 2017.
    """
    return _unit("selu", x, activations.selu, activations.selu_backward)


def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    r"""Smooth ELU: :math:`x` where positive, else :math:`\alpha (e^{x / \alpha} - 1)`.

    Raises:
        ArgumentError: ``alpha`` is not above 0.
    """
    return _unit("celu", x, activations.celu, activations.celu_backward, alpha)


def softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    r"""Smooth rectifier :math:`\ln(1 + e^{\beta x}) / \beta`.

    Args:
        x: any shape.
        beta: sharpness, above 0.
        threshold: where :math:`\beta x` exceeds it, the result is :math:`x` itself.

    Raises:
        ArgumentError: ``beta`` is not above 0.
    """
    slope = activations.softplus_backward
    return _unit("softplus", x, activations.softplus, slope, beta, threshold)


def logsigmoid(x: Tensor) -> Tensor:
    r"""Logarithm of the logistic function, :math:`-\ln(1 + e^{-x})`, without overflow."""
    return _unit("logsigmoid", x, activations.logsigmoid, activations.logsigmoid_backward)


def mish(x: Tensor) -> Tensor:
    r"""Mish :math:`x \tanh(\ln(1 + e^x))`."""
    return _unit("mish", x, activations.mish, activations.mish_backward)


def softsign(x: Tensor) -> Tensor:
    r"""Softsign :math:`x / (1 + |x|)`."""
    return _unit("softsign", x, activations.softsign, activations.softsign_backward)


def tanhshrink(x: Tensor) -> Tensor:
    r"""Tanh shrinkage :math:`x - \tanh x`."""
    return _unit("tanhshrink", x, activations.tanhshrink, activations.tanhshrink_backward)


def hardtanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    r""":math:`\min(\max(x, \mathrm{min\_val}), \mathrm{max\_val})`.

    The gradient is 1 between the bounds, and 0 at them and beyond.

    Raises:
        ArgumentError: ``max_val`` is below ``min_val``.
    """
    slope = activations.hardtanh_backward
    return _unit("hardtanh", x, activations.hardtanh, slope, min_val, max_val)


def relu6(x: Tensor) -> Tensor:
    r"""Rectifier that stops at 6, :math:`\min(\max(x, 0), 6)`."""
    return hardtanh(x, 0.0, 6.0)


def hardsigmoid(x: Tensor) -> Tensor:
    r"""Piecewise linear sigmoid: :math:`(x + 3) / 6` held between 0 and 1."""
    return _unit("hardsigmoid", x, activations.hardsigmoid, activations.hardsigmoid_backward)


def hardswish(x: Tensor) -> Tensor:
    r"""Piecewise SiLU: :math:`x` times :func:`hardsigmoid` of :math:`x`."""
    return _unit("hardswish", x, activations.hardswish, activations.hardswish_backward)


def softshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    r"""Soft shrinkage :math:`\mathrm{sign}(x) \max(|x| - \lambda, 0)`.

    Raises:
        ArgumentError: ``lambd`` is below 0.
    """
    return _unit("softshrink", x, activations.softshrink, activations.softshrink_backward, lambd)


def hardshrink(x: Tensor, lambd: float = 0.5) -> Tensor:
    r"""Hard shrinkage: :math:`x` where :math:`|x| > \lambda`, else 0."""
    return _unit("hardshrink", x, activations.hardshrink, activations.hardshrink_backward, lambd)


def threshold(x: Tensor, threshold: float, value: float) -> Tensor:
    r""":math:`x` where it is above ``threshold``, else ``value``."""
    slope = activations.threshold_backward
    return _unit("threshold", x, activations.threshold, slope, threshold, value)


def glu(x: Tensor, dim: int = -1) -> Tensor:
    r"""Gated linear unit :math:`a \, \sigma(b)` of the halves :math:`a, b` of one axis.

    Shape:
        ``x`` (..., 2 n, ...), result (..., n, ...), at axis ``dim``.

    Raises:
        ShapeError: the size of the axis is odd.
        ArgumentError: there is no such axis.
    """
    return _unit("glu", x, activations.glu, activations.glu_backward, dim)


def prelu(x: Tensor, weight: Tensor) -> Tensor:
    r"""Leaky rectifier with learned slopes: :math:`x` where positive, else :math:`w_c x`.

    Shape:
        ``x`` (n, c, ...), ``weight`` (c,), or (1,) with ``x`` of any shape; result like ``x``.

    Raises:
        ShapeError: ``weight`` has none of these shapes.
        DtypeError, DeviceError: ``x`` is not of float dtype, or ``weight`` is not like it.
    """
    x, weight = as_tensor(x, "prelu", "x"), as_tensor(weight, "prelu", "weight")
    out = prelu_kernels.prelu(x.array, weight.array)
    return record("prelu", out, (x, weight), _prelu_backward, (x, weight))


def _prelu_backward(node: Node, dy: Array) -> Gradients:
    return prelu_kernels.prelu_backward(dy, *node.saved)
