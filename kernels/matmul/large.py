"""Large products of float32 matrices on a GPU: when to use wide tiles, and their launch."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import types

from ..checks import FLOAT32
from ..elementwise.mapping import fold
from ..engine import Array, Device, empty
from ..opspec import GpuKernel
from . import hopper, precision, split
from .alignment import is_wide
from .kernels import TILE
from .sgemm import DEPTH, RUN, THREADS, WIDTH, make_sgemm
from .tensor import make_tensor_gemm

SINCE = (8, 0)  # the compute capability that brought cp.async
ITEMS = 2**31  # numbers of elements have 32 bits, and steps may go a tile beyond the last
# What the machine code holds: ``engine/resources/expectations.py``.
MULTIPLY_ADDS = ("FFMA >= 88%", "LDS.128 >= 5%", "LDGSTS", "STG.128", "LDL == 0")
TENSOR_CORES = ("HMMA >= 8%", "LDGSTS.128", "LDL == 0")
COPIES = ("LDG.128 == 2", "STG.128 == 1")

# Time of one block, on the scale of ``launcher.GPU_TILES``. NOT measured: it has four times the
# items of the tile of 64 x 64, for which that scale says 9.0, and its main loop is multiply-adds to
# 89 % where that of the smaller tile is to 34 % (``nnlite resources matmul``).
BLOCK_TIME = 4 * 9.0 * 0.34 / 0.89

# Least steps of a slice. An item of a slice is written and read once more, 8 bytes, for which a GPU
# takes as long as for some 40 multiply-adds (A100: 13 bytes and 64 multiply-adds to a clock of a
# multiprocessor); with 256 and more, that is less than a sixth of the work. NOT measured either.
SLICE = 256


def fits(m: int, n: int, k: int, dtype: Any, device: Device) -> bool:
    """Whether the kernel can compute this product at all."""
    known = dtype == FLOAT32 and not device.is_cpu
    return known and device.limits.compute_capability >= SINCE and max(m * k, k * n, m * n) < ITEMS


def slices(m: int, n: int, k: int, sms: int) -> int:
    """Into how many slices of steps to split a product: as many as keep every multiprocessor busy.

    Unless the tiles of c do so by themselves, or a slice would have fewer than ``SLICE`` steps.
    """
    tiles = -(-m // WIDTH) * -(-n // WIDTH)
    return max(1, min(sms // tiles, k // SLICE, (ITEMS - 1) // (m * n)))


def pays(m: int, n: int, k: int, dtype: Any, device: Device, tiles: Any) -> bool:
    """Whether the large tile finishes before the smaller ones of ``tiles``, (items, time) pairs."""
    if device.is_cpu:
        return False
    return _pays(m, n, k, dtype, device, tiles, precision.kind() is None)


@functools.lru_cache(maxsize=1024)
def _pays(m: int, n: int, k: int, dtype: Any, device: Device, tiles: Any, may_split: bool) -> bool:
    if not fits(m, n, k, dtype, device):
        return False
    sms = device.limits.sms

    def time(width: int, block: float, parts: int = 1) -> float:
        blocks = parts * -(-m // width) * -(-n // width)
        return -(-blocks // sms) * block / parts

    parts = slices(m, n, k, sms) if may_split else 1
    return time(WIDTH, BLOCK_TIME, parts) < min(time(items * TILE, block) for items, block in tiles)


def launch(
    a: Array,
    b: Array,
    bias: Array,
    c: Array,
    transpose_a: bool,
    transpose_b: bool,
    activation: str | None,
) -> None:
    """``c = activation(a b + bias)`` of contiguous arrays; see ``launcher.matmul``.

    By :mod:`.sgemm`, or by :mod:`.hopper` or :mod:`.tensor` where less precision will do.
    """
    m, n = c.shape
    k = a.shape[0] if transpose_a else a.shape[1]
    turned_a, turned_b = not transpose_a, transpose_b
    kind = precision.kind()
    if kind is not None and hopper.fits(m, n, k, c.device):
        moved = sum(
            hopper.numbers_to_copy(x, along, kind) for x, along in ((a, turned_a), (b, turned_b))
        )
        if hopper.pays(m, n, k, kind, moved, c.device):
            hopper.launch(kind, a, b, bias, c, turned_a, turned_b, activation)
            return
    sizes = np.uint32(m), np.uint32(n), np.uint32(k)
    grid = (-(-n // WIDTH), *fold(-(-m // WIDTH)))
    matrices = a.reshape(-1), b.reshape(-1), bias
    if kind is not None:
        wide = is_wide(a) and is_wide(b)
        kernel = make_tensor_gemm(kind, turned_a, turned_b, wide, activation)
        kernel[grid, THREADS](*matrices, c.reshape(-1), *sizes)
        return
    copied = [x for x, turned in ((a, turned_a), (b, turned_b)) if not turned]
    wide = all(map(is_wide, (c, *copied)))
    parts = slices(m, n, k, a.device.limits.sms)
    if parts == 1:
        kernel = make_sgemm(turned_a, turned_b, wide, activation)
        kernel[grid, THREADS](*matrices, c.reshape(-1), *sizes, sizes[2])
        return
    steps = -(-k // (parts * DEPTH)) * DEPTH
    parts = -(-k // steps)
    sums = empty((parts * m * n,), c.dtype, c.device)
    kernel = make_sgemm(turned_a, turned_b, wide, None, True)
    kernel[(*grid[:2], parts), THREADS](*matrices, sums, *sizes, np.uint32(steps))
    add, each = split.make_sum(wide, activation), split.THREADS * (RUN if wide else 1)
    add[-(-m * n // each), split.THREADS](sums, bias, c.reshape(-1), sizes[1], np.uint32(parts))


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels for each precision and storage order, for matrices of whole 128-bit accesses."""
    items, size = types.Array(types.float32, 1, "C"), types.uint32
    signature = (items, items, items, items, size, size, size)
    of_sgemm = (*signature, size)
    found = []
    for kind in precision.KINDS.values():
        for order in ("nn", "nt", "tn", "tt"):
            turned = order[0] == "n", order[1] == "t"
            name = f"matmul {kind or 'float32'} {order}"
            if kind is None:
                kernel = make_sgemm(*turned, True, None)
                found.append(GpuKernel(name, kernel, of_sgemm, SINCE, expects=MULTIPLY_ADDS))
            else:
                kernel = make_tensor_gemm(kind, *turned, True, None)
                found.append(GpuKernel(name, kernel, signature, SINCE, expects=TENSOR_CORES))
    sliced = make_sgemm(True, False, True, None, True)
    found.append(
        GpuKernel("matmul float32 nn, split", sliced, of_sgemm, SINCE, expects=MULTIPLY_ADDS)
    )
    add, of_sum = split.make_sum(True, None), (items, items, items, size, size)
    found.append(GpuKernel("matmul float32, sum of slices", add, of_sum, SINCE, expects=COPIES))
    return (*found, *hopper.gpu_kernels())
