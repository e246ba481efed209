"""Read-only NumPy arrays: a kernel may read them, and never changes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numba import cuda

import nnlite as nl
from nnlite.errors import ArgumentError

N = 100


@nl.kernel
def twice(x, out):
    i = cuda.grid(1)
    if i < min(x.size, len(out)):
        out[i] = x[i] + x[i]


@nl.kernel
def count(x, counts):
    i = cuda.grid(1)
    if i < x.shape[0]:
        cuda.atomic.add(counts, int(x[i]), 1)


@cuda.jit(device=True)
def put(row, value):
    row[0] = value


@nl.kernel
def through_a_function(x, out):
    i = cuda.grid(1)
    if i < x.shape[0] and x[i, 0] > 0:
        put(out[i], x[i, 0])


@nl.kernel
def another_name(x, out):
    i = cuda.grid(1)
    target = out
    if i < x.size and x[i] > 0:
        target[i] = x[i]


@nl.kernel
def in_a_tuple(pair):
    i = cuda.grid(1)
    if i < pair.x.size:
        pair.out[i] = pair.x[i]


@nl.kernel
def rebound(x, out):
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        x = out
        x[i] = v


class Pair(NamedTuple):
    x: np.ndarray
    out: np.ndarray


def read_only(array):
    array.flags.writeable = False
    return array


def ones(*shape):
    return np.ones(shape, np.float32)


def test_it_is_read_where_it_lies(tmp_path):
    np.save(tmp_path / "x.npy", ones(N))
    for x in (read_only(ones(N)), np.load(tmp_path / "x.npy", mmap_mode="r")):
        out = np.zeros(N, np.float32)
        twice[1, 128](x, out)
        assert (out == 2).all()


def test_a_write_is_refused_before_the_launch():
    out = read_only(np.zeros(N, np.float32))
    with pytest.raises(ArgumentError, match="twice: argument 1 is a read-only array, and the kern"):
        twice[1, 128](ones(N), out)
    counts = read_only(np.zeros(4, np.int32))
    with pytest.raises(ArgumentError, match="argument 1 is a read-only"):
        count[1, 128](ones(N), counts)
    assert not out.any()
    assert not counts.any()


@pytest.mark.parametrize(("kernel", "shape"), [(through_a_function, (N, 2)), (another_name, (N,))])
def test_a_write_that_is_hidden_goes_to_a_copy(kernel, shape):
    out = read_only(np.zeros(shape, np.float32))
    with pytest.raises(ArgumentError, match="wrote to the copy that it was given"):
        kernel[1, 128](ones(*shape), out)
    assert not out.any()
    kernel[1, 128](np.zeros(shape, np.float32), out)  # it does not write


def test_items_of_tuples_are_safe():
    x, out = read_only(ones(N)), np.zeros(N, np.float32)
    in_a_tuple[1, 128](Pair(x, out))
    assert (out == 1).all()
    with pytest.raises(ArgumentError, match="in_a_tuple: argument 0 is a read-only array"):
        in_a_tuple[1, 128](Pair(3 * out, x))
    assert (x == 1).all()


def test_a_parameter_that_becomes_another_array():
    x, out = read_only(ones(N)), np.zeros(N, np.float32)
    rebound[1, 128](x, out)
    assert (out == 1).all()
    assert (x == 1).all()


@pytest.mark.parametrize("run", ["check", "profile"])
def test_under_the_lens(run):
    out = read_only(np.zeros(N, np.float32))
    args = (ones(N), out)
    with pytest.raises(ArgumentError, match="argument 1 is a read-only array"):
        nl.check(twice, 1, 128, args) if run == "check" else nl.profile(twice, 1, 128, args)
    assert not out.any()
