"""Warp operations in code that never runs: Numba finds no types there, but it is compiled.

None of them did, unless it says otherwise.
"""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, float32

from nnlite.kernels.engine.cpu import CpuKernel


@cuda.jit(device=True)
def ballot(v, t):
    return cuda.ballot_sync(0xFFFFFFFF, v > 2)


@cuda.jit(device=True)
def active(v, t):
    bits = cuda.activemask()
    cuda.syncwarp()
    return bits


@cuda.jit(device=True)
def match(v, t):
    return cuda.match_any_sync(0xFFFFFFFF, t)


@cuda.jit(device=True)
def shuffle_of_flags(v, t):
    return cuda.shfl_xor_sync(0xFFFFFFFF, v > 2, 1)


@cuda.jit(device=True)
def shuffle_of_numbers(v, t):
    """(Right before, too.)"""
    return cuda.shfl_down_sync(0xFFFFFFFF, v * float32(2), 3)


@cuda.jit(device=True)
def votes(v, t):
    total = 0
    if v > 1:
        every = cuda.all_sync(0xFFFFFFFF, v > 2)
        some = cuda.any_sync(0xFFFFFFFF, v > 2)
        total = every + some
    return total


OPERATIONS = (ballot, active, match, shuffle_of_flags, shuffle_of_numbers, votes)


@pytest.mark.parametrize("threads", [8, 40])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda f: f.py_func.__name__)
def test_dead_code_compiles_and_does_nothing(operation, threads):
    @cuda.jit
    def kernel(x, out):
        t = cuda.threadIdx.x
        out[t] = x[t]
        while t < 5 and (3 - 2) % 7 < (2 ^ 3) % 7:
            out[t] = operation(x[t], t)
            t += 1

    x, out = np.arange(threads, dtype=np.float32), np.zeros(threads, np.float32)
    CpuKernel(kernel).launch((1, 1, 1), (threads, 1, 1), 0, (x, out))
    np.testing.assert_array_equal(out, x)
