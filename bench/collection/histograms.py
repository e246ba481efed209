"""Histograms: atomics in global and in shared memory, a copy per warp, counters per thread."""

from __future__ import annotations

import numpy as np
from numba import cuda, int32

from .entry import Entry, Launch, ceil_div

BINS = 256
FEW = 16


@cuda.jit
def histogram_global(data, bins):
    """One atomic addition in global memory per element."""
    i = cuda.grid(1)
    if i < data.size:
        cuda.atomic.add(bins, data[i], 1)


def make_histogram_global(n, rng):
    data = rng.integers(0, BINS, n).astype(np.uint8)
    return Launch(ceil_div(n, 256), 256, (data, np.zeros(BINS, np.int32)))


@cuda.jit
def histogram_shared(data, bins):
    """A histogram per block in shared memory, added to the whole at the end."""
    local = cuda.shared.array(BINS, int32)
    tid = cuda.threadIdx.x
    local[tid] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), data.size, cuda.gridsize(1)):
        cuda.atomic.add(local, data[i], 1)
    cuda.syncthreads()
    cuda.atomic.add(bins, tid, local[tid])


def make_histogram_shared(n, rng):
    data = rng.integers(0, BINS, n).astype(np.int32)
    return Launch(min(16, ceil_div(n, BINS)), BINS, (data, np.zeros(BINS, np.int32)))


@cuda.jit
def histogram_warps(data, low, high, bins):
    """Bins of equal width with one copy per warp, so that warps do not collide."""
    counts = cuda.shared.array((8, 64), int32)
    tid = cuda.threadIdx.x
    for k in range(tid, 512, cuda.blockDim.x):
        counts[k // 64, k % 64] = 0
    cuda.syncthreads()
    width = (high - low) / 64
    for i in range(cuda.grid(1), data.size, cuda.gridsize(1)):
        if low <= data[i] < high:
            k = int((data[i] - low) / width)
            cuda.atomic.add(counts, (tid // 32, k), 1)
    cuda.syncthreads()
    if tid < 64:
        total = 0
        for w in range(8):
            total += counts[w, tid]
        cuda.atomic.add(bins, tid, total)


def make_histogram_warps(n, rng):
    # Halves and quarters, so that no value lies within a rounding of an edge.
    data = rng.integers(-40, 300, n).astype(np.float32) / 4 + np.float32(0.125)
    args = (data, np.float32(0), np.float32(64), np.zeros(64, np.int32))
    return Launch(min(16, ceil_div(n, 256)), 256, args)


@cuda.jit
def histogram_private(data, bins):
    """Sixteen counters in a local array per thread; atomics only at the end."""
    counts = cuda.local.array(FEW, int32)
    for k in range(FEW):
        counts[k] = 0
    for i in range(cuda.grid(1), data.size, cuda.gridsize(1)):
        counts[data[i] & (FEW - 1)] += 1
    for k in range(FEW):
        if counts[k] > 0:
            cuda.atomic.add(bins, k, counts[k])


def make_histogram_private(n, rng):
    data = rng.integers(0, 1000, n).astype(np.int32)
    return Launch(min(16, ceil_div(n, 128)), 128, (data, np.zeros(FEW, np.int64)))


ODD, LARGE = (1, 257, 1001), 1 << 22
ENTRIES = [
    Entry(histogram_global, make_histogram_global, lambda x, b: np.bincount(x, minlength=BINS),
          300, ODD, LARGE),
    Entry(histogram_shared, make_histogram_shared, lambda x, b: np.bincount(x, minlength=BINS),
          300, ODD, LARGE),
    Entry(histogram_warps, make_histogram_warps,
          lambda x, low, high, b: np.histogram(x, 64, (low, high))[0], 300, ODD, LARGE),
    Entry(histogram_private, make_histogram_private,
          lambda x, b: np.bincount(x & (FEW - 1), minlength=FEW), 300, ODD, LARGE),
]  # fmt: skip
