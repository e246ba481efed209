"""Memory of the pretended GPU: blocks of the host's, with bounds."""

from __future__ import annotations

import bisect
import ctypes

import numpy as np

UNSET = 0xAB  # what new memory holds: no number that a test would take for a result
ALIGNMENT = 256  # of the driver's


class Blocks:
    """Allocated blocks by address; the interface is that of the machine's ``GlobalMemory``.

    Attributes:
        sizes: bytes of each block, by its address.
    """

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self._blocks: dict[int, np.ndarray] = {}
        self._sorted: list[int] = []

    def allocate(self, nbytes: int) -> int:
        """The address of a new block."""
        memory = np.full(nbytes + ALIGNMENT, UNSET, np.uint8)
        offset = -memory.ctypes.data % ALIGNMENT
        address = memory.ctypes.data + offset
        self._blocks[address] = memory[offset : offset + nbytes]
        self.sizes[address] = nbytes
        bisect.insort(self._sorted, address)
        return address

    def free(self, address: int) -> None:
        """Forget a block."""
        self._sorted.remove(address)
        del self._blocks[address], self.sizes[address]

    def holds(self, address: int) -> bool:
        """Whether an address lies in a block."""
        at = bisect.bisect_right(self._sorted, address) - 1
        return at >= 0 and address < self._sorted[at] + self.sizes[self._sorted[at]]

    def view(self, address: int, nbytes: int) -> np.ndarray:
        """The bytes from an address on; an AssertionError if they are not all in one block."""
        assert self.holds(address), f"{nbytes} bytes at {address}: no block"
        start = self._sorted[bisect.bisect_right(self._sorted, address) - 1]
        found = self._blocks[start][address - start : address - start + nbytes]
        assert found.size == nbytes, f"{nbytes} bytes at {address}: beyond the end of its block"
        return found

    def write(self, address: int, values: np.ndarray) -> None:
        """Copy bytes to an address."""
        self.view(address, values.size)[...] = values

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """A copy of the bytes from an address on."""
        return self.view(address, nbytes).copy()

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Copy bytes inside the memory."""
        self.write(target, self.read(source, nbytes))


def bytes_at(address: int, nbytes: int) -> np.ndarray:
    """Bytes of the host, not copied."""
    return np.ctypeslib.as_array((ctypes.c_ubyte * nbytes).from_address(address))
