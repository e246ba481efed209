"""Products of 16-bit matrices by ``mma.sync``: on the CPU, as PTX, and as machine code."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import types

from nnlite.errors import ArgumentError, DeviceError, DtypeError, ShapeError
from nnlite.kernels.engine import array
from nnlite.kernels.engine.device import GPUS
from nnlite.kernels.engine.ptx.halves import place_in_tile
from nnlite.kernels.engine.resources import ptx, resources
from nnlite.kernels.engine.tuning import override
from nnlite.kernels.matmul import cores, matmul, matmul_halves
from nnlite.kernels.matmul.halves import gemm, make_half_gemm
from nnlite.kernels.matmul.halves.launcher import bits_of
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.machine import Machine
from nnlite.testing.machine.memory import Fault
from tests.half_products import as_stored, halves, numbers, require_product

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools: Linux only")
HALVES, FLOATS = types.Array(types.uint16, 1, "C"), types.Array(types.float32, 1, "C")
SIGNATURE = (HALVES, HALVES, FLOATS, FLOATS, *[types.uint32] * 7)


# Few kernels, since each takes seconds to compile: rows of whole 16 bytes, and of odd lengths.
EIGHTS = st.integers(1, 20).map(lambda x: 8 * x)
ODD = st.integers(1, 80).map(lambda x: 2 * x + 1)


@pytest.mark.parametrize(
    ("kind", "order", "sizes"), [("f16", "nt", EIGHTS), ("bf16", "tt", EIGHTS), ("bf16", "nn", ODD)]
)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_products_of_any_size(kind, order, sizes, data):
    m, n, k = (data.draw(sizes) for _ in range(3))
    require_product(kind, order, m, n, k)


@pytest.mark.parametrize(("kind", "order"), [("f16", "nt"), ("bf16", "tt")])
def test_every_number_of_16_bits_counts_for_what_it_is(kind, order):
    """Subnormals, zeros of both signs, infinities and NaN included: each times one."""
    every = np.arange(2**16, dtype=np.uint16)
    a, b = np.zeros((2**16, 8), np.uint16), np.zeros((8, 8), np.uint16)
    a[:, 0], b[0, 0] = every, halves(np.ones(1), kind).view(np.uint16)[0]
    x, y = (v.view(np.float16) if kind == "f16" else v for v in (a, b))
    x, y = (as_stored(v, flag) for v, flag in ((x, order[0] == "n"), (y, order[1] == "t")))
    got = matmul_halves(x, y, kind=kind).numpy()[:, 0]
    wide = (every.astype(np.uint32) << 16).view(np.float32)
    expected = every.view(np.float16).astype(np.float32) if kind == "f16" else wide
    np.testing.assert_array_equal(got, expected)


def test_the_result_goes_where_it_is_wanted():
    a, b = np.ones((3, 8), np.float16), np.ones((8, 8), np.float16)
    out = array(np.zeros((3, 8), np.float32))
    assert matmul_halves(array(a), array(b), kind="f16", out=out) is out
    np.testing.assert_array_equal(out.numpy(), np.full((3, 8), 8))
    assert matmul_halves(array(a[:0]), array(b), kind="f16").shape == (0, 8)
    bias = array(np.arange(8, dtype=np.float32))
    none = matmul_halves(array(a[:, :0]), array(b[:, :0]), kind="f16", bias=bias).numpy()
    np.testing.assert_array_equal(none, np.tile(np.arange(8), (3, 1)))  # sums of no terms


def test_no_place_of_a_tile_is_used_twice():
    for length in (32, 64, 128):
        place = place_in_tile(length).py_func
        rows, columns = np.divmod(np.arange(16 * length), length)
        found = {int(place(r, c)) for r, c in zip(rows.tolist(), columns.tolist())}
        assert found == set(range(16 * length))


def test_the_checker_finds_no_race_and_nothing_out_of_bounds():
    m, n, k = 5, 8, 40  # two of three pairs of tiles in shared memory
    kernel = make_half_gemm("f16", True, False, True, True, None, 3)
    rng = np.random.default_rng(1)
    a, b = numbers(rng, (m, k), "f16"), numbers(rng, (k, n), "f16")
    bias, c = np.zeros(n, np.float32), np.full(m * n, np.nan, np.float32)
    x, y = (bits_of(array(halves(v, "f16"))).data for v in (a, b))
    launch = kernel.check[1, gemm.THREADS, 0, 3 * gemm.PAIR_BYTES]
    launch(x, y, bias, c, *map(np.uint32, (m, n, k, 1, 1, 16, k))).raise_if_errors()
    bound = 4 * np.sqrt(k) * 2.0**-24 * (np.abs(a) @ np.abs(b))
    assert (np.abs(c.reshape(m, n) - a @ b) <= bound).all()


# -- the code for a GPU ----------------------------------------------------------------------------
def run_ptx(text, kind, order, m, n, k, timing, stages=2):
    """The machine after a product, and its greatest error, of what float32 allows."""
    rng = np.random.default_rng(m * n + k)
    a, b = numbers(rng, (m, k), kind), numbers(rng, (n, k), kind)
    bias, c = rng.standard_normal(n).astype(np.float32), np.full(m * n, np.nan, np.float32)
    x, y = (
        np.ascontiguousarray(v if along else v.T)
        for v, along in ((halves(a, kind), order[0] == "n"), (halves(b, kind), order[1] == "t"))
    )
    run = Machine(text, timing=timing)
    tiles = -(-m // gemm.WIDTH), -(-n // gemm.WIDTH)
    flat = (v.reshape(-1).view(np.uint16) for v in (x, y))
    shared = stages * gemm.PAIR_BYTES
    grid = tiles[0] * tiles[1]
    run.launch(grid, gemm.THREADS, *flat, bias, c, m, n, k, *tiles, 16, k, shared=shared)
    size = np.abs(a) @ np.abs(b).T + np.abs(bias)
    error = np.abs(c.reshape(m, n) - (a @ b.T + bias)) / size
    return run, float(np.max(error)) / (4 * np.sqrt(k) * 2.0**-24)


@linux
@pytest.mark.parametrize(
    ("kind", "order", "wide", "m", "n", "k", "stages", "timing"),
    [
        ("bf16", "nt", True, 136, 12, 72, 2, "late"),
        ("f16", "tn", True, 16, 136, 100, 4, "early"),
        ("f16", "nn", False, 33, 9, 37, 3, "late"),
    ],
)
def test_the_ptx_is_right_and_meets_every_bank_once(kind, order, wide, m, n, k, stages, timing):
    along = order[0] == "n", order[1] == "t"
    kernel = make_half_gemm(kind, *along, wide, n % 4 == 0, None, stages)
    text = ptx(kernel, SIGNATURE, "sm_80")
    run, error = run_ptx(text, kind, order, m, n, k, timing, stages)
    assert error <= 1  # False if it is not a number
    assert set(run.ways.values()) == {1}, run.ways
    assert any("cp.async" in text for text in run.ways) is wide
    assert any("ldmatrix" in text for text in run.ways)


@linux
@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        (r"ldmatrix\.sync\.aligned\.m8n8\.x4\.trans", "ldmatrix.sync.aligned.m8n8.x4"),
        (r"cp\.async\.wait_group 0;", ""),  # tiles are read while they are copied
        (r"(mma\S+ \{[^}]*\}, \{[^}]*\}, )\{(%r\d+), *(%r\d+)\}", r"\1{\3, \2}"),
    ],
)
def test_the_machine_finds_mistakes(pattern, instead):
    text = ptx(make_half_gemm("bf16", True, False, True, True, None, 2), SIGNATURE, "sm_80")
    changed = re.sub(pattern, instead, text)
    assert changed != text
    try:
        _, error = run_ptx(changed, "bf16", "nn", 16, 8, 40, "late")
    except Fault:
        return
    assert not error <= 1


@linux
def test_main_loop_is_on_the_tensor_cores():
    kernel = make_half_gemm("bf16", True, False, True, True, None, 4)
    found = resources(kernel, SIGNATURE, "sm_90")
    assert found.spills == found.stack == found.float64 == 0
    products = gemm.ROWS * gemm.COLUMNS * gemm.DEPTH // 16
    assert sum(n for name, n in found.loop.items() if name.startswith("HMMA")) == products
    assert sum(n for name, n in found.loop.items() if name.startswith("LDSM")) == 16
    assert sum(n for name, n in found.loop.items() if name.startswith("LDGSTS")) == 8
    assert found.share("HMMA") >= 0.3
    assert not any(name.startswith(("LDL", "STL", "LDG.", "STG")) for name in found.loop)


@linux
def test_an_activation_takes_no_memory():
    kernel = make_half_gemm("f16", True, True, True, False, "gelu", 2)
    found = resources(kernel, SIGNATURE, "sm_80")
    assert found.spills == found.stack == found.float64 == 0


# -- from the launcher on --------------------------------------------------------------------------
def names(driver):
    return [launch[0] for launch in driver.launches]


def test_each_gpu_takes_what_it_has():
    """By rule, and by what is asked for; the code is that of the CPU compiler here."""
    with fake_gpu(gpu="A100") as driver:
        require_product("f16", "nt", 40, 24, 64, device="cuda")
        assert any("half_gemm" in name for name in names(driver))
        with override("matmul tensor cores", "wgmma"), pytest.raises(ArgumentError, match="wgmma"):
            require_product("f16", "nt", 40, 24, 64, device="cuda")
    with fake_gpu(gpu="H200") as driver, override("matmul tensor cores", "mma.sync"):
        require_product("bf16", "tt", 40, 24, 64, device="cuda")
        assert any("half_gemm" in name for name in names(driver))


def test_ways_by_architecture_order_and_alignment():
    class H200:
        limits, is_cpu = GPUS["H200"], False

    class A100:
        limits, is_cpu = GPUS["A100"], False

    def ways(device, kind, *as_wanted):
        return cores._instructions(device, (4096, 4096, 4096, kind, *as_wanted))

    both = ("mma.sync", "wgmma")
    assert ways(H200, "f16 halves", True, True, True) == both
    assert ways(H200, "f16 halves", True, True, False) == ("mma.sync",)  # no tensor map for it
    assert ways(H200, "f16 halves", True, False, True) == ("mma.sync",)
    assert ways(H200, "bf16", False, True) == both  # float32 matrices are brought into order
    assert ways(A100, "f16 halves", True, True, True) == ("mma.sync",)
    problem = 4096, 4096, 4096, "f16 halves", True, True, True
    assert cores.instruction_for("rule", problem, "f16", 0, H200) == "wgmma"
    assert cores.instruction_for("mma.sync", problem, "f16", 0, H200) == "mma.sync"
    assert cores.instruction_for("rule", problem, "f16", 0, A100) == "mma.sync"


HALF, ROW = np.zeros((4, 8), np.float16), np.zeros(4, np.float32)


@pytest.mark.parametrize(
    ("a", "b", "options", "error", "words"),
    [
        (HALF, HALF, {"kind": "tf32"}, ArgumentError, "kind: 'tf32' given"),
        (HALF, HALF, {"activation": "swish"}, ArgumentError, "activation: 'swish' given"),
        (ROW, HALF, {}, DtypeError, "a: dtype float32 given, expected float16"),
        (HALF, HALF.view(np.uint16), {}, DtypeError, "b: dtype uint16 given"),
        (HALF[0], HALF, {}, ShapeError, r"a: shape \(8,\) given"),
        (HALF, HALF[:, :4].copy(), {}, ShapeError, r"b: shape \(4, 4\) given, expected rows of 8"),
        (HALF, HALF, {"bias": HALF[0]}, ShapeError, r"bias: float16 of shape \(8,\)"),
        (HALF, HALF, {"out": ROW}, ShapeError, r"out: float32 of shape \(4,\)"),
    ],
)
def test_wrong_halves_are_refused(a, b, options, error, words):
    a, b = (array(x, device="cpu") for x in (a, b))
    given = {"kind": "f16"} | options
    for name in {"bias", "out"} & options.keys():
        given[name] = array(options[name], device="cpu")
    with pytest.raises(error, match=f"matmul_halves: .*{words}"):
        matmul_halves(a, b, **given)


def test_a_view_with_gaps_is_refused():
    a = array(np.zeros((4, 16), np.float16), device="cpu")[:, ::2]
    with pytest.raises(ShapeError, match="a: shape .* expected a contiguous matrix or the transp"):
        matmul_halves(a, a, kind="f16")


def test_older_gpus_are_refused():
    with fake_gpu(gpu="T4"):
        a = array(HALF, device="cuda")
        with pytest.raises(DeviceError, match="compute capability 7.5, expected at least 8.0"):
            matmul_halves(a, a, kind="f16")


def test_matmul_itself_takes_no_halves():
    with pytest.raises(DtypeError, match="matmul: a: dtype float16 given, expected float32 or"):
        matmul(array(HALF), array(HALF.T.copy()))
