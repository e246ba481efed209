"""Warp operations in code that never runs: Numba finds no types there, but it is compiled."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, float32

from nnlite.kernels.engine.cpu import CpuKernel


@cuda.jit
def ballot(x, out):
    t = cuda.threadIdx.x
    out[t] = x[t]
    while t < 5 and (3 - 2) % 7 < (2 ^ 3) % 7:
        bits = cuda.ballot_sync(0xFFFFFFFF, x[t] > 2)
        out[t] = bits
        t += 1


@cuda.jit
def active(x, out):
    t = cuda.threadIdx.x
    out[t] = x[t]
    while t < 5 and (3 - 2) % 7 < (2 ^ 3) % 7:
        bits = cuda.activemask()
        cuda.syncwarp()
        out[t] = bits
        t += 1


@cuda.jit
def match(x, out):
    t = cuda.threadIdx.x
    out[t] = x[t]
    while t < 5 and (3 - 2) % 7 < (2 ^ 3) % 7:
        same = cuda.match_any_sync(0xFFFFFFFF, t)
        out[t] = same
        t += 1


@cuda.jit
def shuffle_of_flags(x, out):
    t = cuda.threadIdx.x
    out[t] = x[t]
    while t < 5 and (3 - 2) % 7 < (2 ^ 3) % 7:
        flag = cuda.shfl_xor_sync(0xFFFFFFFF, x[t] > 2, 1)
        out[t] = flag
        t += 1


@cuda.jit
def shuffle_of_numbers(x, out):
    t = cuda.threadIdx.x
    out[t] = x[t]
    while t < 5 and (3 - 2) % 7 < (2 ^ 3) % 7:
        number = cuda.shfl_down_sync(0xFFFFFFFF, x[t] * float32(2), 3)
        out[t] = number
        t += 1


@cuda.jit
def votes(x, out):
    t = cuda.threadIdx.x
    out[t] = x[t]
    while t < 5 and (3 - 2) % 7 < (2 ^ 3) % 7:
        if x[t] > 1:
            every = cuda.all_sync(0xFFFFFFFF, x[t] > 2)
            some = cuda.any_sync(0xFFFFFFFF, x[t] > 2)
            out[t] = every + some
        t += 1


KERNELS = (ballot, active, match, shuffle_of_flags, shuffle_of_numbers, votes)


@pytest.mark.parametrize("threads", [8, 40])
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.py_func.__name__)
def test_dead_code_compiles_and_does_nothing(kernel, threads):
    x, out = np.arange(threads, dtype=np.float32), np.zeros(threads, np.float32)
    CpuKernel(kernel).launch((1, 1, 1), (threads, 1, 1), 0, (x, out))
    np.testing.assert_array_equal(out, x)
