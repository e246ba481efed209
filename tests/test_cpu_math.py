"""Float32 functions of the CPU compiler against float64, on values from the whole range."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import cuda

from nnlite.kernels.engine.cpu import CpuKernel


def apply(name, *given):
    function = getattr(math, name)

    @cuda.jit
    def kernel(x, out):
        i = cuda.grid(1)
        if i < x.size:
            out[i] = function(x[i])

    @cuda.jit
    def kernel_of_two(x, y, out):
        i = cuda.grid(1)
        if i < x.size:
            out[i] = function(x[i], y[i])

    out = np.empty_like(given[0])
    chosen = CpuKernel(kernel if len(given) == 1 else kernel_of_two)
    chosen.launch((-(-out.size // 256), 1, 1), (256, 1, 1), 0, (*given, out))
    return out


def reference(name, x):
    with np.errstate(all="ignore"):
        name = {"atan": "arctan"}.get(name, name)
        if hasattr(np, name):
            return getattr(np, name)(x.astype(np.float64))
    return np.array([getattr(math, name)(v) for v in x.astype(np.float64)])


def ulps(result, exact):
    """Error in units of the last place of the float32 next to the exact value."""
    with np.errstate(over="ignore"):
        rounded = exact.astype(np.float32)
    both = np.isfinite(rounded) & np.isfinite(result)
    np.testing.assert_array_equal(result[~both], rounded[~both])
    spacing = np.spacing(np.abs(rounded[both])).astype(np.float64)
    return np.abs(result[both] - exact[both]) / spacing


LIMITS = {"atan": 2, "exp": 1.5, "log": 1.5, "tanh": 2.5, "erf": 1.5, "erfc": 4.5}


@pytest.mark.parametrize("name", LIMITS)
def test_float32_error_in_ulps(name):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint64).astype(np.uint32)
    near = np.concatenate([rng.normal(size=100_000) * 4, np.arange(-105, 90)]).astype(np.float32)
    x = np.concatenate([bits.view(np.float32), near])
    x = np.abs(x[np.isfinite(x)]) if name == "log" else x[np.isfinite(x)]
    assert ulps(apply(name, x), reference(name, x)).max() <= LIMITS[name]


@pytest.mark.parametrize("name", LIMITS)
def test_special_values(name):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 1e-45, -1e-45, -1.0], np.float32)
    if name == "log":
        expected = np.array([np.nan, np.inf, np.nan, -np.inf, -np.inf, 0, 0, np.nan, np.nan], "f4")
        expected[6] = np.log(np.float64(x[6]))
    else:
        expected = reference(name, x).astype(np.float32)
    result = apply(name, x)
    np.testing.assert_array_max_ulp(result, expected, 1)
    zero = expected == 0
    np.testing.assert_array_equal(np.signbit(result[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("name", LIMITS)
def test_float64_keeps_its_precision(name):
    x = np.linspace(0.1, 5, 1000)
    np.testing.assert_allclose(apply(name, x), reference(name, x), rtol=1e-15)


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1, -1, 1e-45, -1e-45, 3e38, -3e38], "f4")


def test_atan2_error_in_ulps():
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**32, (2, 200_000), dtype=np.uint64).astype(np.uint32)
    near = rng.normal(size=(2, 100_000)).astype(np.float32)
    y, x = np.concatenate([bits.view(np.float32), near], 1)
    keep = np.isfinite(x) & np.isfinite(y)
    y, x = y[keep], x[keep]
    assert ulps(apply("atan2", y, x), np.arctan2(y.astype(float), x.astype(float))).max() <= 2.5


def test_atan2_of_special_values():
    y, x = (np.ascontiguousarray(a.ravel()) for a in np.meshgrid(SPECIAL, SPECIAL))
    expected = np.arctan2(y, x)
    result = apply("atan2", y, x)
    np.testing.assert_array_max_ulp(result, expected, 1)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(result[known]), np.signbit(expected[known]))


def test_atan2_of_float64_keeps_its_precision():
    y, x = np.random.default_rng(2).normal(size=(2, 1000))
    np.testing.assert_allclose(apply("atan2", y, x), np.arctan2(y, x), rtol=1e-15)
