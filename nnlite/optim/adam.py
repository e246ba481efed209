"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..kernels.engine import Array
from ..kernels.update import Batch, adam_many, adam_update
from .optimizer import Optimizer, Params


class Adam(Optimizer):
    r"""Adam; weight decay is added to the gradient.

    .. math::
        g &= \nabla + \lambda \theta \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        \theta &\leftarrow \theta - \eta \frac{m / (1 - \beta_1^t)}
        {\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Source: D. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.

    Args:
        params: the parameters, or dicts of parameters and options.
        lr: learning rate :math:`\eta`.
        betas: :math:`(\beta_1, \beta_2)`.
        eps: :math:`\epsilon`.
        weight_decay: :math:`\lambda`.
        amsgrad: divide by the largest :math:`v` so far (S. Reddi et al., ICLR 2018).

    Examples:
        >>> optimizer = nl.optim.Adam(model.parameters(), lr=1e-3)
    """

    slots = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    decoupled = False

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
            },
        )

    def _check_options(self, options: Mapping[str, Any]) -> None:
        self._require_positive(options, "lr", "eps", "weight_decay")
        self._require_betas(options)

    def _slots_of(self, group: dict[str, Any]) -> tuple[str, ...]:
        return self.slots if group["amsgrad"] else self.slots[:2]

    def _update(
        self,
        group: dict[str, Any],
        step: int,
        param: Array,
        grad: Array,
        state: dict[str, Array],
    ) -> None:
        adam_update(
            param,
            grad,
            state["exp_avg"],
            state["exp_avg_sq"],
            state.get("max_exp_avg_sq"),
            step,
            **self._options_of(group),
        )

    def _update_many(self, group: dict[str, Any], step: int, batch: Batch) -> None:
        adam_many(batch, step=step, **self._options_of(group))

    def _options_of(self, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "lr": group["lr"],
            "beta1": group["betas"][0],
            "beta2": group["betas"][1],
            "eps": group["eps"],
            "weight_decay": group["weight_decay"],
            "decoupled": self.decoupled,
        }


class AdamW(Adam):
    r"""Adam with decoupled weight decay: :math:`\theta \leftarrow (1 - \eta \lambda) \theta` first.

    Source: I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

    Args:
        params, lr, betas, eps, amsgrad: as :class:`Adam`.
        weight_decay: :math:`\lambda`.
    """

    decoupled = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)
