"""Large products of float32 matrices on a GPU: when to use wide tiles, and their launch."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import types

from ..checks import FLOAT32
from ..elementwise.mapping import fold
from ..engine import Array, Device
from ..opspec import GpuKernel
from . import precision
from .kernels import TILE
from .sgemm import RUN, THREADS, WIDTH, make_sgemm
from .tensor import make_tensor_gemm

SINCE = (8, 0)  # the compute capability that brought cp.async
ITEMS = 2**31  # numbers of elements have 32 bits, and steps may go a tile beyond the last
ALIGNMENT = 16  # bytes of a 128-bit access

# Time of one block, on the scale of ``launcher.GPU_TILES``. NOT measured: it has four times the
# items of the tile of 64 x 64, for which that scale says 9.0, and its main loop is multiply-adds to
# 89 % where that of the smaller tile is to 34 % (``nnlite resources matmul``).
BLOCK_TIME = 4 * 9.0 * 0.34 / 0.89


def fits(m: int, n: int, k: int, dtype: Any, device: Device) -> bool:
    """Whether the kernel can compute this product at all."""
    known = dtype == FLOAT32 and not device.is_cpu
    return known and device.limits.compute_capability >= SINCE and max(m * k, k * n, m * n) < ITEMS


@functools.lru_cache(maxsize=1024)
def pays(m: int, n: int, k: int, dtype: Any, device: Device, tiles: Any) -> bool:
    """Whether the large tile finishes before the smaller ones of ``tiles``, (items, time) pairs."""
    if not fits(m, n, k, dtype, device):
        return False
    sms = device.limits.sms

    def time(width: int, block: float) -> float:
        blocks = -(-m // width) * -(-n // width)
        return -(-blocks // sms) * block

    return time(WIDTH, BLOCK_TIME) < min(time(items * TILE, block) for items, block in tiles)


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

    By :mod:`.sgemm`, or by :mod:`.tensor` where less precision will do.
    """
    m, n = c.shape
    k = a.shape[0] if transpose_a else a.shape[1]
    turned_a, turned_b = not transpose_a, transpose_b
    kind = precision.kind()
    if kind is None:
        copied = [x for x, turned in ((a, turned_a), (b, turned_b)) if not turned]
        wide = all(map(_wide, (c, *copied)))
        kernel = make_sgemm(turned_a, turned_b, wide, activation)
    else:
        wide = _wide(a) and _wide(b)
        kernel = make_tensor_gemm(kind, turned_a, turned_b, wide, activation)
    grid = (-(-n // WIDTH), *fold(-(-m // WIDTH)))
    sizes = np.uint32(m), np.uint32(n), np.uint32(k)
    kernel[grid, THREADS](a.reshape(-1), b.reshape(-1), bias, c.reshape(-1), *sizes)


def _wide(x: Array) -> bool:
    """Whether every row begins at a multiple of 16 bytes.

    Memory of a GPU does, so only the offset of a view counts.
    """
    return x.shape[1] % RUN == 0 and x.shape[1] > 0 and getattr(x, "offset", 0) % ALIGNMENT == 0


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels for each precision and storage order, for matrices of whole 128-bit accesses."""
    items, size = types.Array(types.float32, 1, "C"), types.uint32
    signature = (items, items, items, items, size, size, size)
    found = []
    for kind in precision.KINDS.values():
        for order in ("nn", "nt", "tn", "tt"):
            turned = order[0] == "n", order[1] == "t"
            if kind is None:
                kernel = make_sgemm(*turned, True, None)
            else:
                kernel = make_tensor_gemm(kind, *turned, True, None)
            name = f"matmul {kind or 'float32'} {order}"
            found.append(GpuKernel(name, kernel, signature, SINCE))
    return tuple(found)
