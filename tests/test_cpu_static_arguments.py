"""Types, functions and sizes as arguments of device functions; lambdas as device functions."""

import numpy as np
import pytest
from numba import cuda, float32, int32, types

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.cpu.result import result_type
from nnlite.kernels.engine.errors import UnsupportedKernelError


@cuda.jit(device=True)
def square(x):
    return x * x


@cuda.jit(device=True)
def reversed_into(out, dtype, n, f, update, scale=1):
    shared = cuda.shared.array(n, dtype)
    t = cuda.threadIdx.x
    shared[t] = f(dtype(t)) * scale
    cuda.syncthreads()
    update(out, 0, shared[n - 1 - t])


@cuda.jit
def two_versions(x, y):
    reversed_into(x, float32, 32, square, cuda.atomic.add)
    reversed_into(y, int32, 32, f=square, update=cuda.atomic.max, scale=cuda.laneid)


def test_types_functions_and_sizes_are_arguments():
    x, y = np.zeros(1, np.float32), np.zeros(1, np.int32)
    CpuKernel(two_versions).launch((1, 1, 1), (32, 1, 1), 0, (x, y))
    assert (x[0], y[0]) == (sum(i * i for i in range(32)), 31**3)


@cuda.jit(device=True)
def assigns(x, f):
    f = x
    return f + x


@cuda.jit
def passes_a_function(x):
    x[0] = assigns(x[0], square)


def test_a_parameter_that_is_a_function_cannot_be_assigned():
    with pytest.raises(UnsupportedKernelError, match="f: a parameter that stands for a type"):
        CpuKernel(passes_a_function).launch((1, 1, 1), (1, 1, 1), 0, (np.zeros(1),))


def test_lambda_as_a_device_function():
    twice = cuda.jit(device=True)(
        lambda a, b: (
            a * b  # over
            + 1
        )  # three lines
    )

    @cuda.jit
    def apply(x):
        x[0] = twice(x[0], 3)

    x = np.ones(1)
    CpuKernel(apply).launch((1, 1, 1), (1, 1, 1), 0, (x,))
    assert x[0] == 4


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((types.float32, types.float32), types.float32),
        ((types.float32, types.float64), types.float64),
        ((types.int32, types.int32), types.int64),
    ],
    ids=str,
)
def test_result_type_is_inferred(arguments, expected):
    assert result_type(lambda a, b: a * b, arguments) == expected


def test_result_type_of_a_function_without_result():
    def nothing(a):
        a[0] = 1

    assert result_type(nothing, (types.float32[:],)) == types.none


@cuda.jit(device=True)
def above_one(x):
    if x > 1:
        return x
    return None


@cuda.jit
def asks_for_none(x):
    result = above_one(x[0])
    if result is None:
        x[0] = 99


def test_a_missing_result_cannot_be_asked_for():
    with pytest.raises(UnsupportedKernelError, match="result is None: whether a device function"):
        CpuKernel(asks_for_none).launch((1, 1, 1), (1, 1, 1), 0, (np.zeros(1),))


@cuda.jit
def local_size(x):
    n = 24
    other = cuda.shared.array(n, float32)
    t = cuda.threadIdx.x
    other[t] = x[t]
    cuda.syncthreads()
    x[t] = other[n - 1 - t]


def test_a_variable_assigned_once_may_be_a_size():
    x = np.arange(24.0)
    CpuKernel(local_size).launch((1, 1, 1), (24, 1, 1), 0, (x,))
    assert x.tolist() == list(range(23, -1, -1))


@cuda.jit
def writes_by_ufunc(x, out):
    np.sin(x, out)


def test_a_ufunc_with_an_output_array_is_refused():
    with pytest.raises(UnsupportedKernelError, match="a ufunc with an output array"):
        CpuKernel(writes_by_ufunc).launch((1, 1, 1), (1, 1, 1), 0, (np.ones(2), np.ones(2)))
