"""The instructions of ``engine.ptx``: on the CPU against NumPy, for the GPU as machine code."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numba import types

from nnlite.kernels.engine import kernel
from nnlite.kernels.engine.errors import CompileError
from nnlite.kernels.engine.ptx import cp_async_wait, load4
from nnlite.kernels.engine.resources import resources
from tests.ptx_kernels.instructions import (
    conversions,
    matrices,
    multiply_bf16,
    multiply_f16,
    multiply_numbers,
    multiply_tf32,
    store_pairs,
    through_shared,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
FLOATS, WORDS = types.Array(types.float32, 1, "C"), types.Array(types.uint32, 1, "C")
HALVES = types.Array(types.uint16, 1, "C")
LANES = np.arange(32)
G, T = LANES // 4, LANES % 4


@pytest.mark.parametrize("n", [0, 4, 64, 127, 128, 129, 150, 160])
def test_copies_and_wide_access(n):
    x = np.arange(1, 161, dtype=np.float32)
    y = np.zeros(128, np.float32)
    through_shared[1, 32](x, y, np.int64(n))
    padded = np.where(np.arange(160) < (n if n > 128 else -(-n // 4) * 4), x, 0).astype(np.float32)
    groups = padded[:128].reshape(32, 4)[::-1].copy()
    expected = groups + x[:128].reshape(32, 4)
    expected[:, 3] = groups[:, 3] + padded[128:]
    np.testing.assert_array_equal(y.reshape(32, 4), expected)


@linux
@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_120"])
def test_copies_and_wide_access_as_machine_code(arch):
    found = resources(through_shared, (FLOATS, FLOATS, types.int64), arch)
    assert found.count("LDGSTS.E.128") == 1
    assert found.count("LDGSTS") == 2
    assert found.count("LDG.128") == found.count("LDS.128") == found.count("STG.128") == 1
    assert found.count("LDGDEPBAR") == 1
    assert found.float64 == 0


@linux
def test_pairs_are_stored_at_once():
    x, y = np.arange(32, dtype=np.float32), np.zeros(64, np.float32)
    store_pairs[1, 32](x, y)
    np.testing.assert_array_equal(y.reshape(32, 2), np.stack([x, -x], axis=1))
    assert resources(store_pairs, (FLOATS, FLOATS), "sm_80").count("STG.64") == 1


@linux
def test_an_older_architecture_is_refused():
    with pytest.raises(CompileError, match="sm_75"):
        resources(through_shared, (FLOATS, FLOATS, types.int64), "sm_75")


def test_ldmatrix():
    rng = np.random.default_rng(1)
    tile = rng.integers(0, 2**16, 32 * 24).astype(np.uint16)
    plain, turned = np.zeros(128, np.uint32), np.zeros(128, np.uint32)
    few = np.zeros(160, np.uint32)
    matrices[1, 32](tile, plain, turned, few)
    stored = tile.reshape(32, 24)[::-1, :8].reshape(4, 8, 8).astype(np.uint32)
    pairs = stored[:, G, 2 * T] | stored[:, G, 2 * T + 1] << 16
    other = stored[:, 2 * T, G] | stored[:, 2 * T + 1, G] << 16
    np.testing.assert_array_equal(plain.reshape(32, 4).T, pairs)
    np.testing.assert_array_equal(turned.reshape(32, 4).T, other)
    np.testing.assert_array_equal(few.reshape(32, 5).T, [*pairs[:1], *pairs[:2], *other[:2]])


def rounded_to_tf32(x: np.ndarray) -> np.ndarray:
    """To 10 bits after the point, ties away from zero; by integers on the scale of the last bit."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    scaled = mantissa * 2**11
    return np.ldexp(np.copysign(np.floor(np.abs(scaled) + 0.5), scaled) / 2**11, exponent)


def test_mma_tf32():
    rng = np.random.default_rng(2)
    a, b, c = (rng.standard_normal(n).astype(np.float32) for n in ((16, 8), (8, 8), (16, 8)))
    expected = c + rounded_to_tf32(a) @ rounded_to_tf32(b).T
    multiply_tf32[1, 32](a.reshape(-1), b.reshape(-1), c.reshape(-1))
    np.testing.assert_allclose(c, expected, rtol=0, atol=9 * 2**-23 * 16)


