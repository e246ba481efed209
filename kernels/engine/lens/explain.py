"""Turn what compiled code and schedule have noted into findings that a reader understands."""

from __future__ import annotations

from typing import Any

from . import team
from .memory import Memory
from .report import Access, Finding
from .shadow import THREAD_BITS
from .state import NEGATIVE, NO_MEMORY, OUT_OF_BOUNDS, RACE, UNINITIALISED

KINDS = (
    "out of bounds",
    "negative index",
    "uninitialised read",
    "race in a block",
    "race in a warp",
    "race between blocks",
    "divergent barrier",
    "barrier after return",
    "divergent warp operation",
    "absent lane",
    "endless wait",
    "launch limit",
)
NOTES = ("barrier after return", "absent lane")
"""What is right unless the result is used."""

MONOTONE = frozenset(f"atomic_{name}_" for name in ("min", "max", "nanmin", "nanmax", "and", "or"))
VERBS = {
    "read": "reads",
    "write": "writes",
    "update": "reads and writes",
    "select": "selects from",
    "return": "has returned",
    "loop": "waits in this loop",
    "sync_": "waits at this barrier",
    "block_count_": "waits at this barrier",
    "grid_sync_": "waits at this grid barrier",
}


class Explainer:
    """Names the places and threads of one launch."""

    def __init__(self, memory: Memory, grid: Any, block: Any) -> None:
        self.memory, self.grid, self.block = memory, grid, block
        self.sites = memory.program.sites

    def access(self, site: int, who: tuple[int, int], what: str = "") -> Access:
        block, thread = (position(n, dims) for n, dims in zip(who, (self.grid, self.block)))
        if not site:
            return Access(what or "does not come", "", 0, block, thread)
        found = self.sites[site - 1]
        atomic = found.what.startswith("atomic_")
        usual = "changes by an atomic" if atomic else "takes part in this operation of the warp"
        verb = what or VERBS.get(found.what, usual)
        return Access(verb, found.file, found.line, block, thread)

    # -- what compiled code has noted ------------------------------------------------------------
    def recorded(self, row: Any) -> Finding:
        kind, site, who, other, other_site, address, count, axis, extent, many = map(int, row[:10])
        given = tuple(map(int, row[10 : 10 + min(many, 4)]))
        me = split(who)
        if kind in (OUT_OF_BOUNDS, NEGATIVE):
            return self.wrong_index(kind, site, me, axis, extent, given, count)
        array, index = self.memory.element(self.sites[site - 1].array, address)
        if kind == RACE:
            return self.race(site, me, split(other), other_site, array, index, count)
        if kind == NO_MEMORY:
            message = "the access lies outside all arrays of the launch"
            remedy = "Derive the view from an argument and keep its index inside."
            access = self.access(site, me)
            return Finding(
                "out of bounds", "error", access, None, array, None, message, remedy, count
            )
        assert kind == UNINITIALISED
        element = named(array, index)
        message = f"{element} is read before any thread of the block has written it"
        remedy = (
            f"Write {array} for every thread, also for those outside the data, before the barrier "
            "that this read relies on."
        )
        return Finding(
            "uninitialised read", "error", self.access(site, me), None, array, index, message,
            remedy, count,
        )  # fmt: skip

    def wrong_index(
        self, kind: int, site: int, me: Any, axis: int, extent: int, given: Any, count: int
    ) -> Finding:
        array = self.sites[site - 1].array
        shown = given[axis] if axis < len(given) else "?"
        element = named(array, given)
        if kind == NEGATIVE:
            message = (
                f"{element}: the index {shown} of axis {axis} is negative and counts from the end"
            )
            remedy = f"Guard the access, or add the size {extent} on purpose."
            name = "negative index"
        else:
            message = f"{element}: the index {shown} of axis {axis} is outside 0 to {extent - 1}"
            if not extent:
                message = f"{element}: axis {axis} is empty"
            remedy = "Guard the access with a test of the index against the shape."
            name = "out of bounds"
        access = self.access(site, me)
        return Finding(name, "error", access, None, array, given, message, remedy, count)

    def race(
        self, site: int, me: Any, other: Any, other_site: int, array: str, index: Any, count: int
    ) -> Finding:
        element = named(array, index)
        if me[0] != other[0]:
            kind = "race between blocks"
            why = "blocks run in any order"
            remedy = "Use cuda.atomic, or give each block elements of its own."
        elif me[1] // 32 == other[1] // 32:
            kind = "race in a warp"
            why = "nothing orders the lanes of the warp"
            remedy = (
                "Put cuda.syncthreads() between the two accesses, or cuda.syncwarp() if no other "
                "warp uses these elements."
            )
        else:
            kind = "race in a block"
            why = "no barrier stands between the two"
            remedy = "Put cuda.syncthreads() between the two accesses."
        message = f"two threads use {element}, one of them writes, and {why}"
        both = self.access(site, me), self.access(other_site, other)
        severity = "note" if self.is_relaxed(site, other_site) else "error"
        return Finding(kind, severity, *both, array, index, message, remedy, count)

    def is_relaxed(self, site: int, other_site: int) -> bool:
        """A plain read beside an atomic that only ever moves the element one way.

        ``if v < best[0]: cuda.atomic.min(best, 0, v)`` is right whatever the read sees.
        """
        kinds = {self.sites[site - 1].what, self.sites[other_site - 1].what}
        return "read" in kinds and bool(kinds & MONOTONE)

    # -- what the schedule has noted -------------------------------------------------------------
    def scheduled(self, f: team.Finding) -> Finding:
        access = self.access(f.site, f.who)
        other = None if f.other is None else self.access(f.other_site, f.other, self.absence(f))
        message, remedy = TEXTS[f.kind]
        if f.detail and f.detail[0].isdigit():
            message = f"{message}: {f.detail} threads of the block come"
        severity = "note" if f.kind in NOTES else "error"
        return Finding(f.kind, severity, access, other, "", None, message, remedy)

    def absence(self, f: team.Finding) -> str:
        if f.kind == "absent lane":
            return "does not take part"
        if f.other_site:
            return ""
        return "has come to the end of the kernel" if f.kind == "divergent barrier" else ""


TEXTS = {
    "divergent barrier": (
        "not every thread of the block comes to this barrier",
        "Move the barrier out of the condition, so that all threads of the block come to it.",
    ),
    "barrier after return": (
        "some threads have returned before this barrier",
        "Let every thread come to the barrier and guard the work instead; where a returned thread "
        "should have written shared memory, the others read what is not there.",
    ),
    "divergent warp operation": (
        "the mask names lanes that do not come to this operation",
        "Move the operation out of the condition, or name the lanes that come with "
        "cuda.ballot_sync() before it.",
    ),
    "absent lane": (
        "the shuffle reads from a lane that does not take part",
        "Let all lanes that are read from execute the shuffle.",
    ),
    "endless wait": (
        "the loop waits for a change of memory that no running thread makes",
        "Wait with a barrier or a grid barrier; blocks run in any order, so none may wait for a "
        "later one.",
    ),
}


def named(array: str, index: tuple[int, ...] | None) -> str:
    return array if index is None else f"{array}[{', '.join(map(str, index))}]"


def split(who: int) -> tuple[int, int]:
    """(block, thread) of a packed number."""
    return who >> THREAD_BITS, who & ((1 << THREAD_BITS) - 1)


def position(number: int, dims: tuple[int, int, int]) -> tuple[int, int, int]:
    x, y, _ = dims
    return number % x, number // x % y, number // (x * y)
