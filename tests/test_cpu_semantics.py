"""The CPU compiler: device functions, closures, types and arguments, against NumPy."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from numba import boolean, cuda, float64, int32, int64

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.errors import ArgumentError, DtypeError


def launch(kernel, grid, block, *args):
    """``kernel[grid, block](*args)`` on the CPU."""
    three = [tuple(v) if isinstance(v, tuple) else (v,) for v in (grid, block)]
    g, b = ((*v, 1, 1)[:3] for v in three)
    CpuKernel(kernel).launch(g, b, 0, args)


# -- device functions, closures, globals ----------------------------------------------------------
@cuda.jit(device=True)
def square(x):
    return x * x


@cuda.jit(device=True)
def norm(x, y, scale=2):
    return math.sqrt(square(x) + square(y)) * scale


@cuda.jit(device=True)
def ordered(a, b):
    if a < b:
        return a, b
    return b, a


@cuda.jit
def calls(x, y, out):
    i = cuda.grid(1)
    if i < x.size and norm(x[i], y[i]) > 1:
        low, high = ordered(x[i], y[i])
        out[i] = norm(low, high, scale=1) + low


def test_nested_device_functions():
    x, y = np.random.default_rng(1).normal(size=(2, 100))
    out = np.zeros(100)
    launch(calls, 4, 32, x, y, out)
    expected = np.where(2 * np.hypot(x, y) > 1, np.hypot(x, y) + np.minimum(x, y), 0)
    np.testing.assert_allclose(out, expected, rtol=0, atol=2e-15)


TABLE = np.array([3.0, 1.0, 4.0, 1.0, 5.0])


def make_kernel(use_table, size, scale):
    @cuda.jit
    def made(out):
        s = cuda.shared.array((size, 2), float64)
        t = cuda.threadIdx.x
        s[t, 0] = scale
        s[t, 1] = TABLE[t % 5] if use_table else 0.0
        cuda.syncthreads()
        if use_table:
            out[t] = s[size - 1 - t, 1] * s[t, 0]
        else:
            out[t] = scale

    return made


def test_closures_and_global_arrays_are_frozen():
    out = np.zeros(10)
    launch(make_kernel(False, 10, 0.5), 1, 10, out)
    np.testing.assert_array_equal(out, np.full(10, 0.5))
    kernel = CpuKernel(make_kernel(True, 10, np.float32(2)))
    kernel.launch((1, 1, 1), (10, 1, 1), 0, (out,))
    np.testing.assert_array_equal(out, 2 * np.tile(TABLE, 2)[::-1])
    TABLE[0] = 100
    kernel.launch((1, 1, 1), (10, 1, 1), 0, (out,))
    TABLE[0] = 3
    np.testing.assert_array_equal(out, 2 * np.tile(TABLE, 2)[::-1])


FACTOR = 2.0


@cuda.jit
def scaled(x):
    x[cuda.threadIdx.x] = FACTOR


def test_a_later_compilation_sees_the_global_of_its_time(monkeypatch):
    kernel, single, double = CpuKernel(scaled), np.zeros(4, np.float32), np.zeros(4)
    kernel.launch((1, 1, 1), (4, 1, 1), 0, (single,))
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3.0)
    kernel.launch((1, 1, 1), (4, 1, 1), 0, (single,))
    kernel.launch((1, 1, 1), (4, 1, 1), 0, (double,))
    assert (single[0], double[0]) == (2, 3)
    CpuKernel(scaled).launch((1, 1, 1), (4, 1, 1), 0, (single,))
    assert single[0] == 3


@cuda.jit
def where_am_i(out):
    x, y, z = cuda.grid(3)
    nx, ny, nz = cuda.gridsize(3)
    if x < out.shape[0] and y < out.shape[1] and z < out.shape[2]:
        out[x, y, z, 0] = x + 10 * y + 100 * z
        out[x, y, z, 1] = nx * 10_000 + ny * 100 + nz
        out[x, y, z, 2] = cuda.blockIdx.z * cuda.blockDim.z + cuda.threadIdx.z
        out[x, y, z, 3] = cuda.gridDim.x * 100 + cuda.gridDim.y * 10 + cuda.gridDim.z


def test_three_dimensional_grid():
    out = np.zeros((5, 7, 6, 4), np.int64)
    launch(where_am_i, (2, 3, 2), (3, 3, 3), out)
    x, y, z = np.indices((5, 7, 6))
    np.testing.assert_array_equal(out[..., 0], x + 10 * y + 100 * z)
    assert (out[..., 1] == 60_906).all()
    np.testing.assert_array_equal(out[..., 2], z)
    assert (out[..., 3] == 232).all()


# -- types -----------------------------------------------------------------------------------------
@cuda.jit
def extremes(x, y, out):
    i = cuda.grid(1)
    if i < x.size:
        out[0, i] = max(x[i], y[i])
        out[1, i] = min(x[i], y[i])
        out[2, i] = abs(x[i])


def test_min_and_max_prefer_numbers_to_nan():
    values = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1.5, -2], np.float32)
    x, y = (v.ravel() for v in np.meshgrid(values, values))
    out = np.zeros((3, x.size), np.float32)
    launch(extremes, 1, 64, x, y, out)
    np.testing.assert_array_equal(out, [np.fmax(x, y), np.fmin(x, y), np.abs(x)])


@cuda.jit
def integers(a, b, out):
    i = cuda.grid(1)
    if i < a.size:
        out[i, 0] = a[i] // b[i]
        out[i, 1] = a[i] % b[i]
        out[i, 2] = (a[i] << 2) ^ (b[i] >> 1) | 1
        out[i, 3] = int32(a[i] * 1_000_003) & 255
        out[i, 4] = max(a[i], b[i], 3) - min(a[i], 2)
        out[i, 5] = -a[i] if not a[i] > b[i] else ~b[i]


def test_integer_arithmetic():
    a, b = (np.random.default_rng(2).integers(-(10**6), 10**6, 200) for _ in range(2))
    b[b == 0] = 1
    out = np.zeros((200, 6), np.int64)
    launch(integers, 2, 128, a, b, out)
    columns = [a // b, a % b, (a << 2) ^ (b >> 1) | 1, (a * 1_000_003).astype(np.int32) & 255]
    columns += [np.maximum(np.maximum(a, b), 3) - np.minimum(a, 2), np.where(a <= b, -a, ~b)]
    np.testing.assert_array_equal(out, np.stack(columns, 1))


@cuda.jit
def divide(a, b, out):
    i = cuda.grid(1)
    out[i] = a[i] / b[i]


def test_division_by_zero_follows_ieee():
    a, b = np.array([1, -1, 0], np.float32), np.zeros(3, np.float32)
    out = np.ones(3, np.float32)
    launch(divide, 1, 3, a, b, out)
    np.testing.assert_array_equal(out, [np.inf, -np.inf, np.nan])


@cuda.jit
def flags(x, mask, out):
    i = cuda.grid(1)
    if i < x.size:
        keep = mask[i] and x[i] > 7
        out[i] = keep or x[i] == 3
        mask[i] = boolean(x[i] & 1)


def test_bool_and_uint8_arrays():
    x = np.arange(100, dtype=np.uint8)
    mask, out = x % 3 == 0, np.zeros(100, bool)
    expected = (mask & (x > 7)) | (x == 3)
    launch(flags, 4, 32, x, mask, out)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(mask, x & 1)


@cuda.jit
def shifted(x, offset, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = x[i + offset]


@pytest.mark.parametrize("offset", [-40, -1, 0])
def test_negative_indices_wrap_around(offset):
    x, out = np.arange(40), np.zeros(40, np.int64)
    launch(shifted, 1, 40, x, np.int64(offset), out)
    np.testing.assert_array_equal(out, np.roll(x, -offset))


@cuda.jit
def kinds(x, out):
    i = cuda.grid(1)
    acc = x.dtype.type(0)
    for k in range(len(x)):
        acc += x[k]
    out[i] = acc + x.ndim + x.size


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_accumulator_of_the_arrays_type(dtype):
    x, out = np.arange(10).astype(dtype), np.zeros(3, dtype)
    launch(kinds, 1, 3, x, out)
    np.testing.assert_array_equal(out, np.full(3, 56, dtype))


@cuda.jit
def wide_locals(out):
    mine = cuda.local.array(4096, int64)
    t = cuda.threadIdx.x
    for k in range(4096):
        mine[k] = k * t
    out[cuda.grid(1)] = mine[(t * 7) % 4096]


def test_local_arrays_larger_than_the_stack():
    out = np.zeros(64, np.int64)
    launch(wide_locals, 2, 32, out)
    t = np.tile(np.arange(32), 2)
    np.testing.assert_array_equal(out, t * 7 % 4096 * t)


# -- wrong arguments
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (np.zeros(3, "S4"), DtypeError, r"divide: argument 1 has dtype \|S4"),
        (np.zeros(3, ">f4"), DtypeError, r"argument 1 has dtype >f4"),
        ([1.0, 2.0], ArgumentError, r"argument 1 is of type list, expected an array, a number"),
        (None, ArgumentError, r"argument 1 is of type NoneType"),
        (2**70, ArgumentError, r"argument 1 is \d+, expected an integer of 64 bits"),
    ],
)
def test_wrong_argument(bad, error, message):
    a = np.zeros(3, np.float32)
    with pytest.raises(error, match=message):
        launch(divide, 1, 3, a, bad, a)


def test_wrong_number_of_arguments():
    with pytest.raises(TypeError, match="divide takes 3 arguments, got 1"):
        launch(divide, 1, 3, np.zeros(3))
