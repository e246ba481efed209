"""What a profiled kernel calls at each access and each branch, and the table of requests it fills.

A *request* is what the lanes of a warp ask of memory at once. Its key is the warp, the place in the
source and the path of loop turns; its row holds an address for each lane that took part. Threads
run one after the other, so the rows of a block fill up lane by lane and are read when it ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types as nb
from numba.extending import intrinsic

from ..access import INT, TOUCH_TYPE, WORDS
from ..shadow import region_of
from ..state import BLOCK, FENCE, LOCAL, SHADOW, THREAD, THREADS, TOUCH, WARP

PATH, FLOPS = 36, 37  # words of the state's header
BRANCH = 5  # a kind of access beside those of the state: address 1 where the branch is taken

CAPACITY = 1 << 18  # rows; half of them are used at most
USED, DROPPED = 0, 1  # header of the table
HEADER = 2
ROW = 4 + WARP  # key, path, lanes, what; then the addresses
KEY, LANES, WHAT, ADDRESSES = 0, 2, 3, 4
SITE_BITS = 14
SPACE_BITS, KIND_BITS = 2, 4  # of ``what``: space, kind, size


@njit(error_model="numpy", inline="never")
def row_for(table, key, path, bit):
    """The row of a request that this lane has not joined yet; -1 where the table is full."""
    while True:
        place = ((key * 7046029254386353131) ^ (path * 2685821657736338717)) >> 20 & (CAPACITY - 1)
        while True:
            row = HEADER + CAPACITY + place * ROW
            if table[row + KEY] == 0:
                if table[USED] == CAPACITY // 2:
                    return -1
                table[HEADER + table[USED]] = place
                table[USED] += 1
                table[row], table[row + 1] = key, path
                return row
            if table[row] == key and table[row + 1] == path:
                break
            place = (place + 1) & (CAPACITY - 1)
        if table[row + LANES] & bit == 0:
            return row
        path += 1  # the lane is there again in one turn: a request of its own


def record(words, table, site, address, size, kind):
    """Join the request of this warp at this place; 0 where the memory is not the kernel's."""
    if kind == FENCE:
        return 1
    space = 0
    if kind != BRANCH:
        found = region_of(words, site, address)
        if found < 0:
            return 0
        space = words[found + 4]
        if space == LOCAL:
            return 1  # registers, or memory of which each lane has its own column
    lane = words[THREAD] % WARP
    warps = (words[THREADS] + WARP - 1) // WARP
    warp = words[BLOCK] * warps + words[THREAD] // WARP
    row = row_for(table, (warp << SITE_BITS | site) + 1, words[PATH], 1 << lane)
    if row < 0:
        table[DROPPED] += 1
        return 1
    table[row + LANES] |= 1 << lane
    table[row + WHAT] = size << (SPACE_BITS + KIND_BITS) | kind << SPACE_BITS | space
    table[row + ADDRESSES + lane] = address
    return 1


def empty_table() -> np.ndarray:
    """A table without requests."""
    return np.zeros(HEADER + CAPACITY * (1 + ROW), np.int64)


@njit
def deeper(path, turn):
    """The path inside a loop: a number that differs for different turns (modulo chance)."""
    return path * 6364136223846793005 + turn


@intrinsic
def branch(tyctx, state, site, taken):
    """Notes which way the thread goes, and returns it."""

    def codegen(ctx, bld, sig, args):
        bit = ctx.is_true(bld, sig.args[2], args[2])
        words = ctx.make_array(sig.args[0])(ctx, bld, args[0]).data
        function, table = (bld.load(bld.gep(words, [INT(k)])) for k in (TOUCH, SHADOW))
        site = ctx.cast(bld, args[1], sig.args[1], nb.int64)
        given = [words, bld.inttoptr(table, WORDS), site, bld.zext(bit, INT), INT(0), INT(BRANCH)]
        bld.call(bld.inttoptr(function, TOUCH_TYPE.as_pointer()), given)
        return bit

    return nb.boolean(state, site, taken), codegen


@intrinsic(prefer_literal=True)
def flop(tyctx, state, value, count):
    """Counts operations whose result is a floating-point number, and returns the number."""
    kind = nb.unliteral(value)

    def codegen(ctx, bld, sig, args):
        if isinstance(kind, (nb.Float, nb.Complex)):
            lens = ctx.make_array(sig.args[0])(ctx, bld, args[0]).data
            place = bld.gep(lens, [INT(FLOPS)])
            more = ir.Constant(INT, count.literal_value * (1 + isinstance(kind, nb.Complex)))
            bld.store(bld.add(bld.load(place), more), place)
        return ctx.cast(bld, args[1], sig.args[1], kind)

    return kind(state, value, count), codegen


FUNCTIONS: dict[str, Any] = {"branch_": branch, "deeper_": deeper, "flop_": flop}
