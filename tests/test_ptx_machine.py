"""The code for a GPU, run by ``nnlite.testing.machine`` and compared with NumPy and the CPU."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from numba import cuda, float32, types, uint32

from nnlite.kernels.engine import kernel
from nnlite.kernels.engine.ptx import cp_async4, cp_async_commit, cp_async_wait, load4
from nnlite.kernels.engine.resources import ptx
from nnlite.kernels.matmul.sgemm import make_sgemm
from nnlite.kernels.matmul.split import make_sum
from nnlite.kernels.matmul.tensor import make_tensor_gemm
from nnlite.testing.machine import Fault, Machine
from nnlite.testing.machine.tensor_cores import rounded
from tests.ptx_kernels.instructions import (
    conversions,
    matrices,
    multiply_bf16,
    multiply_f16,
    multiply_tf32,
    through_shared,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools: Linux only")
FLOATS, WORDS = types.Array(types.float32, 1, "C"), types.Array(types.uint32, 1, "C")
HALVES, SIZE = types.Array(types.uint16, 1, "C"), types.uint32
GEMM = (FLOATS, FLOATS, FLOATS, FLOATS, SIZE, SIZE, SIZE, SIZE)


def machine(kernel, *signature) -> Machine:
    return Machine(ptx(kernel, signature, "sm_80"))


def both(kernel, signature, grid, block, *arguments):
    """The arguments after a run on the machine and after one on the CPU."""
    ours, theirs = ([a.copy() if hasattr(a, "size") else a for a in arguments] for _ in range(2))
    machine(kernel, *signature).launch((grid, 1), block, *ours)
    kernel[grid, block](*theirs)
    return zip(ours, theirs)


@pytest.mark.parametrize("n", [0, 64, 130, 160])
def test_copies_and_wide_access(n):
    x, y = np.arange(1, 161, dtype=np.float32), np.zeros(128, np.float32)
    for ours, theirs in both(
        through_shared, (FLOATS, FLOATS, types.int64), 1, 32, x, y, np.int64(n)
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_ldmatrix():
    tile = np.random.default_rng(1).integers(0, 2**16, 32 * 24).astype(np.uint16)
    outputs = [np.zeros(n, np.uint32) for n in (128, 128, 160)]
    for ours, theirs in both(matrices, (HALVES, WORDS, WORDS, WORDS), 1, 32, tile, *outputs):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.any()


@pytest.mark.parametrize(
    ("multiply", "depth"), [(multiply_tf32, 8), (multiply_bf16, 16), (multiply_f16, 16)]
)
def test_mma(multiply, depth):
    rng = np.random.default_rng(2)
    a, b, c = (rng.standard_normal(n).astype(np.float32) for n in (16 * depth, 8 * depth, 128))
    for ours, theirs in both(multiply, (FLOATS, FLOATS, FLOATS), 1, 32, a, b, c):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=(depth + 1) * 2**-24 * 64)


def test_conversions():
    x = (np.random.default_rng(3).standard_normal(256) * 100).astype(np.float32)
    outputs = [np.zeros(256, np.float32), np.zeros(256, np.uint32), np.zeros(256, np.uint32)]
    for ours, theirs in both(conversions, (FLOATS, FLOATS, WORDS, WORDS), 2, 128, x, *outputs):
        np.testing.assert_array_equal(ours, theirs)


def product(kernel, turned_a, turned_b, m, n, k, activation=None):
    """The machine after a product, its result, the matrices and the bias."""
    rng = np.random.default_rng(m * n + k)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((m, k), (k, n)))
    bias, c = rng.standard_normal(n).astype(np.float32), np.full(m * n, np.nan, np.float32)
    stored = (x if straight else x.T for x, straight in ((a, turned_a), (b, not turned_b)))
    run = machine(kernel, *GEMM)
    grid = -(-n // 128), -(-m // 128)
    stored = (np.ascontiguousarray(x).reshape(-1) for x in stored)
    run.launch(grid, 256, *stored, bias, c, m, n, k, k)
    return run, c.reshape(m, n), a, b, bias


@pytest.mark.parametrize(
    ("turned_a", "turned_b", "wide", "m", "n", "k"),
    [
        (True, False, True, 130, 132, 20),
        (False, True, True, 132, 4, 37),
        (False, False, False, 129, 130, 17),
        (True, True, True, 5, 140, 16),
        (True, False, False, 3, 7, 1),
    ],
)
def test_sgemm(turned_a, turned_b, wide, m, n, k):
    kernel = make_sgemm(turned_a, turned_b, wide, None)
    run, got, a, b, bias = product(kernel, turned_a, turned_b, m, n, k)
    a, b = a.astype(np.float64), b.astype(np.float64)
    size = np.abs(a) @ np.abs(b) + np.abs(bias)
    assert (np.abs(got - (a @ b + bias)) <= 4 * np.sqrt(k) * 2.0**-24 * size).all()
    assert set(run.ways.values()) == {1}, run.ways  # no bank conflict, nor in what is copied


def test_sgemm_in_slices():
    m, n, k, steps = 5, 132, 40, 16
    rng = np.random.default_rng(4)
    a, b, bias = (rng.standard_normal(s).astype(np.float32) for s in (m * k, k * n, n))
    parts, c = np.full(3 * m * n, np.nan, np.float32), np.full(m * n, np.nan, np.float32)
    product = machine(make_sgemm(True, False, True, None, True), *GEMM)
    product.launch((2, 1, 3), 256, a, b, bias, parts, m, n, k, steps)
    add = machine(make_sum(True, "relu"), FLOATS, FLOATS, FLOATS, SIZE, SIZE)
    add.launch((1,), 256, parts, bias, c, n, 3)
    a, b = a.reshape(m, k).astype(np.float64), b.reshape(k, n).astype(np.float64)
    size = np.abs(a) @ np.abs(b) + np.abs(bias)
    error = np.abs(c.reshape(m, n) - np.maximum(a @ b + bias, 0))
    assert (error <= 4 * np.sqrt(k) * 2.0**-24 * size).all()


@pytest.mark.parametrize("kind", ["tf32", "bf16"])
@pytest.mark.parametrize(
    ("along_a", "along_b", "wide", "m", "n", "k"),
    [
        (True, False, True, 72, 132, 20),
        (True, True, True, 130, 20, 36),
        (False, True, False, 33, 9, 17),
        (False, False, True, 4, 132, 16),
    ],
)
def test_tensor_gemm(kind, along_a, along_b, wide, m, n, k):
    kernel = make_tensor_gemm(kind, along_a, along_b, wide, None)
    run, got, a, b, bias = product(kernel, along_a, along_b, m, n, k)
    a, b = (rounded(x, 11 if kind == "tf32" else 8, kind == "tf32") for x in (a, b))
    size = np.abs(a) @ np.abs(b) + np.abs(bias)
    assert (np.abs(got - (a @ b + bias)) <= 4 * np.sqrt(k) * 2.0**-24 * size).all()
    loads = {text: ways for text, ways in run.ways.items() if not text.startswith("cp.async")}
    assert set(loads.values()) == {1}, loads
    assert max(run.ways.values()) <= 2


# -- that the machine finds mistakes ---------------------------------------------------------------
def shifted(wait, aligned):
    """A kernel that copies 128 numbers through shared memory; right if both are 0."""

    @kernel
    def through(x, y):
        tile = cuda.shared.array(132, float32, 16)
        t = uint32(cuda.threadIdx.x)
        for i in range(4):
            cp_async4(tile, t + uint32(32 * i), x, t + uint32(32 * i), True)
        cp_async_commit()
        cp_async_wait(wait)
        cuda.syncthreads()
        a, b, c, d = load4(tile, 4 * t + aligned)
        y[4 * t] = a
        y[4 * t + 1] = b
        y[4 * t + 2] = c
        y[4 * t + 3] = d

    return through


def test_the_machine_copies_only_when_waited_for():
    x, y = np.arange(128, dtype=np.float32), np.zeros(128, np.float32)
    machine(shifted(0, 0), FLOATS, FLOATS).launch((1, 1), 32, x, y)
    np.testing.assert_array_equal(y, x)
    with pytest.raises(Fault, match=r"shared memory at 1024: read, but nobody wrote it, at `ld\."):
        machine(shifted(1, 0), FLOATS, FLOATS).launch((1, 1), 32, x, y)


def test_the_machine_refuses_wrong_addresses():
    x, y = np.arange(128, dtype=np.float32), np.zeros(128, np.float32)
    with pytest.raises(Fault, match="16 bytes of shared memory at 1028: not aligned"):
        machine(shifted(0, 1), FLOATS, FLOATS).launch((1, 1), 32, x, y)
    with pytest.raises(
        Fault, match=r"4 bytes of global memory at \d+ \(byte 508 of an array of 508"
    ):
        machine(shifted(0, 0), FLOATS, FLOATS).launch((1, 1), 32, x[:127].copy(), y)


def test_the_machine_refuses_what_it_does_not_know():
    text = ptx(shifted(0, 0), (FLOATS, FLOATS), "sm_80")
    x = np.zeros(128, np.float32)
    for known, unknown in (("bar.sync", "tcgen05.sync"), ("add.s64", "add.half.s64")):
        assert known in text
        with pytest.raises(NotImplementedError, match=unknown):
            Machine(text.replace(known, unknown)).launch(1, 32, x, x.copy())


def test_the_machine_finds_two_registers_of_a_fragment_exchanged():
    kernel = make_tensor_gemm("bf16", True, True, True, None)
    text = ptx(kernel, GEMM, "sm_80")
    swapped = re.sub(r"(mma\S+ \{[^}]*\}, \{[^}]*\}, )\{(%r\d+), (%r\d+)\}", r"\1{\3, \2}", text)
    assert swapped != text
    rng = np.random.default_rng(9)
    a, b = (rng.standard_normal((16, 16)).astype(np.float32) for _ in range(2))
    results = []
    for program in (text, swapped):
        c = np.zeros(256, np.float32)
        arguments = a.reshape(-1), b.reshape(-1), np.zeros(16, np.float32), c, 16, 16, 16, 16
        Machine(program).launch((1, 1), 256, *arguments)
        results.append(np.abs(c.reshape(16, 16) - a @ b.T).max())
    assert results[0] < 0.2 < results[1]
