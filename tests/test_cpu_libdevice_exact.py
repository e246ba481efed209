"""The functions of libdevice that have one right result: integers, bits, directed rounding."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from numba import cuda

libdevice = pytest.importorskip("numba.cuda.libdevice")  # not in Numba's own simulator
F32, F64 = np.float32, np.float64


@pytest.fixture
def run(evaluate):
    def named(names, result, *columns):
        return evaluate({n: getattr(libdevice, n) for n in names}, result, *columns)

    return named


# -- integers and bits -----------------------------------------------------------------------------
def signed(value, bits=32):
    value &= 2**bits - 1
    return value - 2**bits if value >> (bits - 1) else value


def unsigned(value, bits=32):
    return value & (2**bits - 1)


def low24(value):
    return signed(value << 8) >> 8


U = unsigned
UNARY_INTEGERS = {
    "abs": lambda a: signed(abs(a)),
    "brev": lambda a: signed(int(format(U(a), "032b")[::-1], 2)),
    "clz": lambda a: 32 - U(a).bit_length(),
    "ffs": lambda a: (U(a) & -U(a)).bit_length(),
    "popc": lambda a: bin(U(a)).count("1"),
}
BINARY_INTEGERS = {
    "max": max,
    "min": min,
    "umax": lambda a, b: signed(max(U(a), U(b))),
    "umin": lambda a, b: signed(min(U(a), U(b))),
    "hadd": lambda a, b: (a + b) >> 1,
    "rhadd": lambda a, b: (a + b + 1) >> 1,
    "uhadd": lambda a, b: signed((U(a) + U(b)) >> 1),
    "urhadd": lambda a, b: signed((U(a) + U(b) + 1) >> 1),
    "mulhi": lambda a, b: (a * b) >> 32,
    "umulhi": lambda a, b: signed((U(a) * U(b)) >> 32),
    "mul24": lambda a, b: signed(low24(a) * low24(b)),
    "umul24": lambda a, b: signed((a & 0xFFFFFF) * (b & 0xFFFFFF)),
}
TERNARY_INTEGERS = {
    "sad": lambda a, b, c: signed(abs(a - b) + c),
    "usad": lambda a, b, c: signed(abs(U(a) - U(b)) + c),
    "byte_perm": lambda a, b, c: signed(
        sum(((U(a) | U(b) << 32) >> 8 * (c >> 4 * k & 7) & 255) << 8 * k for k in range(4))
    ),
}
LONG_UNARY = {
    "llabs": lambda a: signed(abs(a), 64),
    "brevll": lambda a: signed(int(format(U(a, 64), "064b")[::-1], 2), 64),
    "clzll": lambda a: 64 - U(a, 64).bit_length(),
    "ffsll": lambda a: (U(a, 64) & -U(a, 64)).bit_length(),
    "popcll": lambda a: bin(U(a, 64)).count("1"),
}
LONG_BINARY = {
    "llmax": max,
    "llmin": min,
    "ullmax": lambda a, b: signed(max(U(a, 64), U(b, 64)), 64),
    "ullmin": lambda a, b: signed(min(U(a, 64), U(b, 64)), 64),
    "mul64hi": lambda a, b: (a * b) >> 64,
    "umul64hi": lambda a, b: signed((U(a, 64) * U(b, 64)) >> 64, 64),
}


def some_integers(dtype, columns):
    info = np.iinfo(dtype)
    rng = np.random.default_rng(6)
    edges = np.array([0, 1, -1, info.max, info.min, info.min + 1, 255, 2**23], dtype)
    drawn = rng.integers(info.min, info.max, (columns, 200), dtype=dtype)
    return [np.concatenate([np.roll(edges, k), row]) for k, row in enumerate(drawn)]


TABLES = [
    (UNARY_INTEGERS, np.int32, 1),
    (BINARY_INTEGERS, np.int32, 2),
    (TERNARY_INTEGERS, np.int32, 3),
    (LONG_UNARY, np.int64, 1),
    (LONG_BINARY, np.int64, 2),
]


@pytest.mark.parametrize(("table", "dtype", "count"), TABLES)
def test_integers(run, table, dtype, count):
    columns = some_integers(dtype, count)
    got = run(list(table), dtype, *columns)
    for name, function in table.items():
        expected = [function(*row) for row in zip(*(c.tolist() for c in columns))]
        assert got[name].tolist() == expected, name


def test_bits_of_floats(run):
    x = np.random.default_rng(7).normal(size=100)
    f = x.astype(F32)
    got = run(["float_as_int", "signbitf", "isnanf", "isinff", "finitef"], np.int64, f)
    np.testing.assert_array_equal(got["float_as_int"], f.view(np.int32))
    np.testing.assert_array_equal(got["signbitf"], np.signbit(f))
    x[:4] = np.inf, -np.inf, np.nan, -0.0
    names = ["double_as_longlong", "double2hiint", "double2loint", "signbitd", "isnand", "isinfd"]
    got = run([*names, "isfinited", "ilogb"], np.int64, x)
    np.testing.assert_array_equal(got["double_as_longlong"], x.view(np.int64))
    np.testing.assert_array_equal(got["double2hiint"], x.view(np.int64) >> 32)
    np.testing.assert_array_equal(got["double2loint"], x.view(np.int64).astype(np.int32))
    tests = [got[n] for n in ("signbitd", "isnand", "isinfd", "isfinited")]
    expected = [f(x) for f in (np.signbit, np.isnan, np.isinf, np.isfinite)]
    np.testing.assert_array_equal(tests, np.array(expected, np.int64))
    np.testing.assert_array_equal(got["ilogb"][4:], np.frexp(x[4:])[1] - 1)
    high, low = (x.view(np.int64) >> 32).astype(np.int32), x.view(np.int64).astype(np.int32)
    back = run(["hiloint2double"], F64, high, low)["hiloint2double"]
    np.testing.assert_array_equal(back.view(np.int64), x.view(np.int64))
    back = run(["int_as_float"], F32, f.view(np.int32))["int_as_float"]
    np.testing.assert_array_equal(back.view(np.int32), f.view(np.int32))
    back = run(["longlong_as_double"], F64, x.view(np.int64))["longlong_as_double"]
    np.testing.assert_array_equal(back.view(np.int64), x.view(np.int64))


# -- directed rounding -----------------------------------------------------------------------------
def directed(exact, mode, dtype):
    """The fraction rounded as the ending of the function's name says."""
    largest = Fraction(float(np.finfo(dtype).max))
    if abs(exact) > largest:  # no case here lies between the largest number and infinity
        up = mode == "rn" or mode == ("ru" if exact > 0 else "rd")
        value = dtype(np.inf) if up else np.finfo(dtype).max
        return value if exact > 0 else -value
    near = dtype(float(exact))
    below = near if Fraction(float(near)) <= exact else np.nextafter(near, dtype(-np.inf))
    above = below if Fraction(float(below)) == exact else np.nextafter(below, dtype(np.inf))
    if Fraction(float(above)) < exact:  # float(exact) had been rounded down twice
        below, above = above, np.nextafter(above, dtype(np.inf))
    if mode == "rn":
        down, up = exact - Fraction(float(below)), Fraction(float(above)) - exact
        even = int(below.view(np.int32 if dtype is F32 else np.int64)) % 2 == 0
        return below if down < up or (down == up and even) else above
    towards_zero = below if exact > 0 else above
    return {"rd": below, "ru": above, "rz": towards_zero}[mode]


