"""The CPU compiler: barriers in loops, branches and after early returns, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, float32, int32

from nnlite.kernels.engine.cpu import CpuKernel


def launch(kernel, grid, block, *args):
    """``kernel[grid, block](*args)`` on the CPU."""
    three = [tuple(v) if isinstance(v, tuple) else (v,) for v in (grid, block)]
    g, b = ((*v, 1, 1)[:3] for v in three)
    CpuKernel(kernel).launch(g, b, 0, args)


@cuda.jit
def sum_after_return(x, out, n):
    s = cuda.shared.array(128, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    s[t] = 0
    cuda.syncthreads()
    if i >= n:
        return
    s[t] = x[i]
    cuda.syncthreads()
    k = 1
    while k < 128:
        v = s[t ^ k]
        cuda.syncthreads()
        s[t] += v
        cuda.syncthreads()
        k *= 2
    out[i] = s[t]


@pytest.mark.parametrize("n", [256, 128])
def test_barriers_after_an_early_return(n):
    x, out = np.arange(256, dtype=np.float32), np.zeros(256, np.float32)
    launch(sum_after_return, 2, 128, x, out, np.int32(n))
    expected = np.repeat(x.reshape(2, 128).sum(1), 128)
    expected[n:] = 0
    np.testing.assert_array_equal(out, expected)


@cuda.jit
def rotate(x, out, start, stop, step, stop_at):
    s = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    s[t] = x[cuda.grid(1)]
    acc = float32(0)
    for k in range(start, stop, step):
        cuda.syncthreads()
        v = s[(t + k) % 64]
        cuda.syncthreads()
        if k == stop_at:
            break
        if k % 3 == 1:
            continue
        s[t] = v + float32(1)
        acc += v
    out[cuda.grid(1)] = acc


@pytest.mark.parametrize("bounds", [(0, 12, 1), (12, 0, -5), (3, 3, 1), (1, 40, 7)])
@pytest.mark.parametrize("stop_at", [-1, 8])
def test_barriers_in_a_loop_with_run_time_bounds(bounds, stop_at):
    x = np.arange(128, dtype=np.float32)
    out = np.zeros_like(x)
    launch(rotate, 2, 64, x, out, *map(np.int32, bounds), np.int32(stop_at))
    r, acc = x.reshape(2, 64).copy(), np.zeros((2, 64), np.float32)
    for k in range(*bounds):
        v = np.roll(r, -k, 1)
        if k == stop_at:
            break
        if k % 3 != 1:
            r = v + 1
            acc += v
    np.testing.assert_array_equal(out.reshape(2, 64), acc)


@cuda.jit
def leave_one_by_one(out):
    s = cuda.shared.array(32, int32)
    t = cuda.threadIdx.x
    s[t] = 1
    for k in range(32):
        cuda.syncthreads()
        if k == t:
            s[t] = 0
            return
        cuda.syncthreads()
        out[t] += s[31]


def test_threads_that_return_inside_a_loop_with_barriers():
    out = np.zeros(32, np.int32)
    launch(leave_one_by_one, 1, 32, out)
    np.testing.assert_array_equal(out, np.arange(32))


@cuda.jit
def uniform_branch(x, out, mode):
    s = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]
    if mode == 1:
        cuda.syncthreads()
        out[t] = s[31 - t]
    elif mode == 2:
        cuda.syncthreads()
        out[t] = s[(t + 1) % 32]
    else:
        out[t] = -s[t]


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_barrier_in_a_uniform_branch(mode):
    x, out = np.arange(32, dtype=np.float32), np.zeros(32, np.float32)
    launch(uniform_branch, 1, 32, x, out, np.int32(mode))
    np.testing.assert_array_equal(out, {1: x[::-1], 2: np.roll(x, -1), 3: -x}[mode])


@cuda.jit
def reuse(x, out):
    s = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    m = x[t]
    s[t] = m
    cuda.syncthreads()
    m = s[0]
    n = 0
    while n < t % 5:
        n += 1
        if n == 3:
            break
    tid_x = n
    out[t] = x[t] - m + tid_x


def test_reused_names_and_names_like_the_compilers():
    x, out = np.arange(5, 37, dtype=np.float32), np.zeros(32, np.float32)
    launch(reuse, 1, 32, x, out)
    np.testing.assert_array_equal(out, x - x[0] + np.minimum(np.arange(32) % 5, 3))
