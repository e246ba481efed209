"""Run the threads of a launch one at a time, and let them meet.

A thread is a generator of compiled code. It runs until it stops at a barrier, at an operation of
its warp, or in a loop that waits. Whom a stopped thread waits for is known (see ``team``), so it is
also known when they will never come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..cpu.failures import launch_array
from .program import Program
from .sites import Site
from .state import (
    BLOCK,
    BLOCK_DIM,
    BLOCK_SLOT,
    CHANGES,
    EPOCHS,
    GRID_DIM,
    GRID_EPOCH,
    State,
)
from .team import Abandoned, Finding, Team
from .timeline import Timeline


class Schedule:
    """One launch. ``after_block`` is called when a block has ended, unless all run together.

    ``timeline`` has the meetings of the first block.
    """

    def __init__(
        self,
        program: Program,
        state: State,
        grid: Any,
        block: Any,
        after_block: Callable[[], None] = lambda: None,
    ) -> None:
        self.program, self.state, self.grid = program, state, grid
        self.after_block = after_block
        self.words = state.words
        self.threads = block[0] * block[1] * block[2]
        self.blocks = grid[0] * grid[1] * grid[2]
        self.words[BLOCK_DIM : BLOCK_DIM + 3] = block
        self.words[GRID_DIM : GRID_DIM + 3] = grid
        self.launch = launch_array(0, 1, grid)
        self.findings: dict[tuple[str, int, int], Finding] = {}
        self.epoch = 0
        self.timeline = Timeline(self.threads)

    def site(self, number: int) -> Site:
        return self.program.sites[number - 1]

    def find(self, kind: str, site: int, who: Any, other: Any = None, **more: Any) -> None:
        other_site = more.get("other_site", 0)
        found = Finding(kind, site, who, other, other_site, more.get("detail", ""))
        self.findings.setdefault((kind, site, other_site), found)

    def next_epoch(self) -> int:
        self.epoch += 1
        return self.epoch

    def run(self, args: tuple[Any, ...], shared: np.ndarray, local: np.ndarray) -> None:
        """``shared`` has one row for each block that is alive at the same time."""
        together = len(shared) > 1
        buffers = (local, self.words, self.launch)
        if not self.program.waits:
            for b in range(self.blocks):
                self.enter(b, 0)
                self.program.entry(*args, shared[0], *buffers, 0, b)
                self.after_block()
            return
        if together:
            teams = [Team(self, b, b) for b in range(self.blocks)]
            for team in teams:
                team.start(args, shared[team.slot], buffers)
            self.finish(teams)
            return
        for b in range(self.blocks):
            team = Team(self, b, 0)
            team.start(args, shared[0], buffers)
            self.finish([team])
            self.after_block()

    def enter(self, block: int, slot: int) -> None:
        self.words[BLOCK], self.words[BLOCK_SLOT] = block, slot
        self.state.table[EPOCHS][slot] = self.next_epoch()

    def finish(self, teams: list[Team]) -> None:
        """Run blocks to their ends."""
        rounds, changes = 0, -1
        while True:
            live = [team for team in teams if team.live()]
            if not live:
                return
            moved = [team.advance() for team in live]
            if any(moved):
                rounds = 0
                continue
            live = [team for team in teams if team.live()]
            if all(team.at_grid_barrier() for team in live):
                self.grid_barrier(teams, live)
                continue
            looping = [team for team in live if team.looping()]
            if looping:
                now = int(self.words[CHANGES])
                rounds = 0 if now != changes else rounds + 1
                changes = now
                if rounds > max(team.patience() for team in looping):
                    looping[0].give_up()
                for team in looping:
                    team.go_on_looping()
                continue
            forced = [team.force() for team in live]
            if not any(forced):
                raise Abandoned

    def grid_barrier(self, teams: list[Team], live: list[Team]) -> None:
        if len(live) < len(teams):
            done = next(team for team in teams if not team.live())
            t = next(iter(live[0].waiting))
            where = live[0].waiting[t]
            other = (done.number, 0)
            self.find("divergent barrier", where, (live[0].number, t), other, detail="grid")
        if live[0].number == 0:
            live[0].note_barrier("grid barrier", set(live[0].waiting.values()))
        epoch = self.next_epoch()
        self.words[GRID_EPOCH] = epoch
        for team in live:
            team.pass_barrier(list(team.waiting), epoch)
