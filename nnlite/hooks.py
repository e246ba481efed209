"""Hooks of tensors: functions that see the gradient of a tensor, and may change it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .autograd import Node
from .errors import AutogradError
from .kernels.checks import require_like, require_shape

if TYPE_CHECKING:
    from .kernels.engine import Array
    from .tensor import Tensor

_numbers = itertools.count()


class RemovableHandle:
    """What registering a hook returns: :meth:`remove` takes the hook away again.

    May be used as a context manager: the hook is there inside the block.
    """

    def __init__(self, table: dict[int, Any]) -> None:
        self._table = table
        self.id = next(_numbers)

    def remove(self) -> None:
        """Take the hook away; again does nothing."""
        self._table.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register(x: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Let ``hook`` see the gradient of ``x``; see ``Tensor.register_hook``."""
    from .tensor import as_tensor, wrap

    if not callable(hook):
        raise TypeError(f"register_hook: hook: {type(hook).__name__} given, expected a function")
    if not x.requires_grad:
        raise AutogradError("register_hook: the tensor does not require a gradient")

    def seen(grad: Array) -> Array:
        found = hook(wrap(grad))
        if found is None:
            return grad
        result = as_tensor(found, "register_hook", "result of the hook").array
        require_like("register_hook", "result of the hook", result, "the gradient", grad)
        require_shape("register_hook", "result of the hook", result, grad.shape)
        return result

    table = _table_of(x)
    handle = RemovableHandle(table)
    table[handle.id] = seen
    return handle


def _table_of(x: Tensor) -> dict[int, Any]:
    """The hooks of a tensor by number, kept where the tape finds them."""
    if x._edge is not None:
        node, output = x._edge
        assert isinstance(node, Node)
        return node.hooks_of(output)
    if x._hooks is None:
        x._hooks = {}
    return x._hooks
