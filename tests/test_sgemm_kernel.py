"""The kernel for large float32 products: right on the CPU, fast in its machine code."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from numba import types

from nnlite.kernels.engine import array
from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.device import GPUS, Limits
from nnlite.kernels.engine.resources import resources
from nnlite.kernels.matmul import (
    get_float32_matmul_precision,
    large,
    launcher,
    matmul,
    matmul_reference,
    set_float32_matmul_precision,
)
from nnlite.kernels.matmul.sgemm import make_sgemm
from nnlite.kernels.matmul.specs import SPECS
from nnlite.kernels.matmul.split import make_sum
from nnlite.kernels.matmul.tensor import make_tensor_gemm
from nnlite.testing import check_forward

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
ARCHITECTURES = ("sm_80", "sm_90", "sm_100")  # the compile gate has the others, too
FLOATS, SIZE = types.Array(types.float32, 1, "C"), types.uint32
SIGNATURE = (FLOATS, FLOATS, FLOATS, FLOATS, SIZE, SIZE, SIZE, SIZE)
SHARED_BYTES = 2 * 2 * 16 * 132 * 4  # two pairs of tiles
ORDERS = {"nn": (True, False), "tn": (False, False), "nt": (True, True), "tt": (False, True)}


@pytest.fixture
def always_large(monkeypatch):
    """Every float32 product takes the large tile, on the CPU too; counts them."""
    calls = SimpleNamespace(n=0)

    def pays(m, n, k, dtype, device, tiles):
        calls.n += dtype == np.float32
        return dtype == np.float32

    monkeypatch.setattr(large, "pays", pays)
    monkeypatch.setattr(launcher, "_found", {})  # products that were chosen before
    return calls


@pytest.mark.parametrize("spec", [s for s in SPECS if s.name in ("matmul", "matmul_tn")])
def test_agrees_with_the_reference(spec, always_large):
    plain = dataclasses.replace(spec, options={"activation": (None,)})
    check_forward(plain, device="cpu", max_examples=15)
    assert always_large.n > 20


@pytest.mark.parametrize(
    ("order", "m", "n", "k"),
    [
        ("nn", 128, 128, 16),
        ("nn", 129, 261, 33),
        ("nn", 131, 3, 0),
        ("tn", 260, 132, 47),
        ("tn", 1, 127, 129),
        ("nt", 130, 132, 20),
        ("tt", 132, 140, 31),
    ],
)
def test_whole_tiles_and_their_edges(order, m, n, k, always_large, device):
    if device.limits.compute_capability < large.SINCE:
        pytest.skip(f"{device} has no asynchronous copies")
    rng = np.random.default_rng(m + n + k)
    ta, tb = order[0] == "t", order[1] == "t"
    a = rng.standard_normal((k, m) if ta else (m, k)).astype(np.float32)
    b = rng.standard_normal((n, k) if tb else (k, n)).astype(np.float32)
    bias = rng.standard_normal(n).astype(np.float32)
    flags = {"transpose_a": ta, "transpose_b": tb}
    x, y, z = (array(v, device=device) for v in (a, b, bias))
    got = matmul(x, y, bias=z, **flags).numpy()
    wide = [x.astype(np.float64) for x in (a, b, bias)]
    expected = matmul_reference(*wide, **flags)
    size = matmul_reference(*map(np.abs, wide), **flags)
    assert (np.abs(got - expected) <= 4 * np.sqrt(max(k, 1)) * 2.0**-24 * size).all()
    assert always_large.n == 1


def test_activation(always_large):
    rng = np.random.default_rng(5)
    a, b = (rng.standard_normal(n).astype(np.float32) for n in ((130, 40), (40, 133)))
    got = matmul(array(a), array(b), activation="gelu").numpy()
    a, b = a.astype(np.float64), b.astype(np.float64)
    expected = matmul_reference(a, b, activation="gelu")
    sums = 1.13 * 4 * np.sqrt(40) * 2.0**-24 * (np.abs(a) @ np.abs(b))  # gelu's steepest slope
    assert (np.abs(got - expected) <= sums + 4 * 2.0**-23 * np.abs(expected)).all()


@pytest.mark.parametrize(
    ("order", "m", "n", "k", "parts", "activation"),
    [
        ("nn", 130, 132, 100, 3, None),  # 3 slices of 48, the last of 4
        ("tn", 3, 7, 49, 9, "silu"),  # 4 slices: none is shorter than a tile
    ],
)
def test_slices_add_up(order, m, n, k, parts, activation, always_large, monkeypatch):
    monkeypatch.setattr(large, "slices", lambda m, n, k, sms: parts)
    rng = np.random.default_rng(m + n + k)
    ta, tb = order[0] == "t", order[1] == "t"
    a = rng.standard_normal((k, m) if ta else (m, k)).astype(np.float32)
    b = rng.standard_normal((n, k) if tb else (k, n)).astype(np.float32)
    bias = rng.standard_normal(n).astype(np.float32)
    flags = {"transpose_a": ta, "transpose_b": tb}

    def product():
        x, y, z = map(array, (a, b, bias))
        return matmul(x, y, bias=z, activation=activation, **flags).numpy()

    got = product()
    np.testing.assert_array_equal(got, product())
    wide = [x.astype(np.float64) for x in (a, b, bias)]
    expected = matmul_reference(*wide, activation=activation, **flags)
    size = matmul_reference(*map(np.abs, wide), **flags)
    assert (np.abs(got - expected) <= 1.1 * 4 * np.sqrt(k) * 2.0**-24 * size).all()  # silu's slope
    assert always_large.n == 2


def test_a_product_is_split_as_far_as_multiprocessors_and_steps_allow():
    assert large.slices(128, 128, 4096, 108) == 16  # slices of 256 steps
    assert large.slices(128, 128, 2**17, 108) == 108  # one for each multiprocessor
    assert large.slices(512, 512, 4096, 108) == 6  # 16 tiles, 96 of 108 multiprocessors
    assert large.slices(1024, 1024, 4096, 108) == 1
    assert large.slices(128, 128, 511, 108) == 1
    assert large.slices(1, 1, 0, 108) == 1


def test_infinities_stay_in_their_rows_and_columns(always_large):
    a, b = np.ones((130, 20), np.float32), np.ones((20, 140), np.float32)
    a[129, 3], b[7, 139] = np.inf, np.nan
    got = matmul(array(a), array(b)).numpy()
    assert np.isinf(got[129, :139]).all()
    assert np.isnan(got[:, 139]).all()
    np.testing.assert_array_equal(got[:129, :139], 20)


@linux
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("order", ["nn", "nt", "tn"])
def test_main_loop_is_multiply_adds(order, arch):
    kernel = make_sgemm(*ORDERS[order], True, None)
    found = resources(kernel, SIGNATURE, arch)
    assert found.spills == found.stack == found.float64 == 0
    assert found.registers <= 128  # two blocks of 256 threads to a multiprocessor
    assert found.shared == SHARED_BYTES
    assert found.share("FFMA") >= 0.89
    assert found.loop["FFMA"] == 8 * 8 * 16
    assert found.loop["LDS.128"] == 4 * 16
    assert found.count("STG.128") > 0
    assert sum(n for opcode, n in found.loop.items() if opcode.startswith("LDGSTS")) > 0
    assert not any(opcode.startswith(("LDL", "STL")) for opcode in found.loop)


@linux
@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_slices_cost_the_main_loop_nothing(arch):
    found = resources(make_sgemm(True, True, True, None, True), SIGNATURE, arch)
    assert found.spills == found.stack == found.float64 == 0
    assert found.share("FFMA") >= 0.89
    add = resources(make_sum(True, "gelu"), (FLOATS, FLOATS, FLOATS, SIZE, SIZE), arch)
    assert add.spills == add.stack == add.float64 == 0
    assert add.count("LDG.128") >= 6  # four at once, and more where the compiler unrolls
    assert add.count("STG.128") == 1


@linux
@pytest.mark.parametrize("arch", ["sm_80", "sm_100"])
def test_matrices_of_any_alignment_run_nearly_as_well(arch):
    for order in ("nn", "tn"):
        found = resources(make_sgemm(*ORDERS[order], False, None), SIGNATURE, arch)
        assert found.spills == found.stack == found.float64 == 0
        assert found.share("FFMA") >= 0.875


@linux
@pytest.mark.parametrize("activation", ["sigmoid", "gelu", "silu", "tanh"])
@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_an_activation_takes_no_memory(activation, arch):
    found = resources(make_sgemm(True, False, True, activation), SIGNATURE, arch)
    assert found.spills == found.stack == found.float64 == 0
    assert found.registers <= 128
    assert found.share("FFMA") >= 0.89


@pytest.mark.parametrize(
    "kernel",
    [make_sgemm(True, False, True, None), make_tensor_gemm("tf32", True, False, True, None)],
)
def test_the_checker_finds_no_race_and_nothing_out_of_bounds(kernel):
    """Two tiles each, and blocks at every edge: a barrier that is missing would be reported."""
    m, n, k = 130, 132, 36
    rng = np.random.default_rng(6)
    a, b, bias, c = (
        rng.standard_normal(size).astype(np.float32) for size in (m * k, k * n, n, m * n)
    )
    sizes = np.uint32(m), np.uint32(n), np.uint32(k), np.uint32(k)
    kernel.check[(2, 2), 256](a, b, bias, c, *sizes).raise_if_errors()
    a, b = a.reshape(m, k), b.reshape(k, n)
    error = np.abs(c.reshape(m, n) - (a @ b + bias))
    assert (error <= 1.01 * 2.0**-10 * (np.abs(a) @ np.abs(b))).all()  # tf32: 2**-11 a factor


def test_shared_memory_is_that_of_the_cpu_compiler():
    kernel = make_sgemm(True, False, True, None)
    assert isinstance(kernel.cpu, CpuKernel)
    assert kernel.cpu.static_shared_bytes == SHARED_BYTES


@dataclasses.dataclass(frozen=True)
class Pretended:
    limits: Limits
    is_cpu: bool = False


def pretended(name: str) -> Pretended:
    return Pretended(GPUS[name])


@contextlib.contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    before = get_float32_matmul_precision()
    set_float32_matmul_precision(name)
    try:
        yield
    finally:
        set_float32_matmul_precision(before)


def chosen(m: int, n: int, k: int, gpu: str = "A100", dtype: type = np.float32) -> bool:
    return large.pays(m, n, k, np.dtype(dtype), pretended(gpu), launcher.SMALLER)


def test_choice_by_shape_dtype_and_architecture():
    assert chosen(4096, 4096, 4096)
    assert chosen(1024, 1024, 64)
    assert chosen(65536, 128, 512)
    assert not chosen(128, 128, 256)  # one block; smaller tiles keep more multiprocessors busy
    assert chosen(128, 128, 4096)  # sixteen, each with a slice of the steps
    assert not chosen(4096, 4096, 4096, dtype=np.float64)
    assert not chosen(4096, 4096, 4096, "T4")  # no asynchronous copies
    assert not chosen(2**17, 2**16, 16)  # more than 2**31 items
    with matmul_precision("high"):
        assert chosen(128, 128, 4096)  # in slices of float32: tensor cores have none
    assert not large.fits(512, 512, 512, np.dtype(np.float32), array(np.zeros(1)).device)
