"""Clamped indices, without the clamp where it changes nothing.

Stencils read ``a[min(y + 1, h - 1), x]``, so that threads at the border need no test.  For LLVM
such an index is any number, and it gathers what lies next to each other: 2 to 4 times slower.  Only
the blocks at the border need the clamp, so the region is written twice::

    cx = min_(x, w - 1)              if w - bid_x_ * bdim_x_ >= 16:     # for all threads
    out[x] = a[cx]          ->           ... cx = x ...
                                     else:
                                         ... cx = min_(x, w - 1) ...
"""

from __future__ import annotations

import ast

from .flow import Variables
from .guards import THREAD, Bounds, Taker
from .tree import function_name, reads

CLAMPS = {"min_": ast.LtE, "min": ast.LtE, "max_": ast.GtE, "max": ast.GtE}


class Unclamped(ast.NodeTransformer):
    """Takes clamps out; ``bounds`` then says for which threads that makes no difference."""

    def __init__(
        self,
        variables: Variables,
        sizes: dict[str, int],
        inner: str,
        outside: set[str],
        inside: set[str],
    ) -> None:
        """``outside``, ``inside``: what has its value before the thread loops, and what has not."""
        self.bounds = Bounds()
        self.taker = Taker(variables, {}, sizes, inner, self.bounds, outside - inside, inside)

    def visit_Call(self, n: ast.Call) -> ast.expr:
        self.generic_visit(n)
        kind = CLAMPS.get(function_name(n))
        if kind is None or len(n.args) != 2:
            return n
        for index, limit in (n.args, n.args[::-1]):
            test = ast.Compare(index, [kind()], [limit])
            if self.of_thread(index) and self.taker.take(test):
                return index
        return n

    def of_thread(self, e: ast.expr) -> bool:
        resolved = self.taker.resolved(e)
        return resolved is not None and bool(reads(resolved) & THREAD.keys())
