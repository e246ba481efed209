"""More than two pairs of tiles in shared memory: when, at what cost, and right for any k."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from numba import types

from nnlite.kernels.engine.device import GPUS, Limits
from nnlite.kernels.engine.resources import resources
from nnlite.kernels.matmul import large, launcher, slicing
from nnlite.kernels.matmul.sgemm import DEPTH, PAIR_BYTES, make_sgemm
from nnlite.kernels.matmul.stages import dynamic_bytes, stages_for
from nnlite.kernels.matmul.tensor import make_tensor_gemm, pair_items
from nnlite.testing.machine.tensor_cores import rounded

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
FLOATS, SIZE = types.Array(types.float32, 1, "C"), types.uint32
SGEMM = (FLOATS, FLOATS, FLOATS, FLOATS, SIZE, SIZE, SIZE, SIZE)
STAGES, THREADS = 3, 256


@dataclasses.dataclass(frozen=True)
class Pretended:
    limits: Limits
    is_cpu: bool = False


def test_as_many_pairs_as_leave_two_blocks():
    a100, rtx, h200 = (Pretended(GPUS[name]) for name in ("A100", "RTX 4090", "H200"))
    assert stages_for(PAIR_BYTES, 3, a100) == stages_for(PAIR_BYTES, 3, h200) == 3
    assert stages_for(PAIR_BYTES, 3, rtx) == 2  # 100 KB do not hold six pairs
    both_along = 4 * sum(pair_items("bf16", True, True))
    assert stages_for(both_along, 4, a100) == 3
    assert stages_for(both_along, 4, h200) == 4
    unknown = dataclasses.replace(GPUS["H200"], compute_capability=(13, 0))
    assert stages_for(PAIR_BYTES, 3, Pretended(unknown)) == 2
    assert dynamic_bytes(2 * PAIR_BYTES) == 0
    assert dynamic_bytes(3 * PAIR_BYTES) == 50688  # more than the 48 KiB that a kernel declares


@linux
@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_a_third_pair_costs_neither_multiply_adds_nor_blocks(arch):
    two, three = (resources(make_sgemm(True, False, True, None, False, n), SGEMM, arch)
                  for n in (2, STAGES))  # fmt: skip
    assert three.spills == three.stack == three.float64 == 0
    assert three.share("FFMA") >= 0.88
    assert three.share("FFMA") >= two.share("FFMA") - 0.005
    assert two.occupancy(THREADS) == three.occupancy(THREADS, dynamic_bytes(STAGES * PAIR_BYTES))
    assert (two.shared, three.shared) == (2 * PAIR_BYTES, 0)


def product(kernel, m, n, k, shared):
    """What a kernel for a (m, k) and b (k, n) makes of the CPU compiler, a, b and the bias."""
    rng = np.random.default_rng(m * n + k)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((m, k), (k, n)))
    bias, c = rng.standard_normal(n).astype(np.float32), np.full(m * n, np.nan, np.float32)
    sizes = [np.uint32(x) for x in (m, n, k, k)]
    grid = -(-n // 128), -(-m // 128)
    kernel[grid, THREADS, 0, shared](a.reshape(-1), b.reshape(-1), bias, c, *sizes)
    return c.reshape(m, n), a, b, bias


@pytest.mark.parametrize("k", [0, 1, DEPTH, DEPTH + 1, 2 * DEPTH, 3 * DEPTH + 5, 100])
def test_sums_are_right_however_few_pairs_there_are(k):
    kernel = make_sgemm(True, False, True, None, False, STAGES)
    c, a, b, bias = product(kernel, 131, 132, k, STAGES * PAIR_BYTES)
    plain, *_ = product(make_sgemm(True, False, True, None), 131, 132, k, 0)
    np.testing.assert_array_equal(c, plain)
    size = np.abs(a).astype(np.float64) @ np.abs(b) + np.abs(bias)
    expected = a.astype(np.float64) @ b + bias
    assert (np.abs(c - expected) <= 4 * np.sqrt(max(k, 1)) * 2.0**-24 * size).all()


@pytest.mark.parametrize("k", [3, 17, 52, 80])
def test_tensor_cores_too(k):
    kernel = make_tensor_gemm("bf16", True, False, False, None, 4)
    c, a, b, bias = product(kernel, 5, 130, k, 16 * sum(pair_items("bf16", True, False)))
    a, b = (rounded(x, 8, False) for x in (a, b))
    size = np.abs(a) @ np.abs(b) + np.abs(bias)
    assert (np.abs(c - (a @ b + bias)) <= 4 * np.sqrt(k) * 2.0**-24 * size).all()


def test_the_checker_finds_no_race_with_a_barrier_a_turn():
    kernel = make_sgemm(True, False, True, None, False, STAGES)
    m, n, k = 5, 8, 70
    a, b, bias, c = (np.ones(size, np.float32) for size in (m * k, k * n, n, m * n))
    sizes = [np.uint32(x) for x in (m, n, k, k)]
    launch = kernel.check[1, THREADS, 0, STAGES * PAIR_BYTES]
    launch(a, b, bias, c, *sizes).raise_if_errors()
    np.testing.assert_array_equal(c, k + 1)


def test_the_sum_of_the_slices_counts_when_a_product_is_split():
    """On an H200 it takes as long as a sixth of the product that it would speed up."""
    device, small = Pretended(GPUS["H200"]), launcher.SMALLER
    assert large.slices(512, 512, 768, device.limits.sms) == 3
    assert not large.pays(512, 512, 768, np.dtype(np.float32), device, small)
    assert large.pays(512, 512, 4096, np.dtype(np.float32), device, small)
    parts = slicing.sum_time(512, 512, 3, device)
    assert parts == pytest.approx(slicing.LAUNCH + 2 * 3 * 2**20 / 4.8e12)


def test_a_driver_that_tells_no_clocks_is_taken_for_another():
    told = GPUS["A100"]
    untold = Pretended(dataclasses.replace(told, name="?", bandwidth=0.0, float32=0.0))
    for k in (768, 4096):
        assert slicing.sum_time(512, 512, 3, untold) == slicing.sum_time(
            512, 512, 3, Pretended(told)
        )
        asked = 512, 512, k, np.dtype(np.float32)
        found = large.pays(*asked, untold, launcher.SMALLER)
        assert found == large.pays(*asked, Pretended(told), launcher.SMALLER)
