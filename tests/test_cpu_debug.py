"""``raise``, ``assert`` and ``print`` in kernels."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.kernel import kernel as make_kernel


class OwnError(Exception):
    pass


def run(kernel, n, *args, blocks=1, debug=True):
    CpuKernel(kernel, debug=debug).launch((blocks, 1, 1), (n, 1, 1), 0, args)


@cuda.jit
def refuses_negative(x, out):
    i = cuda.grid(1)
    if x[i] < 0:
        raise ValueError("negative")
    out[i] = x[i]


@pytest.mark.parametrize("blocks", [1, 40])
def test_raise_ends_one_thread_and_the_launch_reports_it(blocks):
    x, out = np.ones(8 * blocks), np.zeros(8 * blocks)
    x[8 * (blocks - 1) + 5] = -1
    message = (
        rf"test_cpu_debug.py, line \d+, tid=\[5, 0, 0\] ctaid=\[{blocks - 1}, 0, 0\]: negative"
    )
    with pytest.raises(ValueError, match=message):
        run(refuses_negative, 8, x, out, blocks=blocks)
    np.testing.assert_array_equal(out, x > 0)


def test_without_debug_the_thread_just_ends():
    x, out = np.array([1.0, -1, 2]), np.zeros(3)
    run(refuses_negative, 3, x, out, debug=False)
    np.testing.assert_array_equal(out, [1, 0, 2])


def test_a_launch_without_error_after_one_with():
    kernel = CpuKernel(refuses_negative, debug=True)
    bad, good, out = np.array([-1.0]), np.array([3.0]), np.zeros(1)
    with pytest.raises(ValueError, match="negative"):
        kernel.launch((1, 1, 1), (1, 1, 1), 0, (bad, out))
    kernel.launch((1, 1, 1), (1, 1, 1), 0, (good, out))
    assert out[0] == 3


@cuda.jit(device=True)
def checked(v):
    if v > 5:
        raise OwnError("too large")
    return v * 2


@cuda.jit(device=True)
def checked_sum(a, b):
    total = 0.0
    for k in range(3):
        total += checked(a + k)
    return total + checked(b)


@cuda.jit
def raises_in_device_functions(x, out):
    s = cuda.shared.array(16, np.float64)
    i = cuda.threadIdx.x
    s[i] = 0
    cuda.syncthreads()
    s[i] = checked_sum(x[i], x[15 - i])
    cuda.syncthreads()
    out[i] = s[i]


def test_raise_leaves_the_kernel_from_device_functions():
    x, out = np.arange(16) * 0.125, np.zeros(16)
    run(raises_in_device_functions, 16, x, out)
    expected = 2 * (3 * x + 3 + x[::-1])
    np.testing.assert_array_equal(out, expected)
    x[3] = 3.5
    out[:] = -1
    run(raises_in_device_functions, 16, x, out, debug=False)
    expected = 2 * (3 * x + 3 + x[::-1])
    expected[3] = -1
    np.testing.assert_array_equal(out, expected)


@cuda.jit
def own_error(x):
    if x[cuda.grid(1)] > 0:
        raise OwnError("first", 7)


def test_own_exceptions_have_their_class_and_arguments():
    for _ in range(2):  # compiled, then possibly loaded
        with pytest.raises(OwnError) as caught:
            run(own_error, 2, np.array([0, 1]))
        text, number = caught.value.args
        assert text.startswith("In function 'own_error', file ")
        assert text.endswith("tid=[1, 0, 0] ctaid=[0, 0, 0]: first")
        assert number == 7


@cuda.jit
def asserts(x, out):
    i, j = cuda.grid(2)
    assert x[i, j] > 0, "not positive"
    out[i, j] = 1 / x[i, j]


def test_assert_in_two_dimensions():
    x, out = np.full((4, 6), 2.0), np.zeros((4, 6))
    x[1, 5] = 0
    kernel = CpuKernel(asserts, debug=True)
    with pytest.raises(AssertionError, match=r"tid=\[1, 2, 0\] ctaid=\[0, 1, 0\]: not positive"):
        kernel.launch((1, 2, 1), (4, 3, 1), 0, (x, out))
    np.testing.assert_array_equal(out, np.where(x > 0, 0.5, 0))


@cuda.jit
def divides(x, y, out):
    i = cuda.grid(1)
    out[i] = x[i] // y[i]
    out[i] /= y[i]
    out[i] += 1


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_division_by_zero_is_an_error_in_debug_only(dtype):
    x, y = np.array([8, 6, 4], dtype), np.array([2, 0, 1], dtype)
    out = np.zeros(3)
    with pytest.raises(ZeroDivisionError, match=r"tid=\[1, 0, 0\]"):
        run(divides, 3, x, y, out)
    np.testing.assert_array_equal(out, [3, 0, 5])
    run(divides, 3, x, y, out, debug=False)
    assert out[0] == 3


@cuda.jit
def axis_out_of_range(x, out):
    i = cuda.grid(1)
    out[i] = x.shape[-i]


def test_axes_are_checked_in_debug():
    out = np.zeros(4)
    with pytest.raises(IndexError, match=r"tid=\[3, 0, 0\].*tuple index out of range"):
        run(axis_out_of_range, 4, np.zeros((5, 7)), out)
    np.testing.assert_array_equal(out, [5, 7, 5, 0])


def test_kernels_of_the_engine_take_the_option():
    def negative(x):
        assert x[cuda.grid(1)] >= 0

    x = np.array([1.0, -1.0])
    make_kernel(negative)[1, 2](x)
    with pytest.raises(AssertionError, match="tid"):
        make_kernel(negative, debug=True)[1, 2](x)


# -- print
@cuda.jit
def prints(x, n):
    i = cuda.grid(1)
    if i < n:
        print("thread", i, "has", x[i], x[i] > 1, (i, 0.5), "100% {}")
    if i == n:
        print()
        print(cuda.threadIdx, cuda.blockDim, np.uint8(200))


def test_print(capfd):
    run(prints, 4, np.array([1.5, 0.25, 1e9]), 3, debug=False)
    lines = capfd.readouterr().out.splitlines()
    assert sorted(lines[:3]) == [
        "thread 0 has 1.500000 True (0, 0.500000) 100% {}",
        "thread 1 has 0.250000 False (1, 0.500000) 100% {}",
        "thread 2 has 1000000000.000000 True (2, 0.500000) 100% {}",
    ]
    assert lines[3:] == ["", "(3, 0, 0) (4, 1, 1) 200"]


@cuda.jit
def prints_much(x):
    i = cuda.grid(1)
    print("line", i, x[i], "end")


def test_lines_of_several_threads_stay_whole(capfd):
    n = 64 * 20
    run(prints_much, 64, np.arange(n), blocks=20, debug=False)
    lines = capfd.readouterr().out.splitlines()
    assert sorted(lines) == sorted(f"line {i} {i} end" for i in range(n))


@cuda.jit
def prints_array(x):
    print(x)


def test_what_numba_cuda_cannot_print_is_refused():
    from nnlite.kernels.engine.errors import UnsupportedKernelError

    with pytest.raises(UnsupportedKernelError, match="print takes text, numbers"):
        run(prints_array, 1, np.zeros(3))


@cuda.jit
def beyond(x, out):
    i = cuda.grid(1)
    out[i + 1] = x[i]


def test_debug_checks_every_index():
    kernel, x = CpuKernel(beyond, debug=True), np.arange(8.0)
    out = np.zeros(9)
    kernel.launch((1, 1, 1), (8, 1, 1), 0, (x, out))
    np.testing.assert_array_equal(out[1:], x)
    with pytest.raises(IndexError, match="out of bounds"):
        kernel.launch((1, 1, 1), (8, 1, 1), 0, (x, np.zeros(8)))
