"""Guards that become the bounds of thread loops visit the same threads as before."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, int8, int16, int32, uint8, uint32

from nnlite.kernels.engine.cpu import CpuKernel


@cuda.jit
def inside(out, n, m):
    x, y = cuda.grid(2)
    if x < n and y < m:
        out[y, x] += 1


@cuda.jit
def returns(out, n, m):
    x, y = cuda.grid(2)
    if x >= n or m <= y:
        return
    out[y, x] += 1


@cuda.jit
def frame(out, n, m):
    x, y = cuda.grid(2)
    width, height = n - 1, m - 1
    if 0 < x < width and 1 <= y <= height - 1:
        out[y, x] += 1


@cuda.jit
def shifted(out, n, m):
    x = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x - 2
    y = 3 + cuda.threadIdx.y + cuda.blockIdx.y * cuda.blockDim.y
    if n > x >= 0 and not y >= m:
        out[y, x] += 1


@cuda.jit
def with_data(out, n, m):
    x, y = cuda.grid(2)
    if x < n and y < m and out[y, x] == 0 and (x + y) % 2 == 0:
        out[y, x] += 1


@cuda.jit
def unsigned_limit(out, n, m):
    x, y = cuda.grid(2)
    if x < np.uint64(n) and y < m and 2 * x < n + 100:
        out[y, x] += 1


@cuda.jit
def lanes(out, n, m):
    t = cuda.threadIdx.x
    if t < n and cuda.blockIdx.x == 0 and cuda.threadIdx.y == 0 and cuda.blockIdx.y == 0:
        cuda.atomic.add(out, (0, 0), 1)


def expected(kernel, shape, n, m):
    x, y = np.arange(shape[1])[None], np.arange(shape[0])[:, None]
    name = kernel.py_func.__name__
    if name == "frame":
        return (x > 0) & (x < n - 1) & (y >= 1) & (y <= m - 2)
    if name == "shifted":
        return (x < n) & (y >= 3) & (y < m)
    if name == "with_data":
        return (x < n) & (y < m) & ((x + y) % 2 == 0)
    if name == "lanes":
        return np.where((x == 0) & (y == 0), min(max(n, 0), 8), 0)
    return (x < n) & (y < m)


KERNELS = [inside, returns, frame, shifted, with_data, unsigned_limit, lanes]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.py_func.__name__)
@pytest.mark.parametrize(("n", "m"), [(0, 0), (1, 1), (7, 5), (8, 4), (9, 13), (20, 12)])
def test_visits_the_same_threads(kernel, n, m):
    out = np.zeros((24, 32), np.int32)
    CpuKernel(kernel).launch((3, 4, 1), (8, 4, 1), 0, (out, n, m))
    np.testing.assert_array_equal(out, expected(kernel, out.shape, n, m))


def test_the_guard_leaves_the_innermost_loop():
    out = np.zeros((24, 32), np.int32)
    for kernel in (inside, returns, frame):
        source = CpuKernel(kernel).source((8, 4, 1), (out, 9, 9))
        loops = [part.split("thread_end_")[0] for part in source.split("for tx_ in")[1:]]
        assert len(loops) == 2, source  # for whole blocks, and for those at the edge
        assert not any("if " in loop for loop in loops), source


@cuda.jit
def one_of_them(out, n, m):
    x, y = cuda.grid(2)
    if cuda.threadIdx.x == 3 and y == m:
        out[y, x] += 1


@cuda.jit
def all_but_one_leave(out, n, m):
    x, y = cuda.grid(2)
    if cuda.threadIdx.x != 5:
        return
    if y < out.shape[0] and x < out.shape[1]:
        out[y, x] += 1


@pytest.mark.parametrize("m", [-1, 0, 5, 15, 40])
def test_a_guard_for_one_thread_visits_that_thread(m):
    for kernel, column in ((one_of_them, 3), (all_but_one_leave, 5)):
        out, want = np.zeros((24, 32), np.int32), np.zeros((24, 32), np.int32)
        compiled = CpuKernel(kernel)
        compiled.launch((3, 4, 1), (8, 4, 1), 0, (out, 0, m))
        rows = range(m, m + 1) if kernel is one_of_them else range(16)
        want[[y for y in rows if 0 <= y < 16], column:24:8] = 1
        np.testing.assert_array_equal(out, want)
        assert f"for tx_ in range({column}, {column + 1})" in compiled.source(
            (8, 4, 1), (out, 0, m)
        )


@cuda.jit
def passes_values_on(x, out, n):
    """``v`` of the threads outside keeps its value; ``k`` is assigned by all of them."""
    s = cuda.shared.array(32, int32)
    t = cuda.threadIdx.x
    s[t] = x[t]
    v = 5
    cuda.syncthreads()
    k = t * 2
    if t < n:
        v = s[31 - t] + k
    cuda.syncthreads()
    out[t] = v + k + s[t]


@pytest.mark.parametrize("n", [-3, 0, 5, 32, 40])
def test_values_of_the_threads_outside_are_kept(n):
    x, out, t = np.arange(32, dtype=np.int32) * 7, np.zeros(32, np.int64), np.arange(32)
    CpuKernel(passes_values_on).launch((1, 1, 1), (32, 1, 1), 0, (x, out, n))
    v = np.where(t < n, x[::-1] + 2 * t, 5)
    np.testing.assert_array_equal(out, v + 2 * t + x)


def some_lanes(dtype):
    @cuda.jit
    def kernel(x, out):
        mine = cuda.shared.array(0, dtype)
        t = cuda.threadIdx.y * 8 + cuda.threadIdx.x
        value = x[t]
        mine[t] = t
        cuda.syncthreads()
        if t % 5 == 1:
            mine[t] = value % 3
        cuda.syncthreads()
        out[t] = mine[t]

    return kernel


@pytest.mark.parametrize("dtype", [int8, uint8, int16, uint32], ids=str)
def test_a_narrow_store_of_one_lane_leaves_its_neighbours(dtype):
    """LLVM 22.1.0 stores eight bytes where it knows that one lane of a vector is stored."""
    t, out = np.arange(24, dtype=np.int8), np.zeros(24, np.int64)
    CpuKernel(some_lanes(dtype)).launch((1, 1, 1), (8, 3, 1), 96, (t, out))
    np.testing.assert_array_equal(out, np.where(t % 5 == 1, t % 3, t))


def flagged_lane(dtype):
    @cuda.jit
    def kernel(x, out):
        mine = cuda.shared.array(0, dtype)
        t = cuda.threadIdx.y * 8 + cuda.threadIdx.x
        flag = False
        if t % 5 == 1:
            flag = True
        value = x[t]
        mine[t] = t
        cuda.syncthreads()
        if flag:
            mine[t] = value % 3
        cuda.syncthreads()
        out[t] = mine[t]

    return kernel


@pytest.mark.parametrize("dtype", [int8, uint32], ids=str)
def test_a_narrow_store_under_a_flag_of_one_lane_leaves_its_neighbours(dtype):
    t, out = np.arange(24, dtype=np.int8), np.zeros(24, np.int64)
    CpuKernel(flagged_lane(dtype)).launch((1, 1, 1), (8, 3, 1), 96, (t, out))
    np.testing.assert_array_equal(out, np.where(t % 5 == 1, t % 3, t))


@cuda.jit
def all_but_the_last(x, out):
    t = cuda.threadIdx.x
    if t + 1 < 64:
        out[t] = x[t + 1]
    if t > 2:
        out[t + 64] = x[t - 3]


def test_a_bound_that_leaves_no_whole_vectors_stays_a_mask():
    x, out = np.arange(1, 65), np.zeros(128, np.int64)
    kernel = CpuKernel(all_but_the_last)
    kernel.launch((1, 1, 1), (64, 1, 1), 0, (x, out))
    np.testing.assert_array_equal(out, [*x[1:], 0, 0, 0, 0, *x[:-3]])
    assert "range(63)" not in kernel.source((64, 1, 1), (x, out))
