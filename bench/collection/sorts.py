"""Sorting: bitonic in shared and global memory, odd-even, by rank, radix steps, merging."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, int32

from .entry import Entry, Launch, ceil_div, uniform

BLOCK = 256
DOUBLE = 512
SHORT = 16


@cuda.jit
def sort_bitonic(x):
    """Each block sorts 512 elements by a bitonic network in shared memory."""
    s = cuda.shared.array(DOUBLE, float32)
    t = cuda.threadIdx.x
    base = cuda.blockIdx.x * DOUBLE
    s[t] = x[base + t]
    s[t + BLOCK] = x[base + t + BLOCK]
    k = 2
    while k <= DOUBLE:
        j = k >> 1
        while j > 0:
            cuda.syncthreads()
            i = 2 * t - (t & (j - 1))
            up = (i & k) == 0
            a = s[i]
            b = s[i + j]
            if (a > b) == up:
                s[i] = b
                s[i + j] = a
            j >>= 1
        k <<= 1
    cuda.syncthreads()
    x[base + t] = s[t]
    x[base + t + BLOCK] = s[t + BLOCK]


@cuda.jit
def sort_odd_even(x):
    """Each block sorts 256 elements by odd-even transposition."""
    s = cuda.shared.array(BLOCK, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    s[t] = x[i]
    cuda.syncthreads()
    for phase in range(BLOCK):
        if t % 2 == phase % 2 and t + 1 < BLOCK and s[t] > s[t + 1]:
            s[t], s[t + 1] = s[t + 1], s[t]
        cuda.syncthreads()
    x[i] = s[t]


def make_in_place(elements):
    def make(n, rng):
        return Launch(n // elements, BLOCK, (uniform(rng, n),))

    return make


@cuda.jit
def bitonic_step(x, j, k):
    """One compare-exchange step of a bitonic network over the whole array."""
    i = cuda.grid(1)
    other = i ^ j
    if other > i and other < x.size:
        if (i & k) == 0:
            if x[i] > x[other]:
                x[i], x[other] = x[other], x[i]
        else:
            if x[i] < x[other]:
                x[i], x[other] = x[other], x[i]


def make_bitonic_steps(n, rng):
    x, steps, k = uniform(rng, n), [], 2
    while k <= n:
        j = k // 2
        while j > 0:
            steps.append(Launch(ceil_div(n, BLOCK), BLOCK, (x, j, k)))
            j //= 2
        k *= 2
    return steps


@cuda.jit
def sort_by_rank(x, out):
    """Each thread counts the smaller elements and writes its own to that place."""
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        rank = 0
        for j in range(x.size):
            if x[j] < v or (x[j] == v and j < i):
                rank += 1
        out[rank] = v


def make_sort_by_rank(n, rng):
    x = rng.integers(0, 1000, n).astype(np.float32)
    return Launch(ceil_div(n, BLOCK), BLOCK, (x, np.zeros_like(x)))


@cuda.jit
def radix_count(keys, shift, counts):
    """First step of a radix sort: how often each 4-bit digit occurs in each block's part."""
    local = cuda.shared.array(16, int32)
    t = cuda.threadIdx.x
    if t < 16:
        local[t] = 0
    cuda.syncthreads()
    i = cuda.grid(1)
    if i < keys.size:
        digit = (keys[i] >> shift) & 15
        cuda.atomic.add(local, digit, 1)
    cuda.syncthreads()
    if t < 16:
        counts[t, cuda.blockIdx.x] = local[t]


def make_radix_count(n, rng):
    blocks = ceil_div(n, BLOCK)
    keys = rng.integers(0, 1 << 32, n).astype(np.uint32)
    return Launch(blocks, BLOCK, (keys, np.uint32(8), np.zeros((16, blocks), np.int32)))


def reference_radix_count(keys, shift, counts):
    digits, blocks = (keys >> shift) & 15, np.arange(keys.size) // BLOCK
    flat = np.bincount(digits.astype(int) * counts.shape[1] + blocks, minlength=counts.size)
    return flat.reshape(counts.shape)


