"""Methods of ``Tensor`` that convert it, or are functions of :mod:`nnlite.functional`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ArgumentError
from .hooks import RemovableHandle, register

if TYPE_CHECKING:
    from . import functional
    from .functional import Axis
    from .kernels.engine import Device
    from .tensor import Tensor


class Operators:
    """Base of ``Tensor``; ``functional`` is put into this module when ``tensor.py`` has loaded it.

    The methods are those of PyTorch; each is documented at the function it calls. ``self`` is a
    Tensor, which the type checker cannot know of a base class.
    """

    __slots__ = ()

    def numpy(self: Any) -> np.ndarray:
        """A copy of the items on the host."""
        return self.array.numpy()

    def item(self: Any) -> Any:
        """The only item as a Python number; ShapeError if there is not exactly one."""
        return self.array.item()

    def __array__(self: Any, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array.__array__(dtype, copy)

    def __len__(self: Any) -> int:
        return len(self.array)

    def __iter__(self: Any) -> Iterator[Tensor]:
        if not self.array.shape:
            raise TypeError("iteration over a 0-d tensor")
        return (functional.getitem(self, i) for i in range(self.array.shape[0]))

    def __format__(self: Any, spec: str) -> str:
        return format(self.array.item() if spec and not self.array.shape else str(self), spec)

    def __bool__(self: Any) -> bool:
        if self.array.size != 1:
            raise ArgumentError(f"bool: a tensor of shape {self.array.shape} has no truth value")
        return bool(self.array.item())

    def __float__(self: Any) -> float:
        return float(self.array.item())

    def __int__(self: Any) -> int:
        return int(self.array.item())

    def register_hook(self: Any, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call ``hook(grad)`` in each backward pass, once this tensor's gradient is complete.

        The hook may return another gradient, which then takes its place; it must not change the
        one given. That of a leaf tensor is what this pass adds to ``grad``.

        Args:
            hook: takes the gradient, a tensor, and returns None or a tensor like it.

        Returns:
            A handle, whose ``remove()`` takes the hook away again.

        Raises:
            AutogradError: the tensor does not require a gradient.

        Examples:
            >>> x = nl.tensor([1.0, 2.0], requires_grad=True)
            >>> handle = x.register_hook(lambda grad: 10.0 * grad)
            >>> (x * x).sum().backward()
            >>> x.grad.numpy()
            array([20., 40.], dtype=float32)
        """
        return register(self, hook)

    def __add__(self: Any, other: Any) -> Tensor:
        return functional.add(self, other)

    def __radd__(self: Any, other: Any) -> Tensor:
        return functional.add(other, self)

    def __sub__(self: Any, other: Any) -> Tensor:
        return functional.sub(self, other)

    def __rsub__(self: Any, other: Any) -> Tensor:
        return functional.sub(other, self)

    def __mul__(self: Any, other: Any) -> Tensor:
        return functional.mul(self, other)

    def __rmul__(self: Any, other: Any) -> Tensor:
        return functional.mul(other, self)

    def __truediv__(self: Any, other: Any) -> Tensor:
        return functional.div(self, other)

    def __rtruediv__(self: Any, other: Any) -> Tensor:
        return functional.div(other, self)

    def __pow__(self: Any, exponent: float) -> Tensor:
        return functional.pow(self, exponent)

    def __matmul__(self: Any, other: Any) -> Tensor:
        return functional.matmul(self, other)

    def __rmatmul__(self: Any, other: Any) -> Tensor:
        return functional.matmul(other, self)

    def __neg__(self: Any) -> Tensor:
        return functional.neg(self)

    def __getitem__(self: Any, key: Any) -> Tensor:
        return functional.getitem(self, key)

    @property
    def T(self: Any) -> Tensor:
        """The tensor with its axes reversed; a view."""
        return functional.permute(self)

    def transpose(self: Any, dim0: int, dim1: int) -> Tensor:
        return functional.transpose(self, dim0, dim1)

    def permute(self: Any, *dims: Any) -> Tensor:
        return functional.permute(self, *dims)

    def reshape(self: Any, *shape: Any) -> Tensor:
        return functional.reshape(self, *shape)

    def view(self: Any, *shape: Any) -> Tensor:
        return functional.view(self, *shape)

    def flatten(self: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return functional.flatten(self, start_dim, end_dim)

    def split(self: Any, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        return functional.split(self, split_size, dim)

    def chunk(self: Any, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        return functional.chunk(self, chunks, dim)

    def gather(self: Any, dim: int, index: Any) -> Tensor:
        return functional.gather(self, dim, index)

    def to(self: Any, device: Device | str | None = None, dtype: Any = None) -> Tensor:
        return functional.to(self, device, dtype)

    def contiguous(self: Any) -> Tensor:
        return functional.contiguous(self)

    def sum(self: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functional.sum(self, axis, keepdims)

    def mean(self: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functional.mean(self, axis, keepdims)

    def max(self: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functional.max(self, axis, keepdims)

    def min(self: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return functional.min(self, axis, keepdims)

    def argmax(self: Any, axis: int | None = None) -> Tensor:
        return functional.argmax(self, axis)

    def exp(self: Any) -> Tensor:
        return functional.exp(self)

    def log(self: Any) -> Tensor:
        return functional.log(self)

    def sqrt(self: Any) -> Tensor:
        return functional.sqrt(self)

    def relu(self: Any) -> Tensor:
        return functional.relu(self)

    def sigmoid(self: Any) -> Tensor:
        return functional.sigmoid(self)

    def tanh(self: Any) -> Tensor:
        return functional.tanh(self)
