"""Requests kept as samples, two for each line and array: which lane asked for which address."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...cpu.dtypes import itemsize
from ..memory import Memory
from ..state import GLOBAL, SHARED, WARP
from . import requests
from .requests import BRANCHES, SAMPLE_LANES, SAMPLE_SIZE, SAMPLE_WARP

Index = tuple[int, ...]


@dataclass(frozen=True)
class Request:
    """What the lanes of one warp asked for at once.

    Attributes:
        warp: number of the warp in its block.
        block: number of the block in the grid, x fastest.
        size: bytes for each lane.
        lanes: numbers of the active lanes.
        addresses: of each active lane in bytes: of global memory as on a GPU where arrays begin at
            multiples of 256, of shared memory from its beginning; of a branch 1 where taken.
        indices: of each active lane's element; empty where the array is not known.
        sectors, ideal_sectors, wavefronts, ideal_wavefronts, busiest: as of a line.
    """

    warp: int
    block: int
    size: int
    lanes: tuple[int, ...]
    addresses: tuple[int, ...]
    indices: tuple[Index, ...]
    sectors: int
    ideal_sectors: int
    wavefronts: int
    ideal_wavefronts: int
    busiest: int


class Samples:
    """Makes requests of the rows that ``requests.count`` has kept."""

    def __init__(self, memory: Memory, regions: np.ndarray, shared_row: int, warps: int) -> None:
        self.memory, self.regions, self.shared_row = memory, regions, shared_row
        self.warps = warps

    def request(self, row: Any, space: int, array: str) -> Request:
        """The request in a row of samples."""
        lanes = [k for k in range(WARP) if int(row[SAMPLE_LANES]) >> k & 1]
        given = row[requests.SAMPLE_ADDRESSES :][lanes]
        block, warp = divmod(int(row[SAMPLE_WARP]), self.warps)
        indices: tuple[Index, ...] = ()
        if space != BRANCHES:
            indices = self.indices(array, given)
            given = self.virtual(given, space)
        counted = [int(row[k]) for k in COUNTED]
        size = int(row[SAMPLE_SIZE])
        return Request(warp, block, size, tuple(lanes), tuple(given.tolist()), indices, *counted)

    def virtual(self, addresses: np.ndarray, space: int) -> np.ndarray:
        """As ``requests.virtual``, of lanes that may be in several regions."""
        out = addresses.copy()
        for first, end, place in self.regions.tolist():
            inside = (first <= addresses) & (addresses < end)
            offset = addresses[inside] - first
            out[inside] = offset % self.shared_row if space == SHARED else place + offset
        return out

    def indices(self, name: str, addresses: np.ndarray) -> tuple[Index, ...]:
        """Of the elements at addresses, as far as they are of the one array of this name."""
        first = int(addresses[0])
        for region in self.memory.regions:
            if region.first <= first < region.end:
                if region.space == GLOBAL:
                    return self.global_indices(name, addresses)
                return self.declared_indices(name, (addresses - region.first) % self.shared_row)
        return ()

    def global_indices(self, name: str, addresses: np.ndarray) -> tuple[Index, ...]:
        for known, array in self.memory.arrays:
            if known.split("__")[0] == name and array.ndim:
                found = indices_at(array, addresses - array.ctypes.data)
                if found:
                    return found
        return ()

    def declared_indices(self, name: str, offsets: np.ndarray) -> tuple[Index, ...]:
        static = self.memory.program.shared_bytes
        for d in self.memory.program.shared:
            if d.name != name:
                continue
            places = (offsets - (static if d.offset < 0 else d.offset)) // itemsize(d.dtype)
            if d.offset < 0:
                return tuple((i,) for i in places.tolist())
            if places.min() >= 0 and places.max() < math.prod(d.shape):
                return tuple(zip(*(k.tolist() for k in np.unravel_index(places, d.shape))))
        return ()


COUNTED = (
    requests.SECTORS,
    requests.IDEAL_SECTORS,
    requests.WAVEFRONTS,
    requests.IDEAL_WAVEFRONTS,
    requests.BUSIEST,
)


def indices_at(array: np.ndarray, offsets: np.ndarray) -> tuple[Index, ...]:
    """``memory.index_at`` of many offsets; nothing if one of them is of no element."""
    order = sorted(range(array.ndim), key=lambda k: -abs(array.strides[k]))
    rest = offsets - sum((n - 1) * s for n, s in zip(array.shape, array.strides) if s < 0)
    index: list[Sequence[int]] = [()] * array.ndim
    good = rest >= 0
    for k in order:
        stride, n = abs(array.strides[k]), array.shape[k]
        place = np.minimum(rest // stride, n - 1) if stride else np.zeros_like(rest)
        rest = rest - place * stride
        index[k] = (n - 1 - place if array.strides[k] < 0 else place).tolist()
    good &= (rest >= 0) & (rest < array.itemsize)
    return tuple(zip(*index)) if good.all() else ()
