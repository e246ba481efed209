"""Adagrad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..kernels.engine import Array
from ..kernels.update import Batch, adagrad_many, adagrad_update
from .optimizer import Optimizer, Params


class Adagrad(Optimizer):
    r"""Adagrad: divides a gradient by the root of the sum of all its squares.

    .. math::
        g &= \nabla + \lambda \theta \\
        s &\leftarrow s + g^2 \\
        \theta &\leftarrow \theta - \frac{\eta}{1 + (t - 1) \gamma}
        \frac{g}{\sqrt{s} + \epsilon}

    Source: J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning and
    Stochastic Optimization", JMLR 2011.

    Args:
        params: the parameters, or dicts of parameters and options.
        lr: learning rate :math:`\eta`.
        lr_decay: :math:`\gamma`.
        weight_decay: :math:`\lambda`.
        initial_accumulator_value: with what :math:`s` begins.
        eps: :math:`\epsilon`.

    Examples:
        >>> optimizer = nl.optim.Adagrad(model.parameters(), lr=0.05)
    """

    slots = ("sum",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
            },
        )

    def _check_options(self, options: Mapping[str, Any]) -> None:
        self._require_positive(options, *self.defaults)

    def _first_value(self, name: str, group: dict[str, Any]) -> float:
        return group["initial_accumulator_value"]

    def _update(
        self,
        group: dict[str, Any],
        step: int,
        param: Array,
        grad: Array,
        state: dict[str, Array],
    ) -> None:
        adagrad_update(param, grad, state["sum"], step, **self._options_of(group))

    def _update_many(self, group: dict[str, Any], step: int, batch: Batch) -> None:
        adagrad_many(batch, step=step, **self._options_of(group))

    def _options_of(self, group: dict[str, Any]) -> dict[str, Any]:
        return {name: group[name] for name in ("lr", "lr_decay", "eps", "weight_decay")}
