"""``Tensor``: an engine array with a gradient and a place on the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import autograd, operators
from .autograd import Edge, Gradients, Node, Version, mode
from .errors import AutogradError, DtypeError
from .kernels.checks import require_like, require_shape
from .kernels.elementwise import copy
from .kernels.engine import Array, Device, array, cached_constant, full
from .kernels.engine.replay import Rebinding, here


class Tensor(operators.Operators):
    """A multi-dimensional array that can be differentiated.

    Args:
        data: a tensor or an engine array (shared, not copied, unless ``dtype`` or ``device``
            differ), or anything ``numpy.asarray`` takes (copied; Python floats become float32).
        requires_grad: record operations on it and fill :attr:`grad` in the backward pass.
        device: where it lives; None leaves an array where it is.
        dtype: dtype of its items.

    Attributes:
        array: the engine array, what a kernel takes; graphs notice when it is set to another one.
        grad: the accumulated gradient, a tensor, or None.
        version: counts the in-place changes of its memory.

    Examples:
        >>> x = nl.tensor([1.0, 2.0, 3.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad.numpy()
        array([2., 4., 6.], dtype=float32)
    """

    __slots__ = ("_array", "grad", "version", "_requires_grad", "_edge", "_hooks", "__weakref__")
    array = Rebinding("_array")
    __array_ufunc__ = None  # so that NumPy leaves `numpy_array * tensor` to the tensor

    def __init__(
        self, data: Any, requires_grad: bool = False, device: Any = None, dtype: Any = None
    ) -> None:
        source = data.array if isinstance(data, Tensor) else data
        if not isinstance(source, Array) or (dtype is not None and source.dtype != dtype):
            where = source.device if device is None and isinstance(source, Array) else device
            source = array(source, dtype, where)
        elif device is not None:
            source = source.to(device)
        shared = isinstance(data, Tensor) and source is data.array
        self._array = source
        self.grad: Tensor | None = None
        self.version: Version = data.version if shared else Version()
        self._requires_grad = False
        self._edge: Edge | None = None
        self._hooks: dict[int, Any] | None = None
        if requires_grad:
            self.requires_grad = True

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        return self._array.dtype

    @property
    def device(self) -> Device:
        return self._array.device

    @property
    def ndim(self) -> int:
        return len(self._array.shape)

    @property
    def size(self) -> int:
        return self._array.size

    @property
    def is_leaf(self) -> bool:
        """True unless a recorded operation made it."""
        return self._edge is None

    @property
    def requires_grad(self) -> bool:
        """True when operations on it are recorded; may be set on leaf tensors of float dtype."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._edge is not None and not value:
            raise AutogradError(
                "requires_grad: cannot be turned off on the result of an operation; use detach()"
            )
        if value and self.array.dtype.kind != "f":
            raise DtypeError(
                f"requires_grad: dtype {self.array.dtype} given, expected float32 or float64"
            )
        self._requires_grad = bool(value)

    def edge(self) -> Edge:
        """Where the tape sends the gradient of this tensor."""
        return self._edge or (self, 0)

    def attach(self, node: Node, output: int = 0) -> None:
        """Make this tensor the output ``output`` of ``node``."""
        self._edge = (node, output)
        self._requires_grad = True

    def receive(self, grad: Array, fresh: bool) -> None:
        """Add ``grad`` to :attr:`grad`; called by the tape on leaf tensors."""
        if here.received is not None:
            here.received(self)
        if self.grad is not None:
            self.grad._array = functional.accumulate(self.grad._array, grad, True)
            self.grad.mark_changed()
        else:
            self.grad = wrap(grad if fresh and grad.is_contiguous else copy(grad))

    def mark_changed(self) -> None:
        """Tell the tape that a kernel of yours wrote into ``array``."""
        self.version.changes += 1

    def backward(self, grad: Tensor | None = None, retain_graph: bool = False) -> None:
        """Compute the gradients of every leaf tensor that this one was made from.

        They are added to ``grad`` of the leaves; call ``zero_grad`` between steps.

        Args:
            grad: gradient of this tensor, of its shape; may be left out for a tensor of one item.
            retain_graph: keep the saved tensors, so that backward can run again.

        Raises:
            AutogradError: not recorded, no ``grad``, graph freed, or a saved tensor changed.
            ShapeError, DtypeError, DeviceError: ``grad`` does not fit the tensor.
        """
        if not self._requires_grad:
            raise AutogradError(
                "backward: the tensor does not require a gradient: no input of its operations has "
                "requires_grad, or they ran under no_grad()"
            )
        a = self.array
        if grad is None:
            if a.size != 1:
                raise AutogradError(
                    f"backward: grad missing for a tensor of shape {a.shape}; only a tensor of "
                    "one item has the implied gradient 1"
                )
            start = _one(a.shape, a.dtype, a.device)
        else:
            start = as_tensor(grad, "backward", "grad").array
            require_like("backward", "grad", start, "the tensor", a)
            require_shape("backward", "grad", start, a.shape)
        autograd.run(self.edge(), start, functional.accumulate, retain_graph)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def detach(self) -> Tensor:
        """A tensor with the same memory that is not on the tape."""
        return Tensor(self)

    def copy_(self, source: Tensor | Array | np.ndarray) -> Tensor:
        """Overwrite the items in place with those of ``source`` (same shape and dtype).

        Raises:
            AutogradError: operations are being recorded, and the tensor requires a gradient, or
                the source does, whose gradient would be lost.
            ShapeError, DtypeError: the source has another shape or dtype.
        """
        if mode.enabled and self._requires_grad:
            raise AutogradError(
                "copy_: a tensor that requires a gradient cannot be changed in place; "
                "do it under nl.no_grad()"
            )
        if mode.enabled and isinstance(source, Tensor) and source._requires_grad:
            raise AutogradError(
                "copy_: source: requires a gradient, which copying does not record; "
                "copy source.detach()"
            )
        self.array.copy_from(source.array if isinstance(source, Tensor) else source)
        self.mark_changed()
        return self

    def __repr__(self) -> str:
        body = np.array2string(self.numpy(), separator=", ", prefix="tensor(")
        parts = [body, f"dtype={self.dtype}"]
        if not self.device.is_cpu:
            parts.append(f"device='{self.device}'")
        if isinstance(self._edge, tuple) and isinstance(self._edge[0], Node):
            parts.append(f"made by {self._edge[0].name}")
        elif self._requires_grad:
            parts.append("requires_grad=True")
        return f"{type(self).__name__.lower()}({', '.join(parts)})"


def tensor(
    data: Any, dtype: Any = None, device: Device | str | None = None, requires_grad: bool = False
) -> Tensor:
    """A new leaf tensor with a copy of ``data``.

    Args:
        data: numbers, nested lists, a NumPy array, an engine array or a tensor. Python floats
            become float32 and Python integers int64; arrays keep their dtype.
        dtype: dtype of the items.
        device: ``"cpu"``, ``"cuda"`` or a :class:`Device`; None is the default device.
        requires_grad: record operations on it.

    Examples:
        >>> nl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        tensor([[1., 2.],
                [3., 4.]], dtype=float32, requires_grad=True)
    """
    source = data.array if isinstance(data, Tensor) else data
    return Tensor(array(source, dtype, device), requires_grad)


def wrap(a: Array) -> Tensor:
    """A tensor around ``a``, without the checks and conversions of ``Tensor(a)``."""
    t = Tensor.__new__(Tensor)
    t._array = a
    t.grad = t._edge = t._hooks = None
    t.version = Version()
    t._requires_grad = False
    return t


def as_tensor(x: Any, op: str, name: str) -> Tensor:
    """``x`` if it is a tensor, a tensor around it if it is an engine array.

    Raises:
        TypeError: it is neither; NumPy arrays are not converted, as the device is not known.
    """
    if isinstance(x, Tensor):
        return x
    if isinstance(x, Array):
        return wrap(x)
    raise TypeError(
        f"{op}: {name}: {type(x).__name__} given, expected a Tensor (make one with nl.tensor)"
    )


def record(
    name: str,
    out: Array,
    inputs: tuple[Tensor, ...],
    backward: Callable[..., Gradients],
    saved: tuple[Tensor | Array | None, ...] = (),
    constants: Any = None,
    fresh: bool = True,
) -> Tensor:
    """A tensor around ``out`` that, if an input requires a gradient, knows how it was made.

    Args:
        name: name of the operation.
        out: its result.
        inputs: the tensors it was made from.
        backward: ``backward(node, dy)`` returns one gradient array, or None, for each input.
        saved: what ``node.saved`` shall hold, as arrays; tensors, and ``out``, are guarded
            against changes in place.
        constants: what ``node.constants`` shall hold.
        fresh: see :class:`~nnlite.autograd.Node`.
    """
    result = wrap(out)
    if not mode.enabled:
        return result
    for x in inputs:
        if x._requires_grad:
            break
    else:
        return result
    arrays, guards = [], []
    for s in saved:
        s = result if s is out else s
        if isinstance(s, Tensor):
            guards.append((s.version, s.version.changes))
            s = s._array
        arrays.append(s)
    edges = tuple([(x._edge or (x, 0)) if x._requires_grad else None for x in inputs])
    result._edge = Node(name, backward, edges, tuple(arrays), tuple(guards), constants, fresh), 0
    result._requires_grad = True
    return result


@cached_constant(64)
def _one(shape: tuple[int, ...], dtype: np.dtype, device: Device) -> Array:
    """The gradient of a loss with respect to itself; shared, never written to."""
    return full(shape, 1, dtype, device)


# Last, because functional needs Tensor, whose methods need functional.
from . import functional  # noqa: E402

operators.functional = functional
