"""Stream compaction: kept elements to the front, by ballots, by scans, by partition."""

from __future__ import annotations

import numpy as np
from numba import cuda, int32

from .entry import Entry, Launch, ceil_div, uniform

BLOCK = 128


@cuda.jit
def compact_ballot(x, out, count):
    """Positive elements, one atomic addition a warp; the order of warps is open."""
    i = cuda.grid(1)
    lane = cuda.laneid
    keep = i < x.size and x[i] > 0
    votes = cuda.ballot_sync(0xFFFFFFFF, keep)
    base = 0
    if lane == 0:
        base = cuda.atomic.add(count, 0, cuda.popc(votes))
    base = cuda.shfl_sync(0xFFFFFFFF, base, 0)
    if keep:
        out[base + cuda.popc(votes & ((1 << lane) - 1))] = x[i]


def make_compact_ballot(n, rng):
    x = uniform(rng, n) - np.float32(0.5)
    return Launch(ceil_div(n, BLOCK), BLOCK, (x, np.zeros_like(x), np.zeros(1, np.int32)))


def reference_compact_ballot(x, out, count):
    kept = x[x > 0]
    return np.concatenate([kept, np.zeros(len(x) - len(kept))]), np.array([len(kept)])


@cuda.jit
def compact_atomic(x, limit, out, count):
    """The simplest one: every kept element takes a place by an atomic addition."""
    i = cuda.grid(1)
    if i < x.size and x[i] < limit:
        place = cuda.atomic.add(count, 0, 1)
        out[place] = i


def make_compact_atomic(n, rng):
    x = rng.integers(0, 100, n).astype(np.int32)
    return Launch(ceil_div(n, BLOCK), BLOCK, (x, 20, np.zeros(n, np.int64), np.zeros(1, np.int64)))


def reference_compact_atomic(x, limit, out, count):
    kept = np.flatnonzero(x < limit)
    return np.concatenate([kept, np.zeros(len(x) - len(kept), int)]), np.array([len(kept)])


@cuda.jit
def compact_block(x, out, kept):
    """Each block keeps the even numbers of its part in order, places by a scan."""
    places = cuda.shared.array(BLOCK, int32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    keep = i < x.size and x[i] % 2 == 0
    places[t] = 1 if keep else 0
    cuda.syncthreads()
    offset = 1
    while offset < BLOCK:
        v = 0
        if t >= offset:
            v = places[t - offset]
        cuda.syncthreads()
        places[t] += v
        cuda.syncthreads()
        offset *= 2
    if keep:
        out[cuda.blockIdx.x * BLOCK + places[t] - 1] = x[i]
    if t == BLOCK - 1:
        kept[cuda.blockIdx.x] = places[t]


def make_compact_block(n, rng):
    x = rng.integers(1, 1 << 30, n).astype(np.int32)
    args = (x, np.zeros_like(x), np.zeros(ceil_div(n, BLOCK), np.int32))
    return Launch(ceil_div(n, BLOCK), BLOCK, args)


def reference_compact_block(x, out, kept):
    rows = np.concatenate([x, np.ones(-len(x) % BLOCK, int)]).reshape(-1, BLOCK)
    even = rows % 2 == 0
    order = np.argsort(~even, 1, kind="stable")
    moved = np.take_along_axis(np.where(even, rows, 0), order, 1)
    return moved.ravel()[: len(x)], even.sum(1)


@cuda.jit
def partition_block(x, pivot):
    """Each block puts its numbers below the pivot first, in order, with two shared counters."""
    below = cuda.shared.array(4, int32)
    t = cuda.threadIdx.x
    lane, warp = t % 32, t // 32
    i = cuda.grid(1)
    v = x[i]
    small = v < pivot
    votes = cuda.ballot_sync(0xFFFFFFFF, small)
    if lane == 0:
        below[warp] = cuda.popc(votes)
    total = cuda.syncthreads_count(1 if small else 0)
    before = 0
    for w in range(warp):
        before += below[w]
    place = before + cuda.popc(votes & cuda.lanemask_lt())
    if not small:
        place = total + t - place
    x[cuda.blockIdx.x * BLOCK + place] = v


def make_partition_block(n, rng):
    return Launch(n // BLOCK, BLOCK, (rng.integers(0, 100, n).astype(np.int16), 40))


def reference_partition_block(x, pivot):
    rows = x.reshape(-1, BLOCK)
    return np.take_along_axis(rows, np.argsort(rows >= pivot, 1, kind="stable"), 1).ravel()


def in_order(out, count):
    return np.sort(out), count


ODD, LARGE = (1, 129, 1001), 1 << 20
ENTRIES = [
    Entry(compact_ballot, make_compact_ballot, reference_compact_ballot, 200, ODD, LARGE,
          outputs=(1, 2), settle=in_order, restore=(2,)),
    Entry(compact_atomic, make_compact_atomic, reference_compact_atomic, 200, ODD, LARGE,
          outputs=(2, 3), settle=in_order, restore=(3,)),
    Entry(compact_block, make_compact_block, reference_compact_block, 200, ODD, LARGE,
          outputs=(1, 2)),
    Entry(partition_block, make_partition_block, reference_partition_block, 128, (128, 1280),
          LARGE, outputs=(0,)),
]  # fmt: skip
