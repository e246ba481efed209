"""The checker reports nothing about right kernels, and they compute what they always do."""

from __future__ import annotations

import datetime
import os
import zlib

import numpy as np
import pytest
from numba import cuda, float32, int32

from bench.collection import ENTRIES
from nnlite.kernels.engine.lens import check, meetings
from nnlite.testing.interpreter import interpret
from nnlite.testing.random_kernels import random_kernel
from nnlite.testing.random_kernels.check import difference

# A quarter of the collection and other random kernels each day, all of it in four: compiling takes
# a third of a second for each of the 139 kernels, and one or two for a random one.
DAY = int(os.environ.get("NNLITE_CHECK_DAY", datetime.date.today().toordinal()))
PARTS = 4
RANDOM = 6
TODAY = [e for e in ENTRIES if zlib.crc32(e.name.encode()) % PARTS == DAY % PARTS]
RACY = {"bfs_level": "threads read a depth that others set, to the same value whoever comes first"}
"""Kernels that race by intent. The checker cannot know that their result is right all the same."""


@pytest.mark.parametrize("entry", TODAY, ids=lambda entry: entry.name)
def test_collection_is_clean(entry):
    launches = entry.launches(entry.tiny)
    expected = entry.expected(launches)
    reports = [check(entry.kernel, *x.dims, x.args, x.shared) for x in launches]
    entry.check(launches, expected)
    kinds = {f.kind for report in reports for f in report.findings}
    if entry.name in RACY:
        assert kinds
        assert all(kind.startswith("race") for kind in kinds)
    else:
        assert not kinds, "\n".join(map(str, reports))


@pytest.mark.parametrize("number", range(RANDOM))
def test_random_kernels_are_clean(number, tmp_path):
    """Negative indices apart, which the generator writes on purpose."""
    kernel = random_kernel(10_000 + RANDOM * (DAY % 1000) + number)
    function = kernel.load(tmp_path)
    expected, found = kernel.arguments(), kernel.arguments()
    interpret(function, kernel.grid, kernel.block, expected, shared_bytes=kernel.shared_bytes)
    report = check(function, kernel.grid, kernel.block, found, kernel.shared_bytes)
    wrong = [str(f) for f in report.findings if f.kind != "negative index"]
    assert not wrong, f"seed {kernel.seed}: " + "\n".join(wrong)
    assert not difference(expected, found), f"seed {kernel.seed}"


@cuda.jit
def last_block_sums(x, partial, counter, out):
    """Each block adds its part; the one that comes last adds the parts."""
    last = cuda.shared.array(1, int32)
    b = cuda.blockIdx.x
    if cuda.threadIdx.x == 0:
        partial[b] = x[2 * b] + x[2 * b + 1]
        cuda.threadfence()
        last[0] = cuda.atomic.add(counter, 0, 1)
    cuda.syncthreads()
    if last[0] == cuda.gridDim.x - 1 and cuda.threadIdx.x == 0:
        for k in range(cuda.gridDim.x):
            out[0] += partial[k]


@cuda.jit
def locked_sum(lock, x, out):
    """A lock per launch: every thread adds its number."""
    while cuda.atomic.cas(lock, 0, 0, 1) != 0:
        pass
    cuda.threadfence()
    out[0] += x[cuda.grid(1)]
    cuda.threadfence()
    cuda.atomic.exch(lock, 0, 0)


@cuda.jit
def waits_for_the_block_before(flag, out):
    """Blocks in a chain: each waits until the one before it has added its number."""
    b = cuda.blockIdx.x
    while cuda.atomic.add(flag, 0, 0) < b:
        pass
    out[0] += b
    cuda.threadfence()
    cuda.atomic.add(flag, 0, 1)


@cuda.jit
def warp_scan(x, out):
    """Lanes read what others wrote, with syncwarp between."""
    s = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    lane = t % 32
    s[t] = x[t]
    cuda.syncwarp()
    step = 1
    while step < 32:
        v = s[t - step] if lane >= step else float32(0)
        cuda.syncwarp()
        s[t] += v
        cuda.syncwarp()
        step *= 2
    out[t] = s[t]


@cuda.jit
def from_the_first_that_votes(x, out):
    t = cuda.threadIdx.x
    first = cuda.ffs(cuda.ballot_sync(0xFFFFFFFF, x[t] > 7)) - 1
    out[t] = cuda.shfl_sync(0xFFFFFFFF, x[t], cuda.ffs(cuda.activemask()) - 1 + first)


@cuda.jit
def flags_everybody_sets(x, found):
    if x[cuda.grid(1)] > 5:
        found[0] = 1


def zeros(n, dtype=np.float32):
    return np.zeros(n, dtype)


def test_what_orders_threads_is_understood():
    x = np.arange(64, dtype=np.float32)
    out, lock = zeros(1), zeros(1, np.int32)
    for kernel, grid, block, args in (
        (last_block_sums, 32, 32, (x, zeros(32), lock, out)),
        (locked_sum, 2, 32, (zeros(1, np.int32), x, zeros(1))),
        (waits_for_the_block_before, 9, 1, (zeros(1, np.int32), zeros(1, np.int32))),
        (warp_scan, 1, 64, (x, zeros(64))),
        (from_the_first_that_votes, 1, 32, (x, zeros(32))),
        (flags_everybody_sets, 2, 32, (x, lock)),
    ):
        report = check(kernel, grid, block, args)
        assert report.ok, report
        assert not report.notes, report
    assert out[0] == x.sum()


def test_clocks_that_run_out_start_anew(monkeypatch):
    monkeypatch.setattr(meetings, "MOST_CLOCK", 3)
    assert check(warp_scan, 1, 64, (np.ones(64, np.float32), zeros(64))).ok


def test_results_are_those_of_a_launch():
    x = np.random.default_rng(1).standard_normal(64).astype(np.float32)
    a, b = zeros(64), zeros(64)
    assert check(warp_scan, 1, 64, (x, a)).ok
    from nnlite.kernels.engine.cpu import CpuKernel

    CpuKernel(warp_scan).launch((1, 1, 1), (64, 1, 1), 0, (x, b))
    np.testing.assert_array_equal(a, b)
