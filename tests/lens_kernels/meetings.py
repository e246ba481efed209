"""Threads that wait for others that do not come, and launches that do not fit."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, float64, int32

from .case import Case, launch, numbers


@cuda.jit
def barrier_for_half(x, out):
    s = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]
    if t < 32:
        cuda.syncthreads()  # BUG
        out[t] = s[t]


@cuda.jit
def two_barriers(x, out):
    s = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    if t < 32:
        s[t] = x[t]
        cuda.syncthreads()  # BUG
    else:
        s[t] = 2 * x[t]
        cuda.syncthreads()  # OTHER
    out[t] = s[63 - t]


@cuda.jit
def barrier_in_a_varying_loop(x, out):
    t = cuda.threadIdx.x
    for _ in range(1 + t // 32):
        cuda.syncthreads()  # BUG
    out[t] = x[t]


@cuda.jit
def count_for_some(x, out):
    t = cuda.threadIdx.x
    if x[t] > 10:
        out[t] = cuda.syncthreads_count(x[t] > 20)  # BUG


@cuda.jit
def grid_barrier_for_one_block(x):
    if cuda.blockIdx.x == 0:
        cuda.cg.this_grid().sync()  # BUG
    x[cuda.grid(1)] = 1


@cuda.jit
def returned_before_the_barrier(x, out):
    s = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    if t >= x.size:
        return  # OTHER
    s[t] = x[t]
    cuda.syncthreads()  # BUG
    out[t] = s[0]


@cuda.jit
def shuffle_for_some(x, out):
    t = cuda.threadIdx.x
    v = x[t]
    if t < 8:
        v = cuda.shfl_down_sync(0xFFFFFFFF, v, 1)  # BUG
    cuda.syncthreads()  # OTHER
    out[t] = v


@cuda.jit
def reads_an_absent_lane(x, out):
    t = cuda.threadIdx.x
    if t < 8:
        out[t] = cuda.shfl_sync(0xFF, x[t], t + 8)  # BUG


@cuda.jit
def waits_for_a_later_thread(flag, out):
    t = cuda.threadIdx.x
    if t == 0:
        while cuda.atomic.add(flag, 0, 0) == 0:  # BUG
            pass
    cuda.syncthreads()
    if t == 1:
        cuda.atomic.add(flag, 0, 1)
    out[t] = t


@cuda.jit
def waits_for_a_later_block(flag, out):
    if cuda.blockIdx.x == 0:
        while cuda.atomic.add(flag, 0, 0) == 0:  # BUG
            pass
    else:
        cuda.atomic.add(flag, 0, 1)
    out[cuda.blockIdx.x] = 1


@cuda.jit
def lock_never_released(lock, out):
    while cuda.atomic.cas(lock, 0, 0, 1) != 0:  # BUG
        pass
    cuda.atomic.add(out, 0, 1)


@cuda.jit
def plain(x):  # BUG
    x[cuda.grid(1)] = 1


@cuda.jit
def much_shared_memory(x):  # BUG
    s = cuda.shared.array((100, 100), float64)
    s[0, 0] = x[0]
    x[0] = s[0, 0]


@cuda.jit
def a_lot_of_dynamic(x):  # BUG
    s = cuda.shared.array(0, int32)
    s[0] = 1
    x[0] = s[0]


def flag(n):
    return lambda: (np.zeros(1, np.int32), np.zeros(n, np.int32))


def halves(a, b):
    return a[1] < 32 <= b[1]


BARRIER, ENDLESS, LIMIT = "divergent barrier", "endless wait", "launch limit"
CASES = [
    Case(barrier_for_half, BARRIER, 1, 64, launch(64, 64), "", halves),
    Case(two_barriers, BARRIER, 1, 64, launch(64, 64), "", halves),
    Case(barrier_in_a_varying_loop, BARRIER, 1, 64, launch(64, 64), "",
         lambda a, b: b[1] < 32 <= a[1]),
    Case(count_for_some, BARRIER, 1, 32, lambda: numbers(32, 32, dtype=np.int32), "",
         lambda a, b: a[1] >= 10 > b[1]),
    Case(grid_barrier_for_one_block, BARRIER, 2, 32, launch(64), "",
         lambda a, b: (a[0], b[0]) == (0, 1)),
    Case(returned_before_the_barrier, "barrier after return", 1, 64, launch(40, 64), "",
         lambda a, b: a[1] < 40 <= b[1], note=True),
    Case(shuffle_for_some, "divergent warp operation", 1, 32, launch(32, 32), "",
         lambda a, b: a[1] < 8 <= b[1]),
    Case(reads_an_absent_lane, "absent lane", 1, 32, launch(32, 32), "",
         lambda a, b: (a[1], b[1]) == (0, 8), note=True),
    Case(waits_for_a_later_thread, ENDLESS, 1, 32, flag(32), "", lambda a, b: a == (0, 0)),
    Case(waits_for_a_later_block, ENDLESS, 2, 1, flag(2), "", lambda a, b: a == (0, 0)),
    Case(lock_never_released, ENDLESS, 1, 4, flag(1), "", lambda a, b: a == (0, 1)),
    Case(plain, LIMIT, 1, 1025, launch(2048)),
    Case(much_shared_memory, LIMIT, 1, 1, launch(1)),
    Case(a_lot_of_dynamic, LIMIT, 1, 1, launch(1), shared=400_000),
]  # fmt: skip
