"""libdevice on the CPU: every function, against Python's integers, fractions and math.

Accuracy, in units of the last place: the C library's functions err by less than 2 (Bessel and gamma
functions excepted, where Python itself is off by as much), the float32 polynomials for exp, log,
tanh and erf by at most 2.5, for erfc by 4.5, functions of ``rt_special`` by at most 3 in float64;
float32 versions of those round a float64 once.
"""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from numba import cuda

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.cpu.rt_libdevice import TABLE

libdevice = pytest.importorskip("numba.cuda.libdevice")  # not in Numba's own simulator
functions = pytest.importorskip("numba.cuda.libdevicefuncs").functions
F32, F64 = np.float32, np.float64


@pytest.fixture
def run(evaluate):
    def named(names, result, *columns):
        return evaluate({n: getattr(libdevice, n) for n in names}, result, *columns)

    return named


def ulps(got, exact, dtype):
    """The greatest error, where both are finite; elsewhere they must agree."""
    exact = np.asarray(exact, F64)
    with np.errstate(over="ignore"):
        rounded = exact.astype(dtype)
    finite = np.isfinite(rounded) & np.isfinite(got)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    error = np.abs(got[finite].astype(F64) - exact[finite])
    return (error / np.spacing(np.abs(rounded[finite])).astype(F64)).max()


def test_every_function_has_its_signature():
    from numba.cuda.libdevicefuncs import create_signature

    from nnlite.kernels.engine.cpu.rt_scalar import signature

    wanted = {n[5:]: str(create_signature(*f)) for n, f in functions.items()}
    assert {n: str(signature(entry[0])) for n, entry in TABLE.items()} == wanted


PYTHON_UNARY = [
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "erf", "erfc", "exp", "expm1",
    "lgamma", "log", "log10", "log1p", "log2", "sin", "sinh", "sqrt", "tan", "tanh", "fabs",
]  # fmt: skip
LIMITS = {"exp": 2.5, "log": 2.5, "tanh": 2.5, "erf": 2.5, "erfc": 4.5, "lgamma": 10}
DOMAIN = {
    "acosh": (1, 1e4), "acos": (-1, 1), "asin": (-1, 1), "atanh": (-0.999, 0.999), "exp": (-80, 80),
    "lgamma": (3, 100), "log": (1e-6, 1e6), "log10": (1e-6, 1e6), "log1p": (-0.99, 1e3),
    "log2": (1e-6, 1e6), "sqrt": (0, 1e8), "erfc": (-3, 8), "cosh": (-30, 30), "sinh": (-30, 30),
    "expm1": (-5, 30),
}  # fmt: skip


@pytest.mark.parametrize(("dtype", "letter"), [(F32, "f"), (F64, "")])
def test_functions_of_math(run, dtype, letter):
    rng = np.random.default_rng(0)
    by_domain: dict = {}
    for name in PYTHON_UNARY:
        by_domain.setdefault(DOMAIN.get(name, (-20, 20)), []).append(name)
    for (low, high), names in by_domain.items():
        x = rng.uniform(low, high, 999).astype(dtype)
        x = np.clip(x, dtype(low), dtype(high))
        got = run([n + letter for n in names], dtype, x)
        for n in names:
            exact = [getattr(math, n)(v) for v in x.tolist()]
            assert ulps(got[n + letter], exact, dtype) <= LIMITS.get(n, 2), n


@pytest.mark.parametrize(("dtype", "letter"), [(F32, "f"), (F64, "")])
def test_rounding_to_whole_numbers_and_two_arguments(run, dtype, letter):
    rng = np.random.default_rng(1)
    halves = np.arange(-6, 6, 0.5)
    x = np.concatenate([rng.normal(size=300) * 100, halves, [np.inf, -np.inf, np.nan]])
    x = x.astype(dtype)
    names = ["ceil", "floor", "trunc", "rint", "nearbyint", "round"]
    got = run([n + letter for n in names], dtype, x)
    away = np.copysign(np.floor(np.abs(x) + dtype(0.5)), x)
    expected = [np.ceil(x), np.floor(x), np.trunc(x), np.rint(x), np.rint(x), away]
    np.testing.assert_array_equal([got[n + letter] for n in names], expected)

    x, y = (rng.normal(size=(2, 400)) * 10).astype(dtype)
    names = ["atan2", "fmod", "hypot", "remainder", "copysign", "nextafter", "pow", "fdim"]
    got = run([n + letter for n in names], dtype, np.abs(x), y)
    pairs = list(zip(np.abs(x).tolist(), y.tolist()))
    for n in ("atan2", "fmod", "hypot", "remainder", "copysign", "pow"):
        assert ulps(got[n + letter], [getattr(math, n)(u, v) for u, v in pairs], dtype) <= 2, n
    np.testing.assert_array_equal(got["nextafter" + letter], np.nextafter(np.abs(x), y))
    np.testing.assert_array_equal(got["fdim" + letter], np.maximum(np.abs(x) - y, 0))
    x[:3], y[2:5] = np.nan, np.nan
    got = run(["fmax" + letter, "fmin" + letter], dtype, x, y)
    np.testing.assert_array_equal(list(got.values()), [np.fmax(x, y), np.fmin(x, y)])


