"""Variables that keep the value of an earlier turn of a loop, and parameters that are assigned."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.testing.interpreter import interpret


def one_turn(x, n, out):
    t = cuda.threadIdx.x
    for j in range(n):
        k = x[j]
        v = t + k
        if j == 2:
            w = v * 2
        cuda.syncthreads()
    out[t] = w


def start_of_one_turn(x, n, out):
    t = cuda.threadIdx.x
    for k in range(n):
        if k == 0:
            v = t + k * 64
        for j in range(v, out.size, 32):
            out[j] += 1 + k
        cuda.syncthreads()


def start_before_change(x, n, out):
    t = cuda.threadIdx.x
    v = t + n
    if x[0] > 0:
        n = n - 64
    for j in range(v, out.size, 32):
        out[j] += 1
    out[t] += n


def counter_of_two_loops(x, n, out):
    i = cuda.threadIdx.x
    for j in range(n):
        while i < j * 10:
            out[i] += 1
            i += 32


def changed_loop_variable(x, n, out):
    t = cuda.threadIdx.x
    for k in range(n):
        if t > 3:
            k = 7 + k
        cuda.syncthreads()
        out[t] += k


def loop_variable_of_some(x, n, out):
    t = cuda.threadIdx.x
    k, v = -1, x[t]
    if t < 32:
        for k in range(n):
            v += k * cuda.shfl_xor_sync(0xFFFFFFFF, v, 1)
    out[t] = k * 1000 + v


def parameter_of_some(x, n, out):
    t = cuda.grid(1)
    if t > 5:
        n = 5
    out[t] = n


def parameter_in_turns(x, n, out):
    t = cuda.threadIdx.x
    for j in range(4):
        if (t + j) % 2 == 0:
            n = n + j
            out[t] += n
        cuda.syncthreads()


def parameter_of_block(x, n, out):
    t, k = cuda.grid(1), 0
    while n > 1:
        n = n // 2
        k += 1
        cuda.syncthreads()
    out[t] = k * 100 + n


def array_of_some(x, n, out):
    t = cuda.grid(1)
    if n > 3 - cuda.blockIdx.x:
        x = out
    out[t] = 1 + x[t]


@pytest.mark.parametrize(
    "kernel",
    [one_turn, start_of_one_turn, start_before_change, counter_of_two_loops]
    + [changed_loop_variable, loop_variable_of_some, parameter_in_turns],
)
def test_turns(kernel):
    compare(kernel, (1, 1, 1), (32, 1, 1), 7)


@pytest.mark.parametrize("kernel", [parameter_of_some, parameter_of_block, array_of_some])
@pytest.mark.parametrize("n", [3, 40, -(10**17) - 3, np.int32(2)])
def test_parameters(kernel, n):
    compare(kernel, (4, 1, 1), (8, 1, 1), n)


def compare(kernel, grid, block, n):
    x, expected, out = np.arange(1, 65) * 3, np.zeros(160, np.int64), np.zeros(160, np.int64)
    interpret(kernel, grid, block, (x, n, expected))
    CpuKernel(kernel).launch(grid, block, 0, (x, n, out))
    np.testing.assert_array_equal(out, expected)
