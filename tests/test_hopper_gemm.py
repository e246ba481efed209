"""The product on Hopper GPUs: its machine code, tensor maps, operands, and when it is used."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from numba import types

from nnlite.errors import ShapeError
from nnlite.kernels.engine import array
from nnlite.kernels.engine.device import GPUS, Limits
from nnlite.kernels.engine.gpu.offline import link
from nnlite.kernels.engine.gpu.tensor_map import TensorMap, tensor_map
from nnlite.kernels.engine.resources import architecture, ptx, resources
from nnlite.kernels.matmul import hopper
from nnlite.kernels.matmul.hopper import gemm, make_hopper_gemm, operands
from nnlite.testing.machine.tensor_cores import rounded

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
FLOATS, MAPS = types.Array(types.float32, 1, "C"), types.Array(types.uint64, 1, "C")
SIGNATURE = (MAPS, FLOATS, FLOATS, *[types.uint32] * 6)
REGISTERS = 65536 // gemm.THREADS // 8 * 8  # a thread, if one block has a multiprocessor


# -- the machine code ------------------------------------------------------------------------------
@linux
@pytest.mark.parametrize("kind", ["tf32", "bf16"])  # float16: test_compile_gate.py
def test_main_loop_is_wgmma_and_little_else(kind):
    found = resources(make_hopper_gemm(kind, True, None), SIGNATURE, "sm_90a")
    assert found.spills == found.stack == found.float64 == 0
    assert found.registers <= REGISTERS
    products = {name: n for name, n in found.loop.items() if name.startswith("HGMMA.64x256")}
    assert sum(products.values()) % 4 == 0
    assert all(kind.upper() in name for name in products)
    assert found.share("HGMMA") >= 0.08  # an instruction takes the tensor cores 128 clocks
    assert found.loop.get("R2UR", 0) <= 1  # descriptors stay in uniform registers
    assert not any(n.startswith(("LDL", "STL", "LDG", "STG", "BAR")) for n in found.loop)
    assert found.count("UTMALDG.2D") % 2 == 0
    assert found.count("STG.128") > 0
    # An assembler that heeds setmaxnreg takes the registers of the consumers from those that the
    # block was started with; with fewer of them than these, a consumer would wait for ever.
    assert found.count("USETMAXREG") == 0 or found.registers > REGISTERS - 8
    room = architecture("sm_90a").multiprocessor
    assert found.shared + gemm.SHARED + room.reserved <= room.shared


@linux
@pytest.mark.parametrize(
    ("kind", "wide", "activation"), [("bf16", False, "silu"), ("tf32", True, "gelu")]
)
def test_an_activation_neither_spills_nor_makes_the_products_wait(kind, wide, activation):
    """A call in the kernel, as of an exact division, would have every wgmma wait for the last."""
    text = ptx(make_hopper_gemm(kind, wide, activation), SIGNATURE, "sm_90a")
    log = link(text, "sm_90a").log
    assert "serialized" not in log
    assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in log
    assert ".f64" not in text


@linux
def test_registers_that_change_hands_add_up():
    """``setmaxnreg`` moves them from the producer to two consumers; all of it is in the PTX."""
    text = ptx(make_hopper_gemm("bf16", True, None), SIGNATURE, "sm_90a")
    assert f"setmaxnreg.dec.sync.aligned.u32 {gemm.FEW};" in text
    assert f"setmaxnreg.inc.sync.aligned.u32 {gemm.MANY};" in text
    assert gemm.FEW + 2 * gemm.MANY <= 3 * REGISTERS
    assert gemm.FEW % 8 == gemm.MANY % 8 == 0


@linux
def test_barriers_are_made_known_to_the_tma_before_any_thread_uses_them():
    text = ptx(make_hopper_gemm("bf16", True, None), SIGNATURE, "sm_90a")
    made = text.rindex("mbarrier.init.shared")
    fence = text.index("fence.mbarrier_init.release.cluster;")
    other = text.index("fence.proxy.async.shared::cta;")
    barrier = text.index("bar.sync")
    assert made < fence < other < barrier
    for user in ("mbarrier.try_wait", "mbarrier.arrive", "cp.async.bulk.tensor"):
        assert text.index(user) > barrier


# -- tensor maps -----------------------------------------------------------------------------------
def test_a_tensor_map_says_where_rows_and_boxes_are():
    found = tensor_map("bf16", 4096, 300, 70, 144, 256)
    assert found == TensorMap("bf16", 4096, (70, 300), 144, (64, 256))
    assert found.nbytes == 256 * 128
    assert tensor_map("tf32", 0, 1, 1, 16, 128).box == (32, 128)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"address": 8}, "address: 8"),
        ({"pitch": 136}, "pitch: 136"),
        ({"pitch": 64}, "pitch: 64"),
        ({"rows": 0}, "rows: 0"),
        ({"length": 0}, "length: 0"),
        ({"box_rows": 257}, "box_rows: 257"),
    ],
)
def test_what_the_hardware_cannot_do_is_refused(change, words):
    given = {"address": 64, "rows": 9, "length": 40, "pitch": 80, "box_rows": 128} | change
    with pytest.raises(ShapeError, match=f"tensor map: {words} given"):
        tensor_map("f16", **given)


# -- copies of the operands ------------------------------------------------------------------------
def bits(x: np.ndarray, kind: str) -> np.ndarray:
    """The numbers that the kernels make of float32, as the integers that they are stored as."""
    if kind == "tf32":
        return rounded(x, 11, away=True).astype(np.float32).view(np.uint32)
    near = rounded(x, 8, away=False).astype(np.float32)
    return (near.view(np.uint32) >> np.uint32(16)).astype(np.uint16)


@pytest.mark.parametrize("kind", operands.RUN)
@pytest.mark.parametrize("along", [True, False])
@pytest.mark.parametrize(("size", "k"), [(3, 8), (65, 129), (64, 64), (1, 1), (130, 20), (7, 12)])
def test_operands_are_rounded_and_brought_into_order(kind, along, size, k):
    x = np.random.default_rng(size * k).standard_normal((size, k)).astype(np.float32)
    stored = array(np.ascontiguousarray(x if along else x.T), device="cpu")
    target, pitch = hopper.launcher.copied(stored, along, kind)
    got = target.numpy().view(np.uint32 if kind == "tf32" else np.uint16)
    got = got.reshape(size, pitch // got.itemsize)
    np.testing.assert_array_equal(got[:, :k], bits(x, kind))
    assert not got[:, k:].any()
    assert pitch % 16 == 0
    assert pitch < k * got.itemsize + 16


@pytest.mark.parametrize("along", [True, False])
def test_no_race_between_the_halves_of_a_turned_copy(along):
    x, target = np.ones(70 * 70, np.float32), np.zeros(70 * 9 * 4, np.uint32)
    kernel = operands.make_convert("bf16", False) if along else operands.make_turn("bf16")
    grid = 3 if along else (2, 2)
    sizes = np.uint32(70), np.uint32(70), np.uint32(9)
    kernel.check[grid, operands.THREADS](x, target, *sizes).raise_if_errors()
    assert (target.view(np.uint16).reshape(70, 72)[:, :70] == 0x3F80).all()


# -- the choice ------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Pretended:
    limits: Limits
    is_cpu: bool = False


H200 = Pretended(GPUS["H200"])


def test_choice_by_shape_and_architecture():
    assert hopper.fits(4096, 4096, 4096, H200)
    assert not hopper.fits(4096, 4096, 4096, Pretended(GPUS["A100"]))
    newer = dataclasses.replace(GPUS["H200"], compute_capability=(10, 0))
    assert not hopper.fits(4096, 4096, 4096, Pretended(newer))  # wgmma is of 9.0 alone
    assert not hopper.fits(4096, 4096, 0, H200)
    assert not hopper.fits(2**16, 2**16, 16, H200)
    assert not hopper.fits(512, 512, 512, array(np.zeros(1), device="cpu").device)
    assert hopper.pays(4096, 4096, 4096, "tf32", 0, H200)
    assert hopper.pays(8192, 8192, 8192, "bf16", 2 * 8192**2, H200)
    assert not hopper.pays(256, 256, 4096, "tf32", 0, H200)  # two tiles; four smaller ones
    assert not hopper.pays(65536, 128, 64, "bf16", 65536 * 64, H200)  # copying takes longer


def test_what_has_to_be_copied():
    x = array(np.zeros((6, 8), np.float32), device="cpu")
    odd = array(np.zeros((6, 7), np.float32), device="cpu")
    assert hopper.numbers_to_copy(x, True, "tf32") == 0
    assert hopper.numbers_to_copy(x, False, "tf32") == 48
    assert hopper.numbers_to_copy(odd, True, "tf32") == 42
    assert hopper.numbers_to_copy(x, True, "bf16") == 48
