"""Losses as modules."""

from __future__ import annotations

from typing import Any

from .. import functional as F
from ..errors import ArgumentError
from ..tensor import Tensor
from .module import Module


class _Loss(Module):
    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ArgumentError(
                f"{type(self).__name__}: reduction: {reduction!r} given, "
                "expected 'mean', 'sum' or 'none'"
            )
        self.reduction = reduction

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


class CrossEntropyLoss(_Loss):
    r"""Cross entropy of the softmax of scores against class numbers.

    .. math:: \ell_i = \ln \sum_j e^{x_{ij}} - x_{i, t_i}

    Args:
        reduction: ``"mean"`` over the rows, ``"sum"`` or ``"none"``.

    Shape:
        scores (n, classes), labels (n,) of integers, output () or (n,) with ``"none"``.

    Examples:
        >>> loss = nl.nn.CrossEntropyLoss()
        >>> loss(nl.tensor([[2.0, 0.0], [0.0, 2.0]]), [0, 1]).item()
        0.126928...
    """

    def forward(self, logits: Tensor, labels: Any) -> Tensor:
        return F.cross_entropy(logits, labels, self.reduction)


class MSELoss(_Loss):
    r"""Squared error :math:`(p - t)^2`.

    Args:
        reduction: ``"mean"`` over all items, ``"sum"`` or ``"none"``.

    Shape:
        prediction and target of one shape; output () or, with ``"none"``, that shape.
    """

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(pred, target, self.reduction)
