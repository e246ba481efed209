"""The tree of a kernel that has been split at its barriers (see ``regions``).

Everything but ``Region`` runs once for the whole block; a region runs as a loop over the threads.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Region:
    """Statements that run for every thread whose ``mask`` is set.

    ``clear`` are masks set here that must be False for the other threads; ``refine`` says that the
    region computes its own mask anew (the test of a varying loop)."""

    stmts: list[ast.stmt]
    mask: str | None
    clear: list[str] = field(default_factory=list)
    refine: bool = False


@dataclass
class Uniform:
    """An assignment that runs once per block."""

    stmt: ast.Assign


@dataclass
class Branch:
    """``if`` with a uniform test."""

    test: ast.expr
    body: list[Node]
    orelse: list[Node]


@dataclass
class Loop:
    """``for`` or ``while`` that the whole block runs."""

    stmt: ast.For | ast.While
    body: list[Node]


@dataclass
class Exit:
    """``break`` or ``continue`` of a loop that the whole block runs."""

    stmt: ast.stmt


@dataclass
class Masked:
    """``body`` for the threads of ``mask``; ``full`` is a copy without mask for "all threads".

    ``test`` holds inside (see ``Signs.known_under``), unless it is None."""

    mask: str
    body: list[Node]
    full: list[Node]
    test: ast.expr | None = None


@dataclass
class MaskedLoop:
    """A varying ``while``: ``test`` refines ``mask`` each turn until no thread is left."""

    mask: str
    outer: str | None
    test: Region
    body: list[Node]


@dataclass
class Collective:
    """Each thread's ``target`` from the ``source`` of the other threads of its warp.

    ``kind`` is the primitive (``shfl_down_``), ``by`` the distance or lane of a shuffle, ``mask``
    the threads that take part."""

    kind: str
    source: str
    target: str
    by: ast.expr | None
    mask: str | None


@dataclass
class Count:
    """``target`` is the number of threads of ``mask`` whose ``source`` is true; a barrier."""

    target: str
    source: str
    mask: str | None


@dataclass
class Barrier:
    """The regions before it have ended for all threads of the block, which is all a barrier asks.

    Under varying tests each ``(mask, outer)`` must hold for the same threads."""

    stmt: ast.stmt
    masks: tuple[tuple[str, str | None], ...]


@dataclass
class GridBarrier:
    """All blocks of the grid wait for each other."""


Node = (
    Region
    | Uniform
    | Exit
    | Branch
    | Loop
    | Masked
    | MaskedLoop
    | Collective
    | Count
    | Barrier
    | GridBarrier
)


def walk_nodes(nodes: list[Node]) -> Iterator[Node]:
    for n in nodes:
        yield n
        if isinstance(n, MaskedLoop):
            yield n.test
        for part in ("body", "orelse", "full"):
            yield from walk_nodes(getattr(n, part, []))
