"""Functions of numba.cuda that take numbers and give numbers, in the canonical tree.

cuda.popc(x)                    popc_(x)
libdevice.sinf(x)               nv_sinf_(x)
cuda.ldca(a, (i, j))            a[i, j]
cuda.stcg(a, i, v)              effect_store_(a, i, v)
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .rt_bits import SCALARS
from .rt_fp16 import BINARY, COMPARISONS, HALVES
from .rt_libdevice import TABLE
from .tree import call, fail, text_of

if TYPE_CHECKING:
    from .canonical import Canonical

Make = Callable[..., ast.expr]
LOADS = ("ldca", "ldcs", "ldlu")
FRESH_LOADS = ("ldcg", "ldcv")
STORES = ("stcg", "stcs", "stwb", "stwt")


def _handler(path: str, count: int, make: Make) -> Any:
    """A handler for ``count`` positional arguments."""

    def handle(
        canonical: Canonical, node: ast.Call, args: list[ast.expr], keywords: dict[str, ast.expr]
    ) -> ast.expr:
        if keywords or len(args) != count:
            plural = "" if count == 1 else "s"
            fail(node, text_of(node), f"{path} takes {count} positional argument{plural}")
        return make(*args)

    return handle


def _function(path: str, name: str, count: int) -> Any:
    return _handler(path, count, lambda *args: call(name, *args))


def _element(array: ast.expr, index: ast.expr) -> ast.expr:
    return ast.Subscript(array, index, ast.Load())


def _libdevice(name: str, signature: str) -> Any:
    parameters = signature.rpartition("(")[2]
    return _function(f"libdevice.{name}", f"nv_{name}_", parameters.count(",") + 1)


def _halves(name: str) -> int:
    return 2 if name in BINARY or name in COMPARISONS else 3 if name == "hfma" else 1


ARGUMENTS = {"fma": 3, "selp": 3}

SCALAR_HANDLERS: dict[str, Any] = {
    **{n[:-1]: _function(n[:-1], n, ARGUMENTS.get(n[:-1], 1)) for n in SCALARS},
    **{f"libdevice.{n}": _libdevice(n, signature) for n, (signature, _) in TABLE.items()},
    **{f"fp16.{n}": _function(f"fp16.{n}", f"{n}_", _halves(n)) for n in HALVES},
    **{name: _handler(name, 2, _element) for name in LOADS},
    **{name: _function(name, "atomic_load_", 2) for name in FRESH_LOADS},
    **{name: _function(name, "effect_store_", 3) for name in STORES},
}
