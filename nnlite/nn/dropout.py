"""Dropout layers: they drop in training mode and do nothing in evaluation mode."""

from __future__ import annotations

from .. import functional as F
from ..kernels.checks import require_between
from ..tensor import Tensor
from .module import Module


class _Dropout(Module):
    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        require_between(type(self).__name__, "p", p, 0.0, 1.0)
        self.p = p

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout(_Dropout):
    r"""Drop items with probability p, divide the others by :math:`1 - p`; in training only.

    Masks follow from :func:`nnlite.manual_seed`, and are the same on every device.

    Args:
        p: probability in [0, 1].

    Shape:
        any; the output has the shape of the input.

    Source:
        Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
        JMLR 2014.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training)


class Dropout1d(_Dropout):
    """Drop whole channels of sequences; in training only.

    Args:
        p: probability in [0, 1].

    Shape:
        input (n, c, l) or (c, l), output the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout1d(x, self.p, self.training)


class Dropout2d(_Dropout):
    """Drop whole channels of images; in training only.

    Args:
        p: probability in [0, 1].

    Shape:
        input (n, c, h, w) or (c, h, w), output the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout2d(x, self.p, self.training)
