"""One thread: the module ``numba.cuda`` as it sees it, and where in the program it stands."""

from __future__ import annotations

from collections.abc import Generator
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numba.core import types

from . import arithmetic
from .atomics import ATOMICS
from .bits import FUNCTIONS
from .meeting import BLOCK, GRID, WARP, WARPS
from .rewrite import Program, python_function

Dim3 = tuple[int, int, int]

MOST_ITERATIONS = 100_000
"""Of one loop in one thread; more are taken for a loop without end."""

Place = tuple[tuple[int, int], ...]


class Launch(NamedTuple):
    """What all threads of a launch share."""

    program: Program
    grid: Dim3
    block: Dim3
    args: tuple[Any, ...]
    shared_bytes: int
    backward: bool
    fill: int

    def memory(self, shape: Any, dtype: Any) -> np.ndarray:
        """Memory that nobody has written yet."""
        kind = _element(dtype)
        count = int(np.prod(shape)) * kind.itemsize
        return np.full(count, self.fill, np.uint8).view(kind).reshape(shape)


class Meeting(NamedTuple):
    """A name such as ``cuda.syncthreads``: threads that call it wait for each other."""

    name: str


class SharedArray:
    """``cuda.shared.array``: the same memory for all threads of a block."""

    def __init__(self, launch: Launch) -> None:
        self.launch, self.made = launch, {}  # type: tuple[Launch, dict[int, np.ndarray]]
        self.dynamic = launch.memory(launch.shared_bytes, np.uint8)

    def declare(self, position: int, shape: Any, dtype: Any) -> np.ndarray:
        if shape in (0, (0,)):
            kind = _element(dtype)
            return self.dynamic[: self.dynamic.size // kind.itemsize * kind.itemsize].view(kind)
        if position not in self.made:
            self.made[position] = self.launch.memory(shape, dtype)
        return self.made[position]


def _element(dtype: Any) -> np.dtype:
    return arithmetic._dtype(dtype) if isinstance(dtype, types.Type) else np.dtype(dtype)


class Request(NamedTuple):
    """What a thread waits for: an operation, the place of the call, its arguments."""

    name: str
    place: Place
    args: tuple[Any, ...]
    line: int


class Thread:
    """A thread of a block.

    ``place`` orders the stops of a thread in time: for each loop and call it is in, the position
    and the iteration.  Lanes of a warp take part in one operation when their places are equal, and
    of several operations the one with the smallest place goes first: structured control flow.
    """

    def __init__(self, launch: Launch, block: Dim3, index: Dim3, names: dict[str, Any]) -> None:
        self.launch, self.block, self.index = launch, block, index
        sizes = launch.block
        self.number = (index[2] * sizes[1] + index[1]) * sizes[0] + index[0]
        self.warp, self.lane = divmod(self.number, WARP)
        self.stack: list[tuple[int, int]] = []
        self.cuda = _Cuda(self, names)
        self.request: Request  # where the thread stands
        self.result: Any = None
        self.finished, self.ready = False, True
        self.body = launch.program.kernel(self, *launch.args)

    def __str__(self) -> str:
        return f"thread {self.index} of block {self.block}"

    def advance(self) -> None:
        """Run to the next stop."""
        self.ready, result, self.result = False, self.result, None
        try:
            self.request = self.body.send(result)
        except StopIteration:
            self.finished = True

    # -- called by the rewritten kernel ------------------------------------------------------------
    def enter(self, position: int) -> None:
        self.stack.append((position, 0))

    def step(self) -> bool:
        position, iteration = self.stack[-1]
        if iteration > MOST_ITERATIONS:
            raise RuntimeError(f"a loop did not end after {iteration} iterations")
        self.stack[-1] = position, iteration + 1
        return True

    def leave(self) -> None:
        self.stack.pop()

    def call(
        self, position: int, function: Any, *args: Any, **keywords: Any
    ) -> Generator[Any, Any, Any]:
        """Any call in a kernel; meetings stop here."""
        if isinstance(function, Meeting):
            place = (*self.stack, (position, 0))
            line = self.line()
            result = yield Request(function.name, place, args, line)
            return result
        if isinstance(function, SharedArray):
            bound = dict(zip(("shape", "dtype", "alignment"), args)) | keywords
            return function.declare(position, bound["shape"], bound["dtype"])
        if getattr(function, "of_cuda", False) or function in _KNOWN:
            return function(*args, **keywords)
        user = python_function(function)
        if user is None:
            return arithmetic.call(function, *args, **keywords)
        depth = len(self.stack)
        self.stack.append((position, 0))
        made = self.launch.program.generator(user)
        result = yield from made(self, *args, **keywords)
        del self.stack[depth:]
        return result

    def line(self) -> int:
        """The line of the innermost function that runs now."""
        inner, found = self.body, 0
        while inner is not None and hasattr(inner, "gi_yieldfrom"):
            if inner.gi_frame is not None and inner.gi_code is not Thread.call.__code__:
                found = inner.gi_frame.f_lineno
            inner = inner.gi_yieldfrom
        return found


_KNOWN = {*ATOMICS.values(), *FUNCTIONS.values()}


class _Dim3(NamedTuple):
    x: np.int32
    y: np.int32
    z: np.int32


class _Cuda:
    """The module ``numba.cuda`` as one thread sees it."""

    def __init__(self, thread: Thread, names: dict[str, Any]) -> None:
        launch = thread.launch
        position = [b * n + i for b, n, i in zip(thread.block, launch.block, thread.index)]
        self.names = names
        self.threadIdx = _Dim3(*map(np.int32, thread.index))
        self.laneid = np.int32(thread.lane)
        self.grid = _ours(lambda count: _several(position, count))
        self.lanemask_lt = _ours(lambda: np.uint32((1 << thread.lane) - 1))

    def __getattr__(self, name: str) -> Any:
        try:
            return self.names[name]
        except KeyError:
            raise AttributeError(f"module 'numba.cuda' has no attribute {name!r}") from None


def names_of_block(launch: Launch, block: Dim3) -> dict[str, Any]:
    """What ``numba.cuda`` holds for all threads of a block."""
    size = [n * g for n, g in zip(launch.block, launch.grid)]
    group = SimpleNamespace(sync=Meeting(GRID))
    return {
        "blockIdx": _Dim3(*map(np.int32, block)),
        "blockDim": _Dim3(*map(np.int32, launch.block)),
        "gridDim": _Dim3(*map(np.int32, launch.grid)),
        "warpsize": np.int32(WARP),
        "gridsize": _ours(lambda count: _several(size, count)),
        "shared": SimpleNamespace(array=SharedArray(launch)),
        "local": SimpleNamespace(
            array=_ours(lambda shape, dtype, alignment=None: launch.memory(shape, dtype))
        ),
        "const": SimpleNamespace(array_like=_ours(lambda array: array)),
        "atomic": SimpleNamespace(**ATOMICS),
        "cg": SimpleNamespace(this_grid=_ours(lambda: group)),
        **FUNCTIONS,
        **{name: Meeting(name) for name in (*BLOCK, *WARPS)},
    }


def _several(values: list[int], count: int) -> Any:
    typed = tuple(map(np.int64, values[:count]))
    return typed[0] if count == 1 else typed


def _ours(function: Any) -> Any:
    function.of_cuda = True
    return function
