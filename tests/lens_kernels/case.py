"""One kernel with a mistake, and what the checker should say about it.

The line of the mistake ends in ``# BUG``; the other line of a race or barrier in ``# OTHER``, or it
is the same line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


def anything(a: Any, b: Any) -> bool:
    return True


@dataclass(frozen=True)
class Case:
    """A launch of a wrong kernel.

    Attributes:
        kernel: ``cuda.jit`` kernel.
        kind: of the finding.
        grid, block, args, shared: the launch.
        array: name of the array, "" where the mistake is about none.
        threads: ``threads(a, b)`` is True for the right threads, (block, thread) of the finding's
            access and of the other one (None where there is none), both as numbers.
        note: the finding is a note, not an error.
        helpers: device functions that may hold the marked line.
    """

    kernel: Any
    kind: str
    grid: Any
    block: Any
    args: Callable[[], tuple[Any, ...]]
    array: str = ""
    threads: Callable[[Any, Any], bool] = anything
    shared: int = 0
    note: bool = False
    helpers: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        return str(self.kernel.__name__)

    def line(self, mark: str) -> int:
        """The line of the source that ends in the mark; 0 for none."""
        for kernel in (self.kernel, *self.helpers):
            lines, first = inspect.getsourcelines(kernel.py_func)
            found = [first + i for i, text in enumerate(lines) if text.rstrip().endswith(mark)]
            if found:
                return found[0]
        return 0


def numbers(*sizes: int, dtype: Any = np.float32) -> tuple[np.ndarray, ...]:
    """Arrays of different numbers that are not zero."""
    return tuple((np.arange(n) + 1).astype(dtype) for n in sizes)


def launch(*sizes: int, dtype: Any = np.float32) -> Callable[[], tuple[np.ndarray, ...]]:
    return lambda: numbers(*sizes, dtype=dtype)
