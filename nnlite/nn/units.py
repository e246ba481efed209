"""Further activation functions as modules, with PyTorch's names and defaults.

Each keeps the shape of its input, but GLU; formulas, sources and errors are those of the function
of :mod:`nnlite.functional` that it calls. None works in place: there is no ``inplace``.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, ClassVar

from .. import functional as F
from .. import init as initialisers
from ..errors import ArgumentError
from ..kernels.engine import Device, empty
from ..tensor import Tensor
from .module import Module
from .parameter import Parameter


class _Unit(Module):
    """A function of one tensor and of options that are attributes of the module."""

    function: ClassVar[Callable[..., Tensor]]
    options: ClassVar[tuple[str, ...]] = ()

    def forward(self, x: Tensor) -> Tensor:
        return type(self).function(x, *[getattr(self, name) for name in self.options])

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.options)


class ELU(_Unit):
    r"""Exponential linear unit: :math:`x` where positive, else :math:`\alpha (e^x - 1)`."""

    function = staticmethod(F.elu)
    options = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha


class SELU(_Unit):
    r"""Scaled ELU with the constants of self-normalising networks."""

    function = staticmethod(F.selu)


class CELU(_Unit):
    r"""Smooth ELU: :math:`x` where positive, else :math:`\alpha (e^{x / \alpha} - 1)`."""

    function = staticmethod(F.celu)
    options = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha


class Softplus(_Unit):
    r"""Smooth rectifier :math:`\ln(1 + e^{\beta x}) / \beta`; :math:`x` above the threshold."""

    function = staticmethod(F.softplus)
    options = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold


class LogSigmoid(_Unit):
    r"""Logarithm of the logistic function, :math:`-\ln(1 + e^{-x})`."""

    function = staticmethod(F.logsigmoid)


class Mish(_Unit):
    r"""Mish :math:`x \tanh(\ln(1 + e^x))`."""

    function = staticmethod(F.mish)


class Softsign(_Unit):
    r"""Softsign :math:`x / (1 + |x|)`."""

    function = staticmethod(F.softsign)


class Tanhshrink(_Unit):
    r"""Tanh shrinkage :math:`x - \tanh x`."""

    function = staticmethod(F.tanhshrink)


class Hardtanh(_Unit):
    r""":math:`x` held between ``min_val`` and ``max_val``.

    Raises:
        ArgumentError: ``max_val`` is not above ``min_val``.
    """

    function = staticmethod(F.hardtanh)
    options = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        super().__init__()
        if not min_val < max_val:
            raise ArgumentError(
                f"Hardtanh: max_val: {max_val!r} given, expected a number above min_val {min_val!r}"
            )
        self.min_val = min_val
        self.max_val = max_val


class ReLU6(_Unit):
    r"""Rectifier that stops at 6, :math:`\min(\max(x, 0), 6)`."""

    function = staticmethod(F.relu6)


class Hardsigmoid(_Unit):
    r"""Piecewise linear sigmoid: :math:`(x + 3) / 6` held between 0 and 1."""

    function = staticmethod(F.hardsigmoid)


class Hardswish(_Unit):
    r"""Piecewise SiLU: :math:`x` times :class:`Hardsigmoid` of :math:`x`."""

    function = staticmethod(F.hardswish)


class Softshrink(_Unit):
    r""":math:`x` moved towards 0 by ``lambd``; 0 where :math:`|x| \le` ``lambd``."""

    function = staticmethod(F.softshrink)
    options = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd


class Hardshrink(_Unit):
    r""":math:`x`; 0 where :math:`|x| \le` ``lambd``."""

    function = staticmethod(F.hardshrink)
    options = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd


class Threshold(_Unit):
    r""":math:`x` where it is above ``threshold``, else ``value``."""

    function = staticmethod(F.threshold)
    options = ("threshold", "value")

    def __init__(self, threshold: float, value: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value


class GLU(_Unit):
    r"""Gated linear unit :math:`a \, \sigma(b)` of the halves :math:`a, b` of axis ``dim``.

    Shape:
        input (..., 2 n, ...), output (..., n, ...).
    """

    function = staticmethod(F.glu)
    options = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim


class PReLU(Module):
    r"""Leaky rectifier with learned slopes: :math:`x` where positive, else :math:`w_c x`.

    Args:
        num_parameters: 1, or the number of channels, the second axis of the input.
        init: initial value of the slopes.
        device: where the slopes live; None is the default device.
        dtype: float32 or float64.

    Attributes:
        weight: (num_parameters,).
    """

    weight: Parameter

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: Device | str | None = None,
        dtype: Any = "float32",
    ) -> None:
        super().__init__()
        whole = isinstance(num_parameters, numbers.Integral)
        if not whole or isinstance(num_parameters, bool) or num_parameters < 1:
            raise ArgumentError(
                f"PReLU: num_parameters: {num_parameters!r} given, expected an integer >= 1"
            )
        self.num_parameters = int(num_parameters)
        self.init = init
        self.weight = Parameter(empty((self.num_parameters,), dtype, device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the slopes to ``init``."""
        initialisers.constant_(self.weight, self.init)

    def forward(self, x: Tensor) -> Tensor:
        return F.prelu(x, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
