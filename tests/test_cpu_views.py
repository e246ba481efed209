"""Rows, slices and views of arrays as values in kernels, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, float32, int32

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.errors import UnsupportedKernelError


def run(kernel, n, *args, shared_bytes=0):
    CpuKernel(kernel).launch((1, 1, 1), (n, 1, 1), shared_bytes, args)


@cuda.jit(device=True)
def total(v):
    acc = float32(0)
    for k in range(v.shape[0]):
        acc += v[k]
    return acc


@cuda.jit(device=True)
def scale(v, by):
    for k in range(len(v)):
        v[k] *= by


@cuda.jit
def rows(a, out):
    i = cuda.grid(1)
    row = a[i]
    out[i, 0] = total(row) + row[0]
    out[i, 1] = total(a[:, i]) + a[i, :][-1]
    out[i, 2] = total(a[i, 1:5:2])
    out[i, 3] = total(a.T[i])
    out[i, 4] = total(a[i][::-1][:2])
    scale(out[i, 5:], float32(3))


def test_rows_columns_and_slices_as_arguments():
    a = np.arange(64, dtype=np.float32).reshape(8, 8)
    out = np.ones((8, 7), np.float32)
    run(rows, 8, a, out)
    expected = [a.sum(1) + a[:, 0], a.sum(0) + a[:, -1], a[:, 1:5:2].sum(1), a.sum(0)]
    expected += [a[:, :-3:-1].sum(1), np.full(8, 3), np.full(8, 3)]
    np.testing.assert_array_equal(out, np.stack(expected, 1))


@cuda.jit
def across_a_barrier(x, out):
    s = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    part = s[t * 4 : t * 4 + 4]
    half = s[32:]
    for k in range(4):
        part[k] = x[4 * t + k]
    cuda.syncthreads()
    if t < 8:
        half[4 * t] += part[1]
    cuda.syncthreads()
    out[t] = part[0] + half[t]


def test_views_of_shared_memory_live_across_barriers():
    x = np.arange(64, dtype=np.float32)
    out = np.zeros(16, np.float32)
    run(across_a_barrier, 16, x, out)
    s = x.copy()
    s[32::4] += x[1:32:4]
    np.testing.assert_array_equal(out, s[::4][:16] + s[32:48])


@cuda.jit
def parts_of_dynamic_memory(x, out):
    everything = cuda.shared.array(0, float32)
    n = cuda.blockDim.x
    first, second = everything[:n], everything[n : 2 * n]
    counts = everything[2 * n :].view(int32)
    t = cuda.threadIdx.x
    first[t] = x[t]
    second[t] = 2 * x[t]
    counts[t] = t
    cuda.syncthreads()
    out[t] = first[n - 1 - t] + second[t] + counts[n - 1 - t]


def test_slices_of_dynamic_shared_memory():
    x, out = np.random.default_rng(1).random(48, dtype=np.float32), np.zeros(48, np.float32)
    run(parts_of_dynamic_memory, 48, x, out, shared_bytes=48 * 12)
    expected = (x[::-1] + 2 * x).astype(np.float32) + np.arange(48)[::-1]
    np.testing.assert_allclose(out, expected, rtol=1e-6)


@cuda.jit
def fills(a):
    i = cuda.grid(1)
    a[i, 2:4] = 5
    a[i, ::4] = i
    if i == 3:
        a[i] = -1


def test_scalars_assigned_to_slices():
    a = np.zeros((5, 9), np.float32)
    run(fills, 5, a)
    expected = np.zeros((5, 9), np.float32)
    expected[:, 2:4], expected[:, ::4] = 5, np.arange(5)[:, None]
    expected[3] = -1
    np.testing.assert_array_equal(a, expected)


@cuda.jit
def local_slices(x, out):
    mine = cuda.local.array(8, float32)
    i = cuda.grid(1)
    for k in range(8):
        mine[k] = x[i, k]
    upper = mine[4:]
    cuda.syncthreads()
    mine[5] = 100
    out[i] = total(upper) + mine[0]


def test_slices_of_local_arrays():
    x, out = np.random.default_rng(2).random((6, 8), dtype=np.float32), np.zeros(6, np.float32)
    run(local_slices, 6, x, out)
    x[:, 5] = 100
    np.testing.assert_allclose(out, x[:, 4:].sum(1) + x[:, 0], rtol=1e-6)


@cuda.jit
def methods(a, out):
    i = cuda.grid(1)
    flat = a.reshape(a.size)
    out[i, 0] = flat[i]
    out[i, 1] = a[i].sum()
    out[i, 2] = a[i].mean() - a[:, i].argmin()
    out[i, 3] = a.transpose()[0, i]
    out[i, 4] = a.reshape((4, 4))[3, i]


def test_methods_that_make_no_array():
    a, out = np.random.default_rng(3).random((4, 4)), np.zeros((4, 5))
    run(methods, 4, a, out)
    expected = [a[0], a.sum(1), a.mean(1) - a.argmin(0), a[:, 0], a[3]]
    np.testing.assert_allclose(out, np.stack(expected, 1), rtol=1e-15)


@cuda.jit
def ping_pong(x, out):
    buffers = cuda.shared.array((2, 8), float32)
    first, second = buffers[0], buffers[1]
    i = cuda.threadIdx.x
    now = 0
    first[i] = x[i]
    cuda.syncthreads()
    for _ in range(3):
        source, target = buffers[now], buffers[1 - now]
        target[i] = source[(i + 1) % 8] + 1
        cuda.syncthreads()
        second[i] += 0
        now = 1 - now
        first, second = second, first
    out[i] = first[i] - buffers[now, i]
    out[i] += buffers[now][i]


def test_arrays_that_change_places():
    x, out = np.arange(8, dtype=np.float32), np.zeros(8, np.float32)
    run(ping_pong, 8, x, out)
    np.testing.assert_array_equal(out, np.roll(x, -3) + 3)


@cuda.jit
def nothing(x):
    """Only says so."""


def test_a_kernel_without_statements():
    x = np.ones(3)
    run(nothing, 3, x)
    np.testing.assert_array_equal(x, 1)


@cuda.jit
def numpy_reductions(a, out):
    n = 4
    mine = cuda.local.array(n, float32)
    i = cuda.grid(1)
    for k in range(n):
        mine[k] = a[i, k]
    out[i, 0] = np.sum(a[i]) + np.prod(mine)
    mine[1] = 0
    out[i, 1] = np.count_nonzero(mine) + np.argmax(a[:, i])
    a[i, 0] = -1
    out[i, 2] = np.sum(a[i]) + np.max(a[i]) - np.min(mine[2:])


def test_reductions_of_numpy():
    a, out = np.random.default_rng(3).random((4, 4)).astype(np.float32), np.zeros((4, 3))
    before = a.copy()
    run(numpy_reductions, 4, a, out)
    np.testing.assert_allclose(out[:, 0], before.sum(1) + before.prod(1), rtol=1e-6)
    rest = before[:, 1:]
    expected = rest.sum(1) - 1 + rest.max(1) - before[:, 2:].min(1)
    np.testing.assert_allclose(out[:, 2], expected, rtol=1e-6, atol=1e-6)
    assert out[1:, 1].tolist() == (3 + rest.argmax(0)).tolist()


@cuda.jit
def chosen_by_data(a, start, out):
    t = cuda.threadIdx.x
    row = a[start[t]]
    cuda.syncthreads()
    out[t] = row[t]


def test_a_view_chosen_by_data_lives_across_a_barrier():
    a, out = np.arange(16.0).reshape(4, 4), np.zeros(4)
    start = np.array([2, 0, 3, 3])
    run(chosen_by_data, 4, a, start, out)
    np.testing.assert_array_equal(out, a[start, np.arange(4)])


@cuda.jit
def array_to_slice(a, b):
    a[:] = b  # HERE


def test_arrays_are_not_copied_by_assignment():
    with pytest.raises(UnsupportedKernelError):
        run(array_to_slice, 1, np.zeros(3), np.zeros(3))


@cuda.jit
def chosen_rows(x, choice, turns, out):
    """Each thread swaps its own two rows as often as its element of ``turns`` says."""
    rows = cuda.shared.array((3, 40), int32)
    t = cuda.threadIdx.x
    one, two = rows[choice[t]], x[choice[t] + 1]
    rows[0, t] = t
    rows[1, t] = t + 100
    rows[2, t] = t + 200
    cuda.syncthreads()
    for _ in range(turns[t]):
        one, two = two, one
    cuda.syncthreads()
    out[t] = one[39 - t] + 1000 * one.size


def test_views_that_threads_choose_live_across_barriers():
    x = np.arange(3 * 50, dtype=np.int32).reshape(3, 50)
    rng = np.random.default_rng(0)
    choice, turns = rng.integers(0, 2, 40), rng.integers(0, 4, 40)
    out = np.zeros(40, np.int32)
    CpuKernel(chosen_rows).launch((1, 1, 1), (40, 1, 1), 0, (x, choice, turns, out))
    other = 39 - np.arange(40)
    ours = other + 100 * choice + 40_000
    theirs = x[choice + 1, other] + 50_000
    np.testing.assert_array_equal(out, np.where(turns % 2, theirs, ours))
