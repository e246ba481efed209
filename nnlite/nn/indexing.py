"""Embedding, and padding as layers."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, ClassVar

from .. import functional as F
from .. import init
from ..autograd import no_grad
from ..errors import ArgumentError
from ..kernels.engine import Device, empty
from ..tensor import Tensor
from .module import Module
from .parameter import Parameter


class Embedding(Module):
    r"""A table of vectors, looked up by number: :math:`y_i = W_{t_i}`.

    The table starts as :math:`N(0, 1)`, the row ``padding_idx`` as zeros.

    Args:
        num_embeddings: how many rows.
        embedding_dim: size of each.
        padding_idx: number of a row that is never trained, or None; negative ones count from the
            end.
        device: where the table lives; None is the default device.
        dtype: float32 or float64.

    Shape:
        numbers (...) of int32 or int64, output (..., embedding_dim).

    Attributes:
        weight: (num_embeddings, embedding_dim).

    Examples:
        >>> layer = nl.nn.Embedding(100, 16)
        >>> layer(np.array([[3, 14, 15], [9, 2, 6]])).shape
        (2, 3, 16)
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        device: Device | str | None = None,
        dtype: Any = "float32",
    ) -> None:
        super().__init__()
        sizes = {"num_embeddings": num_embeddings, "embedding_dim": embedding_dim}
        for name, value in sizes.items():
            whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
            if not whole or value < 0:
                raise ArgumentError(f"Embedding: {name}: {value!r} given, expected an integer >= 0")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ArgumentError(
                f"Embedding: padding_idx: {padding_idx!r} given, expected None or a row of "
                f"{num_embeddings}"
            )
        self.num_embeddings = int(num_embeddings)
        self.embedding_dim = int(embedding_dim)
        self.padding_idx = None if padding_idx is None else padding_idx % self.num_embeddings
        self.weight = Parameter(empty((self.num_embeddings, self.embedding_dim), dtype, device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                init.zeros_(self.weight[self.padding_idx])

    def forward(self, index: Any) -> Tensor:
        return F.embedding(index, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class _Pad(Module):
    """Padding of the last ``axes`` axes: one number for all sides, or two for each axis.

    The order of the numbers is that of :func:`nnlite.functional.pad`: the last axis first.
    """

    axes: ClassVar[int]
    mode: ClassVar[str] = "constant"

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        count = 2 * self.axes
        whole = isinstance(padding, numbers.Integral) and not isinstance(padding, bool)
        widths: Any = (padding,) * count if whole else padding
        if not isinstance(widths, (tuple, list)) or len(widths) != count:
            raise ArgumentError(
                f"{type(self).__name__}: padding: {padding!r} given, expected an integer or "
                f"{count} of them"
            )
        self.padding = tuple(widths)
        self.value = 0.0

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return str(self.padding)


class _ConstantPad(_Pad):
    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A number around the last axis."""

    axes = 1


class ConstantPad2d(_ConstantPad):
    """A number around the last two axes."""

    axes = 2


class ConstantPad3d(_ConstantPad):
    """A number around the last three axes."""

    axes = 3


class ZeroPad1d(_Pad):
    """Zeros around the last axis."""

    axes = 1


class ZeroPad2d(_Pad):
    """Zeros around the last two axes.

    Args:
        padding: how many on each side, or (left, right, top, bottom).

    Shape:
        input (..., h, w), output (..., top + h + bottom, left + w + right).

    Examples:
        >>> nl.nn.ZeroPad2d(1)(nl.tensor(np.ones((1, 2, 2), np.float32))).shape
        (1, 4, 4)
    """

    axes = 2


class ZeroPad3d(_Pad):
    """Zeros around the last three axes."""

    axes = 3


class ReflectionPad1d(_Pad):
    """The last axis continued as in a mirror that stands on its edges."""

    axes = 1
    mode = "reflect"


class ReflectionPad2d(ReflectionPad1d):
    """The last two axes continued as in a mirror that stands on their edges."""

    axes = 2


class ReplicationPad1d(_Pad):
    """The last axis continued with its edge items."""

    axes = 1
    mode = "replicate"


class ReplicationPad2d(ReplicationPad1d):
    """The last two axes continued with their edge items."""

    axes = 2


class CircularPad1d(_Pad):
    """The last axis continued with the items of its other end."""

    axes = 1
    mode = "circular"


class CircularPad2d(CircularPad1d):
    """The last two axes continued with the items of their other ends."""

    axes = 2