# -- special functions -----------------------------------------------------------------------------
# x: erfcx(x), normcdf(x); p: erfcinv(p), normcdfinv(p); computed with 60 digits by mpmath.
REFERENCE = {
    "erfcx": {
        -2.0: 108.9409043899779724, 0.5: 0.6156903441929258749, 3.0: 0.1790011511813899504,
        9.75: 0.05756592336481546652, 40.0: 0.01410033598337781362,
        1000000000.0: 5.641895835477562867e-10,
    },
    "normcdf": {
        -37.0: 5.725571222524576823e-300, -10.0: 7.619853024160526066e-24,
        -1.0: 0.1586552539314570514, 0.25: 0.5987063256829237242, 3.0: 0.9986501019683699055,
    },
    "erfinv": {
        -0.9: -1.163087153676674163, 1e-09: 8.862269254527580691e-10, 0.3: 0.272462714726754345,
        0.999: 2.326753765513524494,
    },
    "erfcinv": {
        1e-300: 26.20946996051612389, 1e-05: 3.123413274340875018, 0.4: 0.595116081449994822,
        1.2: -0.1791434546212916359, 1.99: -1.821386367718449456,
    },
    "normcdfinv": {
        1e-12: -7.034483825301131933, 0.01: -2.326347874040841093, 0.4: -0.2533471031357997413,
        0.975: 1.959963984540053856,
    },
}  # fmt: skip


@pytest.mark.parametrize(("dtype", "letter"), [(F32, "f"), (F64, "")])
def test_special_functions(run, dtype, letter):
    for name, table in REFERENCE.items():
        keep = {x: v for x, v in table.items() if not letter or min(abs(v), abs(x)) > 1e-30}
        x = np.array(list(keep), dtype)
        got = run([name + letter], dtype, x)[name + letter]
        if letter == "":
            assert ulps(got, list(keep.values()), dtype) <= 3, name
        else:  # float32(x) is not x: a float64 run of the same function is the reference
            exact = run([name], F64, x.astype(F64))[name]
            np.testing.assert_array_equal(got, exact.astype(F32))
    y = np.random.default_rng(2).uniform(-0.999, 0.999, 500).astype(dtype)
    inverse = run(["erfinv" + letter], dtype, y)["erfinv" + letter]
    back = np.array([math.erf(v) for v in inverse.tolist()])
    slope = 2 / math.sqrt(math.pi) * np.exp(-(inverse.astype(F64) ** 2))
    allowed = 2 * np.spacing(np.abs(inverse)) * slope + 2 * np.spacing(np.abs(y))
    assert (np.abs(back - y) <= allowed).all()
    p = np.random.default_rng(3).uniform(1e-4, 1 - 1e-4, 500).astype(dtype)
    quantiles = run(["normcdfinv" + letter], dtype, p)["normcdfinv" + letter]
    normal = statistics.NormalDist()
    exact = [normal.inv_cdf(v) for v in p.tolist()]
    np.testing.assert_allclose(quantiles, exact, rtol=3 * np.finfo(dtype).eps, atol=1e-15)


