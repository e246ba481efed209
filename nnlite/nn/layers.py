"""Linear layer, flattening, identity."""

from __future__ import annotations

import math
import numbers
from typing import Any

from .. import functional as F
from .. import init
from ..errors import ArgumentError
from ..kernels.engine import Device, empty
from ..tensor import Tensor
from .module import Module
from .parameter import Parameter


class Linear(Module):
    r"""Linear map of the last axis.

    .. math:: y = x W^T + b

    Weight and bias start as :math:`U(-k, k)` with :math:`k = 1 / \sqrt{\mathrm{in\_features}}`.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        bias: add :math:`b`.
        device: where the parameters live; None is the default device.
        dtype: float32 or float64.

    Shape:
        input (..., in_features), output (..., out_features).

    Attributes:
        weight: (out_features, in_features).
        bias: (out_features,), or None.

    Examples:
        >>> layer = nl.nn.Linear(20, 30)
        >>> layer(nl.tensor(np.zeros((128, 20), np.float32))).shape
        (128, 30)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Device | str | None = None,
        dtype: Any = "float32",
    ) -> None:
        super().__init__()
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
            if not whole or value < 0:
                raise ArgumentError(f"Linear: {name}: {value!r} given, expected an integer >= 0")
        self.in_features = int(in_features)
        self.out_features = int(out_features)
        self.weight = Parameter(empty((self.out_features, self.in_features), dtype, device))
        if bias:
            self.bias = Parameter(empty((self.out_features,), dtype, device))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5.0))
        if self.bias is not None:
            bound = 1.0 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Flatten(Module):
    """The axes from ``start_dim`` to ``end_dim`` made one; a view where possible.

    Args:
        start_dim: first axis; 1 keeps the axis of the batch.
        end_dim: last axis.

    Shape:
        input (n, a, b, ...), output (n, a * b * ...) with the defaults.

    Examples:
        >>> nl.nn.Flatten()(nl.tensor(np.zeros((64, 28, 28), np.float32))).shape
        (64, 784)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        return F.flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """Returns its input; any arguments are ignored.

    Shape:
        input and output of any, equal shape.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x
