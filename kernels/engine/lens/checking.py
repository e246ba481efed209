"""``check``, ``kernel.check`` and ``checking``: launches under the checker."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..cpu import CpuKernel, launch
from ..cpu.failures import check as raise_failures
from ..cpu.signature import leaves
from ..cpu.source import source_tree
from ..device import CPU, check_launch, shared_size
from ..errors import DeviceError, LaunchError
from ..kernel import Kernel, data_of, dim3
from ..read_only import launch_without_writing
from .compiled import functions
from .explain import Explainer
from .memory import Memory
from .program import program
from .report import Access, Finding, Report
from .schedule import Schedule
from .state import REPORT, TOUCH, State
from .team import Abandoned

Dim3 = tuple[int, int, int]


def check(
    kernel: Any, grid: Any, block: Any, args: tuple[Any, ...], shared_bytes: int = 0
) -> Report:
    """Run a launch on the CPU with every access watched.

    Arrays end up as a normal launch leaves them. An access outside an array is reported and not
    carried out: a read gives zero.

    Args:
        kernel: an ``nl.kernel``, a ``cuda.jit`` kernel or its plain function.
        grid, block: sizes, one to three numbers each.
        args: what the kernel takes, on the CPU.
        shared_bytes: size of the dynamic shared memory.

    Returns:
        :class:`Report`; ``report.ok`` is True when nothing is wrong.

    Raises:
        UnsupportedKernelError: the kernel uses a construct that the CPU compiler does not take.
        DeviceError: an argument is on a GPU.

    Example:
        >>> report = nl.check(reduce_rows, 4, 128, (x, out))
        >>> print(report)
    """
    compiled, sizes, given, bounds = prepared(kernel, grid, block, args)
    name = compiled.py_func.__name__
    try:
        static = compiled.static_shared_bytes
        check_launch(CPU.limits, name, *sizes, static, shared_bytes, bounds)
    except LaunchError as error:
        limit, place = _limit(compiled, str(error)), definition_of(compiled)
        return Report(name, *sizes, [limit], definition=place)
    run = functools.partial(watch, compiled, *sizes, shared_bytes)
    return launch_without_writing(compiled.py_func, given, run)


def prepared(
    kernel: Any, grid: Any, block: Any, args: tuple[Any, ...]
) -> tuple[CpuKernel, tuple[Dim3, Dim3], tuple[Any, ...], Any]:
    """What a launch under the lens needs: kernel, grid and block, arguments, launch bounds.

    Raises:
        DeviceError: an argument is on a GPU.
    """
    made = kernel if isinstance(kernel, Kernel) else None
    compiled = made.cpu if made else CpuKernel(kernel)
    name = compiled.py_func.__name__
    sizes = dim3(name, "grid", grid), dim3(name, "block", block)
    given = tuple(data_of(a) for a in args)
    for i, a in enumerate(leaves(given)):
        if hasattr(a, "__cuda_array_interface__"):
            raise DeviceError(f"{name}: argument {i} is on a GPU, expected an array on the CPU")
    return compiled, sizes, given, made.launch_bounds if made else None


def _limit(kernel: CpuKernel, message: str) -> Finding:
    definition: Any = source_tree(kernel.py_func)
    access = Access("is launched", definition.file, definition.lineno, None, None)
    problem, _, remedy = message.partition("; ")
    remedy = f"{remedy[:1].upper()}{remedy[1:]}." if remedy else "Choose sizes within the limits."
    return Finding("launch limit", "error", access, None, "", None, problem, remedy)


def watch(
    kernel: CpuKernel, grid: Dim3, block: Dim3, shared_bytes: int, args: tuple[Any, ...]
) -> Report:
    """Run a launch whose sizes are known to fit."""
    made = program(kernel.py_func, args, kernel.fastmath, kernel.debug)
    threads, blocks = (int(np.prod(sizes)) for sizes in (block, grid))
    together = any(site.what == "grid_sync_" for site in made.sites)
    slots = blocks if together else 1
    memory = Memory(made, args, threads, slots, shared_bytes)
    state = State(threads, slots, len(made.sites))
    touch, report = functions()
    state.words[TOUCH], state.words[REPORT] = touch.address, report.address
    memory.describe(state, threads, blocks)
    schedule = Schedule(made, state, grid, block)
    with contextlib.suppress(Abandoned):
        schedule.run(memory.args, memory.shared, memory.local)
    if made.failures:
        raise_failures(kernel.py_func.__name__, made.failures, schedule.launch, block)
    explainer = Explainer(memory, grid, block)
    found = [explainer.recorded(row) for row in state.findings()]
    found += [explainer.scheduled(f) for f in schedule.findings.values()]
    found = [replace(f, shape=memory.shape_of(f.array)) for f in without_echoes(found)]
    errors = [f for f in found if f.severity == "error"]
    notes = [f for f in found if f.severity == "note"]
    meetings = schedule.timeline.meetings(made.sites)
    lost, place = schedule.timeline.lost, definition_of(kernel)
    return Report(kernel.py_func.__name__, grid, block, errors, notes, meetings, lost, place)


def definition_of(kernel: CpuKernel) -> tuple[str, int]:
    """File and line where a kernel stands."""
    code = kernel.py_func.__code__
    return code.co_filename, code.co_firstlineno


def without_echoes(findings: list[Finding]) -> list[Finding]:
    """One finding for each pair of lines that race, and none for reads that only came too early.

    Which of the two threads comes first is chance, and a read before the write is no mistake of its
    own where the two race.
    """
    pairs: dict[tuple[Any, ...], Finding] = {}
    for f in findings:
        lines = frozenset((a.file, a.line) for a in (f.access, f.other) if a)
        race = f.kind.startswith("race")
        key = (f.kind, f.severity, f.array, lines) if race else (id(f),)
        first = pairs.get(key)
        pairs[key] = f if first is None else replace(first, count=first.count + f.count)
    races = [f for f in pairs.values() if f.kind.startswith("race")]
    places = {(f.array, a.file, a.line) for f in races for a in (f.access, f.other) if a}
    early = [(f.array, f.file, f.line) in places for f in pairs.values()]
    kinds = [f.kind == "uninitialised read" for f in pairs.values()]
    return [f for f, e, k in zip(pairs.values(), early, kinds) if not (e and k)]


class Checker:
    """``kernel.check``: a launch as usual, which returns the report.

    Example:
        >>> kernel.check[4, 64](x, out).raise_if_errors()
    """

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def __getitem__(self, config: Any) -> Any:
        if not isinstance(config, tuple) or not 2 <= len(config) <= 4:
            raise LaunchError(
                f"check: launch configuration {config!r} given, expected [grid, block] or "
                "[grid, block, stream, shared_bytes]"
            )
        shared = shared_size("check", config[3]) if len(config) > 3 else 0
        return lambda *args: check(self.kernel, config[0], config[1], args, shared)


@contextlib.contextmanager
def checking(*, raise_errors: bool = True) -> Iterator[list[Report]]:
    """Run every launch on the CPU under the checker while the context lasts.

    Args:
        raise_errors: raise CheckError at the first launch with a mistake; otherwise the reports
            only go to the list.

    Returns:
        The reports, one for each launch so far.

    Example:
        >>> with nl.checking():
        ...     my_op(x)
    """
    reports: list[Report] = []

    def intercept(
        kernel: CpuKernel, grid: Dim3, block: Dim3, shared_bytes: int, args: tuple[Any, ...]
    ) -> None:
        report = watch(kernel, grid, block, shared_bytes, args)
        reports.append(report)
        if raise_errors:
            report.raise_if_errors()

    before, launch.intercept = launch.intercept, intercept
    try:
        yield reports
    finally:
        launch.intercept = before
