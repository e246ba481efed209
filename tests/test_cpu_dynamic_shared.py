"""Dynamic shared memory: every ``cuda.shared.array(0, dtype)`` is a view of one buffer."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, float32, float64, int32, uint8

from nnlite.kernels.engine.cpu import CpuKernel


@cuda.jit
def reverse(x, out):
    s = cuda.shared.array(0, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    s[t] = x[i]
    cuda.syncthreads()
    out[i] = s[cuda.blockDim.x - 1 - t]


@pytest.mark.parametrize("blocks", [1, 7, 300])
def test_reverse_in_each_block(blocks):
    x = np.arange(64 * blocks, dtype=np.float32)
    out = np.zeros_like(x)
    CpuKernel(reverse).launch((blocks, 1, 1), (64, 1, 1), 64 * 4, (x, out))
    np.testing.assert_array_equal(out, x.reshape(-1, 64)[:, ::-1].ravel())


@cuda.jit
def several_views(out):
    floats = cuda.shared.array(0, float32)
    words = cuda.shared.array(shape=(0,), dtype=int32)
    small = cuda.shared.array(0, uint8)
    t = cuda.threadIdx.x
    floats[t] = float32(t) + float32(0.5)
    cuda.syncthreads()
    out[t, 0] = words[t]
    out[t, 1] = small[4 * t + 3]
    if t == 0:
        out[0, 2] = floats.size
        out[1, 2] = words.shape[0]
        out[2, 2] = len(small)


def test_views_alias_one_buffer():
    out = np.zeros((32, 3), np.int64)
    CpuKernel(several_views).launch((1, 1, 1), (32, 1, 1), 32 * 4 + 3, (out,))
    floats = np.arange(32, dtype=np.float32) + np.float32(0.5)
    np.testing.assert_array_equal(out[:, 0], floats.view(np.int32))
    np.testing.assert_array_equal(out[:, 1], floats.view(np.uint8)[3::4])
    assert out[:3, 2].tolist() == [32, 32, 131]


@cuda.jit
def length(out):
    s = cuda.shared.array(0, float64)
    fixed = cuda.shared.array(40, float64)
    t = cuda.threadIdx.x
    fixed[t] = t
    if t < s.size:
        s[t] = 2 * t
    cuda.syncthreads()
    out[t] = s[t] + fixed[t] if t < s.size else -1


def test_size_is_a_run_time_value():
    kernel = CpuKernel(length)
    for shared_bytes in (0, 8, 40 * 8, 15):
        out = np.zeros(40)
        kernel.launch((1, 1, 1), (40, 1, 1), shared_bytes, (out,))
        count = shared_bytes // 8
        expected = np.where(np.arange(40) < count, 3.0 * np.arange(40), -1)
        np.testing.assert_array_equal(out, expected)
    assert len(kernel.compiled) == 1
    assert kernel.static_shared_bytes == 40 * 8


@cuda.jit
def large(out):
    s = cuda.shared.array(0, float32)
    big = cuda.shared.array(60_000, float32)
    t = cuda.threadIdx.x
    for k in range(t, big.size, cuda.blockDim.x):
        big[k] = k
    for k in range(t, s.size, cuda.blockDim.x):
        s[k] = -k
    cuda.syncthreads()
    for k in range(t, s.size, cuda.blockDim.x):
        out[k] = s[k] + 2 * big[k]


def test_behind_static_arrays_of_the_scratch_buffer():
    out = np.zeros(20_000, np.float32)
    CpuKernel(large).launch((3, 1, 1), (64, 1, 1), 80_000, (out,))
    np.testing.assert_array_equal(out, np.arange(20_000))
