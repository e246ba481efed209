"""What happens at each access: is the memory known and initialised, and who else touched it?

For each cell of memory the shadow holds the last write and two reads by different threads. An
access conflicts with one of these when it comes from another thread, one of the two writes, not
both are atomic, and nothing orders them:

- a barrier of the block, or of the grid, gives all its threads a new epoch;
- within a warp, ``known[a][b]`` is the clock of lane b that lane a has seen by meeting it;
- a thread that runs ``cuda.threadfence()`` and then an atomic publishes what it has done; a thread
  that runs an atomic on the same element afterwards has acquired it.

Two threads that write the same value do not conflict. Kernels call both functions by address, so
that these need not be compiled again with each kernel.
"""

from __future__ import annotations

from numba import njit

from .state import (
    ACQUIRED,
    ATOMIC,
    BLOCK,
    BLOCK_FENCES,
    BLOCK_SLOT,
    CELL_WORDS,
    CHANGES,
    CLOCKS,
    EPOCHS,
    FENCE,
    FENCES,
    FINDING_WORDS,
    FINDINGS,
    FOUND,
    GRID_EPOCH,
    HINTS,
    KNOWN,
    LOCAL,
    MOST_FINDINGS,
    NO_MEMORY,
    RACE,
    READ,
    REGION_TABLE,
    REGION_WORDS,
    REGIONS,
    RELEASE_SLOTS,
    RELEASES,
    REWRITE,
    SHARED,
    SLOT,
    THREAD,
    THREADS,
    TIME,
    UNINITIALISED,
    WARP,
    WRITE,
)

# First word of an entry: time, block, thread + 1. Second: site, atomic, epoch, clock.
WHO_BITS, THREAD_BITS = 40, 10
WHO = (1 << WHO_BITS) - 1
CLOCK_BITS, EPOCH_BITS = 16, 32
CLOCK, EPOCH = (1 << CLOCK_BITS) - 1, (1 << EPOCH_BITS) - 1
ATOMIC_BIT = CLOCK_BITS + EPOCH_BITS
INTERVAL = (1 << ATOMIC_BIT) - 1
SITE_BIT = ATOMIC_BIT + 1

inline = njit(error_model="numpy", inline="never")


@inline
def note(words, kind, site, other, other_site, address):
    """The row of a finding; a second finding of one kind at the same places only counts."""
    for n in range(words[FOUND]):
        row = words[FINDINGS] + n * FINDING_WORDS
        if words[row] == kind and words[row + 1] == site and words[row + 4] == other_site:
            words[row + 6] += 1
            return -1
    if words[FOUND] == MOST_FINDINGS:
        return -1
    row = words[FINDINGS] + words[FOUND] * FINDING_WORDS
    words[FOUND] += 1
    words[row], words[row + 1], words[row + 3], words[row + 4] = kind, site, other, other_site
    words[row + 2] = words[BLOCK] << THREAD_BITS | words[THREAD]
    words[row + 5], words[row + 6], words[row + 8] = address, 1, -1
    return row


@inline
def acquired(words, cells, time, block, thread, epoch):
    """True when an atomic has told this thread of what the other did before a fence."""
    got = words[words[ACQUIRED] + words[SLOT]]
    own = words[FENCES] + 2 * (block * words[THREADS] + thread)
    for k in range(2):
        if time < cells[own + k] <= got:
            return True
    whole = words[BLOCK_FENCES] + 4 * block
    last = time < cells[whole] <= got and epoch < cells[whole + 1]
    return last or (time < cells[whole + 2] <= got and epoch < cells[whole + 3])


@inline
def ordered(words, cells, first, second):
    """True when the earlier access of an entry happened before what this thread does now."""
    who = (first & WHO) - 1
    block, thread = who >> THREAD_BITS, who & ((1 << THREAD_BITS) - 1)
    epoch = second >> CLOCK_BITS & EPOCH
    if epoch < words[GRID_EPOCH]:
        return True
    if block == words[BLOCK]:
        if thread == words[THREAD] or epoch != words[words[EPOCHS] + words[BLOCK_SLOT]]:
            return True
        if thread // WARP == words[THREAD] // WARP:
            seen = words[words[KNOWN] + words[SLOT] * WARP + thread % WARP]
            if seen > second & CLOCK:
                return True
    return words[TIME] > 0 and acquired(words, cells, first >> WHO_BITS, block, thread, epoch)


@inline
def conflict(words, cells, place, site, address):
    """Report the race with an entry unless there is none."""
    first, second = cells[place], cells[place + 1]
    if first != 0 and not ordered(words, cells, first, second):
        note(words, RACE, site, (first & WHO) - 1, second >> SITE_BIT, address)


@inline
def read_cell(words, cells, p, me, mine, site, address):
    conflict(words, cells, p, site, address)
    for r in (p + 2, p + 4):
        if (
            cells[r] == 0
            or (cells[r] & WHO) == (me & WHO)
            or ordered(words, cells, cells[r], cells[r + 1])
        ):
            cells[r], cells[r + 1] = me, mine
            return