@pytest.mark.parametrize(("dtype", "letter"), [(F32, "f"), (F64, "")])
def test_functions_of_pi_and_roots(run, dtype, letter):
    x = np.concatenate([np.random.default_rng(4).normal(size=400), np.arange(-2, 3, 0.25)])
    x = np.abs(x.astype(dtype)) + dtype(0.25)
    names = ["sinpi", "cospi", "rsqrt", "rcbrt", "cbrt", "exp10", "exp2"]
    got = dict(zip(names, run([n + letter for n in names], dtype, x).values()))
    reduced = np.fmod(x.astype(F64), 2)  # exact
    with_pi = np.pi * np.where(reduced > 1, reduced - 2, reduced)
    absolute = 1e-15 if dtype is F64 else 1e-7
    np.testing.assert_allclose(got["sinpi"], np.sin(with_pi), rtol=0, atol=absolute)
    np.testing.assert_allclose(got["cospi"], np.cos(with_pi), rtol=0, atol=absolute)
    np.testing.assert_array_equal(got["sinpi"][x == np.rint(x)], 0)
    np.testing.assert_array_equal(got["cospi"][x - 0.5 == np.rint(x - 0.5)], 0)
    wide = x.astype(F64)
    assert ulps(got["rsqrt"], 1 / np.sqrt(wide), dtype) <= 1.5
    assert ulps(got["rcbrt"], 1 / np.cbrt(wide), dtype) <= 3
    assert ulps(got["cbrt"], np.cbrt(wide), dtype) <= 2
    assert ulps(got["exp10"], 10.0**wide, dtype) <= 2
    assert ulps(got["exp2"], 2.0**wide, dtype) <= 2


@cuda.jit
def bessel(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i, 0] = libdevice.j0(x[i]) - libdevice.jn(0, x[i])
        out[i, 1] = libdevice.y1(x[i]) - libdevice.yn(1, x[i])
        two = 2 / x[i]
        out[i, 2] = libdevice.j0(x[i]) + libdevice.jn(2, x[i]) - two * libdevice.j1(x[i])
        out[i, 3] = libdevice.y0(x[i]) + libdevice.yn(2, x[i]) - two * libdevice.y1(x[i])
        wronskian = libdevice.j1(x[i]) * libdevice.y0(x[i]) - libdevice.j0(x[i]) * libdevice.y1(
            x[i]
        )
        out[i, 4] = wronskian - two / math.pi
        out[i, 5] = libdevice.tgamma(x[i] + 1) / (x[i] * libdevice.tgamma(x[i])) - 1


def test_bessel_and_gamma_identities():
    x = np.linspace(1, 30, 64)
    out = np.ones((64, 6))
    CpuKernel(bessel).launch((1, 1, 1), (64, 1, 1), 0, (x, out))
    assert np.abs(out).max() < 2e-14  # a few roundings of values up to 2


@cuda.jit
def tuples(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i, 0], out[i, 1] = libdevice.sincos(x[i])
        out[i, 2], out[i, 3] = libdevice.sincospi(x[i])
        out[i, 4], out[i, 5] = libdevice.modf(x[i])
        out[i, 6], out[i, 7] = libdevice.frexp(x[i])
        out[i, 8], out[i, 9] = libdevice.remquo(x[i], 0.75)
        out[i, 10] = libdevice.ldexp(x[i], 5)
        out[i, 11] = libdevice.scalbn(x[i], -5)
        out[i, 12] = libdevice.powi(x[i], 3)
        out[i, 13] = libdevice.saturatef(np.float32(x[i]))
        out[i, 14] = libdevice.logb(x[i])
        out[i, 15] = libdevice.fast_fdividef(np.float32(x[i]), np.float32(2))


def test_several_results():
    x = np.random.default_rng(8).normal(size=64) * 3
    out = np.zeros((64, 16))
    CpuKernel(tuples).launch((1, 1, 1), (64, 1, 1), 0, (x, out))
    for v, o in zip(x.tolist(), out.tolist()):
        quotient = round(Fraction(v) / Fraction(3, 4))
        assert o[4:9] == [*math.modf(v), *math.frexp(v), math.remainder(v, 0.75)]
        assert int(o[9]) % 8 == abs(quotient) % 8 * (1 if quotient >= 0 else -1) % 8
        assert o[10:12] == [v * 32, v / 32]
        assert o[12] == pytest.approx(v**3, rel=3e-16)
        assert o[13] == min(max(F32(v), 0), 1)
        assert o[14:] == [math.frexp(v)[1] - 1, F32(v) / 2]
        assert o[:4] == pytest.approx(
            [math.sin(v), math.cos(v), math.sin(math.pi * v), math.cos(math.pi * v)], abs=4e-15
        )
