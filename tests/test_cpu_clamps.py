"""Clamped indices: the copy of a region without clamps runs only where none would matter."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda

from nnlite.kernels.engine.cpu import CpuKernel

BLOCK = (16, 4, 1)


@cuda.jit
def neighbours(a, out):
    x, y = cuda.grid(2)
    h, w = a.shape
    left, right = max(x - 1, 0), min(x + 1, w - 1)
    above, below = max(0, y - 1), min(h - 1, y + 1)
    if x < w and y < h:
        out[y, x] = a[y, left] + 2 * a[y, right] + 3 * a[above, x] + 5 * a[below, x]


@cuda.jit
def window(a, r, out):
    """Clamps that depend on the loop around them, one inside the other."""
    x, y = cuda.grid(2)
    h, w = a.shape
    if x >= w or y >= h:
        return
    total = 0
    for d in range(-r, r + 1):
        total += (d + 9) * a[y, min(max(x + d, 0), w - 1)]
    out[y, x] = total


@cuda.jit
def across_a_barrier(a, out):
    """Every thread loads, those outside the array too."""
    tile = cuda.shared.array((4, 16), np.int64)
    x, y = cuda.grid(2)
    cx, cy = min(x, a.shape[1] - 1), min(y, a.shape[0] - 1)
    tile[cuda.threadIdx.y, cuda.threadIdx.x] = a[cy, cx]
    cuda.syncthreads()
    if x < a.shape[1] and y < a.shape[0]:
        out[y, x] = tile[cuda.threadIdx.y, 15 - cuda.threadIdx.x] + cx - cy


def reference(kernel, a, r):
    h, w = a.shape
    y, x = np.mgrid[:h, :w]
    if kernel is neighbours:
        rows = 3 * a[np.maximum(y - 1, 0), x] + 5 * a[np.minimum(y + 1, h - 1), x]
        return a[y, np.maximum(x - 1, 0)] + 2 * a[y, np.minimum(x + 1, w - 1)] + rows
    if kernel is window:
        return sum((d + 9) * a[y, np.clip(x + d, 0, w - 1)] for d in range(-r, r + 1))
    return a[y, np.minimum(x // 16 * 16 + 15 - x % 16, w - 1)] + x - y


@pytest.mark.parametrize("shape", [(1, 1), (4, 16), (5, 17), (12, 48), (13, 50), (3, 15)])
def test_blocks_inside_and_at_the_border(shape):
    a = np.random.default_rng(0).integers(0, 1000, shape)
    grid = (-(-shape[1] // 16), -(-shape[0] // 4), 1)
    for kernel, args in ((neighbours, ()), (window, (3,)), (across_a_barrier, ())):
        out = np.zeros_like(a)
        CpuKernel(kernel).launch(grid, BLOCK, 0, (a, *args, out))
        np.testing.assert_array_equal(out, reference(kernel, a, 3))


def test_the_copy_for_blocks_inside_has_no_clamps():
    a = np.zeros((12, 48), np.int64)
    source = CpuKernel(across_a_barrier).source(BLOCK, (a, a.copy()))
    inside, border = source.split("cx = ")[1:3]
    assert inside.startswith("x\n")
    assert border.startswith("min_(x, a.shape[1] - 1)")


@cuda.jit
def fixed_limits(a, out):
    i = cuda.grid(1)
    out[i] = a[min(i, 20)] + a[max(min(cuda.threadIdx.x, 40), 3)]


def test_limits_that_always_matter_to_some_thread():
    a = np.arange(100) ** 2
    out = np.zeros(64, np.int64)
    CpuKernel(fixed_limits).launch((2, 1, 1), (32, 1, 1), 0, (a, out))
    i = np.arange(64)
    np.testing.assert_array_equal(out, a[np.minimum(i, 20)] + a[np.maximum(i % 32, 3)])
