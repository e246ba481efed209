"""The PTX of the product on Hopper GPUs, run by ``nnlite.testing.machine`` and by a pretended H200.

The machine copies, multiplies and signals as late or as early as the program allows, so a barrier
that is missing, or a phase that is off by one, shows as a wrong result or as threads that wait.
"""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import types

import nnlite as nl
from nnlite.kernels.engine import array
from nnlite.kernels.engine.gpu import tensor_map as maps_of_the_driver
from nnlite.kernels.engine.gpu.tensor_map import KINDS, tensor_map
from nnlite.kernels.engine.resources import ptx
from nnlite.kernels.matmul import hopper, large, matmul, matmul_halves, slicing
from nnlite.kernels.matmul.hopper import gemm, make_hopper_gemm
from nnlite.kernels.matmul.order import STRIP
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.machine import Machine
from nnlite.testing.machine.memory import Fault
from nnlite.testing.machine.tensor_cores import rounded
from nnlite.testing.machine.tensor_maps import TensorMap

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools: Linux only")
FLOATS, MAPS = types.Array(types.float32, 1, "C"), types.Array(types.uint64, 1, "C")
SIGNATURE = (MAPS, FLOATS, FLOATS, *[types.uint32] * 6)
BITS = {"tf32": 11, "bf16": 8, "f16": 11}  # of a number, the one before the point included


def encode(found: maps_of_the_driver.TensorMap, device: int = 0) -> tuple[int, ...]:
    """The words that the machine takes for a tensor map, in the place of the driver's."""
    size = KINDS[found.kind][0]
    made = TensorMap(found.address, size, found.sizes, (found.pitch,), found.box, swizzle=128)
    return tuple(int(word) for word in made.words())


def numbers(x: np.ndarray, kind: str) -> np.ndarray:
    """The nearest numbers of a kind, in float64."""
    return rounded(x, BITS[kind], away=kind == "tf32")


