"""Which barriers the threads of the first block come to, and in which order.

Noted while the launch runs, block 0 only and at most ``MOST_MEETINGS``, so that it costs next to
nothing; ``Timeline.meetings`` says it with lines of the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .sites import Site

MOST_MEETINGS = 400
Stretches = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Arrival:
    """Threads of the block that stand at one place.

    Attributes:
        what: ``syncthreads``, ``shfl_down`` and so on; ``returned`` for threads that have ended.
        file, line: of the source; line 0 for the end of the kernel.
        threads: (first, last) numbers of threads that follow each other.
    """

    what: str
    file: str
    line: int
    threads: Stretches


@dataclass(frozen=True)
class Meeting:
    """Threads of the first block that go on together.

    Attributes:
        kind: ``barrier``, ``grid barrier``, ``warp`` for an operation of one warp, ``stuck`` for
            threads that wait when nobody can go on.
        divergent: threads come from different places, or some that should do not come.
    """

    kind: str
    arrivals: tuple[Arrival, ...]
    divergent: bool


class Timeline:
    """Notes of the meetings of one block.

    ``lost`` counts the meetings after the last for which there was room.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.noted: list[tuple[str, dict[int, Stretches], bool]] = []
        self.lost = 0

    def together(self, kind: str, site: int, threads: Sequence[int] | None = None) -> None:
        """All threads (or these) stand at one place."""
        if self.room():
            whom = ((0, self.threads - 1),) if threads is None else stretches(threads)
            self.noted.append((kind, {site: whom}, False))

    def apart(self, kind: str, waiting: dict[int, int], returned: Sequence[int] = ()) -> None:
        """Threads stand at the places that ``waiting`` names, or some are missing.

        Args:
            waiting: place of each thread that waits.
            returned: by thread, the place of its ``return`` or 0, for those that do not wait.
        """
        if not self.room():
            return
        at: dict[int, list[int]] = {}
        for t in sorted(waiting):
            at.setdefault(waiting[t], []).append(t)
        for t in range(self.threads if len(returned) else 0):
            if t not in waiting:
                at.setdefault(-int(returned[t]), []).append(t)
        self.noted.append((kind, {site: stretches(ts) for site, ts in at.items()}, True))

    def room(self) -> bool:
        """Whether one more is noted; counts it if not."""
        full = len(self.noted) >= MOST_MEETINGS
        self.lost += full
        return not full

    def meetings(self, sites: Sequence[Site]) -> tuple[Meeting, ...]:
        """What was noted, by lines of the source."""
        return tuple(
            Meeting(kind, tuple(arrival(sites, s, whom) for s, whom in at.items()), divergent)
            for kind, at, divergent in self.noted
        )


NAMES = {"sync_": "syncthreads", "block_count_": "syncthreads_count", "grid_sync_": "grid.sync"}
NAMES |= {"sync_warp_": "syncwarp", "warp_bits_": "vote", "warp_match_": "match", "loop": "loop"}


def arrival(sites: Sequence[Site], number: int, whom: Stretches) -> Arrival:
    """The place of this number; minus the number of a ``return``, 0 for the end of the kernel."""
    site: Any = sites[abs(number) - 1] if number else None
    file, line = (site.file, site.line) if site else ("", 0)
    what = NAMES.get(site.what, site.what.rstrip("_")) if number > 0 else "returned"
    return Arrival(what, file, line, whom)


def stretches(threads: Iterable[int]) -> Stretches:
    """Sorted numbers as (first, last) of those that follow each other."""
    found: list[tuple[int, int]] = []
    for t in threads:
        if found and t == found[-1][1] + 1:
            found[-1] = found[-1][0], t
        else:
            found.append((t, t))
    return tuple(found)
