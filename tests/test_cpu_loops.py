"""Loops over arrays and tuples, loops with else, and assignments in expressions."""

from __future__ import annotations

import enum
import operator

import numpy as np
import pytest
from numba import cuda, float32

from nnlite.kernels.engine.cpu import CpuKernel

OFFSETS = ((-1, 0), (0, 1), (2, 3))


def run(kernel, n, *args):
    CpuKernel(kernel).launch((1, 1, 1), (n, 1, 1), 0, args)


@cuda.jit
def iterates(a, x, out):
    i = cuda.grid(1)
    for v in x:
        out[i, 0] += v * (i + 1)
    for row in a:
        for v in row[:3]:
            out[i, 1] += v
    for k, v in enumerate(a[i]):
        out[i, 2] += k * v
    for k, (u, v) in enumerate(zip(x, a[i]), 2):
        out[i, 3] += k * u - v
    size = 1
    for n in a.shape:
        size *= n
    out[i, 4] = size


def test_loops_over_arrays():
    a, x = np.random.default_rng(0).random((6, 5)), np.random.default_rng(1).random(7)
    out = np.zeros((6, 5))
    run(iterates, 6, a, x, out)
    i, k = np.arange(6), np.arange(5)
    expected = [x.sum() * (i + 1), np.full(6, a[:, :3].sum()), a @ k]
    expected += [(x[:5] * (k + 2)).sum() - a.sum(1), np.full(6, 30)]
    np.testing.assert_allclose(out, np.stack(expected, 1), rtol=1e-12)


@cuda.jit
def over_tuples(x, out):
    i = cuda.grid(1)
    for d in (-1, 0, 1):
        if d == 0:
            continue
        if i + d >= x.size:
            break
        out[i] += x[(i + d) % x.size]
    for du, dv in OFFSETS:
        out[i] += 10 * du + dv
    for k, d in enumerate((5, 7)):
        out[i] += 100 * k * d
    for u, v in zip((1, 2), x):
        out[i] += 1000 * u * v


def test_loops_over_tuples():
    x = np.arange(4.0)
    out = np.zeros(4)
    run(over_tuples, 4, x, out)
    neighbours = [3 + 1, 0 + 2, 1 + 3, 2]
    np.testing.assert_array_equal(out, np.array(neighbours) + 14 + 700 + 2000)


@cuda.jit
def with_else(x, out):
    s = cuda.shared.array(8, float32)
    i = cuda.grid(1)
    for k in range(5):
        if x[k] > i:
            out[i, 0] = k
            break
    else:
        out[i, 0] = -1
    n = i
    while n > 3:
        n -= 1
        if n == 6:
            break
    else:
        out[i, 1] = 1
    for k in range(3):
        s[i] = k + i
        cuda.syncthreads()
        out[i, 2] += s[7 - i]
        cuda.syncthreads()
    else:
        out[i, 2] += 100


def test_else_of_loops():
    x, out = np.array([1.0, 3, 2, 6, 4]), np.zeros((8, 3))
    run(with_else, 8, x, out)
    assert out[:, 0].tolist() == [0, 1, 1, 3, 3, 3, -1, -1]
    assert out[:, 1].tolist() == [1, 1, 1, 1, 1, 1, 1, 0]
    assert out[:, 2].tolist() == [100 + 3 + 3 * (7 - i) for i in range(8)]


@cuda.jit
def walrus(x, out):
    i = cuda.grid(1)
    if (v := x[i]) > 2 and (w := v * 2) < 9:
        out[i] = v + w
    k = 0
    while (u := x[k]) < 3:
        k += 1
    out[i] += u * 100


def test_assignment_expressions():
    x, out = np.arange(6.0), np.zeros(6)
    run(walrus, 6, x, out)
    assert out.tolist() == [300, 300, 300, 309, 312, 300]


@cuda.jit
def operators(x, out):
    i = cuda.grid(1)
    n = x[i]
    n += 7
    n *= 5
    n -= 3
    n //= 2
    n **= 2
    n %= 1000
    n <<= 3
    n >>= 1
    n |= 8
    n &= 0xFF7
    n ^= 5
    out[i] = n
    x[i] -= 1
    x[i] *= 3
    q, r = divmod(x[i], 4)
    out[i] += 10 * q + r if 0 <= q < 3 else 0


def test_augmented_assignments_and_divmod():
    x, out = np.arange(8), np.zeros(8, np.int64)
    n = ((((x + 7) * 5 - 3) // 2) ** 2 % 1000 << 3) >> 1
    n = ((n | 8) & 0xFF7) ^ 5
    y = (x - 1) * 3
    q, r = y // 4, y % 4
    run(operators, 8, x, out)
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(out, n + np.where((q >= 0) & (q < 3), 10 * q + r, 0))


@cuda.jit
def divergent_search(words, lengths, out):
    i = cuda.grid(1)
    word = words[i, : lengths[i]]
    for k, c in enumerate(word):
        if c == 32:
            out[i] = k
            break
    else:
        out[i] = -1


@pytest.mark.parametrize("n", [1, 33])
def test_search_in_rows_of_different_length(n):
    rng = np.random.default_rng(n)
    words = rng.integers(30, 40, (n, 20), dtype=np.uint8)
    lengths, out = rng.integers(0, 21, n), np.zeros(n, np.int64)
    run(divergent_search, n, words, lengths, out)
    expected = [bytes(w[:m]).find(b" ") for w, m in zip(words, lengths)]
    assert out.tolist() == expected


def with_operator(op):
    @cuda.jit
    def applies(x, y, out):
        i = cuda.grid(1)
        out[i] = op(x[i], y[i])

    return applies


@pytest.mark.parametrize("name", ["add", "sub", "mul", "floordiv", "mod", "xor", "lshift", "ge"])
def test_functions_of_the_module_operator(name):
    op = getattr(operator, name)
    x, y, out = np.arange(9) * 5, np.arange(9) % 4 + 1, np.zeros(9, np.int64)
    run(with_operator(op), 9, x, y, out)
    np.testing.assert_array_equal(out, op(x, y))


class Kind(enum.IntEnum):
    SMALL = 2
    LARGE = 7


@cuda.jit
def enumerations(kind, out):
    i = cuda.grid(1)
    if kind == Kind.LARGE:
        out[i] = Kind.SMALL + Kind.LARGE.value * i


@pytest.mark.parametrize("kind", list(Kind))
def test_integer_enumerations(kind):
    out = np.zeros(3)
    run(enumerations, 3, kind, out)
    assert out.tolist() == ([2, 9, 16] if kind is Kind.LARGE else [0, 0, 0])
