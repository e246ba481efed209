"""Products whose steps are cut into slices: how many, right sums, and without room for them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlite as nl
from nnlite.kernels.engine import CPU, array
from nnlite.kernels.engine.device import GPUS, Limits
from nnlite.kernels.engine.tuning import Tuning, override
from nnlite.kernels.matmul import cores, hopper, large, launcher, matmul, slicing, split
from nnlite.kernels.matmul.slicing import Block, fastest, most
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.machine.tensor_cores import rounded
from tests.half_products import EPS, require_product

SLICES = "matmul tensor core slices"


@dataclasses.dataclass(frozen=True)
class Pretended:
    limits: Limits
    is_cpu: bool = False


A100, H200 = Pretended(GPUS["A100"]), Pretended(GPUS["H200"])


@pytest.fixture
def cut(monkeypatch):
    """``cut(parts)``: products by tensor cores are cut into so many slices from now on."""
    found = []

    def into(parts):
        monkeypatch.setattr(slicing, "fastest", lambda *arguments: (0.0, parts))

    inner = slicing.in_slices

    def counted(parts, *rest):
        found.append(parts)
        inner(parts, *rest)

    monkeypatch.setattr(slicing, "in_slices", counted)
    into.found = found
    return into


@pytest.fixture
def rounding(monkeypatch):
    """``rounding(precision)``: float32 products by tensor cores, on the CPU too."""
    monkeypatch.setattr(large, "pays", lambda *arguments: True)
    monkeypatch.setattr(large, "by_cores", lambda *arguments: True)
    monkeypatch.setattr(launcher, "_found", {})
    yield nl.set_float32_matmul_precision
    nl.set_float32_matmul_precision("highest")


# -- how many --------------------------------------------------------------------------------------
BLOCK = Block(128, 128, 32)


def test_as_many_slices_as_take_least_time():
    """On an A100, a multiprocessor of which computes a step of a block in 16 ns or so."""
    rate = cores.rate("bf16", A100)
    step = 2 * 128 * 128 / rate

    def seconds(parts):
        return 8192 * step / parts + slicing.LAUNCH + 2 * parts * 4 * 512**2 / 2039e9

    time, parts = fastest(512, 512, 8192, BLOCK, rate, A100)  # 16 tiles, 108 multiprocessors
    assert parts == 6
    assert time == pytest.approx(seconds(6))
    assert fastest(1536, 1152, 8192, BLOCK, rate, A100)[1] == 1  # a tile for each of them
    assert fastest(512, 512, 256, BLOCK, rate, A100) == (256 * step, 1)  # adding takes longer
    assert fastest(512, 512, 8192, BLOCK, rate, CPU)[1] == 1
    one, many = (fastest(128, 128, k, BLOCK, rate, A100)[1] for k in (4096, 2**17))
    assert 1 < one < many <= 108


@settings(deadline=None)
@given(m=st.integers(1, 2000), n=st.integers(1, 2000), k=st.integers(0, 10**6))
def test_slices_are_long_fit_the_machine_and_are_never_slower(m, n, k):
    for device, kind in ((A100, "tf32"), (H200, "bf16")):
        rate = cores.rate(kind, device)
        time, parts = fastest(m, n, k, BLOCK, rate, device)
        tiles = -(-m // 128) * -(-n // 128)
        assert parts == 1 or parts * tiles <= device.limits.sms
        assert parts == 1 or k // parts >= slicing.LEAST * BLOCK.depth
        assert parts * m * n < slicing.ITEMS or parts == 1
        whole = -(-tiles // device.limits.sms) * 2 * 128 * 128 * k / rate
        assert time <= whole * (1 + 1e-12)  # in another order of roundings


def test_few_tiles_go_to_tensor_cores_too():
    for kind in ("tf32", "bf16"):
        assert large.by_cores(128, 128, 65536, kind, A100)
        assert cores.seconds(128, 128, 65536, kind, A100) < large.exact_seconds(
            128, 128, 65536, A100
        )
    # wgmma has 32 tiles, cut into four slices each, and mma.sync 64, cut into two. Without slices
    # they would take 96 and 72 microseconds, so that mma.sync would be chosen.
    assert hopper.pays(1024, 1024, 8192, "bf16", 0, H200)


def test_candidates_for_tuning():
    problem = 512, 512, 8192, *BLOCK, "bf16 mma.sync"
    assert slicing._counts(A100, problem) == (1, 2, 4, 8)
    assert slicing._counts(A100, (4096, 4096, 4096, *BLOCK, "bf16 mma.sync")) == ()
    assert slicing._counts(A100, (128, 128, 64, *BLOCK, "bf16 mma.sync")) == ()
    assert most(1, 1, 0, BLOCK, 108) == 1


# -- right sums, by the CPU compiler ---------------------------------------------------------------
# Few kernels, since each takes seconds to compile: rows of whole 16 bytes, and of odd lengths.
@pytest.mark.parametrize(("kind", "order", "unit"), [("f16", "nt", 8), ("bf16", "nn", 1)])
@settings(max_examples=8, deadline=None)
@given(
    rows=st.integers(1, 20),
    columns=st.integers(1, 20),
    steps=st.integers(9, 40),
    parts=st.integers(2, 9),
)
def test_products_of_halves(kind, order, unit, rows, columns, steps, parts):
    m, n, k = (8 * x - (unit == 1) for x in (rows, columns, steps))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slicing, "fastest", lambda *arguments: (0.0, parts))
        first = require_product(kind, order, m, n, k)
        np.testing.assert_array_equal(first, require_product(kind, order, m, n, k))


def test_slices_are_whole_tiles_and_no_more_than_there_are():
    def cut_into(parts, k):
        asked = []
        c = array(np.zeros((4, 4), np.float32), device="cpu")

        def multiply(target, count, steps):
            asked.append((target.shape, count, steps))
            target.copy_from(np.ones(target.shape, np.float32))

        slicing.in_slices(
            parts, k, 32, array(np.zeros(4, np.float32), device="cpu"), c, None, multiply
        )
        ((shape, count, steps),) = asked
        np.testing.assert_array_equal(c.numpy(), count)
        assert shape == (4 * count, 4)
        return count, steps

    assert cut_into(1, 100) == (1, 128)
    assert cut_into(3, 0) == cut_into(3, 1) == (1, 32)
    assert cut_into(2, 100) == (2, 64)
    assert cut_into(3, 100) == (2, 64)  # not a third of nothing
    assert cut_into(9, 100) == (4, 32)


@pytest.mark.parametrize("activation", ["relu", None])
def test_bias_and_activation_come_after_the_sum(activation, cut):
    cut(3)
    require_product("f16", "nt", 136, 24, 200, activation=activation)
    assert cut.found == [3]


def test_products_of_rounded_floats(cut, rounding):
    m, n, k = 132, 140, 36
    cut(2)
    rounding("high")
    rng = np.random.default_rng(m)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((m, k), (k, n)))
    bias = rng.standard_normal(n).astype(np.float32)
    x, y, z = (array(v, device="cpu") for v in (a, b.T, bias))
    flags = {"transpose_b": True, "activation": "relu"}
    got = matmul(x, y, bias=z, **flags).numpy()
    np.testing.assert_array_equal(got, matmul(x, y, bias=z, **flags).numpy())
    a, b = (rounded(v, 11, True) for v in (a, b))
    size = np.abs(a) @ np.abs(b) + np.abs(bias)
    error = np.abs(got - np.maximum(a @ b + bias, 0))
    assert (error <= 4 * np.sqrt(max(k, 1)) * EPS * size).all()
    assert cut.found == [2, 2]


def test_slices_are_tuned(tuning_folder):
    """The kernels of GPUs by the CPU compiler, whose limits are those of an A100."""
    with Tuning(timer=steady, rounds=1) as found:
        require_product("f16", "nt", 40, 24, 1024)
    (outcome,) = (o for o in found.outcomes if o.choice == SLICES)
    assert outcome.discarded == {}
    assert set(outcome.seconds) == {"0", "1", "2", "4", "8"}
    for parts in (1, 4, 8):
        with override(SLICES, parts):
            require_product("f16", "nt", 40, 24, 1024)


@pytest.mark.parametrize("n", [8, 7])
def test_slices_are_added_one_after_the_other(n):
    """Whatever the kernel reads at once: the same bits for any number of them."""
    rng = np.random.default_rng(n)
    for count in range(1, 11):
        parts = rng.standard_normal((count * 3, n)).astype(np.float32)
        bias, c = array(np.ones(n, np.float32), device="cpu"), nl.empty((3, n), device="cpu")
        split.add_up(array(parts, device="cpu"), bias, c, count, None)
        expected = np.zeros((3, n), np.float32)
        for part in parts.reshape(count, 3, n):
            expected += part
        np.testing.assert_array_equal(c.numpy(), expected + np.float32(1))


def steady(device):
    """A clock by which all candidates are equally fast."""

    def seconds(run):
        run()
        return 1.0

    return seconds


# -- on a pretended GPU ----------------------------------------------------------------------------
def names(driver):
    return [launch[0] for launch in driver.launches]


def test_a_small_grid_is_cut_by_itself():
    """By rule, on a pretended A100; the code is that of the CPU compiler here."""
    with fake_gpu(gpu="A100") as driver:
        require_product("f16", "nt", 40, 24, 8192, device="cuda")
        (grid,) = (launch[1] for launch in driver.launches if "half_gemm" in launch[0])
        assert grid == (1, 1, fastest(40, 24, 8192, BLOCK, cores.rate("bf16", A100), A100)[1])
        assert grid[2] > 8
        assert "sum_slices_wide" in names(driver)
        require_product("f16", "nt", 40, 24, 128, device="cuda")
        assert names(driver).count("sum_slices_wide") == 1


def test_without_room_for_the_sums_there_are_none(monkeypatch):
    make = slicing.empty
    with fake_gpu(gpu="A100") as driver:

        def full(shape, dtype, device):
            """Memory, while there is none left."""
            room, driver.room = driver.room, 0
            try:
                return make(shape, dtype, device)
            finally:
                driver.room = room

        monkeypatch.setattr(slicing, "empty", full)
        require_product("f16", "nt", 264, 24, 4096, device="cuda")
        assert [x for x in names(driver) if "gemm" in x or "sum" in x] == ["half_gemm"]


def test_float32_does_without_slices_too(monkeypatch):
    tried = []

    def full(parts, *rest):
        tried.append(parts)
        if parts != 1:
            raise MemoryError

    monkeypatch.setattr(large, "_slices", full)
    a, b, bias, c = (array(np.zeros(s, np.float32)) for s in ((9, 64), (64, 8), 8, (9, 8)))
    large.launch(a, b, bias, c, False, False, None)
    assert tried == [large.RULE, 1]


def test_without_room_for_copies_the_instruction_that_needs_none_is_used(monkeypatch):
    def full(*arguments):
        raise MemoryError

    chosen = {cores.BY_RULE: cores.WARPGROUPS, cores.WARPS: cores.WARPS}
    used = []
    monkeypatch.setattr(hopper, "launch", full)
    monkeypatch.setattr(cores, "instruction_for", lambda how, *rest: chosen[how])
    monkeypatch.setattr(cores, "_by_warps", lambda *arguments: used.append(arguments[0]))
    a, b, bias, c = (array(np.zeros(s, np.float32)) for s in ((9, 64), (8, 64), 8, (9, 8)))
    cores.launch("bf16", a, b, bias, c, True, True, None)
    with override(cores.CORES.name, cores.BY_RULE), pytest.raises(MemoryError):
        cores.launch("bf16", a, b, bias, c, True, True, None)
    assert used == ["bf16"]
    monkeypatch.setattr(cores, "_by_warps", full)
    with pytest.raises(MemoryError):
        cores.launch("bf16", a, b, bias, c, True, True, None)


def test_memory_that_is_full_without_slices_is_reported():
    def run(parts):
        tried.append(parts)
        raise MemoryError

    tried: list[int] = []
    for parts in (4, 1):
        with pytest.raises(MemoryError):
            slicing.with_room(run, parts, slicing.SLICES)
    with override(SLICES, 4), pytest.raises(MemoryError):  # not another number in its place
        slicing.with_room(run, 4, slicing.SLICES)
    assert tried == [4, 1, 1, 4]
