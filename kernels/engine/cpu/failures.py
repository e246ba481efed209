"""What a kernel reports back: errors found while it runs.

A kernel cannot raise.  It writes the number of the place, the block and one more number into the
launch array, the first failure wins, and the launch raises when all blocks have finished::

    effect_raise_(launch_, 1, b_, 32)       ->      LaunchError: k.py:7: cuda.syncthreads(): ...
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import LaunchError

Place = tuple[int, int, int, int]
"""Number, and position in x, y and z, of a block or a thread."""

CODE, BLOCK, DETAIL = 5, 6, 7
"""Where the launch array holds the number of the place, the block, and the detail."""


@dataclass(frozen=True)
class Failure:
    """One place of a kernel that may fail; ``text`` may use ``{block}`` and ``{detail}``."""

    file: str
    line: int
    text: str

    def error(self, kernel: str, block: Place, thread: Place, detail: int) -> BaseException:
        text = self.text.format(block=block[0], detail=detail)
        return LaunchError(f"{kernel}: {self.file}:{self.line}: {text}")


@dataclass(frozen=True)
class Raised(Failure):
    """An exception that the kernel raises; ``detail`` is the number of the thread."""

    function: str
    kind: Any
    args: tuple[Any, ...]

    def error(self, kernel: str, block: Place, thread: Place, detail: int) -> BaseException:
        """The exception, with the words of numba-cuda about where it comes from."""
        place = f"In function {self.function!r}, file {self.file}, line {self.line}, "
        place += f"tid={list(thread[1:])} ctaid={list(block[1:])}"
        first = f"{place}: {self.args[0]}" if self.args else place
        return self.kind(first, *self.args[1:])


class DividedByZero(ZeroDivisionError, FloatingPointError):
    """A division by zero: the first base is what a GPU reports, the second what simulators do."""


def stored(failures: tuple[Failure, ...], known: list[type]) -> tuple[Failure, ...] | None:
    """The failures as they can be kept on disk: exceptions by name or number, not by value."""
    out: list[Failure] = []
    for f in failures:
        if isinstance(f, Raised):
            name = f.kind.__name__
            builtin = _by_name(name) is f.kind
            if not builtin and f.kind not in known:
                return None
            f = replace(f, kind=name if builtin else known.index(f.kind))
        out.append(f)
    return tuple(out)


def loaded(failures: tuple[Failure, ...], known: list[type]) -> tuple[Failure, ...]:
    """What ``stored`` made, as it was."""
    out: list[Failure] = []
    for f in failures:
        if isinstance(f, Raised):
            named = isinstance(f.kind, str)
            f = replace(f, kind=_by_name(f.kind) if named else known[f.kind])
        out.append(f)
    return tuple(out)


def _by_name(name: str) -> Any:
    return DividedByZero if name == DividedByZero.__name__ else getattr(builtins, name, None)


def check(
    kernel: str, failures: tuple[Failure, ...], launch: np.ndarray, threads: tuple[int, int, int]
) -> None:
    """Raise the error of the first failure of a launch, if there was one."""
    code, block, detail = (int(n) for n in launch[[CODE, BLOCK, DETAIL]])
    if code:
        grid = tuple(int(n) for n in launch[2:5])
        places = _place(block, grid), _place(detail, threads)
        raise failures[code - 1].error(kernel, *places, detail)


def _place(number: int, sizes: tuple[int, ...]) -> Place:
    x, y, _ = sizes
    return number, number % x, number // x % y, number // (x * y)


def launch_array(first: int, chunk: int, grid: tuple[int, int, int]) -> Any:
    """[next block, blocks taken at once, grid x, y, z, failure, block, detail]."""
    return np.array([first, chunk, *grid, 0, 0, 0], np.int64)
