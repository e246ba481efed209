"""Masked numbers beside indices of 32 bits, which LLVM 22 takes for numbers that count up.

In ``out[uint32(base + t)] = x[t & 31]`` it checks that ``base + t`` does not leave 32 bits, takes
this to imply that ``t`` does not leave the 5 bits of the mask, and reads ``x[t]``. Plain Numba does
so, too. The compiler hides such masks from it; each kernel here was wrong before, unless it says
otherwise.
"""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, float32, int32, uint8, uint16, uint32

from nnlite.kernels.engine.cpu import CpuKernel

THREADS, BASE = 256, 7


@cuda.jit
def masked(x, out, base):
    t = uint32(cuda.threadIdx.x)
    out[uint32(base + t)] = x[t & uint32(31)]


@cuda.jit
def mask_first(x, out, base):
    t = uint32(cuda.threadIdx.x)
    out[uint32(base + t)] = x[uint32(31) & t]


@cuda.jit
def of_64_bits(x, out, base):
    t = cuda.threadIdx.x
    out[uint32(base + uint32(t))] = x[t & 31]


@cuda.jit
def in_a_variable(x, out, base):
    t, width = cuda.threadIdx.x, 31
    out[uint32(base + uint32(t))] = x[t & width]


@cuda.jit
def remainder(x, out, base):
    t = uint32(cuda.threadIdx.x)
    out[uint32(base + t)] = x[t % uint32(32)]


@cuda.jit
def lane(x, out, base):
    out[uint32(base + uint32(cuda.threadIdx.x))] = x[cuda.laneid]


@cuda.jit
def shifted(x, out, base):
    t = uint32(cuda.threadIdx.x)
    out[uint32(base + t)] = x[uint32(t << uint32(27)) >> uint32(27)]


@cuda.jit
def of_8_bits(x, out, base):
    t = uint32(cuda.threadIdx.x)
    out[uint32(base + t)] = x[uint8(t) & uint8(31)]


@cuda.jit
def beside_16_bits(x, out, base):
    t = cuda.threadIdx.x
    out[uint16(base + t)] = x[t & 31]


@cuda.jit
def in_one_index(x, out, base):
    t = uint32(cuda.threadIdx.x)
    out[cuda.threadIdx.x + 7] = x[uint32(base + (t & uint32(31)))] - float32(base)


@cuda.jit
def in_a_loop(x, out, base):
    """One thread does all (right before, too)."""
    if cuda.threadIdx.x == 0:
        for t in range(cuda.blockDim.x):
            out[uint32(base + uint32(t))] = x[t & 31]


@cuda.jit
def beside_signed(x, out, base):
    """A check for signed numbers implies none for masks (right before, too)."""
    t = cuda.threadIdx.x
    out[int32(base + int32(t))] = x[t & 31]


@cuda.jit
def shuffled(x, out, base):
    """(Right before, too.)"""
    t = uint32(cuda.threadIdx.x)
    out[uint32(base + t)] = cuda.shfl_sync(0xFFFFFFFF, x[t & uint32(31)], cuda.laneid ^ 1 ^ 1)


KERNELS = (
    masked,
    mask_first,
    of_64_bits,
    in_a_variable,
    remainder,
    lane,
    shifted,
    of_8_bits,
    beside_16_bits,
    in_one_index,
    in_a_loop,
    beside_signed,
    shuffled,
)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.py_func.__name__)
def test_a_mask_repeats(kernel):
    x, out = np.arange(1000, dtype=np.float32), np.zeros(THREADS + BASE, np.float32)
    CpuKernel(kernel).launch((1, 1, 1), (THREADS, 1, 1), 0, (x, out, np.uint32(BASE)))
    np.testing.assert_array_equal(out[BASE:], np.arange(THREADS) % 32)


@cuda.jit
def two_counters(x, out, base):
    """Neither is an index (right before, too)."""
    if cuda.threadIdx.x == 0:
        repeats, counter = uint8(0), uint16(0)
        for t in range(cuda.blockDim.x):
            out[base + t] = repeats + counter - t
            repeats, counter = uint8(repeats + 1) & 31, uint16(counter + 1)


def test_counters_of_few_bits_are_hidden_as_well():
    x, out = np.zeros(1, np.float32), np.zeros(THREADS + BASE, np.float32)
    kernel, args = CpuKernel(two_counters), (x, out, BASE)
    kernel.launch((1, 1, 1), (THREADS, 1, 1), 0, args)
    np.testing.assert_array_equal(out[BASE:], np.arange(THREADS) % 32)
    assert "masked_" in kernel.source((THREADS, 1, 1), args)


def test_only_kernels_that_need_it_pay_for_it():
    """Masks stay visible to LLVM without narrow numbers in indices and counters, and of loads."""

    @cuda.jit
    def wide(x, out):
        t = cuda.threadIdx.x
        out[t] = x[t & 31]

    @cuda.jit
    def loaded(x, out):
        t = uint32(cuda.threadIdx.x)
        out[t] = x[t] >> uint32(3)

    @cuda.jit
    def mixed(x, out):
        i = cuda.threadIdx.x
        h = uint8(90)
        for k in range(4):
            h = uint8(h + x[i * 4 + k])
            h = uint8((h << 3) | (h >> 5))
        out[i] = h

    arrays = np.zeros(256, np.uint32), np.zeros(64, np.uint32)
    for kernel in (wide, loaded, mixed):
        assert "masked_" not in CpuKernel(kernel).source((64, 1, 1), arrays)
