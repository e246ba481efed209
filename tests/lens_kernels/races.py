"""Threads that use one element with nothing between them."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, int32

from .case import Case, launch, numbers

SIZE = 64


@cuda.jit
def reverse_without_barrier(x, out):
    s = cuda.shared.array(SIZE, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]  # OTHER
    out[t] = s[SIZE - 1 - t]  # BUG


@cuda.jit
def tile_overwritten(x, out):
    s = cuda.shared.array(SIZE, float32)
    t = cuda.threadIdx.x
    acc = float32(0)
    for k in range(2):
        s[t] = x[t + k * SIZE]  # BUG
        cuda.syncthreads()
        acc += s[SIZE - 1 - t]  # OTHER
    out[t] = acc


@cuda.jit
def tree_without_barrier(x, out):
    s = cuda.shared.array(SIZE, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]
    cuda.syncthreads()
    step = SIZE // 2
    while step > 0:
        if t < step:
            s[t] += s[t + step]  # BUG
        step //= 2
    if t == 0:
        out[0] = s[0]


@cuda.jit
def scan_in_place(x, out):
    s = cuda.shared.array(SIZE, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]
    cuda.syncthreads()
    step = 1
    while step < SIZE:
        if t >= step:
            s[t] += s[t - step]  # BUG
        cuda.syncthreads()
        step *= 2
    out[t] = s[t]


@cuda.jit
def all_write_one(x, out):
    s = cuda.shared.array(1, float32)
    t = cuda.threadIdx.x
    s[0] = x[t]  # BUG
    cuda.syncthreads()
    out[t] = s[0]


@cuda.jit
def counter_without_atomic(x, out):
    n = cuda.shared.array(1, int32)
    t = cuda.threadIdx.x
    if t == 0:
        n[0] = 0
    cuda.syncthreads()
    if x[t] > 3:
        n[0] += 1  # BUG
    cuda.syncthreads()
    if t == 0:
        out[0] = n[0]


@cuda.jit
def cleared_too_late(x, out):
    n = cuda.shared.array(1, int32)
    t = cuda.threadIdx.x
    if t == 0:
        n[0] = 0  # OTHER
    cuda.atomic.add(n, 0, 1)  # BUG
    cuda.syncthreads()
    out[t] = n[0]


@cuda.jit
def sum_read_too_early(x, out):
    total = cuda.shared.array(1, float32)
    t = cuda.threadIdx.x
    if t == 0:
        total[0] = 0
    cuda.syncthreads()
    cuda.atomic.add(total, 0, x[t])  # BUG
    out[t] = total[0]  # OTHER


@cuda.jit
def neighbours_in_place(x):
    t = cuda.threadIdx.x
    if 0 < t < x.size - 1:
        x[t] = x[t - 1] + x[t + 1]  # BUG


@cuda.jit
def global_row_shared_by_threads(x, out):
    t = cuda.threadIdx.x
    out[t // 2] = x[t]  # BUG


@cuda.jit
def warp_without_syncwarp(x, out):
    s = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]  # OTHER
    out[t] = s[31 - t]  # BUG


@cuda.jit
def last_warp_of_a_tree(x, out):
    s = cuda.shared.array(SIZE, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]
    cuda.syncthreads()
    if t < 32:
        s[t] += s[t + 32]
        cuda.syncwarp()
        s[t] += s[t + 16]  # BUG
    out[t] = s[t]


@cuda.jit
def syncwarp_between_warps(x, out):
    s = cuda.shared.array(SIZE, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]  # OTHER
    cuda.syncwarp()
    out[t] = s[(t + 32) % SIZE]  # BUG


@cuda.jit
def shuffle_is_no_barrier(x, out):
    s = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]  # OTHER
    v = cuda.shfl_down_sync(0xFFFFFFFF, x[t], 1)
    out[t] = s[31 - t] + v  # BUG


@cuda.jit
def blocks_write_one(x, out):
    i = cuda.grid(1)
    out[0] = x[i]  # BUG


@cuda.jit
def blocks_add_without_atomic(x, out):
    if cuda.threadIdx.x == 0:
        out[0] += x[cuda.blockIdx.x]  # BUG


@cuda.jit
def halo_of_another_block(x):
    i = cuda.grid(1)
    left = x[i - 1] if i > 0 else float32(0)  # BUG
    cuda.syncthreads()
    x[i] = left  # OTHER


@cuda.jit
def last_block_without_fence(x, partial, counter, out):
    last = cuda.shared.array(1, int32)
    t, b = cuda.threadIdx.x, cuda.blockIdx.x
    if t == 0:
        partial[b] = x[b]  # OTHER
        last[0] = cuda.atomic.add(counter, 0, 1)
    cuda.syncthreads()
    if last[0] == cuda.gridDim.x - 1:
        out[t] = partial[t % cuda.gridDim.x]  # BUG


@cuda.jit
def no_grid_sync(x, out):
    i = cuda.grid(1)
    x[i] = 2 * x[i]  # OTHER
    cuda.syncthreads()
    j = (i + cuda.blockDim.x) % x.size
    out[i] = x[j]  # BUG


@cuda.jit
def other_array_is_the_same(x, same):
    i = cuda.grid(1)
    same[i] = x[(i + 1) % x.size]  # BUG


def twice_the_same():
    (x,) = numbers(32)
    return x, x


def partials():
    return (*numbers(4, 4), np.zeros(1, np.int32), np.zeros(32, np.float32))


def pair(test):
    """Two threads of the first block for which ``test`` holds."""
    return lambda a, b: a[0] == b[0] == 0 and a[1] != b[1] and test(a[1], b[1])


def apart(a, b):
    return a[0] != b[0]


BLOCK, WARP, GRID = "race in a block", "race in a warp", "race between blocks"
CASES = [
    Case(reverse_without_barrier, BLOCK, 1, SIZE, launch(64, 64), "s",
         pair(lambda a, b: a + b == 63)),
    Case(tile_overwritten, BLOCK, 1, SIZE, launch(128, 64), "s", pair(lambda a, b: a + b == 63)),
    Case(tree_without_barrier, WARP, 1, SIZE, launch(64, 1), "s", pair(lambda a, b: a ^ b < 32)),
    Case(scan_in_place, WARP, 1, SIZE, launch(64, 64), "s", pair(lambda a, b: abs(a - b) < 32)),
    Case(all_write_one, WARP, 1, SIZE, launch(64, 64), "s", pair(lambda a, b: a // 32 == b // 32)),
    Case(counter_without_atomic, WARP, 1, 64, lambda: numbers(64, 1, dtype=np.int32), "n",
         pair(lambda a, b: max(a, b) < 64)),
    Case(cleared_too_late, WARP, 1, 32, launch(32, 32), "n", pair(lambda a, b: 0 in (a, b))),
    Case(sum_read_too_early, WARP, 1, 32, launch(32, 32), "total", pair(lambda a, b: True)),
    Case(neighbours_in_place, WARP, 1, 32, launch(32), "x", pair(lambda a, b: abs(a - b) == 1)),
    Case(global_row_shared_by_threads, WARP, 1, 64, launch(64, 32), "out",
         pair(lambda a, b: a // 2 == b // 2)),
    Case(warp_without_syncwarp, WARP, 1, 32, launch(32, 32), "s", pair(lambda a, b: a + b == 31)),
    Case(last_warp_of_a_tree, WARP, 1, SIZE, launch(64, 64), "s",
         pair(lambda a, b: abs(a - b) == 16)),
    Case(syncwarp_between_warps, BLOCK, 1, SIZE, launch(64, 64), "s",
         pair(lambda a, b: abs(a - b) == 32)),
    Case(shuffle_is_no_barrier, WARP, 1, 32, launch(32, 32), "s", pair(lambda a, b: a + b == 31)),
    Case(blocks_write_one, GRID, 2, 1, launch(2, 1), "out", apart),
    Case(blocks_add_without_atomic, GRID, 3, 32, launch(3, 1), "out", apart),
    Case(halo_of_another_block, GRID, 2, 32, launch(64), "x", apart),
    Case(last_block_without_fence, GRID, 4, 32, partials, "partial", apart),
    Case(no_grid_sync, GRID, 2, 32, launch(64, 64), "x", apart),
    Case(other_array_is_the_same, WARP, 1, 32, twice_the_same, "same",
         pair(lambda a, b: abs(a - b) in (1, 31))),
]  # fmt: skip
