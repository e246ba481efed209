"""Products by tensor cores, and the setting that allows them."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from numba import types

import nnlite as nl
from nnlite.errors import ArgumentError
from nnlite.kernels.engine import array
from nnlite.kernels.engine.device import GPUS, Limits
from nnlite.kernels.engine.resources import resources
from nnlite.kernels.matmul import cores, large, launcher, matmul
from nnlite.kernels.matmul.tensor import make_tensor_gemm
from nnlite.testing.machine.tensor_cores import rounded

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
FLOATS, SIZE = types.Array(types.float32, 1, "C"), types.uint32
SIGNATURE = (FLOATS, FLOATS, FLOATS, FLOATS, SIZE, SIZE, SIZE, SIZE)
BITS = {"highest": 24, "high": 11, "medium": 8}  # of a factor, the one before the point included


@pytest.fixture
def precision(monkeypatch):
    """Sets the precision, and lets the CPU heed it."""
    monkeypatch.setattr(large, "pays", lambda *args: True)
    monkeypatch.setattr(large, "by_cores", lambda *args: True)
    yield nl.set_float32_matmul_precision
    nl.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(
    ("wanted", "order", "shapes"),
    [
        ("high", "nt", [(132, 140, 36), (3, 4, 16), (140, 132, 0)]),
        ("high", "tn", [(133, 9, 37), (129, 130, 15)]),
        ("medium", "nn", [(133, 9, 37), (1, 130, 1), (129, 257, 20)]),
        ("medium", "tn", [(132, 140, 36), (4, 132, 50)]),
    ],
)
def test_agrees_with_the_product_of_rounded_factors(wanted, order, shapes, precision, device):
    if device.limits.compute_capability < large.SINCE:
        pytest.skip(f"{device} has no such tensor cores")
    precision(wanted)
    ta, tb = order[0] == "t", order[1] == "t"
    rng = np.random.default_rng(len(wanted))
    for m, n, k in shapes:
        a = rng.standard_normal((k, m) if ta else (m, k)).astype(np.float32)
        b = rng.standard_normal((n, k) if tb else (k, n)).astype(np.float32)
        bias = rng.standard_normal(n).astype(np.float32)
        flags = {"transpose_a": ta, "transpose_b": tb}
        x, y, z = (array(v, device=device) for v in (a, b, bias))
        got = matmul(x, y, bias=z, **flags).numpy()
        x, y = (rounded(v, BITS[wanted], wanted == "high") for v in (a, b))
        x, y = x.T if ta else x, y.T if tb else y
        size = np.abs(x) @ np.abs(y) + np.abs(bias)
        error = np.abs(got - (x @ y + bias))
        assert (error <= 4 * np.sqrt(max(k, 1)) * 2.0**-24 * size).all(), (m, n, k)


def test_the_setting_is_that_of_torch(precision):
    assert nl.get_float32_matmul_precision() == "highest"
    for name in ("high", "medium", "highest"):
        nl.set_float32_matmul_precision(name)
        assert nl.get_float32_matmul_precision() == name
    for wrong in ("low", None, 1):
        with pytest.raises(ArgumentError, match="precision: .* given, expected"):
            nl.set_float32_matmul_precision(wrong)
    assert nl.get_float32_matmul_precision() == "highest"


def test_without_the_large_tile_the_cpu_stays_exact():
    nl.set_float32_matmul_precision("medium")
    try:
        a = np.full((200, 1), 1 + 2.0**-20, np.float32)
        got = matmul(array(a), array(np.ones((1, 200), np.float32))).numpy()
    finally:
        nl.set_float32_matmul_precision("highest")
    np.testing.assert_array_equal(got, np.broadcast_to(a, (200, 200)))


@linux
@pytest.mark.parametrize(
    ("kind", "along", "products", "matrices", "arch"),
    [
        ("tf32", (True, True), 32, 12, "sm_80"),
        ("tf32", (True, False), 32, 8, "sm_90"),
        ("bf16", (True, False), 16, 0, "sm_80"),
        ("bf16", (True, False), 16, 0, "sm_90"),
    ],
)
def test_main_loop_is_on_the_tensor_cores(kind, along, products, matrices, arch):
    found = resources(make_tensor_gemm(kind, *along, True, None), SIGNATURE, arch)
    assert found.spills == found.stack == found.float64 == 0
    assert sum(n for name, n in found.loop.items() if name.startswith("HMMA")) == products
    assert found.count("HMMA") == products
    assert sum(n for name, n in found.loop.items() if name.startswith("LDSM")) == matrices
    assert sum(n for name, n in found.loop.items() if "LDGSTS.E.BYPASS.128" in name) == 4
    assert found.occupancy(256) >= 0.25


# -- when they are used ----------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Pretended:
    limits: Limits
    is_cpu: bool = False


A100, RTX, H200 = (Pretended(GPUS[name]) for name in ("A100", "RTX 4090", "H200"))


def test_time_is_that_of_the_tensor_cores_or_of_memory():
    """Of a data sheet: 156 TFLOP/s of tf32, 312 of bfloat16, 2039 GB/s."""
    m, n, k = 9 * 128, 12 * 128, 8192  # a tile for each of 108 multiprocessors
    time = 2 * m * n * k / (156e12 * cores.SHARE)
    assert cores.seconds(m, n, k, "tf32", A100) == pytest.approx(time, rel=0.01)
    assert cores.seconds(m, n, k, "bf16", A100) == pytest.approx(time / 2, rel=0.01)
    assert cores.seconds(m + 1, n, k, "tf32", A100) == pytest.approx(2 * time, rel=0.01)
    few = 4 * (m * 8 + 8 * n + m * n) / 2039e9
    assert cores.seconds(m, n, 8, "tf32", A100) == pytest.approx(few)
    untold = dataclasses.replace(GPUS["A100"], bandwidth=0.0, float32=0.0)
    for steps in (8, k):
        told = cores.seconds(m, n, steps, "tf32", A100)
        assert cores.seconds(m, n, steps, "tf32", Pretended(untold)) == told
    newer = dataclasses.replace(GPUS["A100"], compute_capability=(13, 0))
    assert cores.seconds(m, n, k, "tf32", Pretended(newer)) > 7 * time  # nothing is known of it


def test_products_by_tensor_cores_pay_where_those_of_float32_do_not():
    def chosen(kind, m, n, k):
        return large._pays(m, n, k, np.dtype(np.float32), A100, launcher.SMALLER, kind)

    assert not chosen(None, 256, 128, 512)  # two tiles for 108 multiprocessors
    assert not chosen("tf32", 256, 128, 128)
    assert chosen("tf32", 256, 128, 512)  # in slices
    assert chosen("bf16", 256, 256, 512)
    assert not chosen("bf16", 16, 16, 128)


def test_strict_float32_stays_where_tensor_cores_are_no_faster():
    for kind in ("tf32", "bf16"):
        for device in (A100, H200):
            assert large.by_cores(4096, 4096, 4096, kind, device)
            assert large.by_cores(128, 128, 65536, kind, device)  # one tile, many slices
            assert not large.by_cores(65536, 128, 8, kind, device)  # memory takes as long
    assert large.by_cores(4096, 4096, 4096, "bf16", RTX)
    assert not large.by_cores(4096, 4096, 4096, "tf32", RTX)  # its data sheet says one rate
    newer = Pretended(dataclasses.replace(GPUS["H200"], compute_capability=(10, 0)))
    assert large.by_cores(4096, 4096, 4096, "tf32", newer)


def test_a_product_goes_where_it_is_faster(monkeypatch):
    """On a pretended A100 that has nothing to compute but a shape."""
    taken = []
    monkeypatch.setattr(cores, "launch", lambda kind, *rest: taken.append(kind))
    monkeypatch.setattr(large, "_slices", lambda parts, *rest: taken.append("float32"))
    monkeypatch.setattr(large, "by_cores", lambda m, n, k, kind, device: m > 128)
    nl.set_float32_matmul_precision("high")
    try:
        for m in (128, 129):
            a, b, c = (array(np.zeros(s, np.float32)) for s in ((m, 4), (4, 8), (m, 8)))
            large.launch(a, b, array(np.zeros(8, np.float32)), c, False, False, None)
    finally:
        nl.set_float32_matmul_precision("highest")
    assert taken == ["float32", "tf32"]