@inline
def write_cell(words, cells, p, me, mine, site, address, kind):
    both_atomic = kind == ATOMIC and cells[p + 1] >> ATOMIC_BIT & 1 == 1
    if kind != REWRITE and not both_atomic:
        conflict(words, cells, p, site, address)
    for r in (p + 2, p + 4):
        conflict(words, cells, r, site, address)
        cells[r] = 0
    own = (cells[p] & WHO) == (me & WHO) and (cells[p + 1] ^ mine) & INTERVAL == 0
    if not (kind == ATOMIC and own and cells[p + 1] >> ATOMIC_BIT & 1 == 0):  # a plain write counts
        cells[p], cells[p + 1] = me, mine


@inline
def local_cell(words, cells, p, me, site, address, kind):
    if kind != READ:
        cells[p] = me
    elif (cells[p] & WHO) != (me & WHO):
        note(words, UNINITIALISED, site, -1, -1, address)
        return False
    return True


@inline
def forget_other_blocks(words, cells, p):
    """Shared memory of a block that has ended: nothing is left of it."""
    for r in (p, p + 2, p + 4):
        if cells[r] != 0 and ((cells[r] & WHO) - 1) >> THREAD_BITS != words[BLOCK]:
            cells[r] = 0


@inline
def region_of(words, site, address):
    """The entry of the memory that holds the address, or -1; that of the last time first."""
    hint = words[HINTS] + site
    row = words[REGION_TABLE] + words[hint] * REGION_WORDS
    if words[row] <= address < words[row + 1]:
        return row
    for n in range(words[REGIONS]):
        row = words[REGION_TABLE] + n * REGION_WORDS
        if words[row] <= address < words[row + 1]:
            words[hint] = n
            return row
    return -1


@inline
def publish(words, cells, address):
    """An atomic: acquire what others have published at this element, publish what is fenced."""
    place, k = words[RELEASES] + 2 * ((address >> 2) % RELEASE_SLOTS), 0
    while k < RELEASE_SLOTS and words[place] != 0 and words[place] != address:
        k += 1
        place = words[RELEASES] + 2 * (((address >> 2) + k) % RELEASE_SLOTS)
    if k == RELEASE_SLOTS:
        return
    if words[place] == address:
        slot = words[ACQUIRED] + words[SLOT]
        words[slot] = max(words[slot], words[place + 1])
    own = cells[words[FENCES] + 2 * (words[BLOCK] * words[THREADS] + words[THREAD])]
    if own > 0:
        words[place] = address
        words[place + 1] = max(words[place + 1], own, words[words[ACQUIRED] + words[SLOT]])


@inline
def fence(words, cells):
    words[TIME] += 1
    own = words[FENCES] + 2 * (words[BLOCK] * words[THREADS] + words[THREAD])
    cells[own + 1] = cells[own]
    cells[own] = words[TIME]
    whole = words[BLOCK_FENCES] + 4 * words[BLOCK]
    cells[whole + 2], cells[whole + 3] = cells[whole], cells[whole + 1]
    cells[whole], cells[whole + 1] = words[TIME], words[words[EPOCHS] + words[BLOCK_SLOT]]


def touch(words, cells, site, address, size, kind):
    """Note an access and what is wrong with it; 0 when the memory is not the kernel's."""
    if kind == FENCE:
        fence(words, cells)
        return 1
    row = region_of(words, site, address)
    if row < 0:
        note(words, NO_MEMORY, site, -1, -1, address)
        return 0
    if kind == WRITE:
        words[CHANGES] += 1
    if kind == ATOMIC and words[TIME] > 0:
        publish(words, cells, address)
    first, unit, space = words[row], words[row + 2], words[row + 4]
    me = words[TIME] << WHO_BITS | (words[BLOCK] << THREAD_BITS | words[THREAD]) + 1
    mine = (
        site << SITE_BIT
        | words[words[EPOCHS] + words[BLOCK_SLOT]] << CLOCK_BITS
        | words[words[CLOCKS] + words[SLOT]]
    )
    if kind == ATOMIC:
        mine |= 1 << ATOMIC_BIT
    for cell in range((address - first) // unit, (address + size - 1 - first) // unit + 1):
        p = words[row + 3] + cell * CELL_WORDS
        if space == LOCAL:
            if not local_cell(words, cells, p, me, site, address, kind):
                return 1
            continue
        if space == SHARED:
            forget_other_blocks(words, cells, p)
            if cells[p] == 0 and (kind in (READ, ATOMIC)):
                note(words, UNINITIALISED, site, -1, -1, address)
        if kind == READ:
            read_cell(words, cells, p, me, mine, site, address)
        else:
            write_cell(words, cells, p, me, mine, site, address, kind)
    return 1


def report(words, kind, site, axis, extent, count, i0, i1, i2, i3):
    """Note a wrong index."""
    row = note(words, kind, site, -1, -1, 0)
    if row >= 0:
        words[row + 7], words[row + 8], words[row + 9] = axis, extent, count
        words[row + 10], words[row + 11], words[row + 12], words[row + 13] = i0, i1, i2, i3
    return 0
