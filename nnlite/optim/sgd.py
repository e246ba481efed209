"""Stochastic gradient descent."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

from ..kernels.engine import Array
from ..kernels.update import Batch, sgd_many, sgd_update
from .optimizer import Optimizer, Params


class SGD(Optimizer):
    r"""Stochastic gradient descent with momentum, Nesterov momentum and weight decay.

    .. math::
        g &= \nabla + \lambda \theta \\
        v &\leftarrow \mu v + (1 - \tau) g \quad (v = g \text{ at the first step}) \\
        \theta &\leftarrow \theta - \eta v
        \quad\text{or, with Nesterov, } \theta - \eta (g + \mu v)

    Source: I. Sutskever et al., "On the importance of initialization and momentum in deep
    learning", ICML 2013, in the form of PyTorch's.

    Args:
        params: the parameters, or dicts of parameters and options.
        lr: learning rate :math:`\eta`.
        momentum: :math:`\mu`; 0 keeps no velocity.
        dampening: :math:`\tau`.
        weight_decay: :math:`\lambda`.
        nesterov: use Nesterov momentum; needs momentum and no dampening.

    Examples:
        >>> optimizer = nl.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        >>> optimizer.zero_grad()
        >>> loss(model(x), labels).backward()
        >>> optimizer.step()
    """

    slots = ("momentum_buffer",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
            },
        )

    def _check_options(self, options: Mapping[str, Any]) -> None:
        self._require_positive(options, "lr", "momentum", "weight_decay")
        dampening = options["dampening"]
        self._require(
            isinstance(dampening, numbers.Real), "dampening", dampening, "a number (of any sign)"
        )
        valid = not options["nesterov"] or (options["momentum"] > 0 and options["dampening"] == 0)
        self._require(valid, "nesterov", True, "a momentum above 0 and no dampening with it")

    def _slots_of(self, group: dict[str, Any]) -> tuple[str, ...]:
        return self.slots if group["momentum"] else ()

    def _update(
        self,
        group: dict[str, Any],
        step: int,
        param: Array,
        grad: Array,
        state: dict[str, Array],
    ) -> None:
        sgd_update(param, grad, state.get("momentum_buffer"), **self._options_of(group, step))

    def _update_many(self, group: dict[str, Any], step: int, batch: Batch) -> None:
        sgd_many(batch, **self._options_of(group, step))

    def _options_of(self, group: dict[str, Any], step: int) -> dict[str, Any]:
        names = ("lr", "momentum", "weight_decay", "nesterov")
        options = {name: group[name] for name in names}
        # The first velocity is the gradient itself, not dampened.
        dampened = group["momentum"] and step > 1
        return {**options, "dampening": group["dampening"] if dampened else 0.0}