@cuda.jit
def sort_radix_block(keys):
    """Each block sorts 256 16-bit keys bit by bit: votes give every key its place."""
    s = cuda.shared.array(BLOCK, int32)
    zeros = cuda.shared.array(8, int32)
    t = cuda.threadIdx.x
    lane, warp = t & 31, t >> 5
    below = (1 << lane) - 1
    key = keys[cuda.grid(1)]
    for bit in range(16):
        one = (key >> bit) & 1
        votes = cuda.ballot_sync(0xFFFFFFFF, one == 0)
        if lane == 0:
            zeros[warp] = cuda.popc(votes)
        cuda.syncthreads()
        before = 0
        total = 0
        for w in range(8):
            if w < warp:
                before += zeros[w]
            total += zeros[w]
        place = before + cuda.popc(votes & below)
        if one == 1:
            place = total + t - place
        s[place] = key
        cuda.syncthreads()
        key = s[t]
        cuda.syncthreads()
    keys[cuda.grid(1)] = key


def make_sort_radix_block(n, rng):
    return Launch(n // BLOCK, BLOCK, (rng.integers(0, 1 << 16, n).astype(np.int32),))


def rows_sorted(elements):
    return lambda x: np.sort(x.reshape(-1, elements), 1).ravel()


@cuda.jit(device=True)
def lower_bound(x, v, inclusive):
    """Number of elements of the sorted array below v, or up to v if inclusive."""
    low, high = 0, x.size
    while low < high:
        middle = (low + high) // 2
        if x[middle] < v or (inclusive and x[middle] == v):
            low = middle + 1
        else:
            high = middle
    return low


@cuda.jit
def merge_sorted(a, b, out):
    """Merges two sorted arrays; every element finds its place by a binary search."""
    i = cuda.grid(1)
    if i < a.size:
        out[i + lower_bound(b, a[i], False)] = a[i]
    if i < b.size:
        out[i + lower_bound(a, b[i], True)] = b[i]


def make_merge_sorted(n, rng):
    a, b = np.sort(rng.integers(0, n, n)), np.sort(rng.integers(0, n, n // 2))
    return Launch(ceil_div(n, BLOCK), BLOCK, (a, b, np.zeros(n + n // 2, np.int64)))


@cuda.jit
def sort_insertion(rows):
    """Each thread sorts a row of sixteen numbers in a local array."""
    i = cuda.grid(1)
    if i >= rows.shape[0]:
        return
    a = cuda.local.array(SHORT, float32)
    for k in range(SHORT):
        a[k] = rows[i, k]
    for k in range(1, SHORT):
        v = a[k]
        j = k - 1
        while j >= 0 and a[j] > v:
            a[j + 1] = a[j]
            j -= 1
        a[j + 1] = v
    for k in range(SHORT):
        rows[i, k] = a[k]


def make_sort_insertion(n, rng):
    return Launch(ceil_div(n, 128), 128, (uniform(rng, n, SHORT),))


ODD = (1, 257, 1001)
ENTRIES = [
    Entry(sort_bitonic, make_in_place(DOUBLE), rows_sorted(DOUBLE), 512, (512, 5120), 1 << 21),
    Entry(sort_odd_even, make_in_place(BLOCK), rows_sorted(BLOCK), 256, (256, 1280), 1 << 18),
    Entry(bitonic_step, make_bitonic_steps, lambda x, j, k: np.sort(x), 64, (2, 64, 1024),
          1 << 16, outputs=(0,), work=lambda x, j, k: 2.0 * x.nbytes * sum(range(17))),
    Entry(sort_by_rank, make_sort_by_rank, lambda x, out: np.sort(x), 100, ODD, 4096,
          work=lambda x, out: 4.0 * x.size**2),
    Entry(radix_count, make_radix_count, reference_radix_count, 300, ODD, 1 << 22),
    Entry(sort_radix_block, make_sort_radix_block, rows_sorted(BLOCK), 256, (256, 1280), 1 << 20),
    Entry(merge_sorted, make_merge_sorted, lambda a, b, out: np.sort(np.concatenate([a, b])), 100,
          ODD, 1 << 19),
    Entry(sort_insertion, make_sort_insertion, lambda rows: np.sort(rows, 1), 20, ODD, 1 << 17),
]  # fmt: skip
