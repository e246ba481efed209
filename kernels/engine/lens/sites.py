"""The places of a kernel that a report can name, and the arrays that it declares.

Two small passes belong here: one notes where threads return, the other gives the masks of warp
operations statements of their own.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from ..cpu.tree import (
    COLLECTIVES,
    Names,
    assign,
    blocks,
    call,
    const,
    function_name,
    load,
    locate,
    parse,
)


@dataclass(frozen=True)
class Site:
    """One place of the kernel that can be named in a report.

    Attributes:
        file, line: where the user wrote it.
        what: ``read``, ``write``, ``update``, ``return``, ``loop``, or what the tree calls an
            atomic (``atomic_add_``) or something that threads do together (``shfl_down_``).
        array: the name of the array, as far as there is one.
        repeats: a waiting loop has nothing to remember from turn to turn but memory.
        instruction: number of the call of ``engine.ptx`` that the place belongs to; 0 for none.
    """

    file: str
    line: int
    what: str
    array: str = ""
    repeats: bool = False
    instruction: int = 0


@dataclass(frozen=True)
class Declared:
    """A shared or local array: where it lies in its buffer; shape (0,) for dynamic memory."""

    name: str
    offset: int
    shape: tuple[int, ...]
    dtype: Any


def mark_returns(body: list[ast.stmt], sites: list[Site]) -> list[ast.stmt]:
    """Note each ``return`` of the kernel itself; runs before returns are turned into flags."""
    out: list[ast.stmt] = []
    for s in body:
        for b in blocks(s):
            b[:] = mark_returns(b, sites)
        if isinstance(s, ast.Return):
            sites.append(Site(getattr(s, "file", ""), s.lineno, "return"))
            note = ast.Expr(call("effect_returned_", load("lens_"), const(len(sites))))
            locate(note, s)
            out.append(note)
        out.append(s)
    return out


def detach_masks(body: list[ast.stmt], names: Names) -> list[ast.stmt]:
    """Compute the masks of warp operations in statements of their own, before types are known."""
    out: list[ast.stmt] = []
    for s in body:
        for b in blocks(s):
            b[:] = detach_masks(b, names)
        kind = function_name(s.value) if isinstance(s, ast.Assign) else ""
        if kind in COLLECTIVES - {"block_count_"}:
            mask = names.fresh("mask")
            given = s.value.args.pop()  # type: ignore[attr-defined]
            out.append(assign(mask, parse("np.int64(0)"), s))
            out[-1].value.args[0] = given  # type: ignore[attr-defined]
            s.mask = mask  # type: ignore[attr-defined]
        out.append(s)
    return out