MODES = ("rn", "rz", "ru", "rd")
OPERATIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
}


def numbers(dtype, seed):
    rng = np.random.default_rng(seed)
    low = np.finfo(dtype).smallest_subnormal
    scaled = rng.normal(size=150) * 10.0 ** rng.integers(-18, 18, 150)
    return np.concatenate([scaled, [1, -1, 3, low, low * 5, 1e-30]]).astype(dtype)


@pytest.mark.parametrize(("dtype", "letter"), [(F32, "f"), (F64, "d")])
def test_arithmetic(run, dtype, letter):
    x, y = numbers(dtype, 1), np.roll(numbers(dtype, 2), 3)
    names = [f"{letter}{op}_{m}" for op in OPERATIONS for m in MODES if letter + op != "dsub"]
    got = run(names, dtype, x, y)
    for name in names:
        operation = OPERATIONS[name[1:4]]
        pairs = [(Fraction(u), Fraction(v)) for u, v in zip(x.tolist(), y.tolist())]
        expected = [directed(operation(*p), name[-2:], dtype) for p in pairs]
        np.testing.assert_array_equal(got[name], expected, err_msg=name)


@pytest.mark.parametrize(("dtype", "letter"), [(F32, "f"), (F64, "")])
def test_fma(run, dtype, letter):
    x, y, z = numbers(dtype, 3), np.roll(numbers(dtype, 4), 3), np.roll(numbers(dtype, 5), 7)
    z[:100] = -x[:100] * y[:100]  # hard cases: all but the rounding error cancels
    got = run([f"fma{letter}_{m}" for m in MODES], dtype, x, y, z)
    triples = [tuple(map(Fraction, t)) for t in zip(x.tolist(), y.tolist(), z.tolist())]
    for m in MODES:
        expected = [directed(a * b + c, m, dtype) for a, b, c in triples]
        np.testing.assert_array_equal(got[f"fma{letter}_{m}"], expected, err_msg=m)


