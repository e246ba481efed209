"""The memory that a checked launch shares with its compiled code, one array of 64-bit integers.

The first words are a header: where tables lie, and what runs now. The tables follow. ``State``
gives Python the same words as NumPy views.

Shadow memory lies apart. It has six words for each cell of memory: the last write and two reads by
different threads, two words each (see ``shadow``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

TOUCH, REPORT, SHADOW = 0, 1, 2  # addresses: of the two functions in ``shadow``, of the shadow
THREAD, BLOCK, SLOT, BLOCK_SLOT = 3, 4, 5, 6  # what runs now
TIME, CHANGES, FOUND, REGIONS = 7, 8, 9, 10  # fences, changes of memory, findings, known memory
THREADS, GRID_EPOCH = 11, 12
BLOCK_DIM, GRID_DIM = 14, 17
EPOCHS, CLOCKS, KNOWN, ACQUIRED, FENCES, BLOCK_FENCES = 20, 21, 22, 23, 24, 25
GIVEN, MASKS, BY, TAKEN, RESULTS, RETURNED, HINTS, FINDINGS, REGION_TABLE, RELEASES = range(26, 36)
HEADER = 40

WARP = 32
CELL_WORDS = 6
REGION_WORDS = 5  # first address, address after the last, bytes per cell, place of its cells, space
FINDING_WORDS = 16  # kind, site, who, other who, other site, address, count, axis, extent, indices
MOST_FINDINGS, MOST_REGIONS, RELEASE_SLOTS = 64, 64, 1024
SITE_BITS = 14

GLOBAL, SHARED, LOCAL = 0, 1, 2
READ, WRITE, ATOMIC, REWRITE, FENCE = range(5)
"""Kinds of access; REWRITE stores the value that was there before."""

(OUT_OF_BOUNDS, NEGATIVE, UNINITIALISED, RACE, NO_MEMORY) = range(5)
"""What compiled code finds."""


class State:
    """The shared words of one launch, and views of its tables."""

    def __init__(self, threads: int, slots: int, sites: int) -> None:
        """``slots``: blocks that are alive at the same time."""
        lanes = threads * slots
        sizes: dict[int, int] = {
            EPOCHS: slots,
            CLOCKS: lanes,
            KNOWN: lanes * WARP,
            ACQUIRED: lanes,
            GIVEN: 2 * lanes,
            MASKS: lanes,
            BY: lanes,
            TAKEN: 2 * lanes,
            RESULTS: lanes,
            RETURNED: lanes,
            HINTS: sites + 1,
            FINDINGS: FINDING_WORDS * MOST_FINDINGS,
            REGION_TABLE: REGION_WORDS * MOST_REGIONS,
            RELEASES: 2 * RELEASE_SLOTS,
        }
        self.words = np.zeros(HEADER + sum(sizes.values()), np.int64)
        self.table: dict[int, Any] = {}
        start = HEADER
        for name, size in sizes.items():
            self.words[name] = start
            self.table[name] = self.words[start : start + size]
            start += size
        self.words[THREADS] = threads

    def findings(self) -> np.ndarray:
        """One row for each finding of the compiled code."""
        rows = self.table[FINDINGS].reshape(-1, FINDING_WORDS)
        return rows[: int(self.words[FOUND])]
