"""Barriers under run-time conditions, after returns, and between the blocks of a grid."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, float32, int32

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.errors import LaunchError


def run(kernel, grid, block, *args):
    CpuKernel(kernel).launch((grid, 1, 1), block, 0, args)


@cuda.jit
def run_time_condition(x, flag, out):
    s = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    if flag[t] > 0:
        s[t] = x[t]
        cuda.syncthreads()
        out[t] = s[cuda.blockDim.x - 1 - t]


@cuda.jit
def run_time_count(flag, out):
    s = cuda.shared.array(64, int32)
    t = cuda.threadIdx.x
    s[t] = t
    for _ in range(flag[t]):
        cuda.syncthreads()
        v = s[(t + 1) % 64]
        cuda.syncthreads()
        s[t] = v
    out[t] = s[t]


def test_barrier_under_a_condition_that_is_the_same_for_all():
    x = np.arange(64, dtype=np.float32)
    out = np.zeros(64, np.float32)
    run(run_time_condition, 1, (64, 1, 1), x, np.ones(64, np.int32), out)
    np.testing.assert_array_equal(out, x[::-1])
    turned = np.zeros(64, np.int32)
    run(run_time_count, 1, (64, 1, 1), np.full(64, 3, np.int32), turned)
    np.testing.assert_array_equal(turned, (np.arange(64) + 3) % 64)


@pytest.mark.parametrize("kernel", [run_time_condition, run_time_count])
def test_barrier_that_some_threads_miss_is_an_error(kernel):
    flag = np.ones(64, np.int32)
    flag[40:] = 0
    args = (flag, np.zeros(64, np.int32))
    if kernel is run_time_condition:
        args = (np.zeros(64, np.float32), flag, np.zeros(64, np.float32))
    with pytest.raises(LaunchError, match=r"_barriers\.py:\d+: not every thread.* 40 "):
        run(kernel, 1, (64, 1, 1), *args)


@cuda.jit
def returns_then_synchronises(x, out):
    s = cuda.shared.array(64, int32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    if i >= x.size:
        return
    for k in range(4):
        if x[i] == k:
            out[i] = -k
            return
        s[t] = x[i]
        cuda.syncthreads()
        out[i] += cuda.syncthreads_count(s[t] > 5)
        cuda.syncthreads()


def test_threads_that_returned_are_not_counted():
    x = np.random.default_rng(3).integers(0, 9, 100).astype(np.int32)
    out = np.zeros(100, np.int32)
    run(returns_then_synchronises, 2, (64, 1, 1), x, out)
    for start in (0, 64):
        v = x[start : start + 64]
        expected = np.where(v < 4, -v, 4 * (v > 5).sum())
        np.testing.assert_array_equal(out[start : start + 64], expected)


@cuda.jit
def jacobi(a, steps):
    grid = cuda.cg.this_grid()
    kept = cuda.shared.array(8, float32)
    i = cuda.grid(1)
    kept[cuda.threadIdx.x] = i
    for _ in range(steps):
        left = a[i - 1] if i > 0 else float32(0)
        right = a[i + 1] if i < a.size - 1 else float32(0)
        grid.sync()
        a[i] = left + right
        grid.sync()
    a[i] += kept[cuda.threadIdx.x]


def test_grid_barrier_joins_all_blocks():
    a = np.arange(40, dtype=np.float32)
    expected = a.copy()
    for _ in range(5):
        padded = np.pad(expected, 1)
        expected = padded[:-2] + padded[2:]
    run(jacobi, 5, (8, 1, 1), a, 5)
    np.testing.assert_array_equal(a, expected + np.arange(40))


@cuda.jit
def only_one_block(x):
    if cuda.blockIdx.x == 0:
        cuda.cg.this_grid().sync()
    x[0] = 1


def test_grid_barrier_that_some_blocks_miss_is_an_error():
    with pytest.raises(LaunchError, match="reached by 1 of 3 blocks"):
        run(only_one_block, 3, (8, 1, 1), np.zeros(1))
