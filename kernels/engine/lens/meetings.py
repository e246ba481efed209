"""What the threads of a warp or block do together: votes, shuffles, counts, and their clocks.

Tables of the state have one row per thread. A lane's clock counts the times it has met others by
``cuda.syncwarp``; ``KNOWN`` holds, for each lane, which clocks of the other lanes it has seen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .sites import Site
from .state import ACQUIRED, BY, CLOCKS, GIVEN, KNOWN, MASKS, RESULTS, TAKEN, TIME, WARP, State

MOST_CLOCK = 65_000
"""A clock has 16 bits (see ``shadow``)."""

WARP_OPERATIONS = frozenset(
    {"sync_warp_", "warp_bits_", "warp_match_"}
    | {f"shfl_{kind}_" for kind in ("idx", "up", "down", "xor")}
)


class Meetings:
    """The tables of one block."""

    def __init__(self, state: State, threads: int, slot: int) -> None:
        self.state, self.threads, self.slot = state, threads, slot
        self.base = slot * threads
        self.rows = slice(self.base, self.base + threads)
        self.clocks = state.table[CLOCKS][self.rows]
        self.known = state.table[KNOWN].reshape(-1, WARP)[self.rows]
        self.given = state.table[GIVEN].reshape(-1, 2)[self.rows]
        self.taken = state.table[TAKEN].reshape(-1, 2)[self.rows]
        self.masks = state.table[MASKS][self.rows]
        self.by = state.table[BY][self.rows]
        self.results = state.table[RESULTS][self.rows]
        self.acquired = state.table[ACQUIRED][self.rows]
        self.met = True

    def forget_clocks(self) -> None:
        """A barrier orders everything before it."""
        if self.met:
            self.clocks[:] = 0
            self.known[:] = 0
            self.met = False

    def share_acquired(self) -> None:
        """What one thread has acquired, all have after a barrier."""
        if self.state.words[TIME]:
            self.acquired[:] = self.acquired.max()

    def mask_of(self, t: int) -> int:
        return int(self.masks[t]) & 0xFFFFFFFF

    def named(self, t: int, mask: int) -> list[int]:
        """The threads of the warp of ``t`` that a mask names and that exist."""
        first = t - t % WARP
        last = min(first + WARP, self.threads)
        return [i for i in range(first, last) if mask >> (i - first) & 1]

    def groups(self, waiting: dict[int, int], site: Callable[[int], Site]) -> list[list[int]]:
        """Lanes of one warp that stand at one warp operation with one mask."""
        found: dict[tuple[int, int, int], list[int]] = {}
        for t in sorted(waiting):
            if site(waiting[t]).what in WARP_OPERATIONS:
                key = t // WARP, waiting[t], self.mask_of(t)
                found.setdefault(key, []).append(t)
        return list(found.values())

    def site(self, number: int) -> Site:
        raise NotImplementedError

    def report(self, kind: str, t: int, other: int, other_site: int, detail: str) -> None:
        raise NotImplementedError

    def start_anew(self) -> None:
        """Begin a new interval for the block, because a clock has come to its end."""
        raise NotImplementedError

    # -- what they do ----------------------------------------------------------------------------
    def meet(self, place: int, lanes: list[int]) -> None:
        """Carry out a warp operation for the lanes that take part."""
        what = self.site(place).what
        if what == "sync_warp_":
            self.see_each_other(lanes)
        elif what == "warp_bits_":
            true = [t for t in lanes if self.given[t].any()]
            self.results[lanes] = bits(true)
        elif what == "warp_match_":
            for t in lanes:
                same = (self.given[lanes] == self.given[t]).all(axis=1)
                self.results[t] = bits([lane for lane, equal in zip(lanes, same) if equal])
        else:
            self.shuffle(what[len("shfl_") : -1], lanes)

    def see_each_other(self, lanes: list[int]) -> None:
        if self.clocks[lanes].max() >= MOST_CLOCK:
            self.start_anew()
        self.met = True
        self.clocks[lanes] += 1
        seen = self.known[lanes].max(axis=0)
        for t in lanes:
            seen[t % WARP] = self.clocks[t]
        self.known[lanes] = seen

    def shuffle(self, kind: str, lanes: list[int]) -> None:
        first = lanes[0] - lanes[0] % WARP
        count = min(WARP, self.threads - first)
        present = set(lanes)
        for t in lanes:
            lane, by = t - first, int(self.by[t]) & (WARP - 1)
            source = {"idx": by, "up": lane - by, "down": lane + by, "xor": lane ^ by}[kind]
            source = first + source if 0 <= source < count else t
            if source not in present:
                self.report("absent lane", t, source, 0, "")
            self.taken[t] = self.given[source]

    def count(self, present: list[int]) -> None:
        """``cuda.syncthreads_count`` and its relatives."""
        self.results[present] = np.count_nonzero(self.given[present].any(axis=1))


def bits(threads: list[int]) -> int:
    """The mask of some threads of one warp."""
    return sum(1 << t % WARP for t in threads)
