"""Lion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..kernels.engine import Array
from ..kernels.update import Batch, lion_many, lion_update
from .optimizer import Optimizer, Params


class Lion(Optimizer):
    r"""Lion: every item moves by the learning rate, in the direction of a mixed momentum.

    .. math::
        \theta &\leftarrow \theta - \eta (\operatorname{sign}(\beta_1 m + (1 - \beta_1) g)
        + \lambda \theta) \\
        m &\leftarrow \beta_2 m + (1 - \beta_2) g

    Source: X. Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023. They
    advise a learning rate three to ten times smaller, and a weight decay as many times larger, than
    those of AdamW.

    Args:
        params: the parameters, or dicts of parameters and options.
        lr: learning rate :math:`\eta`.
        betas: :math:`(\beta_1, \beta_2)`.
        weight_decay: :math:`\lambda`.

    Examples:
        >>> optimizer = nl.optim.Lion(model.parameters(), lr=1e-4, weight_decay=0.1)
    """

    slots = ("exp_avg",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "weight_decay": weight_decay})

    def _check_options(self, options: Mapping[str, Any]) -> None:
        self._require_positive(options, "lr", "weight_decay")
        self._require_betas(options)

    def _update(
        self,
        group: dict[str, Any],
        step: int,
        param: Array,
        grad: Array,
        state: dict[str, Array],
    ) -> None:
        lion_update(param, grad, state["exp_avg"], **self._options_of(group))

    def _update_many(self, group: dict[str, Any], step: int, batch: Batch) -> None:
        lion_many(batch, **self._options_of(group))

    def _options_of(self, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "lr": group["lr"],
            "beta1": group["betas"][0],
            "beta2": group["betas"][1],
            "weight_decay": group["weight_decay"],
        }
