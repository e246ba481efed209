"""Complex numbers, small integers and dates in kernels, against NumPy."""

from __future__ import annotations

import cmath

import numpy as np
import pytest
from numba import complex64, complex128, cuda

from nnlite.kernels.engine.cpu import CpuKernel


def run(kernel, n, *args):
    CpuKernel(kernel).launch((1, 1, 1), (n, 1, 1), 0, args)


@cuda.jit
def arithmetic(x, factor, out):
    s = cuda.shared.array(32, complex128)
    mine = cuda.local.array(2, complex64)
    t = cuda.threadIdx.x
    z = x[t] * factor + 1j
    s[t] = z.conjugate()
    mine[0] = x[t]
    mine[1] = complex(t, 2)
    cuda.syncthreads()
    w = s[31 - t] / 2
    cuda.syncthreads()
    s[t] = z
    cuda.syncthreads()
    out[t, 0] = w + z
    out[t, 1] = z.real - z.imag * abs(w)
    out[t, 2] = mine[0] * mine[1] + s[31 - t]


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_arithmetic_across_barriers(dtype):
    rng = np.random.default_rng(0)
    x = (rng.random(32) + 1j * rng.random(32)).astype(dtype)
    out = np.zeros((32, 3), complex)
    run(arithmetic, 32, x, 2 - 3j, out)
    z = x.astype(np.complex128) * (2 - 3j) + 1j
    w = z[::-1].conj() / 2
    small = x.astype(np.complex64) * (np.arange(32) + 2j)
    expected = [w + z, z.real - z.imag * abs(w), small + z[::-1]]
    np.testing.assert_allclose(out, np.stack(expected, 1), rtol=1e-6)


@cuda.jit
def functions(x, out):
    i = cuda.grid(1)
    out[i, 0] = cmath.exp(x[i]) + cmath.sqrt(x[i])
    out[i, 1] = cmath.phase(x[i])
    out[i, 2] = x[i] ** 2 - cmath.log(x[i])
    out[i, 3] = cmath.sin(x[i]) * cmath.cosh(x[i])


def test_functions_of_cmath():
    rng = np.random.default_rng(1)
    x = rng.standard_normal(40) + 1j * rng.standard_normal(40)
    out = np.zeros((40, 4), complex)
    run(functions, 40, x, out)
    expected = [np.exp(x) + np.sqrt(x), np.angle(x), x**2 - np.log(x), np.sin(x) * np.cosh(x)]
    np.testing.assert_allclose(out, np.stack(expected, 1), rtol=1e-12)


@cuda.jit
def mandelbrot(points, counts):
    i = cuda.grid(1)
    z = 0j
    for k in range(50):
        if abs(z) > 2:
            counts[i] = k
            break
        z = z * z + points[i]


def test_divergent_complex_loop():
    points = (np.linspace(-2, 1, 64) + 0.3j).astype(complex)
    counts = np.zeros(64, np.int64)
    run(mandelbrot, 64, points, counts)
    for c, count in zip(points, counts):
        z, k = 0j, 0
        while k < 50 and abs(z) <= 2:
            z, k = z * z + c, k + 1
        assert count == (k if k < 50 else 0)


@cuda.jit
def copies(x, out):
    i = cuda.grid(1)
    v = x[i]
    s = cuda.shared.array(8, np.int16)
    s[i] = i
    cuda.syncthreads()
    out[i] = v
    if s[7 - i] > 3:
        out[i] = x[7 - i]


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c8", "c16", "M8[D]", "m8[ms]"]
)
def test_every_dtype_lives_across_a_barrier(dtype):
    x = np.arange(8).astype(dtype)
    out = np.zeros(8, dtype)
    run(copies, 8, x, out)
    expected = x.copy()
    expected[:4] = x[7:3:-1]
    np.testing.assert_array_equal(out, expected)


@cuda.jit
def zero_dimensions(x, out):
    out[()] = x[()] + 1


def test_arrays_without_dimensions():
    x, out = np.array(3.5), np.array(0.0)
    run(zero_dimensions, 1, x, out)
    assert out == 4.5
