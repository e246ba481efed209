"""Warp-level primitives: votes, matches, masks, broadcasts, butterflies, sorting in a warp."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32

from .entry import Entry, Launch, ceil_div, normal, rounded, uniform

BLOCK = 64


@cuda.jit
def warp_votes(x, masks, every, some, same):
    """Ballot, all, any and eq of each warp."""
    i = cuda.grid(1)
    positive = i < x.size and x[i] > 0
    mask = cuda.ballot_sync(0xFFFFFFFF, positive)
    a = cuda.all_sync(0xFFFFFFFF, positive)
    b = cuda.any_sync(0xFFFFFFFF, positive)
    c = cuda.eq_sync(0xFFFFFFFF, positive)
    if cuda.laneid == 0:
        w = i // 32
        masks[w] = mask
        every[w] = a
        some[w] = b
        same[w] = c


def warps_of(n):
    return ceil_div(n, BLOCK) * BLOCK // 32


def make_warp_votes(n, rng):
    x = (rng.integers(0, 4, n) - rng.integers(0, 3, n // 32 + 1)[np.arange(n) // 32]).astype("i4")
    outs = [np.zeros(warps_of(n), t) for t in (np.uint32, np.bool_, np.bool_, np.bool_)]
    return Launch(ceil_div(n, BLOCK), BLOCK, (x, *outs))


def reference_warp_votes(x, masks, every, some, same):
    padded = np.concatenate([x > 0, np.zeros(32 * len(masks) - len(x), bool)]).reshape(-1, 32)
    bits = (padded.astype(np.int64) << np.arange(32)).sum(1)
    every, some = padded.all(1), padded.any(1)
    return bits, every, some, every | ~some


@cuda.jit
def warp_groups(keys, sizes, leaders):
    """match_any: how many lanes hold the same key, and the first of them."""
    i = cuda.grid(1)
    peers = cuda.match_any_sync(0xFFFFFFFF, keys[i])
    sizes[i] = cuda.popc(peers)
    leaders[i] = cuda.ffs(peers) - 1


def make_warp_groups(n, rng):
    keys = rng.integers(0, 9, n).astype(np.int32)
    return Launch(n // BLOCK, BLOCK, (keys, np.zeros(n, np.int32), np.zeros(n, np.int32)))


def reference_warp_groups(keys, sizes, leaders):
    rows = keys.reshape(-1, 32)
    same = rows[:, :, None] == rows[:, None]
    return same.sum(2).ravel(), same.argmax(2).ravel()


@cuda.jit
def warp_uniform(keys, flags):
    """match_all: whether all lanes hold one key; the mask is full or 0."""
    i = cuda.grid(1)
    mask, agree = cuda.match_all_sync(0xFFFFFFFF, keys[i])
    flags[i] = cuda.popc(mask) + (100 if agree else 0)


def make_warp_uniform(n, rng):
    noise = (rng.random(n) < 0.01).astype(np.int64)
    return Launch(n // BLOCK, BLOCK, (np.arange(n) // 32 + noise, np.zeros(n, np.int32)))


def reference_warp_uniform(keys, flags):
    rows = keys.reshape(-1, 32)
    return np.repeat(132 * (rows == rows[:, :1]).all(1), 32)


@cuda.jit
def warp_rank(x, ranks):
    """Rank of each set lane among the set lanes before it, by lanemask_lt."""
    i = cuda.grid(1)
    bit = x[i] & 1
    votes = cuda.ballot_sync(0xFFFFFFFF, bit == 1)
    ranks[i] = cuda.popc(votes & cuda.lanemask_lt()) if bit else -1


def make_warp_rank(n, rng):
    return Launch(n // BLOCK, BLOCK, (rng.integers(0, 99, n), np.zeros(n, np.int32)))


def reference_warp_rank(x, ranks):
    rows = (x & 1).reshape(-1, 32)
    return np.where(rows == 1, np.cumsum(rows, 1) - 1, -1).ravel()


@cuda.jit
def warp_broadcast(x, out):
    """Differences to the value of lane 7 of the warp."""
    i = cuda.grid(1)
    v = x[i]
    out[i] = v - cuda.shfl_sync(0xFFFFFFFF, v, 7)


def make_pair(n, rng):
    x = normal(rng, n)
    return Launch(n // BLOCK, BLOCK, (x, np.zeros_like(x)))


@cuda.jit
def warp_maximum(x, out):
    """Maximum of each warp by a butterfly of shfl_xor in a while loop."""
    i = cuda.grid(1)
    v = x[i]
    k = 16
    while k > 0:
        v = max(v, cuda.shfl_xor_sync(0xFFFFFFFF, v, k))
        k >>= 1
    out[i] = v


@cuda.jit
def warp_reverse(x, out):
    """Mirrors each warp: the source lane is computed; 64-bit values."""
    i = cuda.grid(1)
    out[i] = cuda.shfl_sync(0xFFFFFFFF, x[i], 31 - cuda.laneid)


def make_warp_reverse(n, rng):
    x = rng.integers(-(1 << 62), 1 << 62, n)
    return Launch(n // BLOCK, BLOCK, (x, np.zeros_like(x)))


@cuda.jit
def warp_sort(x):
    """Each warp sorts its 32 numbers by a bitonic network of shuffles."""
    i = cuda.grid(1)
    lane = cuda.threadIdx.x & 31
    v = x[i]
    size = 2
    while size <= 32:
        stride = size >> 1
        while stride > 0:
            other = cuda.shfl_xor_sync(0xFFFFFFFF, v, stride)
            ascending = (lane & size) == 0
            lower = (lane & stride) == 0
            if ascending == lower:
                v = min(v, other)
            else:
                v = max(v, other)
            stride >>= 1
        size <<= 1
    x[i] = v


def make_warp_sort(n, rng):
    return Launch(n // BLOCK, BLOCK, (uniform(rng, n),))


@cuda.jit
def block_votes(x, counts, flags):
    """syncthreads_count, _and and _or of each block."""
    i = cuda.grid(1)
    n = cuda.syncthreads_count(int(x[i] > 10))
    every = cuda.syncthreads_and(int(x[i] >= 0))
    some = cuda.syncthreads_or(int(x[i] == 99))
    if cuda.threadIdx.x == 0:
        counts[cuda.blockIdx.x] = n
        flags[cuda.blockIdx.x] = (1 if every else 0) + (2 if some else 0)


def make_block_votes(n, rng):
    x, zeros = rng.integers(0, 100, n), np.zeros(n // BLOCK, np.int32)
    x[rng.random(n) < 0.01] = -1
    return Launch(n // BLOCK, BLOCK, (x, zeros, zeros.copy()))


def reference_block_votes(x, counts, flags):
    rows = x.reshape(-1, BLOCK)
    return (rows > 10).sum(1), (rows >= 0).all(1) + 2 * (rows == 99).any(1)


@cuda.jit
def warp_moments(x, mean, deviation):
    """Mean and variance of each warp; two shuffled values in one loop, divergent store."""
    i = cuda.grid(1)
    a = x[i]
    b = a * a
    for k in (16, 8, 4, 2, 1):
        a += cuda.shfl_down_sync(0xFFFFFFFF, a, k)
        b += cuda.shfl_down_sync(0xFFFFFFFF, b, k)
    if cuda.laneid == 0:
        m = a / float32(32)
        mean[i // 32] = m
        deviation[i // 32] = b / float32(32) - m * m


def make_warp_moments(n, rng):
    zeros = np.zeros(n // 32, np.float32)
    return Launch(n // BLOCK, BLOCK, (uniform(rng, n), zeros, zeros.copy()))


def reference_warp_moments(x, mean, deviation):
    rows = x.reshape(-1, 32)
    return rows.mean(1), rows.var(1)


def by_warps(function):
    return lambda x, *_: function(x.reshape(-1, 32)).ravel()


EVEN, LARGE = (64, 1280), 1 << 20
ENTRIES = [
    Entry(warp_votes, make_warp_votes, reference_warp_votes, 100, (1, 67, 1001), LARGE,
          outputs=(1, 2, 3, 4)),
    Entry(warp_groups, make_warp_groups, reference_warp_groups, 64, EVEN, 1 << 17, outputs=(1, 2)),
    Entry(warp_uniform, make_warp_uniform, reference_warp_uniform, 64, EVEN, LARGE),
    Entry(warp_rank, make_warp_rank, reference_warp_rank, 64, EVEN, LARGE),
    Entry(warp_broadcast, make_pair, by_warps(lambda w: w - w[:, 7:8]), 64, EVEN, LARGE,
          tolerance=rounded(1, "one difference")),
    Entry(warp_maximum, make_pair, by_warps(lambda w: np.repeat(w.max(1), 32)), 64, EVEN, LARGE),
    Entry(warp_reverse, make_warp_reverse, by_warps(lambda w: w[:, ::-1]), 64, EVEN, LARGE),
    Entry(warp_sort, make_warp_sort, by_warps(lambda w: np.sort(w, 1)), 64, EVEN, LARGE),
    Entry(block_votes, make_block_votes, reference_block_votes, 64, EVEN, LARGE, outputs=(1, 2)),
    Entry(warp_moments, make_warp_moments, reference_warp_moments, 64, EVEN, LARGE,
          outputs=(1, 2), tolerance=rounded(60, "five additions; the variance loses 3 bits")),
]  # fmt: skip
