"""Prefix sums: Hillis-Steele, Blelloch, by warps, with carries, chained over blocks."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, int32

from .entry import Entry, Launch, ceil_div, rounded, uniform

BLOCK = 256
DOUBLE = 512


@cuda.jit
def scan_hillis_steele(x, out):
    """Inclusive scan of each block of 512 elements in log2(512) sweeps."""
    buffer = cuda.shared.array(512, float32)
    tid, n, i = cuda.threadIdx.x, cuda.blockDim.x, cuda.grid(1)
    buffer[tid] = x[i] if i < x.size else 0
    cuda.syncthreads()
    offset = 1
    while offset < n:
        v = buffer[tid]
        if tid >= offset:
            v += buffer[tid - offset]
        cuda.syncthreads()
        buffer[tid] = v
        cuda.syncthreads()
        offset *= 2
    if i < x.size:
        out[i] = buffer[tid]


@cuda.jit
def scan_double_buffer(x, out):
    """Hillis-Steele with two buffers and one barrier a sweep."""
    buffer = cuda.shared.array((2, BLOCK), float32)
    tid = cuda.threadIdx.x
    i = cuda.grid(1)
    source, target = 0, 1
    buffer[source, tid] = x[i] if i < x.size else 0
    cuda.syncthreads()
    offset = 1
    while offset < BLOCK:
        if tid >= offset:
            buffer[target, tid] = buffer[source, tid] + buffer[source, tid - offset]
        else:
            buffer[target, tid] = buffer[source, tid]
        source, target = target, source
        cuda.syncthreads()
        offset <<= 1
    if i < x.size:
        out[i] = buffer[source, tid]


@cuda.jit
def scan_blelloch(x, out):
    """Work-efficient exclusive scan: up-sweep, clear the root, down-sweep."""
    s = cuda.shared.array(DOUBLE, float32)
    t = cuda.threadIdx.x
    base = cuda.blockIdx.x * DOUBLE
    s[2 * t] = x[base + 2 * t]
    s[2 * t + 1] = x[base + 2 * t + 1]
    offset = 1
    d = BLOCK
    while d > 0:
        cuda.syncthreads()
        if t < d:
            left = offset * (2 * t + 1) - 1
            right = offset * (2 * t + 2) - 1
            s[right] += s[left]
        offset *= 2
        d >>= 1
    if t == 0:
        s[DOUBLE - 1] = 0
    d = 1
    while d < DOUBLE:
        offset >>= 1
        cuda.syncthreads()
        if t < d:
            left = offset * (2 * t + 1) - 1
            right = offset * (2 * t + 2) - 1
            v = s[left]
            s[left] = s[right]
            s[right] += v
        d *= 2
    cuda.syncthreads()
    out[base + 2 * t] = s[2 * t]
    out[base + 2 * t + 1] = s[2 * t + 1]


def make_scan(threads, elements):
    def make(n, rng):
        x = uniform(rng, n)
        return Launch(ceil_div(n, elements), threads, (x, np.zeros_like(x)))

    return make


def scanned(x, size):
    """Inclusive sums within parts of ``size`` elements."""
    padded = np.concatenate([x, np.zeros(-len(x) % size, x.dtype)]).reshape(-1, size)
    return np.cumsum(padded, 1).ravel()[: len(x)]


def reference_blelloch(x, out):
    return scanned(x, DOUBLE) - x


@cuda.jit
def scan_warps(x, out):
    """Inclusive scan of each warp by shuffles; no shared memory, no barrier."""
    i = cuda.grid(1)
    lane = cuda.laneid
    v = x[i] if i < x.size else int32(0)
    offset = 1
    while offset < 32:
        other = cuda.shfl_up_sync(0xFFFFFFFF, v, offset)
        if lane >= offset:
            v += other
        offset *= 2
    if i < x.size:
        out[i] = v


def integers(rng, n):
    return rng.integers(-100, 100, n).astype(np.int32)


def make_scan_warps(n, rng):
    x = integers(rng, n)
    return Launch(ceil_div(n, 128), 128, (x, np.zeros_like(x)))


@cuda.jit
def scan_carry(x, out):
    """One block scans a long row tile by tile and carries the total along."""
    totals = cuda.shared.array(8, int32)
    carry = cuda.shared.array(1, int32)
    tid = cuda.threadIdx.x
    lane, warp = tid % 32, tid // 32
    row = cuda.blockIdx.x
    if tid == 0:
        carry[0] = 0
    for start in range(0, x.shape[1], BLOCK):
        i = start + tid
        v = x[row, i] if i < x.shape[1] else int32(0)
        for offset in (1, 2, 4, 8, 16):
            other = cuda.shfl_up_sync(0xFFFFFFFF, v, offset)
            if lane >= offset:
                v += other
        if lane == 31:
            totals[warp] = v
        cuda.syncthreads()
        before = carry[0]
        for w in range(warp):
            before += totals[w]
        if i < x.shape[1]:
            out[row, i] = before + v
        cuda.syncthreads()
        if tid == BLOCK - 1:
            carry[0] = before + v
        cuda.syncthreads()


def make_scan_carry(shape, rng):
    x = rng.integers(-100, 100, shape).astype(np.int32)
    return Launch(shape[0], BLOCK, (x, np.zeros_like(x)))


@cuda.jit
def scan_chained(x, out, order, ready, totals):
    """One pass over the whole array: a block waits for the total of the block before it."""
    buffer = cuda.shared.array(BLOCK, int32)
    place = cuda.shared.array(1, int32)
    before = cuda.shared.array(1, int32)
    tid = cuda.threadIdx.x
    if tid == 0:
        place[0] = cuda.atomic.add(order, 0, 1)
    cuda.syncthreads()
    block = place[0]
    i = block * BLOCK + tid
    buffer[tid] = x[i] if i < x.size else 0
    cuda.syncthreads()
    offset = 1
    while offset < BLOCK:
        v = buffer[tid - offset] if tid >= offset else 0
        cuda.syncthreads()
        buffer[tid] += v
        cuda.syncthreads()
        offset *= 2
    if tid == 0:
        total = 0
        if block > 0:
            while cuda.atomic.add(ready, block - 1, 0) == 0:
                pass
            total = totals[block - 1]
        before[0] = total
        totals[block] = total + buffer[BLOCK - 1]
        cuda.threadfence()
        cuda.atomic.exch(ready, block, 1)
    cuda.syncthreads()
    if i < x.size:
        out[i] = before[0] + buffer[tid]


def make_scan_chained(n, rng):
    blocks, x = ceil_div(n, BLOCK), integers(rng, n)
    zeros = [np.zeros(size, np.int32) for size in (1, blocks, blocks)]
    return Launch(blocks, BLOCK, (x, np.zeros_like(x), *zeros))


ODD, LARGE = (1, 257, 1001), 1 << 22
ENTRIES = [
    Entry(scan_hillis_steele, make_scan(512, 512), lambda x, out: scanned(x, 512), 300, ODD, LARGE,
          tolerance=rounded(9, "nine sweeps, each rounds once")),
    Entry(scan_double_buffer, make_scan(BLOCK, BLOCK), lambda x, out: scanned(x, BLOCK), 300, ODD,
          LARGE, tolerance=rounded(8, "eight sweeps, each rounds once")),
    Entry(scan_blelloch, make_scan(BLOCK, DOUBLE), reference_blelloch, 512, (512, 5120), LARGE,
          tolerance=rounded(18, "nine levels up and nine down, each rounds once")),
    Entry(scan_warps, make_scan_warps, lambda x, out: scanned(x, 32), 100, ODD, LARGE),
    Entry(scan_carry, make_scan_carry, lambda x, out: np.cumsum(x, 1), (1, 300),
          ((1, 1), (2, 255), (3, 1001)), (256, 1 << 14)),
    Entry(scan_chained, make_scan_chained, lambda x, *_: np.cumsum(x), 500, ODD, LARGE,
          outputs=(1,), restore=(2, 3), work=lambda x, *_: 8.0 * x.size),
]  # fmt: skip
