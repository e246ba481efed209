"""Integer division by run-time values, which runs in floating point where that is exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cuda

from nnlite.kernels.engine.cpu import CpuKernel

EDGE = 2**47 - 1


@cuda.jit
def divide(limit, b, low, out):
    """``start`` is below 2**48 by its definition, so both divisions are exact in doubles."""
    i = cuda.grid(1)
    start = limit - i - low
    out[i, 0] = start // b
    out[i, 1] = start % b
    out[i, 2] = start // -b
    out[i, 3] = start % (0 - b)


@cuda.jit
def of_anything(a, b, out):
    i = cuda.grid(1)
    out[i, 0] = a[i] // b[i]
    out[i, 1] = a[i] % b[i]


def expected(a, b):
    with np.errstate(divide="ignore"):
        return np.stack([np.floor_divide(a, b), np.remainder(a, b)], 1)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, EDGE), st.integers(0, EDGE), st.integers(0, EDGE))
def test_quotient_and_remainder_are_exact(limit, b, low):
    kernel = test_quotient_and_remainder_are_exact.__dict__.setdefault("kernel", CpuKernel(divide))
    out = np.zeros((64, 4), np.int64)
    kernel.launch((2, 1, 1), (32, 1, 1), 0, (limit, b, low, out))
    a = limit - low - np.arange(64)
    b = np.int64(b)
    np.testing.assert_array_equal(out, np.hstack([expected(a, b), expected(a, -b)]))
    assert "floordiv_" in kernel.compiled[0].source


@pytest.mark.parametrize("b", [1, 2, 3, 7, 2**31 - 1, 2**46, EDGE])
def test_multiples_and_their_neighbours(b):
    kernel = CpuKernel(divide)
    for k in (0, 1, 2, 3, EDGE // b - 1, EDGE // b):
        out = np.zeros((32, 4), np.int64)
        limit = min(k * b + 16, EDGE)
        kernel.launch((1, 1, 1), (32, 1, 1), 0, (limit, b, 0, out))
        a = limit - np.arange(32)
        np.testing.assert_array_equal(out[:, :2], expected(a, np.int64(b)))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint8, np.uint64])
def test_numbers_of_any_size(dtype):
    """Elements of int64 arrays may be large: these divisions stay in integers."""
    rng = np.random.default_rng(0)
    info = np.iinfo(dtype)
    a = rng.integers(info.min, info.max, 256, dtype, endpoint=True)
    b = rng.integers(info.min, info.max, 256, dtype, endpoint=True) >> 3
    a[:4], b[:4] = [info.min, info.max, 5, info.min], [1, 1, 0, 3]
    out = np.zeros((256, 2), np.int64 if dtype != np.uint64 else np.uint64)
    CpuKernel(of_anything).launch((2, 1, 1), (128, 1, 1), 0, (a, b, out))
    wide = np.uint64 if dtype == np.uint64 else np.int64
    np.testing.assert_array_equal(out, expected(a.astype(wide), b.astype(wide)))


@cuda.jit
def of_small_unsigned(a, b, n, out):
    i = cuda.grid(1)
    v = a[i]
    out[i, 0] = (a[i] * n + b[i] * (255 - n) + 127) // 255
    out[i, 1] = (v - 300) // 7
    out[i, 2] = v % 7
    out[i, 3] = (v & 15) // 3
    out[i, 4] = n // (b[i] + 1)
    out[i, 5] = v // b[i] + n


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_small_unsigned_numbers(dtype):
    """With a signed number they give an int64; among themselves a uint64."""
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, np.iinfo(dtype).max, (2, 64), dtype, endpoint=True)
    a[:3], b[:3] = [0, np.iinfo(dtype).max, 3], [np.iinfo(dtype).max, 1, 4]
    b[3:] |= 1
    out = np.zeros((64, 6), np.int64)
    kernel = CpuKernel(of_small_unsigned)
    kernel.launch((2, 1, 1), (32, 1, 1), 0, (a, b, np.int32(77), out))
    v, w = a.astype(np.int64), b.astype(np.int64)
    want = [
        (v * 77 + w * (255 - 77) + 127) // 255,
        (v - 300) // 7,
        v % 7,
        (v & 15) // 3,
        77 // (w + 1),
        v // w + 77,
    ]
    np.testing.assert_array_equal(out, np.stack(want, 1))
    small = 4 if dtype is np.uint8 else 3  # products with 32 bits may be too large
    assert kernel.compiled[0].source.count("floordiv_") == small
