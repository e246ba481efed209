"""Global and shared memory of the machine: bounds, alignment, banks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_Part = tuple[np.ndarray, np.ndarray, np.ndarray]
LANES = 32  # of a warp; as many as shared memory has banks of 4 bytes
BASE, UNIT = 1 << 20, 512  # address of the first array, and what the others are multiples of
TOGETHER = 128  # bytes that a warp takes from shared memory at a time


class Memory:
    """The arrays of a launch and the shared memory of the block that runs.

    Attributes:
        ways: instruction -> the most accesses of a warp to one bank of shared memory.
    """

    def __init__(self, shared_size: int) -> None:
        self.shared_size = shared_size
        self.shared = np.zeros(0, np.uint8)
        self.arrays: list[tuple[int, np.ndarray]] = []
        self.end = BASE
        self.ways: dict[str, int] = {}

    def add(self, array: np.ndarray) -> int:
        """The address of an array, which is changed in place."""
        address = self.end
        self.arrays.append((address, array.reshape(-1).view(np.uint8)))
        self.end += (array.nbytes // UNIT + 2) * UNIT  # nothing lies right behind it
        return address

    def forget_shared(self) -> None:
        """Shared memory as a block finds it: as floats, not a number."""
        self.shared = np.full(self.shared_size, 0xFF, np.uint8)

    def load(self, space: str, addresses: np.ndarray, size: int) -> np.ndarray:
        """The bytes from each address on, (addresses, size)."""
        found = np.zeros((addresses.size, size), np.uint8)
        for raw, which, places in self._places(space, addresses, size):
            found[which] = raw[places]
        return found

    def store(self, space: str, addresses: np.ndarray, data: np.ndarray) -> None:
        """Write the rows of ``data``."""
        for raw, which, places in self._places(space, addresses, data.shape[1]):
            raw[places] = data[which]

    def _places(self, space: str, addresses: np.ndarray, size: int) -> Iterator[_Part]:
        """For every array touched: its bytes, which of the addresses are there, and where.

        Fails where no array is, and at an address that is not a multiple of the size.
        """
        off = addresses[addresses % size != 0]
        assert not off.size, f"{size} bytes of {space} memory at {off[0]}: not aligned"
        left = np.ones(addresses.size, bool)
        for start, raw in [(0, self.shared)] if space == "shared" else self.arrays:
            which = (addresses >= start) & (addresses + size <= start + raw.size)
            if which.any():
                left &= ~which
                yield raw, which, addresses[which, None] - start + np.arange(size)
        if left.any():
            where = addresses[left][0]
            raise IndexError(f"{size} bytes of {space} memory at {where}: no array is there")

    def count_conflicts(
        self, instruction: str, space: str, address: np.ndarray, size: int, active: np.ndarray
    ) -> None:
        """Note how many different words of one bank the lanes want at a time."""
        if space != "shared":
            return
        together = min(LANES, TOGETHER // size)
        for first in range(0, address.size, together):
            lanes = slice(first, first + together)
            starts = np.unique(address[lanes][active[lanes]])
            words = np.unique((starts[:, None] + np.arange(0, size, 4)) // 4)
            ways = int(np.bincount(words % LANES).max()) if words.size else 0
            self.ways[instruction] = max(self.ways.get(instruction, 0), ways)
