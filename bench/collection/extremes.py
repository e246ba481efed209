"""Largest elements and where they lie: by a tree of pairs, by atomic minimum and maximum."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, int64

from .entry import Entry, Launch, ceil_div, uniform

BLOCK = 256


@cuda.jit
def arg_maximum(x, values, places):
    """Largest element of each block's part and where it lies; the first one wins."""
    best = cuda.shared.array(BLOCK, float32)
    where = cuda.shared.array(BLOCK, int64)
    tid = cuda.threadIdx.x
    value = float32(-1)
    place = -1
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        if x[i] > value:
            value = x[i]
            place = i
    best[tid] = value
    where[tid] = place
    cuda.syncthreads()
    s = cuda.blockDim.x // 2
    while s > 0:
        if tid < s:
            other, there = best[tid + s], where[tid + s]
            if other > best[tid] or (other == best[tid] and there < where[tid]):
                best[tid] = other
                where[tid] = there
        cuda.syncthreads()
        s //= 2
    if tid == 0:
        values[cuda.blockIdx.x] = best[0]
        places[cuda.blockIdx.x] = where[0]


def make_arg_maximum(n, rng):
    x = rng.integers(0, 1 << 20, n).astype(np.float32)
    return Launch(1, BLOCK, (x, np.zeros(1, np.float32), np.zeros(1, np.int64)))


def reference_arg_maximum(x, values, places):
    return np.array([x.max()]), np.array([np.argmax(x)])


@cuda.jit
def extremes_atomic(x, extremes):
    """Smallest and largest float by atomic.min and atomic.max, after a look to save atomics."""
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        if v < extremes[0]:
            cuda.atomic.min(extremes, 0, v)
        if v > extremes[1]:
            cuda.atomic.max(extremes, 1, v)


def make_extremes_atomic(n, rng):
    start = np.array([np.inf, -np.inf], np.float32)
    return Launch(ceil_div(n, BLOCK), BLOCK, (uniform(rng, n) - np.float32(0.5), start))


ODD, LARGE = (1, 257, 1001), 1 << 22
ENTRIES = [
    Entry(arg_maximum, make_arg_maximum, reference_arg_maximum, 300, ODD, LARGE, outputs=(1, 2)),
    Entry(extremes_atomic, make_extremes_atomic, lambda x, e: np.array([x.min(), x.max()]), 300,
          ODD, LARGE, restore=(1,)),
]  # fmt: skip
