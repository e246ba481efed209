"""The memory that a checked launch may touch, and the names of its elements.

Arrays that overlap become one region with one shadow, so that accesses through either are seen
together. Shared and local memory of the launch are a region each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cpu.dtypes import itemsize
from ..cpu.signature import leaves
from ..errors import ArgumentError
from .program import Program
from .sites import Declared
from .state import (
    BLOCK_FENCES,
    CELL_WORDS,
    FENCES,
    GLOBAL,
    LOCAL,
    MOST_REGIONS,
    REGION_TABLE,
    REGION_WORDS,
    REGIONS,
    SHADOW,
    SHARED,
    State,
)


@dataclass
class Region:
    """Addresses ``first`` to ``end`` with a shadow cell for each ``unit`` bytes."""

    first: int
    end: int
    unit: int
    space: int


class Memory:
    """Shared and local buffers, regions and shadow of one launch."""

    def __init__(
        self, program: Program, args: tuple[Any, ...], threads: int, slots: int, dynamic: int
    ) -> None:
        self.program = program
        self.args = (*leaves(args), *program.arrays)
        named = zip(program.parameters, self.args)
        self.arrays = [(name, a) for name, a in named if isinstance(a, np.ndarray)]
        size = program.shared_bytes + dynamic
        self.shared = np.zeros((slots, size + -size % 16), np.uint8)
        self.local = np.zeros(slots * threads * program.local_bytes, np.uint8)
        bytewise = ".view(" in program.source
        self.regions = merged([region_of(a, bytewise) for _, a in self.arrays if a.size])
        for buffer, found, space in (
            (self.shared, program.shared, SHARED),
            (self.local, program.local, LOCAL),
        ):
            if buffer.size:
                unit = 1 if bytewise else math.gcd(16, *(cell_of(d.dtype) for d in found))
                self.regions.append(
                    Region(buffer.ctypes.data, buffer.ctypes.data + buffer.size, unit, space)
                )
        if len(self.regions) > MOST_REGIONS:
            raise ArgumentError(
                f"check: {len(self.regions)} separate arrays given, expected at most {MOST_REGIONS}"
            )

    def describe(self, state: State, threads: int, blocks: int) -> None:
        """Write the regions into the state and make the shadow."""
        fences = any(site.what == "fence" for site in self.program.sites)
        place = (2 * threads * blocks + 4 * blocks) if fences else 0
        state.words[FENCES], state.words[BLOCK_FENCES] = 0, 2 * threads * blocks
        table = state.table[REGION_TABLE].reshape(-1, REGION_WORDS)
        for row, r in zip(table, self.regions):
            row[:] = r.first, r.end, r.unit, place, r.space
            place += CELL_WORDS * (-(-(r.end - r.first) // r.unit) + 1)
        self.shadow = np.zeros(place, np.int64)
        state.words[SHADOW] = self.shadow.ctypes.data
        state.words[REGIONS] = len(self.regions)

    # -- names -----------------------------------------------------------------------------------
    def element(self, name: str, address: int) -> tuple[str, tuple[int, ...] | None]:
        """(name of the array, index) of an address; a name from the source goes first."""
        for region in self.regions:
            if region.first <= address < region.end:
                if region.space == GLOBAL:
                    return self.global_element(name, address)
                return self.declared_element(name, address - region.first, region.space)
        return name, None

    def shape_of(self, name: str) -> tuple[int, ...] | None:
        """The shape of an array by its name in the source; None where it is not known."""
        known = {given.split("__")[0]: a.shape for given, a in reversed(self.arrays)}
        declared = (*self.program.shared, *self.program.local)
        known |= {d.name: d.shape for d in reversed(declared) if d.offset >= 0}
        return known.get(name)

    def global_element(self, name: str, address: int) -> tuple[str, tuple[int, ...] | None]:
        for known, array in sorted(self.arrays, key=lambda pair: pair[0] != name):
            index = index_at(array, address - array.ctypes.data)
            if index is not None:
                return known.split("__")[0], index
        return name, None

    def declared_element(
        self, name: str, offset: int, space: int
    ) -> tuple[str, tuple[int, ...] | None]:
        found = self.program.shared if space == SHARED else self.program.local
        size = self.shared.shape[1] if space == SHARED else self.program.local_bytes
        offset %= size
        for d in sorted(found, key=lambda d: d.name != name):
            index = declared_index(d, offset, self.program.shared_bytes)
            if index is not None:
                return d.name, index
        return name, None


def cell_of(dtype: Any) -> int:
    """Bytes of the smallest thing in an element that is read by itself."""
    fields = getattr(dtype, "fields", None)
    if fields:
        return math.gcd(
            *(f.offset for f in fields.values()), *(cell_of(f.type) for f in fields.values())
        )
    inner = getattr(dtype, "dtype", None)
    return cell_of(inner) if inner is not None else itemsize(dtype)


def numpy_cell(dtype: np.dtype) -> int:
    if dtype.names is None:
        return dtype.subdtype[0].itemsize if dtype.subdtype else dtype.itemsize
    assert dtype.fields is not None
    fields = [dtype.fields[name] for name in dtype.names]
    return math.gcd(dtype.itemsize, *(f[1] for f in fields), *(numpy_cell(f[0]) for f in fields))


def region_of(array: np.ndarray, bytewise: bool) -> Region:
    first, end = np.lib.array_utils.byte_bounds(array)
    unit = 1 if bytewise else numpy_cell(array.dtype)
    return Region(int(first), int(end), unit, GLOBAL)


def merged(regions: list[Region]) -> list[Region]:
    """The same addresses without overlaps."""
    out: list[Region] = []
    for r in sorted(regions, key=lambda r: r.first):
        if out and r.first < out[-1].end:
            last = out[-1]
            last.unit = math.gcd(last.unit, r.unit, r.first - last.first)
            last.end = max(last.end, r.end)
        else:
            out.append(r)
    return out


def index_at(array: np.ndarray, offset: int) -> tuple[int, ...] | None:
    """The index of the element ``offset`` bytes after the first, if there is one."""
    order = sorted(range(array.ndim), key=lambda k: -abs(array.strides[k]))
    low = sum((n - 1) * s for n, s in zip(array.shape, array.strides) if s < 0)
    rest, index = offset - low, [0] * array.ndim
    for k in order:
        stride, n = abs(array.strides[k]), array.shape[k]
        place = min(rest // stride, n - 1) if stride else 0
        rest -= place * stride
        index[k] = n - 1 - place if array.strides[k] < 0 else place
    return tuple(index) if 0 <= rest < array.itemsize and min(index, default=0) >= 0 else None


def declared_index(d: Declared, offset: int, static: int) -> tuple[int, ...] | None:
    size = itemsize(d.dtype)
    if d.offset < 0:
        return ((offset - static) // size,) if offset >= static else None
    place = (offset - d.offset) // size
    if not 0 <= place < math.prod(d.shape):
        return None
    return tuple(int(i) for i in np.unravel_index(place, d.shape))