def test_mma_tf32_ignores_the_bits_that_tf32_has_not():
    out = np.zeros(128, np.float32)
    multiply_numbers[1, 32](np.float32(1 + 2**-11), np.float32(1 + 2**-20), out)
    np.testing.assert_array_equal(out, 8)  # eight terms, each of them 1 to a tensor core


def rounded_to_bf16(x: np.ndarray) -> np.ndarray:
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.rint(mantissa * 2**8) / 2**8, exponent)


@pytest.mark.parametrize(
    ("multiply", "rounded"),
    [(multiply_bf16, rounded_to_bf16), (multiply_f16, lambda x: x.astype(np.float16))],
)
def test_mma_of_16_bit_numbers(multiply, rounded):
    rng = np.random.default_rng(3)
    a, b, c = (rng.standard_normal(n).astype(np.float32) for n in ((16, 16), (8, 16), (16, 8)))
    expected = c + rounded(a).astype(np.float64) @ rounded(b).astype(np.float64).T
    multiply[1, 32](a.reshape(-1), b.reshape(-1), c.reshape(-1))
    np.testing.assert_allclose(c, expected, rtol=0, atol=17 * 2**-23 * 32)


@linux
def test_tensor_cores_as_machine_code():
    signature = (FLOATS, FLOATS, FLOATS)
    for arch in ("sm_80", "sm_90", "sm_120"):
        for k, copies in ((multiply_tf32, 2), (multiply_bf16, 2), (multiply_f16, 2)):
            found = resources(k, signature, arch)
            assert found.count("HMMA") == 1, k
            assert found.count("LDSM") == copies, k
            assert found.float64 == 0
    assert resources(matrices, (HALVES, WORDS, WORDS, WORDS), "sm_75").count("LDSM") == 5


def test_conversions_round_as_the_gpu_does():
    rng = np.random.default_rng(4)
    bits = rng.integers(0, 2**32, 20_000, dtype=np.uint64).astype(np.uint32)
    near = np.arange(2**16, dtype=np.uint32) << 16  # every bfloat16, then its neighbours
    ties = np.concatenate([near, near | 0x7FFF, near | 0x8000, near | 0x8001, near | 0x1000])
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    halves = np.concatenate([halves, -halves, (halves[:-1] + halves[1:]) / 2])
    x = np.concatenate([bits.view(np.float32), ties.view(np.float32), halves])
    tf32, bf16, f16 = np.zeros_like(x), np.zeros(x.size, np.uint32), np.zeros(x.size, np.uint32)
    conversions[(x.size + 255) // 256, 256](x, tf32, bf16, f16)
    number = ~np.isnan(x)
    assert np.isnan(tf32[~number]).all()
    within = number & (np.abs(x) < 2.0**127) & (np.abs(x) >= 2.0**-126)
    np.testing.assert_array_equal(tf32[within], rounded_to_tf32(x[within]))
    assert np.isinf(tf32[np.isinf(x)]).all()
    low, high = (bf16 << 16).view(np.float32), (bf16 & 0xFFFF0000).view(np.float32)
    np.testing.assert_array_equal(low[within], rounded_to_bf16(x[within]))
    np.testing.assert_array_equal(high, low[::-1])
    assert np.isnan(low[~number]).all()
    with np.errstate(over="ignore", invalid="ignore"):
        expected = x.astype(np.float16)
    low, high = (f16 & 0xFFFF).astype(np.uint16), (f16 >> 16).astype(np.uint16)
    np.testing.assert_array_equal(low[number], expected.view(np.uint16)[number])
    np.testing.assert_array_equal(high, low[::-1])
    assert np.isnan(low[~number].view(np.float16)).all()


@linux
def test_wrong_arguments_are_refused_for_a_gpu():
    with pytest.raises(Exception, match="load4: array: .*float64.* given, expected a contiguous"):
        resources(kernel(_loads), (types.Array(types.float64, 1, "C"),), "sm_80")
    with pytest.raises(Exception, match="cp_async_wait: groups must be a number"):
        resources(kernel(_waits), (types.int64,), "sm_80")


def _loads(x):
    x[0] = load4(x, 0)[1]


def _waits(n):
    cp_async_wait(n)
