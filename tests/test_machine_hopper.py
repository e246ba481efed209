"""The machine's Hopper instructions against NumPy: barriers, TMA, wgmma, warps in roles."""

from __future__ import annotations

import functools
import sys

import numpy as np
import pytest
from numba import cuda, float32, types, uint32, uint64

from nnlite.kernels.engine import kernel
from nnlite.kernels.engine.gpu import offline
from nnlite.kernels.engine.ptx import (
    fence_mbarrier_init,
    mbarrier_arrive,
    mbarrier_init,
    mbarrier_wait,
)
from nnlite.kernels.engine.resources import ptx
from nnlite.testing.machine import Fault, Machine, TensorMap
from nnlite.testing.machine.tensor_maps import swizzled
from tests.ptx_kernels.boxes import DEPTH, Operand, multiply_ptx, sums_of
from tests.ptx_kernels.hopper import copy_in_bulk, multiply_boxes, multiply_own

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools: Linux only")
FLOATS, WORDS = types.Array(types.float32, 1, "C"), types.Array(types.uint64, 1, "C")
TIMES = pytest.mark.parametrize("timing", ["late", "early"])


@functools.cache
def text_of(kernel, *signature) -> str:
    return ptx(kernel, signature, "sm_90a")


def bf16_bits(x):
    return (x.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def few_bits(rng, shape):
    """Numbers that every type here holds exactly, and whose sums float32 does."""
    return rng.integers(-8, 9, shape).astype(np.float32)


def encoded(kind, x):
    if kind == "tf32":
        return x
    return bf16_bits(x) if kind == "bf16" else x.astype(np.float16).view(np.uint16)


# -- barriers and copies ---------------------------------------------------------------------------
@TIMES
def test_bulk_copy(timing):
    x, y = np.arange(1024, dtype=np.float32), np.zeros(128, np.float32)
    machine = Machine(text_of(copy_in_bulk, FLOATS, FLOATS), timing=timing)
    machine.launch(1, 128, x, y)
    np.testing.assert_array_equal(y, x[:128])


@pytest.mark.parametrize("swizzle", [0, 32, 64, 128])
def test_units_are_exchanged_as_the_tables_show(swizzle):
    """Unit u of row r goes to u ^ r % 8 (128 bytes), u ^ r // 2 % 4 (64), u ^ r // 4 % 2 (32)."""
    width = swizzle or 64
    row, unit = np.divmod(np.arange(8 * width // 16), width // 16)
    other = {0: 0 * row, 32: row // 4 % 2, 64: row // 2 % 4, 128: row % 8}[swizzle]
    np.testing.assert_array_equal(
        swizzled(2048 + row * width + unit * 16, swizzle), 2048 + row * width + (unit ^ other) * 16
    )


def test_a_tensor_map_survives_its_encoding_and_refuses_what_the_driver_does():
    given = TensorMap(1 << 21, 2, (100, 70, 3), (208, 16000), (64, 8, 1), 128)
    assert TensorMap.from_words(given.words()) == given
    assert given.words().nbytes == 128
    for wrong in (
        (1 << 21 | 8, 2, (100, 70), (208,), (64, 8)),
        (1 << 21, 2, (100, 70), (204,), (64, 8)),
        (1 << 21, 2, (100, 70), (208,), (64, 257)),
        (1 << 21, 2, (100, 70), (208,), (4, 8)),
        (1 << 21, 2, (100, 70), (208,), (128, 8), 128),
    ):
        with pytest.raises(ValueError, match="tensor map"):
            TensorMap(*wrong)
    with pytest.raises(ValueError, match="hold none"):
        TensorMap.from_words(np.zeros(16, np.uint64))


# -- wgmma -----------------------------------------------------------------------------------------
def ways():
    for kind in DEPTH:
        for swizzle in (0, 32, 64, 128):
            yield kind, swizzle, False, False, 24
    for swizzle in (0, 32, 64, 128):
        yield "bf16", swizzle, True, False, 64
        yield "f16", swizzle, False, True, 128
    yield "bf16", 128, True, True, 256


@pytest.mark.parametrize(("kind", "swizzle", "turned_a", "turned_b", "columns"), list(ways()))
def test_wgmma_from_shared_memory(kind, swizzle, turned_a, turned_b, columns):
    """The operands come by TMA; a turned one has the depth of one instruction, so has the other."""
    mixed = turned_a != turned_b
    a = Operand(kind, 64, 32 if mixed and not turned_a else swizzle, turned_a)
    b = Operand(kind, columns, 32 if mixed and not turned_b else swizzle, turned_b)
    depth = min(a.depth, b.depth)
    rng = np.random.default_rng(columns)
    left, right = few_bits(rng, (64, depth)), few_bits(rng, (columns, depth))
    text = multiply_ptx(a, b)
    for timing in ("late", "early"):
        machine = Machine(text, timing=timing)
        maps = []
        for x, operand in ((left, a), (right, b)):
            stored = encoded(kind, np.ascontiguousarray(x.T if operand.turned else x))
            maps.append(machine.tensor_map(stored, operand.box, operand.swizzle))
        maps, c = np.concatenate(maps), np.zeros((128, columns // 2), np.float32)
        words = np.zeros((128, 4), np.uint32)
        machine.launch(1, 128, *(machine.pointer(x) for x in (maps, c, words)))
        np.testing.assert_array_equal(sums_of(c), left @ right.T)


@pytest.mark.parametrize("kind", list(DEPTH))
def test_wgmma_with_a_in_registers(kind):
    b = Operand(kind, 16, 32, False)
    rng, depth = np.random.default_rng(3), DEPTH[kind]
    left, right = few_bits(rng, (64, depth)), few_bits(rng, (16, depth))
    words = np.zeros((128, 4), np.uint32)
    for thread in range(128):
        warp, lane = divmod(thread, 32)
        for r in range(4):
            row, half = 16 * warp + lane // 4 + 8 * (r % 2), depth // 2 * (r // 2)
            if kind == "tf32":
                words[thread, r] = left[row, half + lane % 4].view(np.uint32)
            else:
                pair = left[row, half + lane % 4 * 2 :][:2].copy()
                words[thread, r] = encoded(kind, pair).view(np.uint32)[0]
    machine = Machine(multiply_ptx(b, b, from_registers=True))
    unused = machine.tensor_map(np.zeros((64, 64), np.float32), (8, 32), 128)
    maps = np.concatenate([unused, machine.tensor_map(encoded(kind, right), b.box, b.swizzle)])
    c = np.zeros((128, 8), np.float32)
    machine.launch(1, 128, *(machine.pointer(x) for x in (maps, c, words)))
    np.testing.assert_array_equal(sums_of(c), left @ right.T)


def test_the_assembler_takes_the_kernels_written_by_hand():
    for kind, swizzle, turned_a, turned_b, columns in (*ways(),)[::5]:
        a, b = Operand(kind, 64, swizzle, turned_a), Operand(kind, columns, swizzle, turned_b)
        if turned_a == turned_b:
            assert offline.link(multiply_ptx(a, b), "sm_90a").cubin
    b = Operand("bf16", 16, 32, False)
    assert offline.link(multiply_ptx(b, b, from_registers=True), "sm_90a").cubin


# -- warps in roles --------------------------------------------------------------------------------
@TIMES
@pytest.mark.parametrize(("steps", "k"), [(1, 64), (3, 150)])
def test_a_producer_and_a_consumer(timing, steps, k):
    """The depth beyond ``k`` is filled with zeros, and so are rows beyond the edge."""
    rng = np.random.default_rng(k)
    pitch = k + -k % 8
    a, b = np.zeros((60, pitch), np.float32), np.zeros((128, pitch), np.float32)
    a[:, :k], b[:, :k] = few_bits(rng, (60, k)), few_bits(rng, (128, k))
    machine = Machine(text_of(multiply_boxes, WORDS, FLOATS, types.int32), timing=timing)
    left, right = bf16_bits(a)[:, :k], bf16_bits(b)[:, :k]
    maps = np.concatenate(
        [machine.tensor_map(left, (64, 64), 128), machine.tensor_map(right, (128, 64), 128)]
    )
    c = np.zeros(128 * 64, np.float32)
    machine.launch(1, 256, maps, c, steps)
    found = sums_of(c.reshape(128, 64))
    np.testing.assert_array_equal(found[:60], a @ b.T)
    assert not found[60:].any()
    assert [r[:2] for r in machine.registers] == [("dec", 40), ("inc", 232)]
    assert machine.registers[1][2] == "warps 4-7 of block (0, 0, 0)"


def test_what_threads_wrote_needs_a_fence_before_wgmma_reads_it():
    text, c = text_of(multiply_own, FLOATS), np.zeros(512, np.float32)
    Machine(text).launch(1, 128, c)
    tile = np.zeros((64, 32), np.float32)
    row, unit = np.divmod(np.arange(64 * 8), 8)
    lies = row * 32 + (unit ^ row % 8) * 4
    tile.reshape(-1, 4)[:] = lies[:, None] + np.arange(4)
    tile = (tile.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)  # what tf32 has of it
    np.testing.assert_allclose(sums_of(c.reshape(128, 4)), tile @ tile[:8].T, rtol=1e-6)
    without = text.replace("fence.proxy.async.shared::cta;", "")
    with pytest.raises(Fault, match=r"without fence\.proxy\.async, by `wgmma"):
        Machine(without).launch(1, 128, c)


def test_sums_are_not_read_before_they_are_waited_for():
    text, c = text_of(multiply_own, FLOATS), np.zeros(512, np.float32)
    with pytest.raises(Fault, match=r"is read before wgmma\.wait_group"):
        Machine(text.replace("wgmma.wait_group.sync.aligned 0;", "")).launch(1, 128, c)
    with pytest.raises(Fault, match=r"no wgmma\.fence"):
        Machine(text.replace("wgmma.fence.sync.aligned;", "")).launch(1, 128, c)


def test_a_tile_given_back_too_early_is_found():
    """The consumer lets the producer go on before its product has run: the sums come out wrong."""
    text = text_of(multiply_boxes, WORDS, FLOATS, types.int32)
    rng = np.random.default_rng(5)
    a, b = few_bits(rng, (64, 192)), few_bits(rng, (128, 192))
    wait = "wgmma.wait_group.sync.aligned 0;"
    assert wait in text
    wrong = text.replace(wait, "wgmma.wait_group.sync.aligned 1;")
    results = []
    for source in (text, wrong):
        machine = Machine(source)
        pair = ((bf16_bits(a), 64), (bf16_bits(b), 128))
        maps = np.concatenate([machine.tensor_map(x, (rows, 64), 128) for x, rows in pair])
        c = np.zeros(128 * 64, np.float32)
        try:
            machine.launch(1, 256, maps, c, 3)
            results.append((sums_of(c.reshape(128, 64)) == a @ b.T).all())
        except Fault:
            results.append(False)
    assert results == [True, False]


@kernel
def two_roles(y, given):
    """Warp 0 fills a tile four times, warp 1 reads it; ``given``: how often the tile comes back."""
    tile, bars = cuda.shared.array(32, float32), cuda.shared.array(2, uint64, 8)
    t = uint32(cuda.threadIdx.x)
    if t == 0:
        mbarrier_init(bars, 0, 32)
        mbarrier_init(bars, 1, 32)
        fence_mbarrier_init()
    cuda.syncthreads()
    if t < 32:
        for k in range(4):
            mbarrier_wait(bars, 1, uint32((k & 1) ^ 1))
            tile[t] = float32(100 * k + t)
            mbarrier_arrive(bars, 0)
    else:
        for k in range(4):
            mbarrier_wait(bars, 0, uint32(k & 1))
            y[32 * k + t - 32] = tile[t - 32]
            if k < given:
                mbarrier_arrive(bars, 1)


def test_warps_wait_for_each_other():
    text, y = text_of(two_roles, FLOATS, types.int32), np.zeros(128, np.float32)
    Machine(text).launch(1, 64, y, 4)
    np.testing.assert_array_equal(y.reshape(4, 32), 100 * np.arange(4)[:, None] + np.arange(32))


def test_a_deadlock_names_who_waits_for_what():
    text, y = text_of(two_roles, FLOATS, types.int32), np.zeros(128, np.float32)
    with pytest.raises(Fault, match="deadlock") as found:
        Machine(text).launch(1, 64, y, 1)
    said = str(found.value)
    assert "warps 0 of block (0, 0, 0) at `mbarrier.try_wait.parity" in said
    assert "warps 1 of block (0, 0, 0) at `mbarrier.try_wait.parity" in said
    assert "0 of 32 arrivals" in said


def test_named_barriers_and_elected_lanes():
    """Warps 0 and 1 meet at barrier 1, warps 2 and 3 at 2; in each one lane is elected."""
    text = """
.version 8.0
.target sm_90
.address_size 64
.visible .entry meet(.param .u64 y)
{
    .reg .pred %p<4>; .reg .b32 %r<8>; .reg .b64 %rd<4>;
    .shared .align 4 .b8 held[512];
    ld.param.u64 %rd1, [y];
    mov.u32 %r1, %tid.x;
    shl.b32 %r2, %r1, 2;
    mov.u32 %r3, held;
    add.u32 %r3, %r3, %r2;
    st.shared.u32 [%r3], %r1;
    shr.u32 %r4, %r1, 6;
    add.u32 %r4, %r4, 1;
    bar.sync %r4, 64;
    xor.b32 %r5, %r1, 32;
    shl.b32 %r5, %r5, 2;
    mov.u32 %r6, held;
    add.u32 %r6, %r6, %r5;
    ld.shared.u32 %r7, [%r6];
    elect.sync %r5|%p1, 0xffffffff;
    @%p1 add.u32 %r7, %r7, 1000;
    cvt.u64.u32 %rd2, %r2;
    add.u64 %rd2, %rd1, %rd2;
    st.global.u32 [%rd2], %r7;
    griddepcontrol.wait;
    ret;
}
"""
    assert offline.link(text, "sm_90").cubin
    y = np.zeros(128, np.uint32)
    machine = Machine(text)
    machine.launch(1, 128, machine.pointer(y))
    t = np.arange(128)
    np.testing.assert_array_equal(y, (t ^ 32) + 1000 * (t % 32 == 0))
    with pytest.raises(Fault, match="deadlock: nobody can go on; waiting: warps 0-3"):
        Machine(text.replace("%r4, 64", "%r4, 96")).launch(1, 128, machine.pointer(y))
