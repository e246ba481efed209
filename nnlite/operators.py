"""The operators and methods of ``Tensor`` that are functions of :mod:`nnlite.functional`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import ArgumentError

if TYPE_CHECKING:
    from . import functional
    from .functional import Axis
    from .kernels.engine import Array, Device
    from .tensor import Tensor


class Operators:
    """Base of ``Tensor``; ``functional`` is put into this module when ``tensor.py`` has loaded it.

    The methods are those of PyTorch; each is documented at the function it calls.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        array: Array

    def __len__(self) -> int:
        return len(self.array)

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise ArgumentError(f"bool: a tensor of shape {self.array.shape} has no truth value")
        return bool(self.array.item())

    def __float__(self) -> float:
        return float(self.array.item())

    def __int__(self) -> int:
        return int(self.array.item())

    def __add__(self, other: Any) -> Tensor:
        return functional.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return functional.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return functional.sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return functional.sub(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return functional.mul(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return functional.mul(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return functional.div(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return functional.div(other, self)

    def __pow__(self, exponent: float) -> Tensor:
        return functional.pow(self, exponent)

    def __matmul__(self, other: Any) -> Tensor:
        return functional.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return functional.matmul(other, self)

    def __neg__(self) -> Tensor:
        return functional.neg(self)

    def __getitem__(self, key: Any) -> Tensor:
        return functional.getitem(self, key)

    @property
    def T(self) -> Tensor:
        """The tensor with its axes reversed; a view."""
        return functional.permute(self)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        return functional.transpose(self, dim0, dim1)

    def permute(self, *dims: int) -> Tensor:
        return functional.permute(self, *dims)

    def reshape(self, *shape: Any) -> Tensor:
        return functional.reshape(self, *shape)

    def view(self, *shape: Any) -> Tensor:
        return functional.view(self, *shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return functional.flatten(self, start_dim, end_dim)

    def to(self, device: Device | str | None = None, dtype: Any = None) -> Tensor:
        return functional.to(self, device, dtype)

    def contiguous(self) -> Tensor:
        return functional.contiguous(self)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functional.sum(self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functional.mean(self, axis, keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functional.max(self, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functional.min(self, axis, keepdims)

    def argmax(self, axis: int | None = None) -> Tensor:
        return functional.argmax(self, axis)

    def exp(self) -> Tensor:
        return functional.exp(self)

    def log(self) -> Tensor:
        return functional.log(self)

    def sqrt(self) -> Tensor:
        return functional.sqrt(self)

    def relu(self) -> Tensor:
        return functional.relu(self)

    def sigmoid(self) -> Tensor:
        return functional.sigmoid(self)

    def tanh(self) -> Tensor:
        return functional.tanh(self)
