"""What the threads that meet at a barrier or a warp operation get.

Each function takes a list of :class:`Meets`, one per thread that takes part, and returns their
results in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .arithmetic import cast, dtype_of

WARP = 32
INT32, UINT32 = np.dtype(np.int32), np.dtype(np.uint32)


class Meets(NamedTuple):
    """One thread at a meeting: its lane and what it brings."""

    lane: int
    args: tuple[Any, ...]


Result = Callable[[list[Meets], int], list[Any]]


def lanes(those: list[Meets]) -> int:
    """The mask of some lanes."""
    return sum(1 << t.lane for t in those)


def same(those: list[Meets], value: Any) -> list[Any]:
    """One result for all."""
    return [value] * len(those)


# -- the block ------------------------------------------------------------------------------------
def syncthreads(those: list[Meets], fill: int) -> list[Any]:
    """Nothing: the threads have waited for each other."""
    return same(those, None)


def syncthreads_count(those: list[Meets], fill: int) -> list[Any]:
    """In how many threads the predicate holds."""
    return same(those, np.int32(sum(bool(t.args[0]) for t in those)))


def syncthreads_and(those: list[Meets], fill: int) -> list[Any]:
    """1 where it holds in all threads, else 0."""
    return same(those, np.int32(all(t.args[0] for t in those)))


def syncthreads_or(those: list[Meets], fill: int) -> list[Any]:
    """1 where it holds in any thread, else 0."""
    return same(those, np.int32(any(t.args[0] for t in those)))


BLOCK: dict[str, Result] = {
    "syncthreads": syncthreads,
    "syncthreads_count": syncthreads_count,
    "syncthreads_and": syncthreads_and,
    "syncthreads_or": syncthreads_or,
}


# -- the warp; the first argument, where there is one, is the mask --------------------------------
def syncwarp(those: list[Meets], fill: int) -> list[Any]:
    """Nothing: the lanes have waited for each other."""
    return same(those, None)


def activemask(those: list[Meets], fill: int) -> list[Any]:
    """The lanes that stand here."""
    return same(those, np.uint32(lanes(those)))


def all_sync(those: list[Meets], fill: int) -> list[Any]:
    """Whether the predicate holds in all lanes."""
    return same(those, all(t.args[1] for t in those))


def any_sync(those: list[Meets], fill: int) -> list[Any]:
    """Whether it holds in any lane."""
    return same(those, any(t.args[1] for t in those))


def eq_sync(those: list[Meets], fill: int) -> list[Any]:
    """Whether it is the same in all lanes."""
    return same(those, len({bool(t.args[1]) for t in those}) == 1)


def ballot_sync(those: list[Meets], fill: int) -> list[Any]:
    """The lanes in which it holds."""
    return same(those, cast(lanes([t for t in those if t.args[1]]), INT32))


def _pattern(value: Any) -> bytes:
    return np.asarray(value, dtype_of(value)).tobytes()


def match_any_sync(those: list[Meets], fill: int) -> list[Any]:
    """For each lane, the lanes with the same bits."""
    groups: dict[bytes, list[Meets]] = {}
    for t in those:
        groups.setdefault(_pattern(t.args[1]), []).append(t)
    return [cast(lanes(groups[_pattern(t.args[1])]), INT32) for t in those]


def match_all_sync(those: list[Meets], fill: int) -> list[Any]:
    """(the lanes, True) where all bits are equal, else (0, False)."""
    equal = len({_pattern(t.args[1]) for t in those}) == 1
    return same(those, (cast(lanes(those) if equal else 0, INT32), equal))


def _shuffle(source: Callable[[int, int], int]) -> Result:
    """``source`` gives the lane to read from; outside 0..31 a lane gets its own value."""

    def result(those: list[Meets], fill: int) -> list[Any]:
        values = {t.lane: t.args[1] for t in those}
        out = []
        for t in those:
            at = source(t.lane, int(t.args[2]) & (WARP - 1))
            undefined = np.frombuffer(bytes([fill] * 8), dtype_of(t.args[1]))[0]
            out.append(values.get(at if 0 <= at < WARP else t.lane, undefined))
        return out

    return result


WARPS: dict[str, Result] = {
    "syncwarp": syncwarp,
    "activemask": activemask,
    "all_sync": all_sync,
    "any_sync": any_sync,
    "eq_sync": eq_sync,
    "ballot_sync": ballot_sync,
    "match_any_sync": match_any_sync,
    "match_all_sync": match_all_sync,
    "shfl_sync": _shuffle(lambda lane, at: at),
    "shfl_up_sync": _shuffle(lambda lane, delta: lane - delta),
    "shfl_down_sync": _shuffle(lambda lane, delta: lane + delta),
    "shfl_xor_sync": _shuffle(lambda lane, bits: lane ^ bits),
}

GRID = "grid.sync"
