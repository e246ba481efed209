"""Guards that become the bounds of thread loops visit the same threads as before."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, int32

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
        assert "if " not in source.split("for b_ in")[1], source


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
