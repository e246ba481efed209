"""Indices outside arrays, and memory that is read before it is written."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, int32

from .case import Case, launch, numbers

SIZE = 32


@cuda.jit
def no_guard(x, out):
    i = cuda.grid(1)
    out[i] = x[i]  # BUG


@cuda.jit
def guard_off_by_one(x, out):
    i = cuda.grid(1)
    if i <= x.size:
        out[i] = 2  # BUG


@cuda.jit
def swapped_axes(x, out):
    col, row = cuda.grid(2)
    if row < x.shape[0] and col < x.shape[1]:
        out[row, col] = x[col, row]  # BUG


@cuda.jit
def left_neighbour(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = x[i] + x[i - 1]  # BUG


@cuda.jit
def right_neighbour(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = x[i + 1] - x[i]  # BUG


@cuda.jit
def far_below_zero(x, out):
    i = cuda.grid(1)
    out[i] = x[i - 40]  # BUG


@cuda.jit
def shared_too_small(x, out):
    s = cuda.shared.array(SIZE, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]  # BUG
    cuda.syncthreads()
    if t < SIZE:
        out[t] = s[t]


@cuda.jit
def halo_forgotten(x, out):
    s = cuda.shared.array(SIZE, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]
    cuda.syncthreads()
    out[t] = s[t] + s[t + 1]  # BUG


@cuda.jit
def local_too_small(out):
    mine = cuda.local.array(4, float32)
    t = cuda.threadIdx.x
    for k in range(5):
        mine[k] = k  # BUG
    out[t] = mine[0]


@cuda.jit
def dynamic_too_small(x, out):
    s = cuda.shared.array(0, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]  # BUG
    cuda.syncthreads()
    if t < 16:
        out[t] = s[t]


@cuda.jit
def histogram_without_clamp(x, counts):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.add(counts, x[i] // 8, 1)  # BUG


@cuda.jit(device=True)
def fetch(a, i):
    return a[i + 2]  # BUG


@cuda.jit
def in_a_device_function(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = fetch(x, i)


@cuda.jit
def row_past_the_end(x, out):
    i = cuda.grid(1)
    row = x[i]  # BUG
    out[i % out.size] = row[0]


@cuda.jit
def shared_never_written(out):
    s = cuda.shared.array(SIZE, float32)
    t = cuda.threadIdx.x
    out[t] = s[t]  # BUG


@cuda.jit
def tile_edge_not_filled(x, out):
    s = cuda.shared.array(SIZE, float32)
    t = cuda.threadIdx.x
    if t < x.size:
        s[t] = x[t]
    cuda.syncthreads()
    out[t] = s[SIZE - 1 - t]  # BUG


@cuda.jit
def counter_not_cleared(x, out):
    bins = cuda.shared.array(8, int32)
    t = cuda.threadIdx.x
    cuda.atomic.add(bins, x[t] % 8, 1)  # BUG
    cuda.syncthreads()
    if t < 8:
        out[t] = bins[t]


@cuda.jit
def local_not_written(out):
    mine = cuda.local.array(4, float32)
    t = cuda.threadIdx.x
    for k in range(3):
        mine[k] = t
    out[t] = mine[3]  # BUG


@cuda.jit
def shared_of_the_block_before(x, out):
    s = cuda.shared.array(SIZE, float32)
    t, b = cuda.threadIdx.x, cuda.blockIdx.x
    if b == 0:
        s[t] = x[t]
    cuda.syncthreads()
    out[t + b * SIZE] = s[t]  # BUG


def shapes():
    return np.ones((3, 5), np.float32), np.ones((3, 5), np.float32)


def rows():
    return np.ones((3, 4), np.float32), np.ones(4, np.float32)


def mine(k):
    """The finding is about thread k, and about no other."""
    return lambda a, b: a == (0, k) and b is None


OUTSIDE, BEFORE = "out of bounds", "uninitialised read"
CASES = [
    Case(no_guard, OUTSIDE, 2, 32, launch(50, 64), "x", lambda a, b: a == (1, 18)),
    Case(guard_off_by_one, OUTSIDE, 2, 32, launch(40, 40), "out", lambda a, b: a == (1, 8)),
    Case(swapped_axes, OUTSIDE, 1, (8, 8), shapes, "x", mine(3)),
    Case(left_neighbour, "negative index", 1, 32, launch(32, 32), "x", mine(0)),
    Case(right_neighbour, OUTSIDE, 1, 32, launch(32, 32), "x", mine(31)),
    Case(far_below_zero, OUTSIDE, 1, 32, launch(32, 32), "x", mine(0)),
    Case(shared_too_small, OUTSIDE, 1, 40, launch(40, 40), "s", mine(32)),
    Case(halo_forgotten, OUTSIDE, 1, 32, launch(32, 32), "s", mine(31)),
    Case(local_too_small, OUTSIDE, 1, 8, launch(8), "mine", mine(0)),
    Case(dynamic_too_small, OUTSIDE, 1, 32, launch(32, 32), "s", mine(16), shared=64),
    Case(histogram_without_clamp, OUTSIDE, 1, 64, lambda: numbers(64, 8, dtype=np.int32), "counts",
         mine(63)),
    Case(in_a_device_function, OUTSIDE, 1, 32, launch(32, 32), "x", mine(30),
         helpers=(fetch,)),
    Case(row_past_the_end, OUTSIDE, 1, 4, rows, "x", mine(3)),
    Case(shared_never_written, BEFORE, 1, 32, launch(32), "s", mine(0)),
    Case(tile_edge_not_filled, BEFORE, 1, 32, launch(30, 32), "s", mine(0)),
    Case(counter_not_cleared, BEFORE, 1, 32, lambda: numbers(32, 8, dtype=np.int32), "bins",
         mine(0)),
    Case(local_not_written, BEFORE, 1, 8, launch(8), "mine", mine(0)),
    Case(shared_of_the_block_before, BEFORE, 2, 32, launch(32, 64), "s", lambda a, b: a == (1, 0)),
]  # fmt: skip
