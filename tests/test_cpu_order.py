"""Which dimension of threads and blocks runs innermost, and which loops leave the threads."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numba import cuda, float32

from nnlite.kernels.engine.cpu import CpuKernel, cache


@cuda.jit
def rows_along_x(x, y, out):
    i, j = cuda.grid(2)
    if i < x.size and j < y.size:
        out[i, j] = x[i] * y[j]


@cuda.jit
def rows_along_y(x, y, out):
    j, i = cuda.grid(2)
    if i < x.size and j < y.size:
        out[i, j] = x[i] * y[j]


@cuda.jit
def planes_by_division(x, y, out):
    col, row, plane = cuda.grid(3)
    n, c = plane // out.shape[1], plane % out.shape[1]
    if col < out.shape[3] and row < out.shape[2] and n < out.shape[0]:
        out[n, c, row, col] = x[row] * y[col]


@pytest.mark.parametrize(("kernel", "inner"), [(rows_along_x, "y"), (rows_along_y, "x")])
def test_the_direction_of_memory_is_innermost(kernel, inner):
    x, y = np.arange(37, dtype=np.float32), np.arange(21, dtype=np.float32)
    out = np.zeros((37, 21), np.float32)
    compiled = CpuKernel(kernel)
    compiled.launch((8, 8, 1), (8, 8, 1), 0, (x, y, out))
    np.testing.assert_array_equal(out, np.outer(x, y))
    source = compiled.source((8, 8, 1), (x, y, out))
    loops = [line.split()[1] for line in source.splitlines() if line.strip().startswith("for t")]
    assert loops[1] == f"t{inner}_"
    assert f"bid_{inner}_ = np.int32(b_ % launch_[{2 + 'xyz'.index(inner)}])" in source


def test_an_index_from_a_division_depends_on_the_thread():
    x, y = np.arange(9, dtype=np.float32), np.arange(12, dtype=np.float32)
    out = np.zeros((2, 3, 9, 12), np.float32)
    compiled = CpuKernel(planes_by_division)
    compiled.launch((2, 2, 3), (8, 8, 2), 0, (x, y, out))
    np.testing.assert_array_equal(out, np.broadcast_to(np.outer(x, y), out.shape))
    source = compiled.source((8, 8, 2), (x, y, out))
    assert source.index("for tz_") < source.index("for ty_") < source.index("for tx_")


@cuda.jit
def transpose(a, out):
    tile = cuda.shared.array((32, 33), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    x, y = cuda.blockIdx.x * 32 + tx, cuda.blockIdx.y * 32 + ty
    for j in range(0, 32, 8):
        if y + j < a.shape[0] and x < a.shape[1]:
            tile[ty + j, tx] = a[y + j, x]
    cuda.syncthreads()
    x, y = cuda.blockIdx.y * 32 + tx, cuda.blockIdx.x * 32 + ty
    for j in range(0, 32, 8):
        if y + j < out.shape[0] and x < out.shape[1]:
            out[y + j, x] = tile[tx, ty + j]


@pytest.mark.parametrize("shape", [(1, 1), (31, 65), (64, 32), (70, 45)])
def test_the_loop_of_a_tiled_transpose_leaves_the_threads(shape):
    a = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    out = np.zeros(shape[::-1], np.float32)
    compiled = CpuKernel(transpose)
    compiled.launch((3, 3, 1), (32, 8, 1), 0, (a, out))
    np.testing.assert_array_equal(out, a.T)
    source = compiled.source((32, 8, 1), (a, out))
    assert source.index("for j in range(0, 32, 8)") < source.index("for ty_")


@cuda.jit
def registers(a, out):
    mine = cuda.local.array(4, float32)
    i = cuda.grid(1)
    total = float32(0)
    for j in range(4):
        if i + j < a.size:
            mine[j] = a[i + j]
        else:
            mine[j] = 0
    for j in range(4):
        if mine[j] > 1:
            total += mine[j]
    if i < out.size:
        out[i] = total


def test_loops_over_registers_stay_with_their_thread():
    a, out = np.arange(50, dtype=np.float32), np.zeros(64, np.float32)
    CpuKernel(registers).launch((2, 1, 1), (32, 1, 1), 0, (a, out))
    wide = np.concatenate([a, np.zeros(20, np.float32)])
    windows = np.lib.stride_tricks.sliding_window_view(wide, 4)[:64]
    np.testing.assert_array_equal(out, np.where(windows > 1, windows, 0).sum(1))


@cuda.jit
def empty_axes(a, out):
    """The last index of an axis: ``size - 1`` cannot be negative where the axis is looked into."""
    i = cuda.grid(1)
    last = a.shape[1] - 1
    if i < a.shape[0]:
        out[i] = a[i, min(i, last)] + a[i, last - 1]


def test_one_before_the_last_may_still_count_from_the_end():
    a = np.array([[3.0], [5.0]], np.float32)
    out = np.zeros(2, np.float32)
    compiled = CpuKernel(empty_axes)
    compiled.launch((1, 1, 1), (32, 1, 1), 0, (a, out))
    np.testing.assert_array_equal(out, [6, 10])  # a[i, -1] is a[i, 0]
    source = compiled.source((32, 1, 1), (a, out))
    assert "u_(min_(i, last))" in source
    assert "u_(last - 1)" not in source


@cuda.jit
def steps_of_a_generator(states, out, n):
    i = cuda.grid(1)
    if i < states.size:
        state, count = states[i], 0
        for _ in range(n):
            state = state * 5 + 1
            count += state & 1
        states[i], out[i] = state, count


def test_short_loops_that_keep_values_are_unrolled_once_they_are_vectors():
    """See ``rt_parallel``: flags for a vote, then the steps, which keep state and count."""
    states = np.arange(80, dtype=np.int32)
    out = np.zeros(80, np.int32)
    compiled, expected = CpuKernel(steps_of_a_generator), states.copy()
    compiled.launch((2, 1, 1), (64, 1, 1), 0, (states, out, 7))
    counts = np.zeros(80, np.int32)
    for _ in range(7):
        expected = expected * np.int32(5) + np.int32(1)
        counts += expected & 1
    np.testing.assert_array_equal(states, expected)
    np.testing.assert_array_equal(out, counts)
    source = compiled.source((64, 1, 1), (states, out, 7))
    assert "flags_end_()" in source
    assert "steps_end_()" in source
    whole = compiled.source((128, 1, 1), (states, out, 7))
    assert "steps_end_()" not in whole


@cuda.jit
def channels(image, out):
    x, y = cuda.grid(2)
    if x < image.shape[1] and y < image.shape[0]:
        out[y, x] = image[y, x, 0] + 2 * image[y, x, image.shape[2] - 1]


@cuda.jit
def channels_apart(image, out):
    x, y = cuda.grid(2)
    if x < image.shape[2] and y < image.shape[1]:
        out[y, x] = image[0, y, x] + 2 * image[image.shape[0] - 1, y, x]


@pytest.mark.parametrize("count", [1, 3])
def test_no_extent_is_guessed_to_be_1(count, monkeypatch):
    """See ``any_extents_``; the arrays that threads walk through one by one stay as they are."""
    made = []
    keep = cache.dump_code
    monkeypatch.setattr(cache, "read", lambda name, key: None)
    monkeypatch.setattr(cache, "dump_code", lambda result: [made.append(result), keep(result)][1])
    image = np.random.default_rng(3).integers(0, 80, (37, 50, count)).astype(np.uint8)
    expected = image[:, :, 0] + 2 * image[:, :, -1]
    versions = [
        (channels, image, True),
        (channels, np.asfortranarray(image), True),
        (channels_apart, np.ascontiguousarray(image.transpose(2, 0, 1)), False),
        (channels_apart, image.transpose(2, 0, 1).copy("F"), True),
    ]
    for kernel, given, hidden in versions:
        compiled, out = CpuKernel(kernel), np.zeros((37, 50), np.uint8)
        compiled.launch((4, 3, 1), (16, 16, 1), 0, (given, out))
        np.testing.assert_array_equal(out, expected)
        source = compiled.source((16, 16, 1), (given, out))
        assert ("image = any_extents_(image)" in source) == hidden
        code = made[-1].library.get_llvm_str()
        assert not re.search(r"icmp \w+ i64 %arg\.image\.5\.\d, 1$", code, re.MULTILINE)


@cuda.jit
def mirrored(x, out):
    i = cuda.grid(1)
    out[i] = cuda.shfl_sync(0xFFFFFFFF, x[i], 31 - cuda.laneid)


def test_short_loops_that_read_other_threads_are_unrolled_once_they_are_vectors():
    x, out = np.arange(128.0), np.zeros(128)
    compiled = CpuKernel(mirrored)
    compiled.launch((2, 1, 1), (64, 1, 1), 0, (x, out))
    np.testing.assert_array_equal(out, x.reshape(4, 32)[:, ::-1].ravel())
    source = compiled.source((64, 1, 1), (x, out))
    assert source.count("short_region_end_()") == 1  # where each thread keeps its element
    assert source.count("steps_end_()") == 1