def stored(x: np.ndarray, kind: str) -> np.ndarray:
    """Numbers of a kind as they lie in memory: rows of a multiple of 16 bytes, filled up by NaN."""
    run = 16 // KINDS[kind][0]
    full = np.full((len(x), -(-x.shape[1] // run) * run), np.nan, np.float32)
    full[:, : x.shape[1]] = x
    if kind == "tf32":
        return full
    if kind == "f16":
        return full.astype(np.float16).view(np.uint16)
    return (full.view(np.uint32) >> np.uint32(16)).astype(np.uint16)


def multiply(text, kind, m, n, k, grid, timing):
    """The machine after a product, its result, and the greatest error, of the sum of sizes."""
    rng = np.random.default_rng(m * n + k)
    a, b = (numbers(rng.standard_normal(s), kind) for s in ((m, k), (n, k)))
    bias, c = rng.standard_normal(n).astype(np.float32), np.full(m * n, np.nan, np.float32)
    run = Machine(text, timing=timing)
    words: list[int] = []
    for x, box in ((stored(a, kind), gemm.ROWS), (stored(b, kind), gemm.COLUMNS)):
        place = run.arrays.address(x)
        words += encode(tensor_map(kind, place, len(x), k, x.strides[0], box))
    tiles = -(-m // gemm.ROWS), -(-n // gemm.COLUMNS)
    steps = -(-k // gemm.depth_of(kind))
    maps = np.array(words, np.uint64)
    run.launch(grid, gemm.THREADS, maps, bias, c, m, n, steps, *tiles, STRIP, shared=gemm.SHARED)
    size = np.abs(a) @ np.abs(b).T + np.abs(bias)
    c = c.reshape(m, n)
    return run, c, np.max(np.abs(c - (a @ b.T + bias)) / size)


@pytest.mark.parametrize("kind", BITS)
@settings(max_examples=5, deadline=None)
@given(
    m=st.integers(1, 290),
    n=st.one_of(st.integers(1, 130).map(lambda x: 4 * x), st.integers(1, 290)),
    steps=st.integers(1, 10),
    short=st.integers(0, 31),
    grid=st.integers(1, 3),
    timing=st.sampled_from(["late", "early"]),
)
def test_products_of_any_size(kind, m, n, steps, short, grid, timing):
    """More and fewer steps than stages, tiles than blocks, and edges on every side."""
    k = max(1, steps * gemm.depth_of(kind) - short)
    text = ptx(make_hopper_gemm(kind, n % 4 == 0, None), SIGNATURE, "sm_90a")
    _, c, error = multiply(text, kind, m, n, k, grid, timing)
    assert np.isfinite(c).all()
    assert error <= 4 * np.sqrt(k) * 2.0**-24


def test_strips_of_tiles_reach_every_tile():
    """Seventeen tile rows: a strip of sixteen and another of one."""
    text = ptx(make_hopper_gemm("bf16", True, None), SIGNATURE, "sm_90a")
    run, c, error = multiply(text, "bf16", 16 * 128 + 5, 260, 8, 2, "late")
    assert np.isfinite(c).all()
    assert error <= 4 * np.sqrt(8) * 2.0**-24
    assert all(passes.most == 1 for passes in run.passes.values())  # no bank conflicts
    counts = {(which, count) for which, count, _ in run.registers}
    assert counts == {("dec", gemm.FEW), ("inc", gemm.MANY)}


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        (r"wgmma\.wait_group\.sync\.aligned 0;", ""),  # sums are read while they are made
        # Tiles are given back while products that read them are under way.
        (r"wgmma\.wait_group\.sync\.aligned 1;", "wgmma.wait_group.sync.aligned 7;"),
        (r"\b49152;", "32768;"),  # bytes of a alone: the tiles are called full too early
        (r"\{ \.reg \.pred done; AGAIN_\d+:[^}]*\}", ""),  # nobody waits for a phase
    ],
)
def test_the_machine_finds_mistakes(pattern, instead):
    text = ptx(make_hopper_gemm("bf16", True, None), SIGNATURE, "sm_90a")
    changed = re.sub(pattern, instead, text)
    assert changed != text
    k = 9 * 64
    try:
        _, _, error = multiply(changed, "bf16", 64, 64, k, 1, "late")
        right = error <= 4 * np.sqrt(k) * 2.0**-24  # False if it is not a number
    except Fault:
        right = False
    assert not right


def test_the_swizzle_matters(monkeypatch):
    def plain(found):
        size = KINDS[found.kind][0]
        made = TensorMap(found.address, size, found.sizes, (found.pitch,), found.box)
        return tuple(int(word) for word in made.words())

    monkeypatch.setitem(globals(), "encode", plain)
    text = ptx(make_hopper_gemm("bf16", True, None), SIGNATURE, "sm_90a")
    _, _, error = multiply(text, "bf16", 64, 64, 64, 1, "early")
    assert error > 0.01


# -- from the launcher on --------------------------------------------------------------------------
@pytest.fixture
def pretended(monkeypatch):
    """An H200 on which every product is large."""
    monkeypatch.setattr(maps_of_the_driver.TensorMap, "encode", encode)
    monkeypatch.setattr(large, "pays", lambda *arguments: True)
    monkeypatch.setattr(large, "by_cores", lambda *arguments: True)
    monkeypatch.setattr(hopper, "pays", lambda *arguments: True)
    with fake_gpu("machine", gpu="H200") as driver:
        yield driver
    nl.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(
    ("precision", "order", "m", "n", "k", "activation"),
    [
        ("high", "nt", 130, 36, 40, None),  # both as they are
        ("high", "nn", 5, 130, 41, "relu"),  # a into wider rows, b turned
        ("medium", "tn", 129, 260, 70, None),
    ],
)
def test_from_float32_matrices_on(precision, order, m, n, k, activation, pretended):
    kind = "tf32" if precision == "high" else "bf16"
    nl.set_float32_matmul_precision(precision)
    ta, tb = order[0] == "t", order[1] == "t"
    rng = np.random.default_rng(m)
    a, b = (numbers(rng.standard_normal(s), kind).astype(np.float32) for s in ((m, k), (k, n)))
    bias = rng.standard_normal(n).astype(np.float32)
    x, y = array(a.T if ta else a, device="cuda"), array(b.T if tb else b, device="cuda")
    z = array(bias, device="cuda")
    flags = {"transpose_a": ta, "transpose_b": tb, "activation": activation}
    got = matmul(x, y, bias=z, **flags).numpy()
    a, b = a.astype(np.float64), b.astype(np.float64)
    expected = a @ b + bias
    size = np.abs(a) @ np.abs(b) + np.abs(bias)
    expected = np.maximum(expected, 0) if activation == "relu" else expected
    assert (np.abs(got - expected) <= 4 * np.sqrt(k) * 2.0**-24 * size).all()


@pytest.mark.parametrize("kind", ["f16", "bf16"])
def test_from_matrices_of_16_bits_on(kind, pretended):
    m, n, k = 70, 13, 136
    rng = np.random.default_rng(3)
    a, b = (numbers(rng.standard_normal(s), kind) for s in ((m, k), (n, k)))
    x, y = (stored(v, kind) for v in (a, b))
    if kind == "f16":
        x, y = x.view(np.float16), y.view(np.float16)
    x, y = array(x, device="cuda"), array(y, device="cuda")
    got = matmul_halves(x, y, kind=kind, activation="silu").numpy()
    z = a @ b.T
    error = np.abs(got - z / (1 + np.exp(-z)))
    assert (error <= 1.1 * 4 * np.sqrt(k) * 2.0**-24 * (np.abs(a) @ np.abs(b).T)).all()


@pytest.mark.parametrize(
    ("kind", "m", "n", "k", "parts"),
    [
        ("bf16", 70, 12, 400, 3),  # slices of three tiles; the last one has only one of seven
        ("f16", 130, 261, 136, 2),  # two rows and two columns of tiles
    ],
)
def test_small_grids_in_slices(kind, m, n, k, parts, pretended, monkeypatch):
    monkeypatch.setattr(slicing, "fastest", lambda *arguments: (0.0, parts))
    rng = np.random.default_rng(m)
    a, b = (numbers(rng.standard_normal(s), kind) for s in ((m, k), (n, k)))
    bias = rng.standard_normal(n).astype(np.float32)
    x, y = (stored(v, kind) for v in (a, b))
    if kind == "f16":
        x, y = x.view(np.float16), y.view(np.float16)
    x, y, z = (array(v, device="cuda") for v in (x, y, bias))
    got = matmul_halves(x, y, kind=kind, bias=z, activation="relu").numpy()
    size = np.abs(a) @ np.abs(b).T + np.abs(bias)
    error = np.abs(got - np.maximum(a @ b.T + bias, 0))
    assert (error <= 4 * np.sqrt(k) * 2.0**-24 * size).all()
    taken = [launch[0] for launch in pretended.launches]
    assert taken[-2].startswith("hopper_gemm")
    assert taken[-1].startswith("sum_slices")
