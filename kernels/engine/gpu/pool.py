"""Memory of a GPU in a caching pool.

Freed blocks are kept by size and handed out again, because ``cudaMalloc`` and ``cudaFree`` stop
the whole device.
"""

from __future__ import annotations

import atexit
import functools
from typing import Any

from numba import cuda

from ..device import KIB

GRANULE = 512  # bytes; cudaMalloc aligns to 256, 512 keeps size classes few
LARGE = 1024 * KIB  # bytes; blocks above it are rounded to whole MiB


class Buffer:
    """A block of GPU memory that goes back to its pool when nothing refers to it any more."""

    __slots__ = ("memory", "nbytes", "pool", "__weakref__")

    def __init__(self, memory: Any, nbytes: int, pool: Pool) -> None:
        self.memory, self.nbytes, self.pool = memory, nbytes, pool

    @property
    def pointer(self) -> int:
        return int(self.memory.device_pointer_value)

    def __del__(self) -> None:
        self.pool.free.setdefault(self.nbytes, []).append(self.memory)


class Pool:
    """Caching allocator of one GPU: free blocks by size class.

    Threads may share it: taking and giving back are single operations on a list.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.free: dict[int, list[Any]] = {}
        self.used = False

    @staticmethod
    def size_class(nbytes: int) -> int:
        """Bytes really reserved for a request of ``nbytes``."""
        unit = LARGE if nbytes > LARGE else GRANULE
        return max(GRANULE, (nbytes + unit - 1) // unit * unit)

    def take(self, nbytes: int) -> Buffer:
        """A block of at least ``nbytes``: a cached one, else new; empties the cache if full."""
        size = self.size_class(nbytes)
        try:
            return Buffer(self.free[size].pop(), size, self)
        except (KeyError, IndexError):  # none of that size, or another thread took the last
            pass
        try:
            memory = self._allocate(size)
        except Exception:
            if not any(list(self.free.values())):
                raise
            self.release()
            memory = self._allocate(size)
        return Buffer(memory, size, self)

    def _allocate(self, size: int) -> Any:
        with cuda.gpus[self.index]:
            memory = cuda.current_context().memalloc(size)
        if not self.used:
            # At exit numba frees what is left, which takes a current context. Registered after
            # numba's own hook, this one runs before it.
            atexit.register(cuda.gpus[self.index].__enter__)
            self.used = True
        return memory

    def release(self) -> None:
        """Give every cached block back to the driver."""
        with cuda.gpus[self.index]:
            cuda.synchronize()
            self.free.clear()


@functools.cache
def pool(index: int) -> Pool:
    """The pool of GPU ``index``."""
    return Pool(index)
