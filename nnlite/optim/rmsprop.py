"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..kernels.engine import Array
from ..kernels.update import Batch, rmsprop_many, rmsprop_update
from .optimizer import Optimizer, Params


class RMSprop(Optimizer):
    r"""RMSprop: divides a gradient by the root of its mean square.

    .. math::
        g &= \nabla + \lambda \theta \\
        v &\leftarrow \alpha v + (1 - \alpha) g^2 \\
        a &\leftarrow \alpha a + (1 - \alpha) g \quad\text{(centered)} \\
        b &\leftarrow \mu b + g / (\sqrt{v - a^2} + \epsilon)
        \quad (a = 0 \text{ unless centered}) \\
        \theta &\leftarrow \theta - \eta b

    Source: G. Hinton, N. Srivastava and K. Swersky, "Neural Networks for Machine Learning",
    lecture 6e, 2012; centered: A. Graves, arXiv:1308.0850.

    Args:
        params: the parameters, or dicts of parameters and options.
        lr: learning rate :math:`\eta`.
        alpha: :math:`\alpha`, in [0, 1].
        eps: :math:`\epsilon`.
        weight_decay: :math:`\lambda`.
        momentum: :math:`\mu`; 0 keeps no momentum.
        centered: divide by an estimate of the standard deviation.

    Examples:
        >>> optimizer = nl.optim.RMSprop(model.parameters(), lr=1e-3, momentum=0.9)
    """

    slots = ("square_avg", "grad_avg", "momentum_buffer")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
            },
        )

    def _check_options(self, options: Mapping[str, Any]) -> None:
        self._require_positive(options, "lr", "alpha", "eps", "weight_decay", "momentum")
        self._require(options["alpha"] <= 1, "alpha", options["alpha"], "a number in [0, 1]")

    def _slots_of(self, group: dict[str, Any]) -> tuple[str, ...]:
        used = (True, group["centered"], group["momentum"] > 0)
        return tuple(name for name, use in zip(self.slots, used) if use)

    def _update(
        self,
        group: dict[str, Any],
        step: int,
        param: Array,
        grad: Array,
        state: dict[str, Array],
    ) -> None:
        rmsprop_update(
            param,
            grad,
            state["square_avg"],
            state.get("grad_avg"),
            state.get("momentum_buffer"),
            **self._options_of(group),
        )

    def _update_many(self, group: dict[str, Any], step: int, batch: Batch) -> None:
        rmsprop_many(batch, bool(group["centered"]), **self._options_of(group))

    def _options_of(self, group: dict[str, Any]) -> dict[str, Any]:
        names = ("lr", "alpha", "eps", "weight_decay", "momentum")
        return {name: group[name] for name in names}
