"""``Parameter``: a tensor that a module trains."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor


class Parameter(Tensor):
    """A tensor that a module trains: a leaf with ``requires_grad``, found by ``parameters()``.

    Args:
        data: its first value; see :class:`~nnlite.Tensor`.
        requires_grad: False freezes it.
    """

    __slots__ = ()

    def __init__(
        self, data: Any, requires_grad: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(data, requires_grad, device, dtype)
