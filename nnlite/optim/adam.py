"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..kernels.engine import Array
from ..kernels.update import adam_update
from ..tensor import Tensor
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

    Examples:
        >>> optimizer = nl.optim.Adam(model.parameters(), lr=1e-3)
    """

    slots = ("exp_avg", "exp_avg_sq")
    decoupled = False

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        )

    def _check_options(self, options: Mapping[str, Any]) -> None:
        self._require_positive(options, "lr", "eps", "weight_decay")
        betas = options["betas"]
        valid = len(betas) == 2 and all(isinstance(b, float | int) and 0 <= b < 1 for b in betas)
        self._require(valid, "betas", betas, "two numbers in [0, 1)")

    def _updater(self, group: dict[str, Any]) -> Callable[[int, Tensor, Array], None]:
        lr, eps, decay = group["lr"], group["eps"], group["weight_decay"]
        beta1, beta2 = group["betas"]
        decoupled = self.decoupled

        def update(number: int, p: Tensor, grad: Array) -> None:
            state = self._state_of(number, p)
            step = state["step"] + 1
            m, v = state["exp_avg"], state["exp_avg_sq"]
            adam_update(p.array, grad, m, v, step, lr, beta1, beta2, eps, decay, decoupled)
            state["step"] = step

        return update


class AdamW(Adam):
    r"""Adam with decoupled weight decay: :math:`\theta \leftarrow (1 - \eta \lambda) \theta` first.

    Source: I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

    Args:
        params, lr, betas, eps: as :class:`Adam`.
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
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
