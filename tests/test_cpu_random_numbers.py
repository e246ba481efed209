"""numba.cuda.random in kernels: the same bits as Numba's functions on the host."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda
from numba.cuda import random
from numba.cuda.random import (
    init_xoroshiro128p_states_cpu,
    xoroshiro128p_normal_float32,
    xoroshiro128p_normal_float64,
    xoroshiro128p_uniform_float32,
    xoroshiro128p_uniform_float64,
)

from nnlite.kernels.engine.cpu import CpuKernel


def host_states(n, seed):
    states = np.zeros(n, random.xoroshiro128p_dtype)
    init_xoroshiro128p_states_cpu(states, np.uint64(seed), np.uint64(0))
    return states


@cuda.jit
def numbers(states, out):
    i = cuda.grid(1)
    if i < out.shape[0]:
        for k in range(out.shape[1]):
            out[i, k] = xoroshiro128p_uniform_float32(states, i)
        out[i, 0] += xoroshiro128p_uniform_float64(states, i)


@cuda.jit
def normals(states, out):
    i = cuda.grid(1)
    out[i, 0] = xoroshiro128p_normal_float32(states, i)
    out[i, 1] = xoroshiro128p_normal_float64(states, i)


def words(states, n):
    """The generator in Python integers: the next 64-bit word of stream ``n``."""
    s0, s1 = int(states[n]["s0"]), int(states[n]["s1"])
    whole = 2**64 - 1

    def rotl(x, k):
        return (x << k | x >> (64 - k)) & whole

    result = s0 + s1 & whole
    s1 ^= s0
    states[n]["s0"] = rotl(s0, 55) ^ s1 ^ (s1 << 14 & whole)
    states[n]["s1"] = rotl(s1, 36)
    return result


def uniform(states, n):
    return (words(states, n) >> 11) * 2.0**-53


@pytest.mark.parametrize("blocks", [1, 5])
def test_uniform_numbers_bit_for_bit(blocks):
    n = 64 * blocks
    states, ours = host_states(n, 7), host_states(n, 7)
    out = np.zeros((n - 3, 4))
    CpuKernel(numbers).launch((blocks, 1, 1), (64, 1, 1), 0, (ours, out))
    expected = np.zeros_like(out)
    for i in range(n - 3):
        expected[i] = [np.float32(uniform(states, i)) for _ in range(4)]
        expected[i, 0] += uniform(states, i)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(ours, states)


def test_normal_numbers():
    n = 4096
    states = host_states(n, 11)
    mirror, out, expected = states.copy(), np.zeros((n, 2)), np.zeros((n, 2))
    CpuKernel(normals).launch((n // 64, 1, 1), (64, 1, 1), 0, (states, out))
    for i in range(n):
        for k in range(2):
            u1, u2 = (float(np.float32(uniform(mirror, i))) for _ in range(2))
            expected[i, k] = np.sqrt(-2 * np.log(u1)) * np.cos(2 * np.pi * u2)
    np.testing.assert_array_equal(states, mirror)
    # Both take the logarithm in float32, and the angle 2 pi u has an error of up to 5e-7.
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=3e-6)
