"""float16 on the CPU: storage, arithmetic to the last bit, types, cuda.fp16, conversions."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numba import cuda, types

from nnlite.kernels.engine.cpu import CpuKernel

F16, F32 = np.float16, np.float32
ALL = np.arange(2**16, dtype=np.uint16).view(F16)
float16 = types.float16
THIRD = F16(1 / 3)


def launch(kernel, size, *args):
    CpuKernel(kernel).launch((-(-size // 256), 1, 1), (256, 1, 1), 0, args)


def same(got, expected):
    """Equal bits, but for the digits of a NaN."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    keep = ~np.isnan(expected)
    np.testing.assert_array_equal(got[keep].view(np.uint16), expected[keep].view(np.uint16))


def pairs():
    """Numbers of every size next to each other, special ones, and equal exponents."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2**16, (2, 60_000), dtype=np.uint16).view(F16)
    close = (x[:20_000].view(np.uint16) ^ rng.integers(0, 2**11, 20_000, dtype=np.uint16)).view(F16)
    return np.concatenate([x, x[:20_000]]), np.concatenate([y, close])


@cuda.jit
def arithmetic(x, y, out):
    i = cuda.grid(1)
    if i < x.size:
        a, b = x[i], y[i]
        out[0, i] = a + b
        out[1, i] = a - b
        out[2, i] = a * b
        out[3, i] = a / b
        out[4, i] = math.sqrt(a)
        out[5, i] = -a
        out[6, i] = abs(b)
        out[7, i] = a * b + a


def test_arithmetic_to_the_last_bit():
    x, y = pairs()
    out = np.zeros((8, x.size), F16)
    launch(arithmetic, x.size, x, y, out)
    with np.errstate(all="ignore"):
        expected = [x + y, x - y, x * y, x / y, np.sqrt(x), -x, abs(y), x * y + x]
    for got, want in zip(out, expected):
        same(got, want)


@cuda.jit
def compare(x, y, out):
    i = cuda.grid(1)
    if i < x.size:
        a, b = x[i], y[i]
        out[0, i] = a < b
        out[1, i] = a <= b
        out[2, i] = a == b
        out[3, i] = a != b
        out[4, i] = a > b and not a <= b
        out[5, i] = a >= 0.5
        out[6, i] = bool(a)
        if not a:
            out[7, i] = True


def test_comparisons():
    x, y = pairs()
    y[:1000] = x[:1000]
    out = np.zeros((8, x.size), bool)
    launch(compare, x.size, x, y, out)
    expected = [x < y, x <= y, x == y, x != y, x > y, x >= 0.5, x != 0, x == 0]
    np.testing.assert_array_equal(out, expected)


@cuda.jit
def convert(x, wide, narrow, integers):
    i = cuda.grid(1)
    if i < x.size:
        wide[i] = x[i]
        narrow[0, i] = np.float16(wide[i])
        narrow[1, i] = np.float32(x[i])
        if abs(x[i]) < np.float16(3e4):
            integers[i] = int(x[i])
            narrow[2, i] = np.int32(x[i])
            narrow[3, i] = round(x[i])


def test_every_float16_converts_exactly():
    wide, narrow = np.zeros(ALL.size, F32), np.zeros((4, ALL.size), F16)
    integers = np.zeros(ALL.size, np.int64)
    launch(convert, ALL.size, ALL, wide, narrow, integers)
    np.testing.assert_array_equal(wide, ALL.astype(F32))
    same(narrow[0], ALL)
    same(narrow[1], ALL)
    small = abs(ALL) < F16(3e4)
    whole = np.where(small, ALL, 0).astype(np.int64)
    np.testing.assert_array_equal(integers, whole)
    np.testing.assert_array_equal(narrow[2], whole.astype(F16))
    np.testing.assert_array_equal(narrow[3], np.rint(np.where(small, ALL, 0)))


@cuda.jit
def shrink(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = x[i]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int64, np.uint32, np.int8])
def test_rounding_to_float16(dtype):
    rng = np.random.default_rng(1)
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        x = rng.integers(info.min, info.max, 5000, dtype=dtype) >> rng.integers(0, info.bits, 5000)
        x = x.astype(dtype)
    else:
        finite = ALL[np.isfinite(ALL)].astype(dtype)
        with np.errstate(over="ignore"):
            following = np.nextafter(ALL, F16(np.inf))[np.isfinite(ALL)]
        halves = (finite + following.astype(dtype)) / 2
        near = [np.nextafter(halves, dtype(s)) for s in (-np.inf, np.inf)]
        special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 65519.9, 65520, 1e30, 1e-30], dtype)
        x = np.concatenate([halves, *near, special, rng.normal(size=5000).astype(dtype)])
    out = np.zeros(x.size, F16)
    launch(shrink, x.size, x, out)
    with np.errstate(over="ignore"):
        same(out, x.astype(F16))


@cuda.jit
def stored(x, scale, out):
    """Shared, local and per-thread storage, a shuffle, a constant and a scalar argument."""
    t, i = cuda.threadIdx.x, cuda.grid(1)
    s = cuda.shared.array(256, float16)
    mine = cuda.local.array(2, np.float16)
    s[t] = x[i]
    keep = x[i] * scale
    cuda.syncthreads()
    mine[t % 2] = s[255 - t]
    mine[1 - t % 2] = keep
    mine[0] += mine[1]
    out[0, i] = mine[0] + mine[1] - mine[1]
    out[1, i] = cuda.shfl_xor_sync(0xFFFFFFFF, keep, 1)
    out[2, i] = keep * THIRD
    out[3, i] = x.dtype.type(0.1) + max(keep, s[t])
    s[t] += keep
    cuda.syncthreads()
    out[4, i] = s[(t + 1) % 256]


def test_storage():
    x = np.random.default_rng(2).normal(size=512).astype(F16)
    out, scale = np.zeros((5, 512), F16), F16(1.7)
    launch(stored, 512, x, scale, out)
    keep, across = x * scale, x.reshape(2, 256)[:, ::-1].ravel()
    second = np.where(np.arange(512) % 2, across, keep)
    total = keep + across
    same(out[0], total + second - second)
    same(out[1], keep.reshape(-1, 2)[:, ::-1].ravel())
    same(out[2], keep * THIRD)
    same(out[3], F16(0.1) + np.maximum(keep, x))
    same(out[4], np.roll((x + keep).reshape(2, 256), -1, axis=1).ravel())


# -- numba-cuda's type rules: what can be seen of them in the results ------------------------------
@cuda.jit
def mixed(x, out):
    h, one = x[0], np.float32(1)
    tiny = np.float16(2.0**-11)  # 1 + tiny is 1 in float16 only
    out[0] = h + tiny - h
    out[1] = (h + one) + tiny - (h + one)
    out[2] = h * 1 + tiny - h
    out[3] = np.int8(1) + tiny - h
    out[4] = True + tiny - h
    out[5] = np.int16(1) + tiny - one
    out[6] = math.exp(np.float16(0)) + tiny - h
    out[7] = math.tan(np.float16(0)) + one + tiny - one
    out[8] = math.floor(h) + tiny - h
    out[9] = float(h) + tiny - h
    out[10] = h**1 + tiny - one
    out[11] = h // h + tiny - one


def test_types():
    out = np.full(12, 9.0)
    CpuKernel(mixed).launch((1, 1, 1), (1, 1, 1), 0, (np.ones(1, F16), out))
    kept = [0, 3, 4, 6, 8, 9]
    np.testing.assert_array_equal(out, [0 if k in kept else 2.0**-11 for k in range(12)])


FUNCTIONS = {
    "hsin": np.sin, "hcos": np.cos, "hlog": np.log, "hlog2": np.log2, "hlog10": np.log10,
    "hexp": np.exp, "hexp2": np.exp2, "hexp10": lambda x: 10.0**x, "htanh": np.tanh,
    "hrsqrt": lambda x: 1 / np.sqrt(x), "hrcp": lambda x: 1 / x,
}  # fmt: skip
EXACT = {"hsqrt": np.sqrt, "hfloor": np.floor, "hceil": np.ceil, "htrunc": np.trunc,
         "hrint": np.rint, "hneg": np.negative, "habs": np.abs}  # fmt: skip


def test_fp16_functions_of_every_float16(evaluate):
    fp16 = pytest.importorskip("numba.cuda.fp16")
    got = evaluate({n: getattr(fp16, n) for n in [*FUNCTIONS, *EXACT]}, F16, ALL)
    with np.errstate(all="ignore"):
        for name, function in EXACT.items():
            same(got[name], function(ALL.astype(np.float64)).astype(F16))
        for name, function in FUNCTIONS.items():
            exact = function(ALL.astype(np.float64))
            rounded = exact.astype(F16)
            np.testing.assert_array_equal(np.isnan(got[name]), np.isnan(exact))
            finite = np.isfinite(rounded) & np.isfinite(got[name])
            inside = np.isnan(exact) | finite | (np.abs(exact) > 65500)
            assert inside.all(), name
            error = np.abs(got[name][finite].astype(np.float64) - exact[finite])
            assert (error / np.spacing(np.abs(rounded[finite])).astype(float)).max() <= 0.51, name


def test_fp16_functions_of_several_arguments(evaluate):
    fp16 = pytest.importorskip("numba.cuda.fp16")
    x, y = pairs()
    binary = {
        "hadd": np.add, "hsub": np.subtract, "hmul": np.multiply, "hdiv": np.divide,
        "hmax": np.fmax, "hmin": np.fmin,
    }  # fmt: skip
    with np.errstate(all="ignore"):
        for name, got in evaluate({n: getattr(fp16, n) for n in binary}, F16, x, y).items():
            if name in ("hmax", "hmin"):
                np.testing.assert_array_equal(got, binary[name](x, y))
            else:
                same(got, binary[name](x, y))
    y[:500] = x[:500]
    tests = {"heq": x == y, "hne": x != y, "hlt": x < y, "hle": x <= y, "hgt": x > y, "hge": x >= y}
    got = evaluate({n: getattr(fp16, n) for n in tests}, bool, x, y)
    np.testing.assert_array_equal(list(got.values()), list(tests.values()))


def rounded_fraction(exact):
    """The float16 next to a fraction, ties to even."""
    below = F16(float(exact))  # off by one at most
    near = [np.nextafter(below, F16(-np.inf)), below, np.nextafter(below, F16(np.inf))]
    near = [v for v in near if np.isfinite(v)]
    return min(near, key=lambda v: (abs(Fraction(float(v)) - exact), int(v.view(np.uint16)) % 2))


def test_hfma_rounds_once(evaluate):
    fp16 = pytest.importorskip("numba.cuda.fp16")
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=(2, 4000)) * 10.0 ** rng.integers(-3, 2, (2, 4000))).astype(F16)
    z = (-(x * y)).astype(F16)  # the hardest sums: cancelled, or far apart in size
    z[2000:] = (rng.normal(size=2000) * 10.0 ** rng.integers(-7, 4, 2000)).astype(F16)
    x[0], y[0], z[0] = 2.0**-24, 2.0**-24, 1 + 2.0**-10
    x[1], y[1], z[1] = 1.5, 1 + 2.0**-10, 2.0**-24
    got = evaluate({"hfma": fp16.hfma}, F16, x, y, z)["hfma"]
    exact = [
        Fraction(a) * Fraction(b) + Fraction(c)
        for a, b, c in zip(x.tolist(), y.tolist(), z.tolist())
    ]
    np.testing.assert_array_equal(got, np.array([rounded_fraction(e) for e in exact]))


@pytest.mark.skipif("NNLITE_GENERIC" in os.environ, reason="the inner run of this very test")
def test_without_conversion_instructions(tmp_path):
    """The same tests once more for a processor without F16C."""
    env = os.environ | {
        "NUMBA_CPU_NAME": "generic", "NNLITE_GENERIC": "1", "NNLITE_CACHE_DIR": str(tmp_path),
    }  # fmt: skip
    chosen = "last_bit or converts or rounding or hfma or storage"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        __file__,
        "-k",
        chosen,
    ]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
