"""Additions under a test become selections where their loads can do no harm."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, float32, int32

from nnlite.kernels.engine.cpu import CpuKernel

THREADS = 64


def run(kernel, x, out):
    compiled = CpuKernel(kernel)
    compiled.launch((1, 1, 1), (THREADS, 1, 1), 0, (x, out))
    return compiled.source((THREADS, 1, 1), (x, out))


@cuda.jit
def warps_before(x, out):
    """Sums of the warps before this one, as in a scan of a block."""
    s = cuda.shared.array(4, int32)
    t = cuda.threadIdx.x
    if t < 4:
        s[t] = x[t]
    cuda.syncthreads()
    before, total = 0, 0
    for w in range(4):
        if w < t >> 4:
            before += s[w]
        total += s[w]
    out[t] = before * 1000 + total


@cuda.jit
def downwards(x, out):
    """Descending loops, two axes, an index computed from the loop's, mixed types."""
    s = cuda.shared.array((3, 8), float32)
    t = cuda.threadIdx.x
    if t < 24:
        s[t // 8, t % 8] = x[t]
    cuda.syncthreads()
    total = 0
    for k in range(7, -1, -1):
        if (t + k) % 3 == 0:
            total += s[2 * k // 7, (k + 1) & 7] * k
    out[t] = total


@cuda.jit
def own_elements(x, out):
    mine = cuda.local.array(4, int32)
    t = cuda.threadIdx.x
    for k in range(4):
        mine[k] = x[t] + k
    total = np.float32(0.5)
    for k in range(4):
        if x[(t + k) % x.size] > 0:
            total -= mine[k]
    out[t] = total


def before(x):
    sums = np.concatenate([[0], np.cumsum(x[:3])])
    return np.repeat(sums, 16) * 1000 + x[:4].sum()


def descending(x):
    s = x[:24].astype(np.float32).reshape(3, 8)
    picked = [(k, s[2 * k // 7, (k + 1) & 7] * k) for k in range(8)]
    return [sum(v for k, v in picked if (t + k) % 3 == 0) for t in range(THREADS)]


def elements(x):
    n = len(x)
    return [0.5 - sum(x[t] + k for k in range(4) if x[(t + k) % n] > 0) for t in range(n)]


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [(warps_before, before), (downwards, descending), (own_elements, elements)],
)
def test_additions_of_elements_that_exist_need_no_branch(kernel, expected):
    x = np.random.default_rng(5).integers(-9, 10, THREADS)
    out = np.zeros(THREADS, np.float64)
    source = run(kernel, x, out)
    np.testing.assert_array_equal(out, expected(x))
    assert source.count("select_(") == 1


@cuda.jit
def outside(x, out):
    """Every index leaves its array for some thread, if it is not held back by its test."""
    s = cuda.shared.array(4, int32)
    t = cuda.threadIdx.x
    if t < 4:
        s[t] = x[t]
    cuda.syncthreads()
    total = 0
    for k in range(5):
        if k < 4:
            total += s[k]
    for k in range(-1, 4):
        if k >= 0:
            total += s[k]
    if t < 4:
        total += s[t]
    if t < x.size:
        total += x[t]
    for k in range(4):
        k += t
        if k < 4:
            total += s[k]
    out[t] = total


def test_elements_outside_the_array_are_not_loaded():
    x = np.arange(1, THREADS + 1)
    out = np.zeros(THREADS, np.float64)
    source = run(outside, x, out)
    first = np.where(np.arange(THREADS) < 4, x, 0)
    later = [x[t:4].sum() for t in range(THREADS)]
    np.testing.assert_array_equal(out, 2 * x[:4].sum() + first + x + later)
    assert "select_(" not in source


@cuda.jit
def with_effects(x, out):
    """What a test guards besides an addition of loads stays under it."""
    s = cuda.shared.array(4, int32)
    t = cuda.threadIdx.x
    if t < 4:
        s[t] = x[t]
    cuda.syncthreads()
    total, last = 0, 0
    for k in range(4):
        if t > k:
            total += s[k] // (t - k)
        if t > 2 * k:
            last = s[k]
        if t == k:
            total += cuda.atomic.add(out, 64 + s[k], 1) * 0 + 1
    out[t] = total + 1000 * last


def test_divisions_effects_and_plain_values_stay_under_their_test():
    x = np.arange(THREADS) + 3
    out = np.zeros(THREADS + 8, np.float64)
    source = run(with_effects, x, out)
    expected = np.zeros(THREADS)
    for t in range(THREADS):
        expected[t] = sum(x[k] // (t - k) for k in range(4) if t > k) + (t < 4)
        expected[t] += 1000 * max([0, *(x[k] for k in range(4) if t > 2 * k)])
    np.testing.assert_array_equal(out[:THREADS], expected)
    np.testing.assert_array_equal(out[THREADS:], [0, 0, 0, 1, 1, 1, 1, 0])
    assert "select_(" not in source
