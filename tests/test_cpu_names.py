"""The CPU compiler: variables whose names look like those of the compiler."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, int64

from nnlite.kernels.engine.cpu import CpuKernel


@cuda.jit(device=True)
def from_the_end(x, tid, bid_x):
    total = int64(0)
    for k in range(tid, 40, 8):
        total += x[k - 40]
    return total + x[bid_x]


@cuda.jit
def tid_before_the_start(x, out):
    t = cuda.threadIdx.x
    tid_x = t - 40
    out[t] = x[tid_x] + from_the_end(x, t, tid_x)


@cuda.jit
def t_before_the_start(x, out):
    t = cuda.threadIdx.x
    t_first = t - 40
    tid_9 = t_first
    for k in range(tid_9, 0, 8):
        out[t] += x[k]
    out[t] += x[t_first] + x[t_first]


@cuda.jit
def sizes_before_the_start(x, out):
    t = cuda.threadIdx.x
    bdim_x = t - 40
    gdim_z = bdim_x
    out[t] = 2 * x[bdim_x] + from_the_end(x, t, gdim_z) - x[gdim_z]


@pytest.mark.parametrize(
    "kernel", [tid_before_the_start, t_before_the_start, sizes_before_the_start]
)
def test_names_like_those_of_indices_say_nothing_about_the_sign(kernel):
    x, out = np.arange(1000, 1040), np.zeros(8, np.int64)
    CpuKernel(kernel).launch((1, 1, 1), (8, 1, 1), 0, (x, out))
    expected = [x[t::8].sum() + 2 * x[t] for t in range(8)]
    assert out.tolist() == expected
