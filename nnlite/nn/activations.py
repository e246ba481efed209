"""Activation functions as modules; all keep the shape of their input."""

from __future__ import annotations

from .. import functional as F
from ..errors import ArgumentError
from ..tensor import Tensor
from .module import Module


class ReLU(Module):
    r"""Rectifier :math:`\max(x, 0)`.

    Shape:
        any; the output has the shape of the input.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)


class LeakyReLU(Module):
    r"""Leaky rectifier: :math:`x` where positive, else ``negative_slope`` times :math:`x`.

    Args:
        negative_slope: slope for negative items.

    Shape:
        any; the output has the shape of the input.
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Sigmoid(Module):
    r"""Logistic function :math:`1 / (1 + e^{-x})`.

    Shape:
        any; the output has the shape of the input.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.sigmoid(x)


class Tanh(Module):
    r"""Hyperbolic tangent.

    Shape:
        any; the output has the shape of the input.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.tanh(x)


class GELU(Module):
    r"""Gaussian error linear unit :math:`x \Phi(x)`, with :math:`\Phi` the normal distribution.

    Source: D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units", arXiv:1606.08415.

    Args:
        approximate: ``"none"`` (error function) or ``"tanh"``.

    Shape:
        any; the output has the shape of the input.
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ArgumentError(
                f"GELU: approximate: {approximate!r} given, expected 'none' or 'tanh'"
            )
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    r"""Sigmoid linear unit (swish) :math:`x / (1 + e^{-x})`.

    Shape:
        any; the output has the shape of the input.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x)


class Softmax(Module):
    r"""Softmax :math:`e^{x_i} / \sum_j e^{x_j}` over one axis.

    :class:`~nnlite.nn.CrossEntropyLoss` takes scores before softmax: do not put both in a row.

    Args:
        dim: the axis.

    Shape:
        any; the output has the shape of the input.
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return F.softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    r"""Logarithm of the softmax over one axis; what :class:`~nnlite.nn.NLLLoss` takes.

    Args:
        dim: the axis.

    Shape:
        any; the output has the shape of the input.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(x, self.dim)
