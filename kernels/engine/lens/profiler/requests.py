"""From requests to figures: sectors, wavefronts, lanes, contention, divergence.

What memory does with the addresses of one request (NVIDIA, "Nsight Compute Documentation", kernel
profiling guide; "CUDA C++ Best Practices Guide", section "Memory Optimizations"):

- global memory is read and written in *sectors* of 32 bytes: the figure is how many different
  sectors the lanes touch, and how many their bytes would fill if they lay together;
- shared memory has 32 *banks*, a word of 4 bytes wide; in one *wavefront* each bank serves one
  word, to every lane that wants it. Elements of 8 bytes are served to half a warp at a time, of 16
  bytes to a quarter;
- an atomic on one address by several lanes is done one after the other.

The rule for elements of 8 and 16 bytes is a model: hardware may serve equal addresses of different
parts of a warp together. Nothing here has been compared with a GPU's counters yet;
``bench.lens_vs_ncu`` does it where there is one.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..state import ATOMIC, GLOBAL, READ, SHARED, WARP
from .recorder import (
    ADDRESSES,
    BRANCH,
    CAPACITY,
    HEADER,
    KEY,
    KIND_BITS,
    LANES,
    ROW,
    SITE_BITS,
    SPACE_BITS,
    USED,
    WHAT,
)

SECTOR, WORD, BANKS = 32, 4, 32
# Columns of the figures of a place and a memory.
(
    REQUESTS,
    ACTIVE,  # lanes that took part
    USEFUL,  # different bytes that the lanes asked for
    SECTORS,
    IDEAL_SECTORS,
    WAVEFRONTS,
    IDEAL_WAVEFRONTS,
    BUSIEST,  # lanes on the address that most lanes want
    DIVERGENT,  # branches that went both ways
    LOADS,
    STORES,
    ATOMICS,
) = range(12)
COLUMNS = 12
SPACES = 3  # global, shared, branches
BRANCHES = 2
# A sample is a request as a row: its figures, who asked for how much, and the addresses by lane.
FIRST, WORST = 0, 1
SAMPLES = 2
SAMPLE_LANES, SAMPLE_WARP, SAMPLE_SIZE = COLUMNS, COLUMNS + 1, COLUMNS + 2
SAMPLE_ADDRESSES = COLUMNS + 3
SAMPLE = SAMPLE_ADDRESSES + WARP


@njit(error_model="numpy")
def sort(values, n):
    """In place; the addresses of a warp mostly come in order."""
    for i in range(1, n):
        v, j = values[i], i - 1
        while j >= 0 and values[j] > v:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = v


@njit(error_model="numpy")
def different(values, n):
    """How many different ones among sorted values."""
    count = 1 if n else 0
    for i in range(1, n):
        if values[i] != values[i - 1]:
            count += 1
    return count


@njit(error_model="numpy")
def longest_run(values, n):
    """How often the most frequent of sorted values occurs."""
    best, run = 1 if n else 0, 1
    for i in range(1, n):
        run = run + 1 if values[i] == values[i - 1] else 1
        best = max(best, run)
    return best


@njit(error_model="numpy")
def spread(addresses, n, size, width, out):
    """The numbers of all stretches of ``width`` bytes that the elements touch, sorted; how many."""
    m = 0
    for i in range(n):
        for part in range(addresses[i] // width, (addresses[i] + size - 1) // width + 1):
            out[m] = part
            m += 1
    sort(out, m)
    return m


@njit(error_model="numpy")
def wavefronts(words, m):
    """Words in the fullest bank."""
    counts = np.zeros(BANKS, np.int64)
    for i in range(m):
        if i == 0 or words[i] != words[i - 1]:
            counts[words[i] % BANKS] += 1
    return counts.max()


@njit(error_model="numpy")
def shared_request(figures, lanes, addresses, size, out):
    """Wavefronts of a request, group by group; ``addresses`` by lane."""
    group = WARP if size <= WORD else WARP * WORD // size
    packed = np.empty(WARP, np.int64)
    for first in range(0, WARP, group):
        n = 0
        for lane in range(first, first + group):
            if lanes >> lane & 1:
                packed[n] = addresses[lane]
                n += 1
        if n:
            m = spread(packed, n, size, WORD, out)
            figures[WAVEFRONTS] += wavefronts(out, m)
            figures[IDEAL_WAVEFRONTS] += 1


@njit(error_model="numpy")
def virtual(regions, address, space, shared_row):
    """The address that the element would have on a GPU, where arrays begin at multiples of 256."""
    for r in range(regions.shape[0]):
        if regions[r, 0] <= address < regions[r, 1]:
            if space == SHARED:
                return (address - regions[r, 0]) % shared_row
            return regions[r, 2] + address - regions[r, 0]
    return address


@njit(error_model="numpy")
def excess(one):
    """What makes a request worse than another: turns and sectors beyond the ideal."""
    turns = one[WAVEFRONTS] - one[IDEAL_WAVEFRONTS]
    return one[SECTORS] - one[IDEAL_SECTORS] + turns + one[BUSIEST] + one[DIVERGENT]


@njit(error_model="numpy")
def fill(sample, one, lanes, warp, size, addresses):
    """Write a request into the row of a sample."""
    sample[:COLUMNS] = one
    sample[SAMPLE_LANES], sample[SAMPLE_WARP], sample[SAMPLE_SIZE] = lanes, warp, size
    sample[SAMPLE_ADDRESSES:] = addresses


def count(table, figures, samples, worst, regions, shared_row, touched, widths):
    """Add the requests of the table to ``figures`` (places, memories, columns) and empty it.

    ``samples``: (places, memories, first and worst, columns), the requests kept; ``worst``: how
    far the worst ones are from the ideal.
    ``widths``: how many elements side by side the instruction of a place takes, of which the place
    is the first; 0 for the others.
    """
    addresses = np.empty(WARP, np.int64)
    packed = np.empty(WARP, np.int64)
    out = np.empty(WARP * 17, np.int64)
    one = np.zeros(COLUMNS, np.int64)
    for k in range(table[USED]):
        row = HEADER + CAPACITY + table[HEADER + k] * ROW
        site = (table[row + KEY] - 1) & ((1 << SITE_BITS) - 1)
        warp = (table[row + KEY] - 1) >> SITE_BITS
        lanes, what = table[row + LANES], table[row + WHAT]
        space = what & ((1 << SPACE_BITS) - 1)
        kind = what >> SPACE_BITS & ((1 << KIND_BITS) - 1)
        size = (what >> (SPACE_BITS + KIND_BITS)) * widths[site]
        n = 0
        for lane in range(WARP):
            if lanes >> lane & 1:
                address = table[row + ADDRESSES + lane]
                if kind != BRANCH:
                    address = virtual(regions, address, space, shared_row)
                addresses[lane] = packed[n] = address
                n += 1
        if widths[site]:
            place = BRANCHES if kind == BRANCH else space
            one[:] = 0
            request(one, kind, space, lanes, addresses, packed[:n], size, out, touched)
            if figures[site, place, REQUESTS] == 0 or excess(one) > worst[site, place]:
                worst[site, place] = excess(one)
                given = table[row + ADDRESSES : row + ROW]
                fill(samples[site, place, WORST], one, lanes, warp, size, given)
                if figures[site, place, REQUESTS] == 0:
                    samples[site, place, FIRST] = samples[site, place, WORST]
            for column in range(COLUMNS):
                figures[site, place, column] += one[column]
        table[row : row + ADDRESSES] = 0
    table[USED] = 0


@njit(error_model="numpy")
def request(one, kind, space, lanes, addresses, packed, size, out, touched):
    """The figures of one request; ``packed`` has the addresses of the active lanes."""
    n = len(packed)
    one[REQUESTS], one[ACTIVE] = 1, n
    if kind == BRANCH:
        one[DIVERGENT] = 0 < packed.sum() < n
        return
    one[LOADS if kind == READ else ATOMICS if kind == ATOMIC else STORES] = 1
    if space == SHARED:
        shared_request(one, lanes, addresses, size, out)
    sort(packed, n)
    if kind == ATOMIC:
        one[BUSIEST] = longest_run(packed, n)
    one[USEFUL] = different(packed, n) * size
    if space == GLOBAL:
        m = spread(packed, n, size, SECTOR, out)
        one[SECTORS] = different(out, m)
        one[IDEAL_SECTORS] = (one[USEFUL] + SECTOR - 1) // SECTOR
        for i in range(m):
            touched[out[i]] = 1
