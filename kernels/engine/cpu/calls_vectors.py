"""CUDA's vector types: ``float4`` and its relatives are tuples with the fields x, y, z and w.

    cuda.float4(v.xy_, x[i], 1)     ->      vector_('float32', 4, v, x[i], 1)

How many numbers an argument holds is known once tuples are split into variables (see ``tuples``).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from .names import VECTORS
from .tree import call, const, fail, text_of
from .tuples import VECTOR

if TYPE_CHECKING:
    from .canonical import Canonical


def _maker(kind: str, count: int) -> Any:
    def handle(
        canonical: Canonical, node: ast.Call, args: list[ast.expr], keywords: dict[str, ast.expr]
    ) -> ast.expr:
        if keywords or not 1 <= len(args) <= count:
            fail(node, text_of(node), f"a vector of {count} is made of up to {count} arguments")
        return call(VECTOR, const(kind), const(count), *args)

    return handle


VECTOR_HANDLERS = {name: _maker(kind, count) for name, (kind, count) in VECTORS.items()}
