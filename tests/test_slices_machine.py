"""The PTX of products whose steps are cut into slices, run by ``nnlite.testing.machine``.

That of Hopper's: ``test_hopper_machine.py``; of float32's and of the sum: ``test_ptx_machine.py``.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numba import types

from nnlite.kernels.engine.resources import ptx
from nnlite.kernels.matmul import slicing
from nnlite.kernels.matmul.halves import gemm, make_half_gemm
from nnlite.kernels.matmul.tensor import make_tensor_gemm
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.machine import Machine
from nnlite.testing.machine.tensor_cores import rounded
from tests.half_products import EPS, halves, numbers, require_product

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools: Linux only")
HALVES, FLOATS = types.Array(types.uint16, 1, "C"), types.Array(types.float32, 1, "C")
OF_HALVES = (HALVES, HALVES, FLOATS, FLOATS, *[types.uint32] * 7)
OF_FLOATS = (FLOATS, FLOATS, FLOATS, FLOATS, *[types.uint32] * 4)


def require_slices(parts, a, b, steps):
    """Each part is the product of so many steps of a (m, k) and b (k, n)."""
    for part, got in enumerate(parts):
        u, v = a[:, part * steps :][:, :steps], b[part * steps :][:steps]
        bound = 4 * np.sqrt(steps) * EPS * (np.abs(u) @ np.abs(v))
        assert (np.abs(got - u @ v) <= bound).all(), part


def test_the_ptx_sums_each_slice_and_meets_every_bank_once():
    m, n, k, steps = 136, 12, 104, 64  # the second slice is shorter
    rng = np.random.default_rng(7)
    a, b = numbers(rng, (m, k), "bf16"), numbers(rng, (k, n), "bf16")
    c = np.full(2 * m * n, np.nan, np.float32)
    x, y = (halves(v, "bf16").reshape(-1) for v in (a, b))
    kernel = make_half_gemm("bf16", True, False, False, True, None, 2, True)
    run = Machine(ptx(kernel, OF_HALVES, "sm_80"), timing="late")
    bias = np.full(n, np.nan, np.float32)  # is not for slices
    sizes = m, n, k, 2, 1, 16, steps
    shared = 2 * gemm.PAIR_BYTES
    run.launch((2, 1, 2), gemm.THREADS, x, y, bias, c, *sizes, shared=shared)
    require_slices(c.reshape(2, m, n), a, b, steps)
    assert set(run.ways.values()) == {1}, run.ways


def test_from_the_launcher_on(monkeypatch):
    monkeypatch.setattr(slicing, "fastest", lambda *arguments: (0.0, 7))  # four and two more
    with fake_gpu("machine", gpu="A100") as driver:
        require_product("f16", "nt", 24, 136, 200, device="cuda", activation="relu")
        assert [x[0] for x in driver.launches[-2:]] == ["half_gemm", "sum_slices_wide"]


def test_the_ptx_of_rounded_floats_sums_each_slice():
    m, n, k, steps = 36, 132, 40, 32
    rng = np.random.default_rng(8)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((m, k), (k, n)))
    c = np.full(2 * m * n, np.nan, np.float32)
    kernel = make_tensor_gemm("bf16", True, False, True, None, 2, True)
    run = Machine(ptx(kernel, OF_FLOATS, "sm_80"))
    bias = np.full(n, np.nan, np.float32)
    run.launch((2, 1, 2), 256, a.reshape(-1), b.reshape(-1), bias, c, m, n, k, steps)
    a, b = (rounded(v, 8, False) for v in (a, b))
    require_slices(c.reshape(2, m, n), a, b, steps)
