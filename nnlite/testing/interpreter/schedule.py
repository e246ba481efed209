"""Which thread runs, who meets whom, and what is an error.

Every thread runs until it stops at a meeting or returns.  Then, warp by warp, the lanes that stand
first in the program meet; when no warp operation is left, the block meets at its barrier; when all
blocks stand at a grid barrier, the grid does.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Iterator
from typing import Any

from .meeting import BLOCK, GRID, WARPS, Meets
from .thread import Launch, Thread, names_of_block

ALL = 0xFFFFFFFF


class KernelError(RuntimeError):
    """The kernel does what CUDA does not define."""


def run_grid(launch: Launch) -> None:
    """Run all blocks: one after the other up to the first grid barrier, then in turn."""
    indices = list(itertools.product(*map(range, launch.grid[::-1])))
    blocks = [_block(launch, (x, y, z)) for z, y, x in _ordered(launch, indices)]
    while blocks:
        places = [next(b, None) for b in blocks]
        waiting = [p for p in places if p is not None]
        if waiting and (len(set(waiting)) > 1 or len(waiting) < len(places)):
            raise KernelError("not every block reaches the same grid barrier")
        blocks = [b for b, p in zip(blocks, places) if p is not None]


def _ordered(launch: Launch, things: list[Any]) -> list[Any]:
    return things[::-1] if launch.backward else things


def _block(launch: Launch, block: tuple[int, int, int]) -> Iterator[Any]:
    """Run one block; yields its place when all of its unfinished threads wait for the grid."""
    names = names_of_block(launch, block)
    indices = itertools.product(*map(range, launch.block[::-1]))
    threads = [Thread(launch, block, (x, y, z), names) for z, y, x in indices]
    while True:
        for thread in _ordered(launch, threads):
            if thread.ready:
                _advance(thread)
        threads = [t for t in threads if not t.finished]
        if not threads:
            return
        if _warps_meet(threads, launch.fill):
            continue
        _need_one_place(threads)
        name = threads[0].request.name
        if name == GRID:
            yield threads[0].request.place
            _release(threads, [None] * len(threads))
        else:
            meets = [Meets(t.lane, t.request.args) for t in threads]
            _release(threads, BLOCK[name](meets, launch.fill))


def _advance(thread: Thread) -> None:
    try:
        thread.advance()
    except KernelError:
        raise
    except Exception as error:
        stack = [(f, n) for f, n in traceback.walk_tb(error.__traceback__) if "_t" in f.f_locals]
        where = f"line {stack[-1][1]}" if stack else "before its first line"
        raise KernelError(f"{thread}, {where}: {type(error).__name__}: {error}") from error


def _release(threads: list[Thread], results: list[Any]) -> None:
    for thread, result in zip(threads, results):
        thread.ready, thread.result = True, result


def _need_one_place(threads: list[Thread]) -> None:
    stops: dict[Any, list[Thread]] = {}
    for t in threads:
        stops.setdefault((t.request.place, t.request.name, t.request.line), []).append(t)
    if len(stops) > 1:
        said = [
            f"{len(those)} at {name} of line {line} (such as {those[0]})"
            for (_, name, line), those in sorted(stops.items())
        ]
        raise KernelError(
            f"not every unfinished thread reaches one barrier: {', '.join(said)}; of a barrier in "
            "a loop all threads must reach the same iteration"
        )


def _warps_meet(threads: list[Thread], fill: int) -> bool:
    """Let lanes meet in every warp that stands at a warp operation; False if there is none."""
    warps: dict[int, list[Thread]] = {}
    for t in threads:
        warps.setdefault(t.warp, []).append(t)
    met = False
    for warp in warps.values():
        stopped = [t for t in warp if t.request.name in WARPS]
        if stopped:
            first = min(t.request.place for t in stopped)
            here = [t for t in stopped if t.request.place == first]
            _meet(here, warp, fill)
            met = True
    return met


def _meet(here: list[Thread], warp: list[Thread], fill: int) -> None:
    """Lanes at one operation; those with the same mask take part together."""
    name = here[0].request.name
    groups: dict[int, list[Thread]] = {}
    for t in here:
        given = t.request.args[0] if t.request.args else ALL
        groups.setdefault(int(given) & ALL, []).append(t)
    for mask, those in groups.items():
        if name != "activemask":
            _check_mask(mask, those, warp)
        meets = [Meets(t.lane, t.request.args) for t in those]
        _release(those, WARPS[name](meets, fill))


def _check_mask(mask: int, those: list[Thread], warp: list[Thread]) -> None:
    name, line = those[0].request.name, those[0].request.line
    for t in those:
        if not mask >> t.lane & 1:
            raise KernelError(
                f"{name} of line {line}: {t} is lane {t.lane}, which its mask {mask:#010x} does "
                "not name"
            )
    for t in warp:
        if mask >> t.lane & 1 and t not in those:
            raise KernelError(
                f"{name} of line {line}: the mask {mask:#010x} names lane {t.lane}, but {t} "
                f"stands at {t.request.name} of line {t.request.line}, in this loop iteration or "
                "another"
            )
