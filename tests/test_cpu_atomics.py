"""The CPU compiler's atomics: each of numba's, on global, shared and local memory."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from numba import cuda, float64, int32, uint32

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.errors import UnsupportedKernelError

INTEGERS = ["int32", "uint32", "int64", "uint64"]
NUMBERS = [*INTEGERS, "float32", "float64"]
NAN = float("nan")


def launch(kernel, blocks, threads, *args):
    CpuKernel(kernel).launch((blocks, 1, 1), (threads, 1, 1), 0, args)


def make(name, dtype):
    """The operation on global and on shared memory: each thread applies it to one element."""
    operation, kind = getattr(cuda.atomic, name), np.dtype(dtype)

    @cuda.jit
    def on_global(index, x, out):
        i = cuda.grid(1)
        if i < x.size:
            operation(out, index[i], x[i])

    @cuda.jit
    def on_shared(index, x, out):
        t, i = cuda.threadIdx.x, cuda.grid(1)
        s = cuda.shared.array((2, 8), kind)
        if t < 16:
            s[t // 8, t % 8] = out[t]
        cuda.syncthreads()
        if i < x.size:
            operation(s, (index[i] // 8, index[i] % 8), x[i])
        cuda.syncthreads()
        if t < 16:
            out[t] = s[t // 8, t % 8]

    return on_global, on_shared


ARITHMETIC = {
    "add": np.add, "sub": np.subtract, "max": np.maximum, "min": np.minimum,
    "nanmax": np.fmax, "nanmin": np.fmin,
}  # fmt: skip
BITWISE = {"and_": np.bitwise_and, "or_": np.bitwise_or, "xor": np.bitwise_xor}


@cuda.jit
def arithmetic(index, x, out):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.add(out, (0, index[i]), x[i])
        cuda.atomic.sub(out, (1, index[i]), x[i])
        cuda.atomic.max(out, (2, index[i]), x[i])
        cuda.atomic.min(out, (3, index[i]), x[i])
        cuda.atomic.nanmax(out, (4, index[i]), x[i])
        cuda.atomic.nanmin(out, (5, index[i]), x[i])


@cuda.jit
def bitwise(index, x, out):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.and_(out, (0, index[i]), x[i])
        cuda.atomic.or_(out, (1, index[i]), x[i])
        cuda.atomic.xor(out, (2, index[i]), x[i])


def numbers(rng, size, dtype):
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        return rng.integers(info.min // 4, info.max // 4, size, dtype=dtype)
    return rng.integers(-400, 400, size).astype(dtype)  # sums below 2**24: exact in any order


CASES = [(arithmetic, ARITHMETIC, d) for d in NUMBERS] + [(bitwise, BITWISE, d) for d in INTEGERS]


@pytest.mark.parametrize(("kernel", "functions", "dtype"), CASES)
def test_global_memory(kernel, functions, dtype):
    rng = np.random.default_rng(5)
    index = rng.integers(0, 16, 20_001)
    x, out = numbers(rng, 20_001, dtype), numbers(rng, (len(functions), 16), dtype)
    expected = out.copy()
    for row, function in zip(expected, functions.values()):
        function.at(row, index, x)
    launch(kernel, 157, 128, index, x, out)
    np.testing.assert_array_equal(out, expected)


SHARED = [
    ("add", "float32"), ("sub", "float64"), ("max", "int32"), ("min", "float32"),
    ("max", "uint64"), ("nanmin", "int64"), ("and_", "uint32"), ("xor", "int64"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "dtype"), SHARED)
def test_shared_memory(name, dtype):
    rng = np.random.default_rng(6)
    index, x = rng.integers(0, 16, 500), numbers(rng, 500, dtype)
    out = numbers(rng, 16, dtype)
    expected = out.copy()
    (ARITHMETIC | BITWISE)[name].at(expected, index, x)
    launch(make(name, dtype)[1], 1, 512, index, x, out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["max", "min", "nanmax", "nanmin"])
def test_nan(name, dtype):
    """``max`` and ``min`` leave a NaN in memory, ``nanmax`` and ``nanmin`` replace it."""
    old = np.array([1, NAN, NAN, -np.inf, np.inf, 2, 1], dtype)
    value = np.array([NAN, 1, NAN, -5, 5, 1, 2], dtype)
    function = {"max": np.maximum, "min": np.minimum}.get(name.removeprefix("nan"))
    expected = function(old, value)
    expected[:3] = [1, 1 if name.startswith("nan") else NAN, NAN]
    for kernel in make(name, dtype):
        out = np.concatenate([old, np.zeros(9, dtype)])
        launch(kernel, 1, 16, np.arange(7), value, out)
        np.testing.assert_array_equal(out[:7], expected)


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_inc_and_dec_wrap(dtype):
    rng = np.random.default_rng(6)
    size, most = 10_001, 6
    index = rng.integers(0, 16, size)
    bound = np.full(size, most, dtype)
    for name, step in (("inc", 1), ("dec", -1)):
        start = rng.integers(0, most + 1, 16).astype(dtype)
        expected = start.astype(np.int64) + step * np.bincount(index, minlength=16)
        out = start.copy()
        launch(make(name, dtype)[0], 79, 128, index, bound, out)
        np.testing.assert_array_equal(out, expected % (most + 1))
        out = np.full(16, most + 5, dtype)  # above the bound: 0 and the bound
        launch(make(name, dtype)[1], 1, 16, np.arange(16), bound[:16], out)
        np.testing.assert_array_equal(out, 0 if name == "inc" else most)


@cuda.jit
def ticket(counter, shared_tickets, tickets):
    s = cuda.shared.array(1, uint32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    if t == 0:
        s[0] = 0
    cuda.syncthreads()
    tickets[i] = cuda.atomic.add(counter, 0, 1)
    shared_tickets[i] = cuda.atomic.inc(s, 0, 1000)


def test_old_values_are_handed_out_once():
    counter = np.zeros(1, np.int64)
    mine, tickets = np.zeros(64 * 96, np.uint32), np.zeros(64 * 96, np.int64)
    launch(ticket, 64, 96, counter, mine, tickets)
    np.testing.assert_array_equal(np.sort(tickets), np.arange(64 * 96))
    np.testing.assert_array_equal(np.sort(mine.reshape(64, 96)), np.tile(np.arange(96), (64, 1)))


@cuda.jit
def rotate(slot, seen, last):
    """Every value put into the slot comes out of it once."""
    i = cuda.grid(1)
    seen[i] = cuda.atomic.exch(slot, 0, i + 1)
    cuda.atomic.max(last, 0, i)


def test_exch_loses_nothing():
    slot, seen, last = np.zeros(1, np.int32), np.zeros(8192, np.int32), np.zeros(1, np.int64)
    launch(rotate, 64, 128, slot, seen, last)
    np.testing.assert_array_equal(np.sort([*seen, slot[0]]), np.arange(8193))
    assert last[0] == 8191


@cuda.jit
def max_by_cas(x, best):
    i = cuda.grid(1)
    if i < x.size:
        old = best[0, 1]
        while old < x[i]:
            found = cuda.atomic.cas(best, (0, 1), old, x[i])
            if found == old:
                break
            old = found


@pytest.mark.parametrize("dtype", INTEGERS)
def test_cas_loop(dtype):
    x = np.random.default_rng(8).integers(0, 2**31 - 1, 10_000, dtype=dtype)
    best = np.zeros((1, 2), dtype)
    launch(max_by_cas, 100, 100, x, best)
    np.testing.assert_array_equal(best, [[0, x.max()]])


@cuda.jit
def first_of_all(x, winner, local_winner):
    i = cuda.grid(1)
    mine = cuda.local.array(2, int32)
    mine[0] = 0
    mine[1] = 0
    first = cuda.atomic.compare_and_swap(mine, 0, 7)
    second = cuda.atomic.cas(mine, 0, 0, 8)
    third = cuda.atomic.cas(mine, -1, 0, 9)
    local_winner[i] = first * 1000 + second * 100 + third * 10 + mine[0] + mine[1]
    x[i] = cuda.atomic.compare_and_swap(winner, -1, i)


def test_compare_and_swap():
    x, winner, mine = np.zeros(4096, np.int64), np.full(1, -1, np.int64), np.zeros(4096, np.int64)
    launch(first_of_all, 32, 128, x, winner, mine)
    np.testing.assert_array_equal(mine, 0 * 1000 + 7 * 100 + 0 + 7 + 9)
    assert (x == -1).sum() == 1
    assert (x == winner[0]).sum() == 4095
    assert x[winner[0]] == -1


@cuda.jit
def local_counts(out):
    i = cuda.grid(1)
    mine = cuda.local.array((2, 3), float64)
    for r in range(2):
        for c in range(3):
            mine[r, c] = 0
    old = cuda.atomic.add(mine, (1, 2), i)
    old += cuda.atomic.sub(mine, (1, 2), 0.5)
    out[i, 0] = old
    out[i, 1] = cuda.atomic.max(mine, (-1, -1), True)
    out[i, 2] = mine[1, 2]


def test_local_memory_and_casts():
    out = np.zeros((64, 3))
    launch(local_counts, 1, 64, out)
    i = np.arange(64.0)
    np.testing.assert_array_equal(out, np.stack([i, i - 0.5, np.maximum(i - 0.5, 1)], 1))


@cuda.jit
def inc_signed(x):
    cuda.atomic.inc(x, 0, 3)  # HERE


@cuda.jit
def and_float(x):
    cuda.atomic.and_(x, 0, 3)  # HERE


@cuda.jit
def exch_float(x):
    cuda.atomic.exch(x, 0, 3)  # HERE


@cuda.jit
def add_small(x):
    cuda.atomic.add(x, 0, 3)  # HERE


@cuda.jit
def two_indices(x):
    cuda.atomic.add(x, (0, 1), 3)  # HERE


@cuda.jit
def swap_two_dimensions(x):
    cuda.atomic.compare_and_swap(x, 0, 3)  # HERE


@cuda.jit
def too_few(x):
    cuda.atomic.add(x, 3)  # HERE


@pytest.mark.parametrize(
    ("kernel", "x", "message"),
    [
        (inc_signed, np.zeros(3, np.int32), r"atomic\.inc takes arrays of uint32, uint64, not int"),
        (and_float, np.zeros(3, np.float32), r"atomic\.and_ takes arrays of int32.*not float32"),
        (exch_float, np.zeros(3), r"atomic\.exch takes arrays of int32.*not float64"),
        (add_small, np.zeros(3, np.int16), r"atomic\.add takes arrays of int32.*not int16"),
        (two_indices, np.zeros(3), "needs 1 indices"),
        (swap_two_dimensions, np.zeros((2, 2), np.int32), "needs 2 indices"),
        (too_few, np.zeros(3), r"takes the arguments \(array, index, value\)"),
    ],
)
def test_refused(kernel, x, message):
    lines, first = inspect.getsourcelines(kernel.py_func)
    line = next(first + i for i, text in enumerate(lines) if "# HERE" in text)
    with pytest.raises(UnsupportedKernelError, match=message) as caught:
        launch(kernel, 1, 1, x)
    assert (caught.value.file, caught.value.line) == (__file__, line)
