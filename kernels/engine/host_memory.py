"""Memory of large arrays on the CPU, in a caching pool.

The C library gives large blocks back to the operating system when they are freed. The next array
then takes new pages, and the first write to each of them is a page fault: in the training step of a
small convolutional network they took a quarter of the time. So freed blocks are kept, by size, and
handed out again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .device import KIB

LEAST = 512 * KIB  # bytes; the C library itself reuses what is smaller
MOST_KEPT = 1024 * 1024 * KIB  # bytes of free blocks; beyond it all of them are given back
STEPS = 8  # size classes between a power of two and the next: batches that differ a little share
ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


class Block:
    """Memory of one array; it goes back to its pool when no view of the array is left.

    NumPy arrays made of it keep it alive: it is their ``base``.
    """

    __slots__ = ("__array_interface__", "memory", "pool")

    def __init__(
        self, pool: HostPool, memory: np.ndarray, shape: tuple[int, ...], dtype: np.dtype
    ) -> None:
        self.pool, self.memory = pool, memory
        address = memory.__array_interface__["data"][0]
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (address + -address % ALIGNMENT, False),
        }

    def __del__(self) -> None:
        self.pool.keep(self.memory)


class HostPool:
    """Free blocks by size class.

    Threads may share it: taking and giving back are single operations on a list.

    Args:
        most: bytes of free blocks; beyond it all of them go back to the operating system.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self.most = most
        self.free: dict[int, list[np.ndarray]] = {}

    @staticmethod
    def size_class(nbytes: int) -> int:
        """Bytes really reserved for a request of ``nbytes``, without those for the alignment."""
        unit = 1 << max(0, (nbytes - 1).bit_length() - STEPS.bit_length())
        return -(-nbytes // unit) * unit

    def take(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array with undefined items: in a block freed before, if there is one, else new."""
        size = self.size_class(math.prod(shape) * dtype.itemsize) + ALIGNMENT
        try:
            memory = self.free[size].pop()
        except (KeyError, IndexError):  # none of that size, or another thread took the last
            memory = np.empty(size, np.uint8)
        return np.asarray(Block(self, memory, shape, dtype))

    def keep(self, memory: np.ndarray) -> None:
        """Keep a block for the next array of its size."""
        kept = sum(size * len(blocks) for size, blocks in tuple(self.free.items()))
        if kept + memory.nbytes > self.most:
            self.free.clear()
        if memory.nbytes <= self.most:
            self.free.setdefault(memory.nbytes, []).append(memory)


_pool = HostPool()


def empty(shape: Any, dtype: np.dtype) -> np.ndarray:
    """``numpy.empty`` of a tuple or one size; memory of large arrays comes from the pool."""
    if isinstance(shape, tuple) and math.prod(shape) * dtype.itemsize >= LEAST and min(shape) > 0:
        return _pool.take(shape, dtype)
    return np.empty(shape, dtype)
