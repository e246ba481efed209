"""Memory of the machine: which bytes exist, which were written, and what lies where.

Every byte has a state: nothing is there, nobody wrote it yet, or written. Reading or writing
outside of what exists is a :class:`Fault`, and so is reading what nobody wrote.
"""

from __future__ import annotations

import numpy as np

NOTHING, FRESH, WRITTEN = 0, 1, 2
GUARD = 512  # bytes behind each array that belong to nobody; arrays begin at multiples of it
POISON = 0xFF  # what nobody wrote: as a float, not a number
GLOBAL_BASE = 1 << 20
SHARED_BASE = 1 << 10
LOCAL_BASE = 1 << 10
SHARED_WINDOW, LOCAL_WINDOW = 1 << 44, 1 << 45  # where generic addresses of those spaces begin
WINDOW = 1 << 30
UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


class Fault(RuntimeError):
    """A kernel did something that a GPU refuses, or whose result it does not promise."""


class Space:
    """Memory of one kind: a stretch of addresses, once for each owner (block or thread).

    Args:
        name: for messages.
        base: its first address.
        size: bytes from one owner's to the next.
        owners: how many have one.
        used: the bytes that exist; ``size`` if None.
    """

    def __init__(
        self, name: str, base: int, size: int, owners: int, used: int | None = None
    ) -> None:
        self.name, self.base, self.size = name, base, size + -size % 16
        self.data = np.full(self.size * owners, POISON, np.uint8)
        self.state = np.full(self.size * owners, NOTHING, np.uint8)
        self.state.reshape(owners, self.size)[:, : size if used is None else used] = FRESH

    def places(self, addresses: np.ndarray, owners: np.ndarray, size: int) -> np.ndarray:
        """Where in ``data`` the address of each owner is; Fault off the alignment or outside."""
        off = addresses - self.base
        if (off & (size - 1)).any():
            first = int(addresses[(off & (size - 1)) != 0][0])
            raise Fault(f"{size} bytes of {self.name} memory at {first}: not aligned")
        outside = (off < 0) | (off + size > self.size)
        if outside.any():
            self.refuse(addresses[outside], size, "nothing is there")
        return off + owners * self.size

    def refuse(self, addresses: np.ndarray, size: int, why: str) -> None:
        """Raise a Fault for the first of some addresses."""
        first = int(addresses.flat[0])
        raise Fault(f"{size} bytes of {self.name} memory at {self.describe(first)}: {why}")

    def describe(self, address: int) -> str:
        """An address in words."""
        return str(address)

    def load(self, addresses: np.ndarray, owners: np.ndarray, item: int, count: int) -> np.ndarray:
        """(addresses, count) unsigned numbers of ``item`` bytes, ``count`` at each address."""
        places = self.places(addresses, owners, item * count)[:, None] // item + np.arange(count)
        state = self.state.view(UNSIGNED[item])[places]
        if (state != _all(item, WRITTEN)).any():
            rows = (state != _all(item, WRITTEN)).any(axis=1)
            self._explain(places[rows] * item, addresses[rows], item * count, reading=True)
        return self.data.view(UNSIGNED[item])[places]

    def store(self, addresses: np.ndarray, owners: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Write the rows of ``values``, each to its address; returns where in ``data`` they are."""
        item, count = values.itemsize, values.shape[1]
        places = self.places(addresses, owners, item * count)[:, None] // item + np.arange(count)
        states = self.state.view(UNSIGNED[item])
        old, ones = states[places], _all(item, 1)
        missing = (old | old >> 1) & ones != ones
        if missing.any():
            rows = missing.any(axis=1)
            self._explain(places[rows] * item, addresses[rows], item * count, reading=False)
        self.data.view(UNSIGNED[item])[places] = values
        states[places] = _all(item, WRITTEN)
        return places * item

    def _explain(self, places: np.ndarray, addresses: np.ndarray, size: int, reading: bool) -> None:
        for place, address in zip(places[:, 0], addresses):
            states = self.state[place : place + size]
            if (states == NOTHING).any():
                self.refuse(address[None], size, "nothing is there")
            if reading and (states != WRITTEN).any():
                self.refuse(address[None], size, "read, but nobody wrote it")


def _all(item: int, state: int) -> np.unsignedinteger:
    """The state of ``item`` bytes at once, each ``state``."""
    return UNSIGNED[item](int.from_bytes(bytes([state]) * item, "little"))


class GlobalMemory(Space):
    """Global memory: arrays with guard zones between them, one address space for all blocks.

    Example::

        memory = GlobalMemory()
        address = memory.allocate(4096)
        memory.write(address, np.arange(1024, dtype=np.float32))
    """

    def __init__(self) -> None:
        super().__init__("global", GLOBAL_BASE, 1 << 16, 1)
        self.state[:] = NOTHING
        self.sizes: dict[int, int] = {}
        self.end = GLOBAL_BASE

    def allocate(self, nbytes: int) -> int:
        """The address of so many new bytes, which hold poison."""
        address = self.end
        self.end += -(-max(nbytes, 1) // GUARD) * GUARD + GUARD
        need = self.end - self.base
        if need > self.size:
            grown = max(need, 2 * self.size)
            more = np.full(grown - self.size, POISON, np.uint8)
            self.data = np.concatenate([self.data, more])
            self.state = np.concatenate([self.state, np.zeros(grown - self.size, np.uint8)])
            self.size = grown
        self.sizes[address] = nbytes
        self._part(self.state, address, nbytes)[:] = FRESH
        self._part(self.data, address, nbytes)[:] = POISON
        return address

    def free(self, address: int) -> None:
        """Give an array back: who uses it afterwards is found."""
        self._part(self.state, address, self.sizes.pop(address))[:] = NOTHING
        if not self.sizes:
            self.end = GLOBAL_BASE

    def write(self, address: int, values: np.ndarray) -> None:
        """Copy the bytes of a contiguous array to an address."""
        raw = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        self._existing(address, raw.size)
        self._part(self.data, address, raw.size)[:] = raw
        self._part(self.state, address, raw.size)[:] = WRITTEN

    def write_some(self, address: int, values: np.ndarray, written: np.ndarray) -> None:
        """Copy those of some bytes that are ``written``; nobody wrote the others."""
        self._part(self.data, address, values.size)[:] = np.where(written, values, POISON)
        self._part(self.state, address, values.size)[:] = np.where(written, WRITTEN, FRESH)

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """A copy of so many bytes."""
        self._existing(address, nbytes)
        return self._part(self.data, address, nbytes).copy()

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Copy bytes together with what is known of who wrote them."""
        for address in (target, source):
            self._existing(address, nbytes)
        for raw in (self.data, self.state):
            self._part(raw, target, nbytes)[:] = self._part(raw, source, nbytes).copy()

    def describe(self, address: int) -> str:
        """The address and how far it is from the nearest array before it."""
        before = [a for a in self.sizes if a <= address]
        if not before:
            return str(address)
        start = max(before)
        return f"{address} (byte {address - start} of an array of {self.sizes[start]})"

    def _existing(self, address: int, nbytes: int) -> None:
        start = address - self.base
        inside = start >= 0 and start + nbytes <= self.size
        if not inside or not self._part(self.state, address, nbytes).all():
            raise Fault(f"{nbytes} bytes of global memory at {self.describe(address)}: no array")

    def _part(self, raw: np.ndarray, address: int, nbytes: int) -> np.ndarray:
        start = address - self.base
        return raw[start : start + nbytes]
