"""Bit functions, selections, hinted loads and the functions of math with CUDA's types."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from numba import cuda

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.errors import UnsupportedKernelError


def launch(kernel, size, *args):
    CpuKernel(kernel).launch((-(-size // 64), 1, 1), (64, 1, 1), 0, args)


@cuda.jit
def bits(x, counts):
    i = cuda.grid(1)
    if i < x.size:
        counts[i, 0] = cuda.popc(x[i])
        counts[i, 1] = cuda.clz(x[i])
        counts[i, 2] = cuda.ffs(x[i])
        counts[i, 3] = x[i].bit_count()


def integers(dtype):
    info = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    some = rng.integers(info.min, info.max, 1001, dtype=dtype) >> rng.integers(0, 60, 1001).astype(
        dtype
    ) % dtype(info.bits)
    edges = np.array([0, 1, 2, 3, info.max, info.min, info.max - 1], dtype)
    return np.concatenate([edges, some])


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_counting_bits(dtype):
    x = integers(dtype)
    width = np.iinfo(dtype).bits
    words = [format(int(v) % 2**width, f"0{width}b") for v in x]
    expected = [
        (w.count("1"), width - len(w.lstrip("0")), width - w.rfind("1") if "1" in w else 0)
        for w in words
    ]
    counts = np.zeros((x.size, 4), np.int64)
    launch(bits, x.size, x, counts)
    np.testing.assert_array_equal(counts[:, :3], expected)
    np.testing.assert_array_equal(counts[:, 3], counts[:, 0])


@cuda.jit
def reverse(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = cuda.brev(x[i])


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_brev(dtype):
    x = integers(dtype)
    width = np.iinfo(dtype).bits
    out = np.zeros_like(x)
    launch(reverse, x.size, x, out)
    assert [int(format(int(v), f"0{width}b")[::-1], 2) for v in x] == out.tolist()


@cuda.jit
def fused(a, b, c, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = cuda.fma(a[i], b[i], c[i])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fma_rounds_once(dtype):
    a, b = np.random.default_rng(1).normal(size=(2, 1001)).astype(dtype)
    c = -(a * b)  # all that is left is what rounding took away
    out = np.zeros_like(a)
    launch(fused, 1001, a, b, c, out)
    exact = [
        Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c)
    ]
    np.testing.assert_array_equal(out, np.array([float(e) for e in exact], dtype))
    assert (out != 0).sum() > 500


@cuda.jit
def roots(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = cuda.cbrt(x[i])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cbrt(dtype):
    x = np.concatenate([np.random.default_rng(2).normal(size=999) * 1e3, [0, -27, np.inf]])
    x, out = x.astype(dtype), np.zeros(x.size, dtype)
    launch(roots, x.size, x, out)
    expected = np.cbrt(x.astype(np.float64)).astype(dtype)
    np.testing.assert_array_max_ulp(out, expected, 2)  # the C library's float64 errs by 1 or so


@cuda.jit
def select(x, y, out):
    i = cuda.grid(1)
    if i < x.size:
        cuda.nanosleep(5)
        out[i] = cuda.selp(x[i] > y[i], x[i], y[i])


@cuda.jit
def select_mixed(x, y, out):
    out[0] = cuda.selp(x[0] > 0, x[0], y[0])


def test_selp():
    x, y = np.random.default_rng(3).normal(size=(2, 100))
    out = np.zeros(100)
    launch(select, 100, x, y, out)
    np.testing.assert_array_equal(out, np.maximum(x, y))
    with pytest.raises(UnsupportedKernelError, match="two numbers of one type, not float64 and in"):
        launch(select_mixed, 1, x, np.zeros(3, np.int32), out)


@cuda.jit
def cached(x, out):
    i, j = cuda.threadIdx.x, cuda.blockIdx.x
    cuda.stcg(out, (0, i), cuda.ldca(x, (j, i)))
    cuda.stcs(out, (1, i), cuda.ldcg(x, (j, i)))
    cuda.stwb(out, (2, i), cuda.ldcs(x, (j, i)))
    cuda.stwt(out, (-1, i), cuda.ldcv(x, (j, i)) + cuda.ldlu(x, (j, i)))


@cuda.jit
def wait_for_flag(flag, data, out):
    """Block 1 waits for block 0, which another OS thread runs, or ran before."""
    if cuda.blockIdx.x == 0:
        data[0] = 42
        cuda.threadfence()
        cuda.atomic.exch(flag, 0, 1)
    else:
        while cuda.ldcv(flag, 0) == 0:
            pass
        out[0] = data[0]


def test_cache_hints():
    x = np.random.default_rng(4).normal(size=(1, 64)).astype(np.float32)
    out = np.zeros((4, 64), np.float32)
    launch(cached, 64, x, out)
    np.testing.assert_array_equal(out, np.concatenate([x, x, x, x + x]))
    flag, data, out = np.zeros(1, np.int32), np.zeros(1), np.zeros(1)
    CpuKernel(wait_for_flag).launch((2, 1, 1), (1, 1, 1), 0, (flag, data, out))
    assert out[0] == 42


@cuda.jit
def of_math(x, n, out, whole):
    i = cuda.grid(1)
    if i < x.size:
        out[i, 0] = math.floor(x[i])
        out[i, 1] = math.ceil(x[i])
        out[i, 2] = math.trunc(x[i])
        out[i, 3] = math.fmod(x[i], 0.75)
        out[i, 4] = math.remainder(x[i], 0.75)
        out[i, 5] = math.nextafter(x[i], x[0])
        out[i, 6] = math.pow(x[i], n[i])
        out[i, 7] = math.ldexp(x[i], n[i])
        out[i, 8], whole[i, 0] = math.frexp(x[i])
        out[i, 9], out[i, 10] = math.modf(x[i])
        whole[i, 1] = round(x[i])
        out[i, 11] = round(x[i], 2)
        whole[i, 2], whole[i, 3] = divmod(n[i], 3)
        out[i, 12] = math.floor(n[i])
        out[i, 13] = math.copysign(x[i], n[i])
        out[i, 14] = np.hypot(np.minimum(x[i], 2.0), np.square(x[i]))


def test_math_like_python():
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(size=500) * 20, [0.5, 1.5, -2.5, 3.0, 0.0]])
    n = rng.integers(-4, 5, x.size).astype(np.int32)
    n[-1] = 1
    out, whole = np.zeros((x.size, 15)), np.zeros((x.size, 4), np.int64)
    launch(of_math, x.size, x, n, out, whole)
    for v, k, o, w in zip(x.tolist(), n.tolist(), out.tolist(), whole.tolist()):
        fraction, exponent = math.frexp(v)
        assert w == [exponent, round(v), *divmod(k, 3)]
        expected = [
            math.floor(v), math.ceil(v), math.trunc(v), math.fmod(v, 0.75),
            math.remainder(v, 0.75), math.nextafter(v, x[0]), o[6], math.ldexp(v, k), fraction,
            *math.modf(v), o[11], float(k), math.copysign(v, k), o[14],
        ]  # fmt: skip
        assert o == expected
        assert o[6] == pytest.approx(v**k, rel=4e-16)
        assert o[11] == pytest.approx(round(v, 2), rel=4e-16)
        assert o[14] == pytest.approx(math.hypot(min(v, 2.0), v * v), rel=4e-16)


@cuda.jit
def stays_float32(x, out):
    """Each result times 2**30 plus 1 is exact in float64 only."""
    i = cuda.grid(1)
    big, one = np.float32(2.0**30), np.float32(1)
    out[i, 0] = (math.floor(x[i]) * big + one) - x[i] * big
    out[i, 1] = (math.pow(x[i], x[i]) * big + one) - math.pow(x[i], x[i]) * big
    out[i, 2] = (math.fmod(x[i], x[i]) + big) + one - big
    out[i, 3] = (cuda.cbrt(x[i]) * big + one) - cuda.cbrt(x[i]) * big
    out[i, 4] = (np.sqrt(x[i]) * big + one) - np.sqrt(x[i]) * big


def test_float32_stays_float32():
    out = np.full((64, 5), 7.0)
    launch(stays_float32, 64, np.ones(64, np.float32), out)
    np.testing.assert_array_equal(out, 0)


@cuda.jit
def round_digits(x, digits, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = round(x[i], digits)


@pytest.mark.parametrize("digits", [-2, 0, 1, 3, 25])
def test_round_to_digits(digits):
    """Scaled in float64 also for float32: 0.3425 has no exact half there."""
    x = np.concatenate([np.random.default_rng(6).normal(size=300) * 1e3, [0.3425, 2.5, np.inf]])
    x, out = x.astype(np.float32), np.zeros(x.size, np.float32)
    launch(round_digits, x.size, x, digits, out)
    expected = [round(v, digits) for v in x.astype(np.float64).tolist()]
    np.testing.assert_array_equal(out, np.array(expected, np.float32))


@cuda.jit
def extremes(x, y, out):
    i = cuda.grid(1)
    if i < x.size:
        out[0, i] = max(x[i], y[i], x[i - 1], 0.25)
        out[1, i] = min(x[i], y[i], x[i - 1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32])
def test_extremes_of_several(dtype):
    x, y = (np.random.default_rng(7).normal(size=(2, 200)) * 3).astype(dtype)
    out = np.zeros((2, 200))
    launch(extremes, 200, x, y, out)
    all_three = np.stack([x, y, np.roll(x, 1)]).astype(np.float64)
    np.testing.assert_array_equal(out, [np.maximum(all_three.max(0), 0.25), all_three.min(0)])


@cuda.jit
def ufunc_of_half(x, out):
    out[0] = np.sin(x[0])


def test_ufuncs_of_float16_are_refused():
    """numba-cuda has none either; the functions of math and cuda.fp16 take float16."""
    with pytest.raises(UnsupportedKernelError, match="unsupported type for input operand: float16"):
        launch(ufunc_of_half, 1, np.ones(1, np.float16), np.zeros(1))
