"""The threads of one block: who is ready, who waits for whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .meetings import Meetings
from .sites import Site
from .state import BLOCK, BLOCK_SLOT, EPOCHS, RETURNED, SLOT, THREAD

if TYPE_CHECKING:
    from .schedule import Schedule

BARRIERS = ("sync_", "block_count_")
PATIENCE, LONG_PATIENCE = 4, 4096
"""Rounds without any change of memory after which a waiting loop is given up."""


@dataclass(frozen=True)
class Finding:
    """What the schedule found: kind, the place, two threads (block, thread), a number."""

    kind: str
    site: int
    who: tuple[int, int]
    other: tuple[int, int] | None
    other_site: int
    detail: str


class Abandoned(Exception):
    """The launch cannot go on."""


class Team(Meetings):
    """The threads of one block. ``waiting`` says at which place each stopped thread is."""

    def __init__(self, schedule: Schedule, number: int, slot: int) -> None:
        super().__init__(schedule.state, schedule.threads, slot)
        self.schedule, self.number = schedule, number
        self.generators: list[Any] = []
        self.ready: list[int] = list(range(schedule.threads))
        self.waiting: dict[int, int] = {}
        self.timeline = None if number else schedule.timeline

    def start(self, args: tuple[Any, ...], shared: np.ndarray, buffers: Any) -> None:
        self.schedule.enter(self.number, self.slot)
        self.forget_clocks()
        self.state.table[RETURNED][self.rows] = 0
        entry, given = self.schedule.program.entry, (*args, shared, *buffers)
        self.generators = [entry(*given, t, self.number) for t in range(self.threads)]

    def live(self) -> bool:
        return bool(self.ready or self.waiting)

    def site(self, number: int) -> Site:
        return self.schedule.site(number)

    def advance(self) -> bool:
        """Run until nobody can go on; False if nothing has happened."""
        moved = False
        while self.ready:
            moved = True
            self.run_ready()
            self.ready = list(self.released())
        return moved

    def run_ready(self) -> None:
        words, generators, base = self.schedule.words, self.generators, self.base
        words[BLOCK], words[BLOCK_SLOT] = self.number, self.slot
        for t in self.ready:
            words[THREAD], words[SLOT] = t, base + t
            stopped = next(generators[t], 0)
            if stopped:
                self.waiting[t] = stopped
        self.ready = []

    # -- who may go on ---------------------------------------------------------------------------
    def released(self) -> Iterator[int]:
        """Take out of ``waiting`` the threads whose company is complete."""
        if not self.waiting:
            return
        places = set(self.waiting.values())
        kinds = {self.site(n).what for n in places}
        if kinds <= set(BARRIERS):
            yield from self.block_barrier(places)
            return
        for t, lanes in self.complete_groups():
            place = self.waiting[t]
            self.meet(place, lanes)
            if self.timeline:
                self.timeline.together("warp", place, lanes)
            for lane in lanes:
                del self.waiting[lane]
            yield from lanes

    def block_barrier(self, places: set[int]) -> list[int]:
        """All threads that have not ended are at a barrier."""
        present = list(self.waiting)
        first = self.waiting[present[0]]
        if len(places) > 1:
            other = next(t for t in present if self.waiting[t] != first)
            self.report("divergent barrier", present[0], other, self.waiting[other], "places")
        if len(present) < self.threads:
            self.report_absent(present)
        for place in places:
            if self.site(place).what == "block_count_":
                self.count([t for t in present if self.waiting[t] == place])
        self.note_barrier("barrier", places)
        self.waiting.clear()
        self.pass_barrier([], self.schedule.next_epoch())
        return present

    def note_barrier(self, kind: str, places: set[int]) -> None:
        """Put it into the timeline, if this is the block that it is of."""
        if self.timeline is None:
            return
        if len(places) == 1 and len(self.waiting) == self.threads:
            self.timeline.together(kind, next(iter(places)))
        else:
            self.timeline.apart(kind, self.waiting, self.state.table[RETURNED][self.rows])

    def pass_barrier(self, released: list[int], epoch: int) -> None:
        for t in released:
            del self.waiting[t]
        self.ready += released
        self.state.table[EPOCHS][self.slot] = epoch
        self.forget_clocks()
        self.share_acquired()

    def start_anew(self) -> None:
        self.pass_barrier([], self.schedule.next_epoch())

    def report_absent(self, present: list[int]) -> None:
        here = set(present)
        gone = [t for t in range(self.threads) if t not in here]
        ended = self.state.table[RETURNED][self.rows]
        silent = [t for t in gone if not ended[t]]
        missing = f"{len(present)} of {self.threads}"
        if silent:
            self.report("divergent barrier", present[0], silent[0], 0, missing)
        else:
            self.report("barrier after return", present[0], gone[0], int(ended[gone[0]]), missing)

    def report(self, kind: str, t: int, other: int, other_site: int, detail: str) -> None:
        who, whom = (self.number, t), (self.number, other)
        site = self.waiting[t]
        self.schedule.find(kind, site, who, whom, other_site=other_site, detail=detail)

    def complete_groups(self) -> list[tuple[int, list[int]]]:
        """Lanes at one place of which each has all those that its mask names."""
        found = []
        for lanes in self.groups(self.waiting, self.site):
            mask = self.mask_of(lanes[0])
            named = [t for t in self.named(lanes[0], mask) if self.alive(t)]
            if mask and set(named) <= set(lanes):
                found.append((lanes[0], lanes))
        return found

    def alive(self, t: int) -> bool:
        return t in self.waiting or t in self.ready

    # -- when nobody can go on -------------------------------------------------------------------
    def at_grid_barrier(self) -> bool:
        return all(self.site(n).what == "grid_sync_" for n in self.waiting.values())

    def looping(self) -> list[int]:
        return [t for t, n in self.waiting.items() if self.site(n).what == "loop"]

    def patience(self) -> int:
        repeats = all(self.site(self.waiting[t]).repeats for t in self.looping())
        return PATIENCE if repeats else LONG_PATIENCE

    def go_on_looping(self) -> None:
        self.ready = self.looping()
        for t in self.ready:
            del self.waiting[t]
        self.run_ready()
        self.ready = list(self.released())

    def give_up(self) -> None:
        t = self.looping()[0]
        if self.timeline:
            self.timeline.apart("stuck", self.waiting)
        self.schedule.find("endless wait", self.waiting[t], (self.number, t))
        raise Abandoned

    def force(self) -> bool:
        """Let the threads of an incomplete warp operation or barrier go on all the same."""
        groups = self.groups(self.waiting, self.site)
        if groups:
            lanes = min(groups, key=lambda g: (self.mask_of(g[0]) != 0, self.waiting[g[0]]))
            mask = self.mask_of(lanes[0])
            named = [t for t in self.named(lanes[0], mask) if self.alive(t)]
            absent = [t for t in named if t not in lanes]
            if mask and absent:
                place = self.waiting.get(absent[0], 0)
                self.report("divergent warp operation", lanes[0], absent[0], place, "")
            if self.timeline:
                self.timeline.apart("warp", {t: self.waiting[t] for t in lanes})
            self.meet(self.waiting[lanes[0]], lanes)
            for lane in lanes:
                del self.waiting[lane]
            self.ready = lanes
            return True
        at_block = [t for t, n in self.waiting.items() if self.site(n).what in BARRIERS]
        if not at_block:
            return False
        other = next(t for t in self.waiting if t not in at_block)
        if self.timeline:
            self.timeline.apart("stuck", self.waiting)
        self.report("divergent barrier", at_block[0], other, self.waiting[other], "places")
        return False
