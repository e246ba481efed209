"""Atomics and fences in the canonical tree.

    cuda.atomic.max(a, (i, j), v)          atomic_max_(a, (i, j), v)
    cuda.atomic.compare_and_swap(a, o, v)  atomic_cas_(a, 0, o, v)
    cuda.threadfence_block()               effect_fence_()

On shared and local memory the last rewriting makes ``plain_max_`` of it (see ``expressions``).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from .rt_atomics import OPERATIONS
from .tree import call, const, fail, text_of

if TYPE_CHECKING:
    from .canonical import Canonical


def _handler(path: str, function: str, parameters: str) -> Any:
    count = len(parameters.split(", ")) if parameters else 0

    def handle(
        canonical: Canonical, node: ast.Call, args: list[ast.expr], keywords: dict[str, ast.expr]
    ) -> ast.expr:
        if keywords or len(args) != count:
            fail(node, text_of(node), f"{path} takes the arguments ({parameters})")
        if path == "atomic.compare_and_swap":
            args.insert(1, const(0))
        return call(function, *args)

    return handle


_PARAMETERS = {"cas": "array, index, old, value", "compare_and_swap": "array, old, value"}


def _atomic(name: str) -> Any:
    function = "atomic_cas_" if name in _PARAMETERS else f"atomic_{name.rstrip('_')}_"
    return _handler(f"atomic.{name}", function, _PARAMETERS.get(name, "array, index, value"))


ATOMIC_HANDLERS: dict[str, Any] = {
    **{f"atomic.{name}": _atomic(name) for name in [*OPERATIONS, *_PARAMETERS]},
    "threadfence": _handler("threadfence", "effect_fence_", ""),
    "threadfence_block": _handler("threadfence_block", "effect_fence_", ""),
    "threadfence_system": _handler("threadfence_system", "effect_fence_", ""),
    "nanosleep": _handler("nanosleep", "effect_sleep_", "nanoseconds"),
}
