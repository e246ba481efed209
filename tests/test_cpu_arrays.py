"""The CPU compiler: layouts, aliases, atomics, launches from several threads, against NumPy."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numba import cuda, float32, int64
from numpy.lib.stride_tricks import as_strided

from nnlite.kernels.engine.cpu import CpuKernel


@cuda.jit
def add(x, y, out):
    j, i = cuda.grid(2)
    if i < out.shape[0] and j < out.shape[1]:
        out[i, j] = x[i, j] + y[i, j]


ADD = CpuKernel(add)


def run_add(x, y, out):
    grid = (max(1, -(-out.shape[1] // 16)), max(1, -(-out.shape[0] // 8)), 1)
    ADD.launch(grid, (16, 8, 1), 0, (x, y, out))


def base(shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


VIEWS = {
    "C": lambda: base((21, 37)),
    "Fortran": lambda: np.asfortranarray(base((21, 37))),
    "transposed": lambda: base((37, 21)).T,
    "every second": lambda: base((42, 74))[::2, ::2],
    "reversed": lambda: base((21, 37))[::-1, ::-1],
    "broadcast row": lambda: np.broadcast_to(base(37), (21, 37)),
    "broadcast column": lambda: np.broadcast_to(base((21, 1)), (21, 37)),
    "one element": lambda: np.broadcast_to(base(()), (21, 37)),
    "slice of columns": lambda: base((21, 60))[:, 11:48],
    "unaligned": lambda: np.frombuffer(b"x" + base((21, 37)).tobytes(), "f4", -1, 1).reshape(
        21, 37
    ),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_every_layout_as_input(kind):
    x, y, out = VIEWS[kind](), base((21, 37)), np.zeros((21, 37), np.float32)
    run_add(x, y, out)
    np.testing.assert_array_equal(out, x + y)


@pytest.mark.parametrize("kind", ["Fortran", "transposed", "every second", "reversed"])
def test_every_layout_as_output(kind):
    x, out = base((21, 37)), VIEWS[kind]()
    run_add(x, x, out)
    np.testing.assert_array_equal(out, x + x)


def test_read_only_input():
    x, out = base((21, 37)), np.zeros((21, 37), np.float32)
    x.flags.writeable = False
    run_add(x, x, out)
    np.testing.assert_array_equal(out, x + x)


def test_array_subclasses_are_told_apart_by_dtype(tmp_path):
    outs = []
    for dtype in (np.float32, np.float64):
        x = np.memmap(tmp_path / dtype.__name__, dtype, "w+", shape=(21, 37))
        x[:] = base((21, 37))
        outs.append(np.zeros((21, 37), dtype))
        run_add(x, x, outs[-1])
    np.testing.assert_array_equal(outs[0], outs[1])


def test_output_is_an_input():
    x = base((100, 200))
    expected = x + x
    run_add(x, x, x)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (1, 1)])
def test_empty_and_single(shape):
    x, out = base(shape), np.zeros(shape, np.float32)
    run_add(x, x, out)
    np.testing.assert_array_equal(out, x + x)


@cuda.jit
def window_sums(x, out):
    i = cuda.grid(1)
    if i < x.shape[0]:
        acc = float32(0)
        for k in range(x.shape[1]):
            acc += x[i, k]
        out[i] = acc


def test_overlapping_windows():
    x = base(104)
    windows = as_strided(x, (100, 5), (4, 4), writeable=False)
    out = np.zeros(100, np.float32)
    CpuKernel(window_sums).launch((4, 1, 1), (32, 1, 1), 0, (windows, out))
    np.testing.assert_allclose(out, windows.sum(1), rtol=1e-6)


# -- atomics
@cuda.jit
def contend(counter, ticket, table):
    i = cuda.grid(1)
    ticket[i] = cuda.atomic.add(counter, 0, 1)
    cuda.atomic.add(table, (i % 3, 1), 0.5)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64])
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_contended_atomics_lose_nothing(dtype, real):
    counter, table = np.zeros(1, dtype), np.zeros((3, 2), real)
    ticket = np.zeros(96 * 500, dtype)
    CpuKernel(contend).launch((500, 1, 1), (96, 1, 1), 0, (counter, ticket, table))
    assert counter[0] == ticket.size
    np.testing.assert_array_equal(np.sort(ticket), np.arange(ticket.size))
    np.testing.assert_array_equal(table, [[0, 8000]] * 3)


@cuda.jit
def local_and_shared_atomics(out):
    shared = cuda.shared.array((2, 4), int64)
    mine = cuda.local.array(4, int64)
    t = cuda.threadIdx.x
    if t < 8:
        shared[t // 4, t % 4] = 0
    mine[t % 4] = t
    cuda.syncthreads()
    old = cuda.atomic.add(mine, t % 4, 5)
    cuda.atomic.add(shared, (1, t % 4), 1)
    cuda.syncthreads()
    out[cuda.grid(1), 0] = old
    out[cuda.grid(1), 1] = mine[t % 4]
    out[cuda.grid(1), 2] = shared[1, t % 4] * 10 + shared[0, t % 4]


def test_local_and_shared_atomics():
    out = np.zeros((128, 3), np.int64)
    CpuKernel(local_and_shared_atomics).launch((2, 1, 1), (64, 1, 1), 0, (out,))
    t = np.tile(np.arange(64), 2)
    np.testing.assert_array_equal(out, np.stack([t, t + 5, np.full(128, 160)], 1))


# -- threads
def test_one_kernel_launched_from_many_threads():
    kernel = CpuKernel(add)
    x, y = base((64, 300)), base((64, 300)) * 3
    outs = [np.zeros((64, 300), np.float32) for _ in range(8)]
    errors = []

    def work(out):
        try:
            for _ in range(50):
                out[:] = 0
                kernel.launch((19, 8, 1), (16, 8, 1), 0, (x, y, out))
                np.testing.assert_array_equal(out, x + y)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(out,)) for out in outs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert len(kernel.compiled) == 1
