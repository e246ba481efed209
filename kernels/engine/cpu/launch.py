"""``CpuKernel``: compiles on first use, then launches with a few microseconds of overhead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from ..errors import LaunchError
from . import cache
from .compile import Compiled, compiled
from .cost import Cost
from .failures import check, launch_array
from .fingerprint import Fingerprint
from .names import python_function
from .pool import shared_pool
from .signature import launch_key, leaves

Dim3 = tuple[int, int, int]

GRIDS = 1024
"""Of so many grids the costs are kept; a program may launch no grid twice."""

intercept: Callable[..., None] | None = None
"""Takes every launch instead, while set (see ``engine.lens.checking``)."""

LEGEND = """\
# Blocks run one after the other on each CPU core; in a block, each loop over t_ (or tx_, ty_, tz_)
# is a stretch of the kernel for all its threads. Between two such loops every thread has arrived.
#   tid_, bid_, bdim_, gdim_   threadIdx, blockIdx, blockDim, gridDim; one name per dimension
#   name_all_[t_]              the variable `name` of thread t_, kept from stretch to stretch
#   given__1, got__2           what a thread gives to a warp operation or vote, and gets from it
#   u_(i)                      an index that is known not to be negative
#   masked_(i, ones_)          i, which the vectoriser may not take for a number that counts up
#   thread_end_, region_end_   marks for the vectoriser: the threads do not depend on each other
#   launch_                    next block, blocks to take at once, gridDim
"""


class CpuKernel:
    """A Numba CUDA kernel compiled for the CPU.

    Args:
        py_func: the kernel as a plain function, or a ``cuda.jit`` dispatcher.
        fastmath: allow reassociation and approximations, as ``cuda.jit(fastmath=True)``.
        debug: report exceptions that the kernel raises, and divisions by zero.

    Example:
        >>> CpuKernel(saxpy).launch((4, 1, 1), (256, 1, 1), 0, (np.float32(2), x, y, out))
    """

    def __init__(self, py_func: Any, *, fastmath: bool = False, debug: bool = False) -> None:
        function = python_function(py_func)
        if function is None:
            raise TypeError(f"CpuKernel: {py_func!r} given, expected a Python function")
        self.py_func: FunctionType = function
        self.fastmath, self.debug = bool(fastmath), bool(debug)
        self._entries: dict[Any, _Entry] = {}
        self._lock = threading.RLock()
        self._frozen: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._shared_bytes: int | None = None

    def launch(
        self,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        args: tuple[Any, ...],
        key: tuple[Any, ...] | None = None,
    ) -> None:
        """Run the kernel and return when every block has finished.

        Args:
            grid, block: sizes in x, y and z.
            shared_bytes: size of the dynamic shared memory, ``cuda.shared.array(0, dtype)``.
            args: arrays and scalars, as the kernel takes them.
            key: ``launch_key(block, args)``, from callers that have it.

        Raises:
            UnsupportedKernelError: the kernel uses a construct that is not translated.
        """
        if intercept is not None:
            intercept(self, grid, block, shared_bytes, args)
            return
        entry = self._entries.get(launch_key(block, args) if key is None else key)
        if entry is None:
            entry = self._entry(block, args)
        entry.run(grid, shared_bytes, args)

    def source(self, block: Dim3, args: tuple[Any, ...]) -> str:
        """The generated Python source for this block shape and these arguments."""
        return self._entry(block, args).compiled.source

    def inspect_cpu(self, block: Dim3 | None = None, args: tuple[Any, ...] = ()) -> str:
        """The generated source: what one block does, region by region.

        Args:
            block: compile for this block shape if need be; None shows what launches have compiled.
            args: example arguments for ``block``; their types decide.

        Raises:
            LaunchError: nothing has been compiled and no block is given.
        """
        if block is not None:
            return LEGEND + self.source(block, args)
        if not self._entries:
            raise LaunchError(
                f"{self.py_func.__name__}: nothing compiled yet; launch the kernel first, or give "
                "inspect_cpu a block and example arguments"
            )
        return LEGEND + "\n".join(dict.fromkeys(made.source for made in self.compiled))

    @property
    def compiled(self) -> tuple[Compiled, ...]:
        """What has been compiled or loaded so far."""
        return tuple(e.compiled for e in self._entries.values())

    @property
    def static_shared_bytes(self) -> int:
        """Bytes of shared memory that the kernel declares."""
        if self._shared_bytes is None:
            mark = Fingerprint(self.py_func)
            self._shared_bytes = self._count_shared(mark) if mark.uses_shared else 0
        return self._shared_bytes

    def _count_shared(self, mark: Fingerprint) -> int:
        name, key = self.py_func.__name__, cache.file_key("shared", mark.digest)
        record = cache.read(name, key)
        if record is None:
            from .translate import shared_bytes

            record = {"shared_bytes": shared_bytes(self.py_func)}
            cache.write(name, key, record)
        return record["shared_bytes"]

    def _freeze(self, array: np.ndarray) -> np.ndarray:
        """A copy of a global array, made when a compilation first sees it, as Numba does."""
        if id(array) not in self._frozen:
            self._frozen[id(array)] = array, array.copy(order="K")
        return self._frozen[id(array)][1]

    def _entry(self, block: Dim3, args: tuple[Any, ...]) -> _Entry:
        with self._lock:
            key = launch_key(block, args)
            entry = self._entries.get(key)
            if entry is None:
                mark = Fingerprint(self.py_func)
                arrays = zip(mark.arrays, mark.by_address)
                frozen = [a if live else self._freeze(a) for a, live in arrays]
                made = compiled(self.py_func, mark, frozen, block, args, self.fastmath, self.debug)
                tuples = any(isinstance(a, tuple) for a in args)
                entry = self._entries[key] = _Entry(self.py_func.__name__, made, block, tuples)
            return entry


class _Entry:
    """A compiled kernel and what its launches have cost."""

    __slots__ = ("_costs", "block", "block_seconds", "call", "compiled", "name", "tuples")

    def __init__(self, name: str, made: Compiled, block: Dim3, tuples: bool) -> None:
        self.name, self.block, self.tuples = name, block, tuples
        self.compiled, self.call = made, made.entry
        self.block_seconds = 0.0
        self._costs: dict[Dim3, Cost] = {}

    def run(self, grid: Dim3, shared_bytes: int, args: tuple[Any, ...]) -> None:
        made = self.compiled
        if self.tuples:
            args = leaves(args)
        if made.arrays:
            args = (*args, *made.arrays)
        if made.cooperative:
            self.run_together(grid, shared_bytes, args)
            return
        cost = self._costs.get(grid)
        if cost is None:
            if len(self._costs) >= GRIDS:
                self._costs.clear()
            cost = self._costs[grid] = Cost(grid, self.block_seconds, shared_pool().threads)
        scratch = made.scratch_bytes + shared_bytes if made.dynamic else made.scratch_bytes
        if cost.untimed > 0 and not made.failures:
            cost.untimed -= 1
            self.work(args, scratch, cost.serial_launch.copy())
            return
        helpers = cost.choose()
        if helpers:
            shared_pool().start(helpers)
        start = time.perf_counter()
        if helpers:
            template = cost.pooled_launch
            launch = shared_pool().run(lambda a: self.work(args, scratch, a), template, helpers)
        else:
            launch = cost.serial_launch.copy()
            self.work(args, scratch, launch)
        spent = time.perf_counter() - start
        if made.failures:
            check(self.name, made.failures, launch, self.block)
        cost.record(helpers, spent)
        self.block_seconds = spent * (helpers + 1) / cost.blocks

    def work(self, args: tuple[Any, ...], scratch: int, launch: np.ndarray) -> None:
        """What every thread of a launch runs: take blocks until there are none."""
        if scratch or self.compiled.dynamic:
            self.call(*args, np.empty(scratch, np.uint8), launch)
        else:
            self.call(*args, launch)

    def run_together(self, grid: Dim3, shared_bytes: int, args: tuple[Any, ...]) -> None:
        """All blocks in turn, each up to its next grid barrier, until they have finished."""
        made = self.compiled
        launch = launch_array(0, 1, grid)
        scratch = made.scratch_bytes + shared_bytes if made.dynamic else made.scratch_bytes
        own = scratch or made.dynamic
        buffers = [(np.empty(scratch, np.uint8),) if own else () for _ in np.ndindex(grid)]
        live = [self.call(*args, *buffer, launch, i) for i, buffer in enumerate(buffers)]
        while live:
            waiting = [block for block in live if next(block, None) is not None]
            check(self.name, made.failures, launch, self.block)
            if waiting and len(waiting) < len(live):
                raise LaunchError(
                    f"{self.name}: a grid barrier is reached by {len(waiting)} of "
                    f"{len(live)} blocks; the others have finished"
                )
            live = waiting
