"""What launches mean under the drop-in; pytest runs this file in a process of its own.

Started with ``python -m nnlite.cudasim -m pytest tests/programs/semantics.py``.
"""

import enum

import numpy as np
import pytest
from numba import cuda


@cuda.jit
def double(x):
    i = cuda.grid(1)
    if i < x.size:
        x[i] *= 2


@cuda.jit
def add_into(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] += x[i]


@cuda.jit
def store(x, value):
    x[0] = value


def test_host_arrays_come_back():
    x = np.arange(5)
    double[1, 32](x)
    assert x.tolist() == [0, 2, 4, 6, 8]


def test_hints_copy_one_way():
    given, out = np.ones(4), np.zeros(4)
    double[1, 32](cuda.In(given))
    assert given.tolist() == [1, 1, 1, 1]
    add_into[1, 32](cuda.In(given), cuda.InOut(out))
    store[1, 1](cuda.Out(given), 7)
    assert (given[0], out.tolist()) == (7, [1, 1, 1, 1])


def test_overlapping_host_arrays_are_separate_on_the_device():
    x = np.arange(6.0)
    add_into[1, 32](x[:5], x[1:])
    assert x.tolist() == [0, 1, 3, 5, 7, 9]
    y = np.ones(3)
    add_into[1, 32](y, y)
    assert y.tolist() == [2, 2, 2]


def test_read_only_arrays_may_be_read_only():
    x, y = np.ones(3), np.zeros(3)
    x.flags.writeable = False
    add_into[1, 32](x, y)
    assert y.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="double: the kernel wrote to an array that is read-only"):
        double[1, 32](x)
    assert x.tolist() == [1, 1, 1]


def test_non_contiguous_arrays():
    with pytest.raises(ValueError, match="non-contiguous"):
        double[1, 32](np.arange(10)[::2])
    device = cuda.to_device(np.arange(10))
    double[1, 32](device[::2])
    assert device.copy_to_host().tolist() == [0, 1, 4, 3, 8, 5, 12, 7, 16, 9]
    fortran = np.asfortranarray(np.ones((3, 4)))
    add_into[1, 32](fortran[1:2, 0], fortran[2:3, 0])
    assert fortran[2, 0] == 2


def test_array_without_dimensions():
    @cuda.jit
    def increment(x):
        x[()] += 1

    x = np.array(3.5)
    increment[1, 1](x)
    assert x == 4.5


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint16, np.int64, np.float32])
def test_scalars_keep_their_type(dtype):
    x = np.zeros(1)
    store[1, 1](x, dtype(1))
    assert x[0] == 1
    assert np.dtype(dtype).name in {str(s[1]) for s in store.signatures}


def test_a_large_integer_is_unsigned():
    x = np.zeros(1, np.uint64)
    store[1, 1](x, 2**64 - 1)
    assert x[0] == 2**64 - 1


class Colour(enum.Enum):
    RED = 3
    BLUE = 5


def test_enumeration_members():
    @cuda.jit
    def compare(x, colour):
        x[0] = colour == Colour.RED
        x[1] = colour != Colour.RED

    x = np.zeros(2)
    compare[1, 1](x, Colour.RED)
    assert x.tolist() == [1, 0]
    compare[1, 1](x, Colour.BLUE)
    assert x.tolist() == [0, 1]


def test_declared_scalars_are_cast():
    @cuda.jit("void(float64[:], float32, int8)")
    def declared(x, a, b):
        x[0], x[1] = a, b

    x = np.zeros(2)
    declared[1, 1](x, 0.1, 300)
    assert x.tolist() == [float(np.float32(0.1)), 300 - 256]
    with pytest.raises(TypeError):
        declared[1, 1](x, 0.1, 1.5)


def test_one_declared_signature_takes_memory_for_what_it_declares():
    @cuda.jit("void(int32[:])")
    def bits(x):
        x[0] += 1

    x = np.ones(1, np.float32)
    bits[1, 1](x)
    assert x[0] == np.nextafter(np.float32(1), np.float32(2))
    with pytest.raises(TypeError, match=r"array\(float64, 1d, C\); bits is declared for"):
        bits[1, 1](np.ones(1))


def test_several_declared_signatures():
    @cuda.jit(["void(float32[:], float32)", "void(float64[:], int64)"])
    def pick(x, value):
        x[0] = value / 3

    single, double_ = np.zeros(1, np.float32), np.zeros(1)
    pick[1, 1](single, 1)
    pick[1, 1](double_, 1)
    assert (single[0], double_[0]) == (np.float32(1) / np.float32(3), 1 / 3)
    with pytest.raises(TypeError, match="No matching definition"):
        pick[1, 1](np.zeros(1, np.int16), 1)
    with pytest.raises(TypeError, match="void return type"):
        cuda.jit("int32(int32[:])")(lambda x: 1)


def test_global_arrays_are_frozen_and_global_device_arrays_are_not():
    host, device = np.ones(2), cuda.to_device(np.ones(2))

    @cuda.jit
    def both(x):
        x[0], x[1] = host[0], device[1]

    x = np.zeros(2)
    both[1, 1](x)
    assert x.tolist() == [1, 1]
    host[:], device[:] = 7, 8
    both[1, 1](x)
    assert x.tolist() == [1, 8]
