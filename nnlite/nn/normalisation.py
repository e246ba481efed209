"""Normalisation of single items: layers, groups of channels, by the root mean square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import functional as F
from ..errors import ArgumentError, ShapeError
from ..kernels.engine import Device, full
from ..tensor import Tensor
from .module import Module
from .parameter import Parameter

Shape = tuple[int, ...]


class Normalisation(Module):
    """What the normalisation layers share: weight and bias of one shape."""

    weight: Parameter | None
    bias: Parameter | None

    def make_affine(self, shape: Shape, weight: bool, bias: bool, dtype: Any, device: Any) -> None:
        """Register weight and bias, 1 and 0, or None where not wanted."""
        for name, wanted, value in (("weight", weight, 1), ("bias", bias, 0)):
            made = Parameter(full(shape, value, dtype, device)) if wanted else None
            self.register_parameter(name, made)

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        for parameter, value in ((self.weight, 1), (self.bias, 0)):
            if parameter is not None:
                a = parameter.array
                a.copy_from(full(a.shape, value, a.dtype, a.device))
                parameter.mark_changed()


class LayerNorm(Normalisation):
    r"""Layer normalisation; :func:`nnlite.functional.layer_norm`.

    Args:
        normalized_shape: sizes of the last axes, over which each item is normalised.
        eps: added to the variance.
        elementwise_affine: learn weight and bias.
        bias: learn a bias, if ``elementwise_affine``.
        device: where the parameters live; None is the default device.
        dtype: float32 or float64.

    Shape:
        input (..., \*normalized_shape), output the same.

    Attributes:
        weight, bias: of shape ``normalized_shape``, at first 1 and 0, or None.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Device | str | None = None,
        dtype: Any = "float32",
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        both = elementwise_affine and bias
        self.make_affine(self.normalized_shape, elementwise_affine, both, dtype, device)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine = self.elementwise_affine
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}"


class RMSNorm(Normalisation):
    r"""Root-mean-square normalisation; :func:`nnlite.functional.rms_norm`.

    Args:
        normalized_shape: sizes of the last axes, over which each item is normalised.
        eps: added to the mean square; None is the machine epsilon of the dtype.
        elementwise_affine: learn a weight.
        device: where the parameters live; None is the default device.
        dtype: float32 or float64.

    Shape:
        input (..., \*normalized_shape), output the same.

    Attributes:
        weight: of shape ``normalized_shape``, at first 1, or None.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Device | str | None = None,
        dtype: Any = "float32",
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.make_affine(self.normalized_shape, elementwise_affine, False, dtype, device)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        affine = self.elementwise_affine
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}"


class GroupNorm(Normalisation):
    r"""Group normalisation; :func:`nnlite.functional.group_norm`.

    Args:
        num_groups: number of groups, a divisor of the channels.
        num_channels: number of channels c.
        eps: added to the variance.
        affine: learn weight and bias.
        device: where the parameters live; None is the default device.
        dtype: float32 or float64.
        bias: learn a bias, if ``affine``.

    Shape:
        input (n, c, ...), output the same.

    Attributes:
        weight, bias: (c,), at first 1 and 0, or None.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Device | str | None = None,
        dtype: Any = "float32",
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ArgumentError(
                f"GroupNorm: num_groups: {num_groups} given, expected a divisor of num_channels "
                f"{num_channels}"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self.make_affine((num_channels,), affine, affine and bias, dtype, device)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ShapeError(
                f"GroupNorm: x: shape {x.shape} given, expected (n, {self.num_channels}, ...)"
            )
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


def _shape(given: int | Sequence[int]) -> Shape:
    return tuple(given) if isinstance(given, (tuple, list)) else (int(given),)  # type: ignore[arg-type]
