"""``profile`` and ``profiling``: launches with every request counted."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ...cpu import CpuKernel, launch
from ...device import CPU, check_launch
from ...errors import CheckError
from ...read_only import launch_without_writing
from ..checking import Dim3, definition_of, prepared
from ..compiled import functions as checker_functions
from ..memory import Memory
from ..program import Program, program
from ..schedule import Schedule
from ..sites import Site
from ..state import GLOBAL, REPORT, SHADOW, SHARED, THREADS, TOUCH, WARP, State
from ..team import Abandoned
from . import requests
from .compiled import functions
from .figures import Line, Profile
from .instrument import ProfilerInstrument
from .recorder import DROPPED, FLOPS, empty_table
from .requests import ATOMICS, BRANCHES, COLUMNS, LOADS, SAMPLE, SPACES, STORES
from .samples import Request, Samples

SPACE_NAMES = ("global", "shared")
ALIGNMENT = 256  # of arrays on a GPU
WIDE = 4  # elements of a 128-bit access


def profile(
    kernel: Any, grid: Any, block: Any, args: tuple[Any, ...], shared_bytes: int = 0
) -> Profile:
    """Run a launch on the CPU and count what its warps would ask of a GPU's memory.

    Arrays end up as a normal launch leaves them. The kernel should pass :func:`check` first: what
    is counted here is only right for a kernel that is.

    Args:
        kernel: an ``nl.kernel``, a ``cuda.jit`` kernel or its plain function.
        grid, block: sizes, one to three numbers each.
        args: what the kernel takes, on the CPU.
        shared_bytes: size of the dynamic shared memory.

    Returns:
        :class:`Profile`; ``print`` shows a table with a row for each line and array.

    Raises:
        LaunchError: a GPU could not run the launch.
        CheckError: an access is out of bounds, or threads wait for each other for ever.
        UnsupportedKernelError: the kernel uses a construct that the CPU compiler does not take.
        DeviceError: an argument is on a GPU.

    Example:
        >>> print(nl.profile(transpose, (4, 4), (32, 8), (x, out)))
    """
    compiled, sizes, given, bounds = prepared(kernel, grid, block, args)
    name = compiled.py_func.__name__
    check_launch(CPU.limits, name, *sizes, compiled.static_shared_bytes, shared_bytes, bounds)
    run = functools.partial(count, compiled, *sizes, shared_bytes)
    return launch_without_writing(compiled.py_func, given, run)


@contextlib.contextmanager
def profiling() -> Iterator[list[Profile]]:
    """Profile every launch on the CPU while the context lasts.

    Returns:
        The profiles, one for each launch so far.

    Example:
        >>> with nl.profiling() as launches:
        ...     my_op(x)
        >>> print(launches[0])
    """
    profiles: list[Profile] = []
    before, launch.intercept = launch.intercept, lambda *given: profiles.append(count(*given))
    try:
        yield profiles
    finally:
        launch.intercept = before


def count(
    kernel: CpuKernel, grid: Dim3, block: Dim3, shared_bytes: int, args: tuple[Any, ...]
) -> Profile:
    """Run a launch whose sizes are known to fit."""
    name = kernel.py_func.__name__
    made = program(
        kernel.py_func, args, kernel.fastmath, kernel.debug, instrument=ProfilerInstrument
    )
    threads, blocks = (int(np.prod(sizes)) for sizes in (block, grid))
    together = any(site.what == "grid_sync_" for site in made.sites)
    slots = blocks if together else 1
    memory = Memory(made, args, threads, slots, shared_bytes)
    state = State(threads, slots, len(made.sites))
    memory.describe(state, threads, blocks)
    counter = Counter(memory, state, made.sites)
    schedule = Schedule(made, state, grid, block, after_block=counter.count)
    with contextlib.suppress(Abandoned):
        schedule.run(memory.args, memory.shared, memory.local)
    counter.count()
    if len(state.findings()) or schedule.findings:
        raise CheckError(
            f"{name}: the launch is not right; nl.check or 'nnlite check' says what is wrong"
        )
    return Profile(
        kernel=name,
        grid=grid,
        block=block,
        lines=tuple(counter.lines(made)),
        flops=int(state.words[FLOPS]),
        bytes_moved=32 * int(counter.figures[:, GLOBAL, requests.SECTORS].sum()),
        bytes_touched=32 * int(counter.touched.sum()),
        dropped=int(counter.table[DROPPED]),
        meetings=schedule.timeline.meetings(made.sites),
        meetings_lost=schedule.timeline.lost,
        definition=definition_of(kernel),
    )


class Counter:
    """The table of requests of one launch and the figures that come of it."""

    def __init__(self, memory: Memory, state: State, sites: tuple[Site, ...]) -> None:
        self.table = empty_table()
        self.figures = np.zeros((len(sites) + 1, SPACES, COLUMNS), np.int64)
        self.samples = np.zeros((len(sites) + 1, SPACES, requests.SAMPLES, SAMPLE), np.int64)
        self.worst = np.zeros((len(sites) + 1, SPACES), np.int64)
        self.widths = widths(sites)
        self.shared_row = memory.shared.shape[1] or 1
        self.regions, end = virtual_regions(memory)
        self.touched = np.zeros(end // 32 + 2, np.uint8)
        warps = -(-int(state.words[THREADS]) // WARP)
        self.maker = Samples(memory, self.regions, self.shared_row, warps)
        _, report = checker_functions()
        self.functions = functions()
        state.words[TOUCH], state.words[REPORT] = self.functions.record, report.address
        state.words[SHADOW] = self.table.ctypes.data

    def count(self) -> None:
        """Take the requests of a block out of the table."""
        given = self.regions, self.shared_row, self.touched, self.widths
        self.functions.add(self.table, self.figures, self.samples, self.worst, *given)

    def lines(self, made: Program) -> list[Line]:
        """Figures by line, kind of access and array."""
        sums: dict[tuple[Any, ...], Any] = {}
        kept: dict[tuple[Any, ...], list[Any]] = {}
        for number, site in enumerate(made.sites, 1):
            for space in range(SPACES):
                row = self.figures[number, space]
                if not row[requests.REQUESTS]:
                    continue
                key = (site.file, site.line, *kind_of(row, space), site.array)
                sums[key] = sums.get(key, 0) + row
                kept.setdefault(key, []).append((space, self.samples[number, space]))
        return [made_line(key, sums[key], *self.chosen(key, kept[key])) for key in sorted(sums)]

    def chosen(self, key: tuple[Any, ...], kept: list[Any]) -> tuple[Request, Request]:
        """First and worst request of the places of one line."""
        space, first = kept[0][0], kept[0][1][requests.FIRST]
        worst = max((rows[requests.WORST] for _, rows in kept), key=requests.excess.py_func)
        made = [self.maker.request(row, space, key[-1]) for row in (first, worst)]
        return made[0], made[1]


def widths(sites: tuple[Site, ...]) -> np.ndarray:
    """Of an instruction's reads of an array, or writes, each fourth begins a 128-bit access."""
    found = np.ones(len(sites) + 1, np.int64)
    parts: dict[tuple[Any, ...], list[int]] = {}
    for number, site in enumerate(sites, 1):
        if site.instruction and site.what in ("read", "write"):
            parts.setdefault((site.instruction, site.what, site.array), []).append(number)
    for numbers in parts.values():
        if len(numbers) % WIDE == 0:
            found[numbers] = 0
            found[numbers[::WIDE]] = WIDE
    return found


