"""Memory of a GPU in a caching pool.

Freed blocks are kept by size and handed out again, because ``cudaMalloc`` and ``cudaFree`` stop
the whole device. A block is free as soon as the program refers to it no more, though the GPU may
have work queued that uses it. That is safe because blocks belong to a stream: one that was taken
for a stream is only given to later work of the same stream. Whoever uses an array in another
stream than the one it was made in keeps it until both streams have met (``Stream.wait``).
"""

from __future__ import annotations

import functools
import sys
import weakref
from typing import TYPE_CHECKING, Any

from ..device import KIB
from ..replay import here
from .driver import active, stream_of

if TYPE_CHECKING:
    from .graph import Graph

GRANULE = 512  # bytes; cudaMalloc aligns to 256, 512 keeps size classes few
LARGE = 1024 * KIB  # bytes; blocks above it are rounded to whole MiB


class Buffer:
    """A block of GPU memory that goes back to its pool when nothing refers to it any more.

    Attributes:
        pointer: its address.
        nbytes: its size.
        home: the free blocks that it goes back to; None if it is a graph's.
        owner: what must live as long, for memory of a graph.
        graphs: weak references to the graphs that use it and do not own it.
    """

    __slots__ = ("pointer", "nbytes", "home", "owner", "graphs", "__weakref__")

    def __init__(
        self, pointer: int, nbytes: int, home: list[int] | None, owner: object = None
    ) -> None:
        self.pointer, self.nbytes, self.home, self.owner = pointer, nbytes, home, owner
        self.graphs: tuple[weakref.ref[Graph], ...] = ()

    def used_by(self, graph: Graph) -> None:
        """Let the memory go back only after the graph: its replays work on it."""
        others = [known for known in self.graphs if known() not in (None, graph)]
        self.graphs = (*others, weakref.ref(graph))

    def __del__(self) -> None:
        if self.home is None:
            return
        graphs = [found for known in self.graphs if (found := known()) is not None]
        if graphs:
            heir = Buffer(self.pointer, self.nbytes, self.home, self.owner)
            heir.graphs = tuple(map(weakref.ref, graphs[1:]))
            graphs[0].held.add(heir)
        else:
            self.home.append(self.pointer)


class Pool:
    """Caching allocator of one GPU: free blocks by stream and size class.

    Threads may share it: taking and giving back are single operations on a list.

    Attributes:
        private: streams whose blocks are never given back: those in which graphs are captured.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.free: dict[tuple[int, int], list[int]] = {}
        self.private: set[int] = set()

    @staticmethod
    def size_class(nbytes: int) -> int:
        """Bytes really reserved for a request of ``nbytes``."""
        unit = LARGE if nbytes > LARGE else GRANULE
        return max(GRANULE, (nbytes + unit - 1) // unit * unit)

    def take(self, nbytes: int) -> Buffer:
        """A block of at least ``nbytes``: a cached one, else new; empties the cache if full."""
        size = self.size_class(nbytes)
        if here.recorder is not None:
            again: Any = here.recorder.take(size)
            if again is not None:
                return again
        buffer = self._take(size)
        if here.recorder is not None:
            here.recorder.took(buffer)
        return buffer

    def _take(self, size: int) -> Buffer:
        home = self.free.setdefault((stream_of(self.index), size), [])
        try:
            return Buffer(home.pop(), size, home)
        except IndexError:  # none of that size, or another thread took the last
            pass
        try:
            pointer = active().allocate(self.index, size)
        except MemoryError:
            if here.recorder is not None:
                here.recorder.stop("the memory of the GPU is full")
            if not any(self._given_back()):
                raise
            self.release()
            pointer = active().allocate(self.index, size)
        return Buffer(pointer, size, home)

    def _given_back(self) -> list[list[int]]:
        return [blocks for (s, _), blocks in list(self.free.items()) if s not in self.private]

    def release(self) -> None:
        """Give every cached block back to the driver, except those of graphs."""
        if not any(self._given_back()):
            return
        active().synchronize(self.index)
        for blocks in self._given_back():
            while blocks:
                active().free(self.index, blocks.pop())

    def adopt(self, stream: int) -> None:
        """Move the free blocks of a stream that has finished for good to the default stream."""
        for (s, size), blocks in list(self.free.items()):
            while s == stream and s and blocks:
                self.free.setdefault((0, size), []).append(blocks.pop())


@functools.cache
def pool(index: int) -> Pool:
    """The pool of GPU ``index``."""
    return Pool(index)


_retired: list[tuple[int, Any, int]] = []


def retire(index: int, driver: Any, stream: int) -> None:
    """Destroy a stream and give its blocks to the default one, once its work is done.

    Not at once while a graph is captured, which may not be interrupted; then the next call does it.
    """
    _retired.append((index, driver, stream))
    while _retired and here.recorder is None and not sys.is_finalizing():
        index, driver, stream = _retired.pop()
        if driver is active():
            driver.synchronize(index)
            pool(index).private.discard(stream)
            pool(index).adopt(stream)
            driver.destroy_stream(index, stream)
