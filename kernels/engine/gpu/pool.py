"""Memory of a GPU in a caching pool.

Freed blocks are kept by size and handed out again, because ``cudaMalloc`` and ``cudaFree`` stop
the whole device. A block is free as soon as the program refers to it no more, though the GPU may
have work queued that uses it. That is safe because blocks belong to a stream: one that was taken
for a stream is only given to later work of the same stream. Where other streams of ``nl.Stream``
have used it as well (``replay.works_on``), its own waits for what they have been given by then.
"""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..device import KIB
from ..replay import beside, here
from .driver import active, stream_of

if TYPE_CHECKING:
    from .graph import Graph

GRANULE = 512  # bytes; cudaMalloc aligns to 256, 512 keeps size classes few
LARGE = 1024 * KIB  # bytes; blocks above it are rounded to whole MiB
IDLE = -1  # in place of a stream: of blocks that no work uses any more, for any stream

_noting = threading.RLock()  # threads note who uses a block; what is freed meanwhile may, too


class Blocks(list[int]):
    """Addresses of free blocks of one size.

    Attributes:
        pool: whose.
        stream: whose later work they may be given to.
        heir: where blocks go instead, once the stream is gone.
    """

    __slots__ = ("pool", "stream", "heir")

    def __init__(self, pool: Pool, stream: int) -> None:
        super().__init__()
        self.pool, self.stream = pool, stream
        self.heir: Blocks | None = None


class Buffer:
    """A block of GPU memory that goes back to its pool when nothing refers to it any more.

    Attributes:
        pointer: its address.
        nbytes: its size.
        home: the free blocks that it goes back to; None if it is a graph's.
        owner: what must live as long, for memory of a graph.
        graphs: weak references to the graphs that use it and do not own it.
        others: streams besides that of its home that have been given work with it.
    """

    __slots__ = ("pointer", "nbytes", "home", "owner", "graphs", "others", "__weakref__")

    def __init__(self, pointer: int, nbytes: int, home: Blocks | None, owner: Any = None) -> None:
        self.pointer, self.nbytes, self.home, self.owner = pointer, nbytes, home, owner
        self.graphs: tuple[weakref.ref[Graph], ...] = ()
        self.others: tuple[int, ...] = ()

    def used_by(self, graph: Graph) -> None:
        """Let the memory go back only after the graph: its replays work on it."""
        with _noting:
            others = [known for known in self.graphs if known() not in (None, graph)]
            self.graphs = (*others, weakref.ref(graph))
        graph.uses.add(self)
        if self.home is None:  # of another graph, which has it back when nobody needs it
            graph.held.add(self)

    def leave(self) -> None:
        """End the graphs that work on the memory: something it was made for lies elsewhere now."""
        for known in self.graphs:
            graph = known()
            if graph is not None:
                graph.left = True
        if self.owner is not None:
            self.owner.left = True

    def used_in(self, stream: int) -> None:
        """Let the memory go back only after the work that a stream is about to be given."""
        home = self.home
        if home is not None and stream != home.stream and stream not in self.others:
            with _noting:
                self.others = (*self.others, stream)

    def __del__(self) -> None:
        home = self.home
        if home is None:
            return
        graphs = [found for known in self.graphs if (found := known()) is not None]
        if graphs:  # it goes with the last of them, and each says where it runs
            heir = Buffer(self.pointer, self.nbytes, home, self.owner)
            heir.others = self.others
            for graph in graphs:
                graph.held.add(heir)
        elif self.others and not sys.is_finalizing():
            after_capture(functools.partial(home.pool.take_back, home, self.pointer, self.others))
        else:
            (home if home.heir is None else home.heir).append(self.pointer)


class Pool:
    """Caching allocator of one GPU: free blocks by stream and size class.

    Threads may share it: taking and giving back are single operations on a list.

    Attributes:
        private: streams whose blocks are never given back: those in which graphs are captured.
    """

    def __init__(self, index: int) -> None:
        self.index, self.driver = index, active()
        self.free: dict[tuple[int, int], Blocks] = {}
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
            again: Any = here.recorder.take(self.index, size)
            if again is not None:
                return again
        buffer = self._take(size)
        if here.recorder is not None:
            here.recorder.took(buffer)
        return buffer

    def _take(self, size: int) -> Buffer:
        home = self._blocks(stream_of(self.index), size)
        for blocks in (home, self._blocks(IDLE, size)):
            try:
                return Buffer(blocks.pop(), size, home)
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

    def _blocks(self, stream: int, size: int) -> Blocks:
        found = self.free.get((stream, size))
        if found is None:
            found = self.free.setdefault((stream, size), Blocks(self, stream))
        return found

    def take_back(self, home: Blocks, pointer: int, others: tuple[int, ...]) -> None:
        """Take a block back that other streams use: its own waits for what they have so far."""
        if self.driver is not active():
            return
        for stream in others:
            if not stream or (self.index, stream) in beside:  # one that is gone has done it all
                event = self.driver.record(self.index, stream)
                self.driver.wait(self.index, home.stream, event)
                self.driver.destroy_event(self.index, event)
        (home if home.heir is None else home.heir).append(pointer)

    def _given_back(self) -> list[Blocks]:
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
        """Give blocks of a stream that has finished for good to any; to the default one later."""
        for (s, size), blocks in list(self.free.items()):
            if s == stream and s:
                blocks.heir = self._blocks(0, size)
                blocks.stream, idle = 0, self._blocks(IDLE, size)
                del self.free[s, size]
                while blocks:
                    idle.append(blocks.pop())


@functools.cache
def pool(index: int) -> Pool:
    """The pool of GPU ``index``."""
    return Pool(index)


_waiting: deque[Callable[[], None]] = deque()


def after_capture(work: Callable[[], None]) -> None:
    """Do something that a capture of this thread must not see: now, or when the capture ends."""
    _waiting.append(work)
    catch_up()


def catch_up() -> None:
    """Do what has waited for the end of a capture, unless there is one in this thread."""
    while here.recorder is None and not sys.is_finalizing():
        try:
            work = _waiting.popleft()
        except IndexError:  # nothing left, or another thread does the last
            return
        work()


def retire(index: int, driver: Any, stream: int) -> None:
    """Destroy a stream, and give its blocks to the default one, once its work is done."""
    after_capture(functools.partial(_retire, index, driver, stream))


def _retire(index: int, driver: Any, stream: int) -> None:
    if driver is active():
        driver.synchronize(index)
        beside.discard((index, stream))
        pool(index).private.discard(stream)
        pool(index).adopt(stream)
        driver.destroy_stream(index, stream)
