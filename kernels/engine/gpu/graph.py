"""Work for a GPU that was captured as a CUDA graph: what it is, and the memory it works on.

It is captured, compared and replayed by ``recorder``.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from typing import Any

from ..replay import beside
from .arguments import Packed, Packer
from .driver import active, stream_of
from .pool import Buffer, after_capture, pool, retire

Work = tuple[Any, ...]  # ("launch", kernel, configuration, parameters) or a copy


class Memory:
    """The stream that a graph was captured in and the memory of its arrays.

    Blocks of the stream are the graph's own; they go back when nothing uses the graph any more.

    Attributes:
        left: a tensor that had an array here has another one now, see ``replay.rebound``.
    """

    def __init__(self, index: int) -> None:
        self.index, self.driver, self.left = index, active(), False
        self.stream = self.driver.create_stream(index)
        pool(index).private.add(self.stream)

    def __del__(self) -> None:
        retire(self.index, self.driver, self.stream)


class Section:
    """A stretch of the work whose host code runs again before each replay."""

    def __init__(self, function: Callable[[], Any], depends_on: Callable[[], Any]) -> None:
        self.function, self.depends_on = function, depends_on
        self.given = depends_on()
        self.work = self.blocks = 0  # where it begins among those of the graph

    def holds(self) -> bool:
        """Whether it would still launch the same kernels."""
        return _alike(self.depends_on(), self.given)


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, (tuple, list)) and type(a) is type(b):
        return len(a) == len(b) and all(map(_alike, a, b))
    return a is b or (isinstance(a, (int, float, str, bool)) and a == b)


class Graph:
    """Captured work.

    Attributes:
        work, blocks: what was asked of the driver and of the pool, in order.
        uses: memory that it works on and that is not its own.
        held: the same, if nobody else needs it any more.
        left: a tensor that had an array in such memory has another one now.
        nodes: place in ``work`` -> node of the driver, for the launches of sections.
        sections, after: what runs before and after each replay.
    """

    def __init__(self, index: int) -> None:
        self.index, self.memory = index, Memory(index)
        self.left = False
        self.work: list[Work] = []
        self.blocks: list[tuple[int, int]] = []  # address, bytes
        self.uses: weakref.WeakSet[Buffer] = weakref.WeakSet()
        self.held: set[Buffer] = set()
        self.nodes: dict[int, int] = {}
        self.sections: list[Section] = []
        self.after: list[Callable[[], None]] = []
        self._handles: tuple[int, int] | None = None
        self.driver = self.memory.driver

    def finish(self) -> None:
        """End the capture."""
        self._handles = self.driver.end_capture(self.index, self.memory.stream)

    def run(self) -> None:
        """Queue all the work in the thread's stream."""
        if self.work and self._handles is not None:
            stream = stream_of(self.index)
            if beside:
                for buffer in (*self.uses, *self.held):
                    buffer.used_in(stream)
            self.driver.run_graph(self.index, self._handles[1], stream)

    def update(self, place: int, new: Work, packer: Packer) -> None:
        """Give a noted launch the parameters of a new one of the same kernel."""
        if self.work[place] != new and self._handles is not None:
            _, kernel, configuration, parameters = self.work[place] = new
            node, ready = self.nodes[place], self._handles[1]
            packed = Packed(packer, parameters)
            self.driver.set_parameters(self.index, ready, node, kernel, configuration, packed.table)

    def holds(self) -> bool:
        """Whether the sections would still launch the same kernels, on arrays where they were."""
        left = self.left or self.memory.left
        return not left and all(section.holds() for section in self.sections)

    def __del__(self) -> None:
        if self._handles is not None and not sys.is_finalizing():
            after_capture(functools.partial(_destroy, self.driver, self.index, *self._handles))


def _destroy(driver: Any, index: int, graph: int, ready: int) -> None:
    if driver is active():
        driver.destroy_graph(index, graph, ready)
