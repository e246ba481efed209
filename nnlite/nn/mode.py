"""``Module.training``, which graphs have to know of."""

from __future__ import annotations

from typing import Any, overload

from ..kernels.engine.replay import here


class Mode:
    """The attribute: a step that a graph is made of depends on the modules that look at it."""

    @overload
    def __get__(self, module: None, owner: Any = None) -> Mode: ...

    @overload
    def __get__(self, module: object, owner: Any = None) -> bool: ...

    def __get__(self, module: object | None, owner: Any = None) -> Mode | bool:
        if module is None:
            return self
        if here.looked is not None:
            here.looked(module)
        return module.__dict__["training"]

    def __set__(self, module: object, value: bool) -> None:
        module.__dict__["training"] = value
