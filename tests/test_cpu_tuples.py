"""Tuples, named tuples and CUDA vectors: as arguments, variables, results and indices."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
from numba import cuda, float32, int32, literal_unroll, uint32

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.kernel import kernel as make_kernel
from nnlite.kernels.engine.memory import array

Point = namedtuple("Point", ("x", "y"))
Pair = namedtuple("Pair", ("left", "right"))
ORIGIN = Point(3, 4.5)
ROWS = (np.arange(5.0), np.arange(5.0) * 10)
MIXED = (np.arange(5, dtype=np.int32), np.arange(5) * 0.5)


def run(kernel, n, *args):
    CpuKernel(kernel).launch((1, 1, 1), (n, 1, 1), 0, args)


# -- arguments
@cuda.jit
def tuple_argument(pair, offset, out):
    i = cuda.grid(1)
    x, y = pair
    if i < x.size:
        out[i] = x[i] * offset[0] + y[i] + offset[1][0] + len(pair)


def test_tuples_of_arrays_and_numbers():
    x, y, out = np.arange(6.0), np.arange(6.0) ** 2, np.zeros(6)
    kernel = CpuKernel(tuple_argument)
    kernel.launch((1, 1, 1), (6, 1, 1), 0, ((x, y), (np.float32(2), (7,)), out))
    np.testing.assert_array_equal(out, 2 * x + y + 9)
    kernel.launch((1, 1, 1), (6, 1, 1), 0, ((y, x), (np.float32(3), (-1,)), out))
    np.testing.assert_array_equal(out, 3 * y + x + 1)
    assert len(kernel.compiled) == 2, "the sign of an integer in a tuple counts"


@cuda.jit(device=True)
def length2(p):
    return p.x * p.x + p.y * p.y


@cuda.jit
def named_argument(p, arrays, out):
    i = cuda.grid(1)
    s = cuda.shared.array(8, float32)
    q = Point(y=p.x, x=arrays.right[i])
    s[i] = arrays.left[i]
    cuda.syncthreads()
    out[i] = length2(q) + s[7 - i] + ORIGIN.y + p[1]


def test_named_tuples():
    left, right = np.arange(8, dtype=np.float32), np.arange(8, dtype=np.float32) + 1
    out = np.zeros(8)
    run(named_argument, 8, Point(2, 5.0), Pair(left, right), out)
    np.testing.assert_array_equal(out, right**2 + 4 + left[::-1] + 4.5 + 5)


def test_arrays_of_the_engine_in_tuples():
    left, right = array(np.arange(8, dtype=np.float32)), array(np.ones(8, np.float32))
    out = np.zeros(8)
    make_kernel(named_argument.py_func)[1, 8](Point(2, 5.0), Pair(left, right), out)
    np.testing.assert_array_equal(out, 1 + 4 + np.arange(8)[::-1] + 4.5 + 5)


def test_fields_are_told_apart():
    other = namedtuple("Point", ("y", "x"))
    kernel = CpuKernel(one_field)
    for kind, expected in ((Point, 1), (other, 2)):
        out = np.zeros(1)
        kernel.launch((1, 1, 1), (1, 1, 1), 0, (kind(1, 2), out))
        assert out[0] == expected


@cuda.jit
def one_field(p, out):
    out[0] = p.x


@cuda.jit
def heterogeneous(args, out):
    t = cuda.threadIdx.x
    for a in literal_unroll(args):
        out[t] += a[t]
    for d in literal_unroll((1, 2.5, 4)):
        if d == 4:
            break
        out[t] += d


def test_literal_unroll():
    args = (np.arange(4, dtype=np.int32), np.arange(4) * 0.5, np.ones(4, np.float32))
    out = np.zeros(4)
    run(heterogeneous, 4, args, out)
    np.testing.assert_array_equal(out, np.arange(4) * 1.5 + 1 + 3.5)


# -- variables
@cuda.jit(device=True)
def order(a, b):
    if a > b:
        return b, a
    return a, b


@cuda.jit
def across_barriers(x, out):
    s = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    both = order(x[t], float32(0.5))
    shape = x.shape
    place = (t, 1)
    s[t] = both[0]
    cuda.syncthreads()
    both = (both[1], both[0])
    out[place] = s[shape[0] - 1 - t] + both[0]
    last = place[1:] + (0,)
    out[t, last[1]] = len(last) + both[1]


def test_tuples_live_across_barriers():
    x = np.random.default_rng(0).random(16, dtype=np.float32)
    out = np.zeros((16, 2), np.float32)
    run(across_barriers, 16, x, out)
    low, high = np.minimum(x, np.float32(0.5)), np.maximum(x, np.float32(0.5))
    np.testing.assert_array_equal(out[:, 1], low[::-1] + high)
    np.testing.assert_array_equal(out[:, 0], 2 + low)


@cuda.jit
def choices(x, out):
    i = cuda.grid(1)
    pair = (x[i], 1.0) if x[i] > 2 else (0.0, x[i])
    if i in (1, 3):
        pair = (pair[0], 100.0)
    if i not in (0, 4) and i != 2:
        out[i, 2] = 1
    out[i, 0], out[i, 1] = pair


def test_conditional_tuples_and_membership():
    x, out = np.arange(5.0), np.zeros((5, 3))
    run(choices, 5, x, out)
    np.testing.assert_array_equal(out[:, 0], [0, 0, 0, 3, 4])
    np.testing.assert_array_equal(out[:, 1], [0, 100, 2, 100, 1])
    np.testing.assert_array_equal(out[:, 2], [0, 1, 0, 1, 0])


@cuda.jit
def global_tuples(out):
    i = cuda.grid(1)
    out[i] = ROWS[i % 2][i] + MIXED[0][i] + MIXED[1][i]


def test_global_tuples_of_arrays():
    out = np.zeros(5)
    run(global_tuples, 5, out)
    i = np.arange(5)
    np.testing.assert_array_equal(out, np.where(i % 2, 10 * i, i) + 1.5 * i)


# -- device functions
@cuda.jit(device=True)
def combine(a, b, scale=2, shift=1):
    return a * scale + b + shift


@cuda.jit
def keywords(out):
    i = cuda.grid(1)
    pair = (i, 3)
    out[i, 0] = combine(*pair)
    out[i, 1] = combine(i, b=4, shift=0)
    out[i, 2] = combine(*(i, 5), scale=10)
    out[i, 3] = combine(shift=i, b=2, a=1)


def test_keyword_default_and_starred_arguments():
    out, i = np.zeros((4, 4), np.int64), np.arange(4)
    run(keywords, 4, out)
    expected = [2 * i + 4, 2 * i + 4, 10 * i + 6, i + 4]
    np.testing.assert_array_equal(out, np.stack(expected, 1))


@cuda.jit
def inner_functions(x, out):
    i = cuda.grid(1)
    bias = x[0]

    def shifted(v, by=1):
        w = v + bias
        return w * by

    square = lambda v: v * v  # noqa: E731
    w = square(x[i]) + shifted(x[i], by=3)
    out[i] = w + shifted(1)


def test_functions_inside_a_kernel():
    x, out = np.arange(5.0) + 2, np.zeros(5)
    run(inner_functions, 5, x, out)
    np.testing.assert_array_equal(out, x * x + 3 * (x + 2) + 3)


@cuda.jit(device=True)
def gathered(x, n, dtype, op, cast):
    s = cuda.shared.array(n, dtype)
    i = cuda.threadIdx.x
    s[i] = cast(x[i])
    cuda.syncthreads()
    if i == 0:
        for k in range(1, n):
            op(s, 0, s[k])
    cuda.syncthreads()
    return s[0]


@cuda.jit(device=True)
def twice(v):
    return int32(v * 2)


SIZE = 8


@cuda.jit
def functions_as_arguments(x, out):
    total = gathered(x, SIZE, uint32, cuda.atomic.add, twice)
    out[cuda.threadIdx.x] = total + gathered(x, 8, float32, op=cuda.atomic.max, cast=float32)


def test_functions_types_and_sizes_as_arguments():
    x, out = np.arange(8) + 0.5, np.zeros(8)
    run(functions_as_arguments, 8, x, out)
    np.testing.assert_array_equal(out, (2 * x).sum() + 7.5)


# -- vectors
@cuda.jit(device=True)
def dot(a, b):
    return a.x * b.x + a.y * b.y + a.z * b.z


@cuda.jit(device=True)
def lift(v, z):
    return cuda.float3(v, z)


@cuda.jit
def vectors(x, out):
    s = cuda.shared.array(8, float32)
    i = cuda.grid(1)
    flat = cuda.float32x2(x[i], 2)
    v = lift(flat, int32(i))
    s[i] = dot(v, v)
    cuda.syncthreads()
    w = cuda.float4(v.z, flat, s[7 - i])
    d = cuda.double2(0.1, 1)
    out[i] = w.x + w.y + w.z + w.w + d.x
    c = cuda.uchar2(300, i)
    out[i] += c.x + c.y


def test_vector_types():
    x, out = np.random.default_rng(4).random(8, dtype=np.float32), np.zeros(8)
    run(vectors, 8, x, out)
    i = np.arange(8, dtype=np.float32)
    dots = x * x + 4 + i * i
    np.testing.assert_allclose(out, i + x + 2 + dots[::-1] + 0.1 + 44 + i, rtol=1e-6)


@pytest.mark.parametrize("value", [True, np.int8(-3), np.uint16(7), 2.5, 1 + 2j, np.complex64(3j)])
def test_scalars_of_every_kind(value):
    out = np.zeros(2, complex)
    run(keep, 1, value, (value, (value,)), out)
    assert out.tolist() == [complex(value), complex(value) * 2]


@cuda.jit
def keep(v, nested, out):
    out[0] = v
    out[1] = nested[0] * 1 + nested[1][0] * 1