def kind_of(row: np.ndarray, space: int) -> tuple[str, str]:
    """(what, space) of a place."""
    if space == BRANCHES:
        return "branch", ""
    counts = {"load": row[LOADS], "store": row[STORES], "atomic": row[ATOMICS]}
    return max(counts, key=lambda k: int(counts[k])), SPACE_NAMES[space]


def made_line(key: tuple[Any, ...], row: np.ndarray, first: Request, worst: Request) -> Line:
    numbers = [int(x) for x in row[: requests.LOADS]]
    return replace(Line(*key, *numbers), first=first, worst=worst)


def virtual_regions(memory: Memory) -> tuple[np.ndarray, int]:
    """(first, end, address on a GPU) of each region, and the end of them all."""
    rows, place = [], 0
    for r in memory.regions:
        place += -place % ALIGNMENT
        base = next(a for _, a in memory.arrays if holds(a, r.first)) if r.space == GLOBAL else None
        offset = 0 if base is None else (r.first - base_address(base)) % ALIGNMENT
        rows.append((r.first, r.end, place + offset))
        place += offset + (r.end - r.first if r.space != SHARED else 0)
    return np.array(rows, np.int64).reshape(-1, 3), place


def holds(array: np.ndarray, address: int) -> bool:
    """Whether the memory of an array begins there."""
    return bool(array.size) and np.lib.array_utils.byte_bounds(array)[0] == address


def base_address(array: np.ndarray) -> int:
    """Where the memory begins that an array is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return int(np.lib.array_utils.byte_bounds(array)[0])