def exact_root(value, digits=2**200):
    """The square root, to 200 bits, and never on a wrong side of a float."""
    scaled = value * digits**2
    root = math.isqrt(scaled.numerator // scaled.denominator)
    exact = Fraction(root * root) == scaled
    return Fraction(root, digits) if exact else Fraction(2 * root + 1, 2 * digits)


@pytest.mark.parametrize(("dtype", "letter"), [(F32, "f"), (F64, "d")])
def test_roots_and_reciprocals(run, dtype, letter):
    x = np.abs(numbers(dtype, 6))
    x = np.concatenate([x[x > 1e-30], [4.0, 2.25]]).astype(dtype)
    got = run([f"{letter}{op}_{m}" for op in ("sqrt", "rcp") for m in MODES], dtype, x)
    for m in MODES:
        roots = [directed(exact_root(Fraction(v)), m, dtype) for v in x.tolist()]
        np.testing.assert_array_equal(got[f"{letter}sqrt_{m}"], roots)
        inverse = [directed(1 / Fraction(v), m, dtype) for v in x.tolist()]
        np.testing.assert_array_equal(got[f"{letter}rcp_{m}"], inverse)
    if letter == "f":
        got = run(["frsqrt_rn"], dtype, x)["frsqrt_rn"]
        inverse = [directed(exact_root(1 / Fraction(v)), "rn", dtype) for v in x.tolist()]
        np.testing.assert_array_equal(got, inverse)


WHOLE = {"rn": round, "rz": math.trunc, "ru": math.ceil, "rd": math.floor}
LIMITS = {
    "int": (-(2**31), 2**31 - 1),
    "uint": (0, 2**32 - 1),
    "ll": (-(2**63), 2**63 - 1),
    "ull": (0, 2**64 - 1),
}


@pytest.mark.parametrize(("dtype", "kind"), [(F32, "float"), (F64, "double")])
def test_floats_to_integers(run, dtype, kind):
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.normal(size=100) * 10.0 ** rng.integers(0, 20, 100), [0.5, 1.5, -2.5]])
    x = x.astype(dtype)
    got = run([f"{kind}2{i}_{m}" for i in LIMITS for m in MODES], np.int64, x)
    for (integer, (low, high)), m in itertools.product(LIMITS.items(), MODES):
        bits = 32 if integer.endswith("int") else 64
        expected = [signed(min(max(WHOLE[m](v), low), high), bits) for v in x.tolist()]
        assert got[f"{kind}2{integer}_{m}"].tolist() == expected


def test_integers_to_floats(run):
    for integer, (low, _) in LIMITS.items():
        bits = 32 if integer.endswith("int") else 64
        (x,) = some_integers(np.int32 if bits == 32 else np.int64, 1)
        values = [v if low else unsigned(v, bits) for v in x.tolist()]
        for kind, dtype in (("float", F32), ("double", F64)):
            modes = MODES if (kind, bits) != ("double", 32) else ["rn"]
            got = run([f"{integer}2{kind}_{m}" for m in modes], dtype, x)
            for m in modes:
                expected = [directed(Fraction(v), m, dtype) for v in values]
                np.testing.assert_array_equal(got[f"{integer}2{kind}_{m}"], expected)


def test_narrowing_and_rounding(run):
    x = np.concatenate([np.random.default_rng(9).normal(size=200), [1e300, -1e300, 1e-46, 2.5]])
    got = run([f"double2float_{m}" for m in MODES], F32, x)
    for m in MODES:
        expected = [directed(Fraction(v), m, F32) for v in x.tolist()]
        np.testing.assert_array_equal(got[f"double2float_{m}"], expected)
    x = x[:200] * 100
    got = run(["llrint", "llround"], np.int64, x)
    np.testing.assert_array_equal(got["llrint"], np.rint(x))
    np.testing.assert_array_equal(got["llround"], np.copysign(np.floor(np.abs(x) + 0.5), x))
    got = run(["llrintf", "llroundf"], np.int64, x.astype(F32))
    np.testing.assert_array_equal(got["llrintf"], np.rint(x.astype(F32)))


def test_nearest_is_never_fused(evaluate):
    """fadd_rn(fmul_rn(a, b), c) rounds twice, also where LLVM would fuse a * b + c."""
    mul, add = libdevice.fmul_rn, libdevice.fadd_rn

    @cuda.jit(device=True)
    def separate(a, b, c):
        return add(mul(a, b), c)

    @cuda.jit(device=True)
    def half_separate(a, b, c):
        return add(a * b, c)

    x, y = np.random.default_rng(10).normal(size=(2, 300)).astype(F32)
    got = evaluate({"both": separate, "one": half_separate}, F32, x, y, -(x * y))
    np.testing.assert_array_equal(list(got.values()), 0)
