"""Losses as modules, with PyTorch's names and options.

Formulas, shapes and errors are those of the function of :mod:`nnlite.functional` that each calls.
Weights are buffers: they move with the module and are part of its state.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .. import functional as F
from ..errors import ArgumentError
from ..tensor import Tensor, tensor
from .module import Module


class _Loss(Module):
    reductions: ClassVar[tuple[str, ...]] = ("mean", "sum", "none")

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in self.reductions:
            *most, last = map(repr, self.reductions)
            raise ArgumentError(
                f"{type(self).__name__}: reduction: {reduction!r} given, "
                f"expected {', '.join(most)} or {last}"
            )
        self.reduction = reduction

    def _keep(self, name: str, weight: Any) -> None:
        """Keep a weight, or None, as a buffer."""
        if isinstance(weight, str):
            raise ArgumentError(
                f"{type(self).__name__}: {name}: {weight!r} given, expected a tensor or None"
            )
        shared = weight is None or isinstance(weight, Tensor)
        self.register_buffer(name, weight if shared else tensor(weight))

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


class CrossEntropyLoss(_Loss):
    r"""Cross entropy of the softmax of scores against class numbers.

    .. math:: \ell_i = \ln \sum_j e^{x_{ij}} - x_{i, t_i}

    Args:
        weight: weight of each class, or None.
        ignore_index: label of the rows that do not count.
        reduction: ``"mean"`` over the rows, weighted like them, ``"sum"`` or ``"none"``.
        label_smoothing: share of the target, in [0, 1], that is spread over all classes.

    Shape:
        scores (n, classes, ...), labels (n, ...) of integers, or probabilities of the shape of
        the scores; output () or, with ``"none"``, (n, ...).

    Examples:
        >>> loss = nl.nn.CrossEntropyLoss()
        >>> loss(nl.tensor([[2.0, 0.0], [0.0, 2.0]]), [0, 1]).item()
        0.126928...
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int | None = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self._keep("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Any) -> Tensor:
        return F.cross_entropy(
            logits,
            labels,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_Loss):
    r"""Negative log-likelihood :math:`-w_{t_i} x_{i, t_i}` of logarithms of probabilities.

    Arguments and shapes as :class:`CrossEntropyLoss`.
    """

    weight: Tensor | None

    def __init__(
        self, weight: Any = None, *, ignore_index: int | None = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self._keep("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, logp: Tensor, labels: Any) -> Tensor:
        return F.nll_loss(
            logp,
            labels,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class MSELoss(_Loss):
    r"""Squared error :math:`(p - t)^2`.

    Args:
        reduction: ``"mean"`` over all items, ``"sum"`` or ``"none"``.

    Shape:
        prediction and target of one shape; output () or, with ``"none"``, that shape.
    """

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(pred, target, self.reduction)


class L1Loss(_Loss):
    r"""Absolute error :math:`|p - t|`; arguments and shapes as :class:`MSELoss`."""

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(pred, target, self.reduction)


class SmoothL1Loss(_Loss):
    r"""Squared error below ``beta``, absolute error above; shapes as :class:`MSELoss`."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(pred, target, self.reduction, self.beta)


class HuberLoss(_Loss):
    r"""Half the squared error up to ``delta``, linear above; shapes as :class:`MSELoss`."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(pred, target, self.reduction, self.delta)


class BCELoss(_Loss):
    r"""Binary cross entropy of probabilities; shapes as :class:`MSELoss`.

    Args:
        weight: of the items; any shape that broadcasts to that of the prediction, or None.
        reduction: ``"mean"`` over all items, ``"sum"`` or ``"none"``.
    """

    weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self._keep("weight", weight)

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(pred, target, self.weight, self.reduction)


class BCEWithLogitsLoss(_Loss):
    r"""Binary cross entropy of the sigmoid of scores, without overflow.

    Args:
        weight, pos_weight: of the items and of the positive class; any shapes that broadcast to
            that of the prediction, or None.
        reduction: ``"mean"`` over all items, ``"sum"`` or ``"none"``.

    Shape:
        scores and target of one shape; output () or, with ``"none"``, that shape.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self._keep("weight", weight)
        self._keep("pos_weight", pos_weight)

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            pred, target, self.weight, self.reduction, self.pos_weight
        )


class KLDivLoss(_Loss):
    r"""Kullback-Leibler divergence :math:`t (\ln t - x)` of logarithms x of probabilities.

    Args:
        reduction: ``"batchmean"`` is the divergence of a batch of distributions; ``"mean"`` over
            all items, ``"sum"`` or ``"none"``.
        log_target: the target holds logarithms too.

    Shape:
        prediction and target of one shape; output () or, with ``"none"``, that shape.
    """

    reductions: ClassVar[tuple[str, ...]] = ("mean", "sum", "none", "batchmean")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(pred, target, self.reduction, self.log_target)
