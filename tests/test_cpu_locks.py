"""Locks between blocks that run on several OS threads."""

from __future__ import annotations

import numpy as np
from numba import cuda

from nnlite.kernels.engine.cpu import CpuKernel


def launch(kernel, blocks, threads, *args):
    CpuKernel(kernel).launch((blocks, 1, 1), (threads, 1, 1), 0, args)


@cuda.jit
def spin_lock(lock, x, total):
    i = cuda.grid(1)
    if i < x.size:
        while cuda.atomic.cas(lock, 0, 0, 1) != 0:
            pass
        total[0] = total[0] + x[i]
        for k in range(64):  # must stay between lock and unlock
            total[1] = total[1] + k
        cuda.threadfence()
        cuda.atomic.exch(lock, 0, 0)


@cuda.jit
def block_lock(lock, x, total):
    t = cuda.threadIdx.x
    if t == 0:
        while True:
            if cuda.atomic.cas(lock, 0, 0, 1) == 0:
                break
    cuda.syncthreads()
    total[t] = total[t] + x[cuda.grid(1)]
    cuda.syncthreads()
    if t == 0:
        cuda.threadfence()
        cuda.atomic.exch(lock, 0, 0)


def test_locks_between_os_threads():
    x = np.arange(20_001)
    lock, total = np.zeros(1, np.int32), np.zeros(2, np.int64)
    launch(spin_lock, 157, 128, lock, x, total)
    np.testing.assert_array_equal(total, [x.sum(), 20_001 * (63 * 64 // 2)])
    x, total = np.arange(300 * 64), np.zeros(64, np.int64)
    launch(block_lock, 300, 64, lock, x, total)
    np.testing.assert_array_equal(total, x.reshape(300, 64).sum(0))
    assert lock[0] == 0
