"""Kernels with one well-known pattern of memory access each, for ``bench.lens_vs_ncu``.

Every kernel's name begins with ``lens_``, by which ncu finds it. Launches are small: a counter of
requests does not need more, and the profiler runs every thread on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import cuda, float32, float64

import nnlite as nl
from nnlite.kernels.engine.ptx import load4, store4

THREADS, BLOCKS = 256, 16
N = THREADS * BLOCKS
TILE = 16
WIDE = 4 * THREADS
SIDE = 64


@dataclass(frozen=True)
class Case:
    """One launch.

    Args:
        name: of the case.
        kernel: an ``nl.kernel``.
        grid, block: sizes.
        arguments: makes NumPy arrays and numbers; the same ones each time.
    """

    name: str
    kernel: Any
    grid: Any
    block: Any
    arguments: Callable[[], tuple[Any, ...]]


@nl.kernel
def lens_copy(x, out, stride, offset):
    i = cuda.grid(1)
    out[i] = x[i * stride + offset]


@nl.kernel
def lens_transpose(x, out):
    tile = cuda.shared.array((32, 32), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * 32, cuda.blockIdx.x * 32
    for i in range(ty, 32, 8):
        tile[i, tx] = x[row + i, column + tx]
    cuda.syncthreads()
    for i in range(ty, 32, 8):
        out[column + i, row + tx] = tile[tx, i]


@nl.kernel
def lens_transpose_padded(x, out):
    tile = cuda.shared.array((32, 33), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * 32, cuda.blockIdx.x * 32
    for i in range(ty, 32, 8):
        tile[i, tx] = x[row + i, column + tx]
    cuda.syncthreads()
    for i in range(ty, 32, 8):
        out[column + i, row + tx] = tile[tx, i]


@nl.kernel
def lens_double(x, out, stride):
    """8 bytes: through shared memory, read with a stride."""
    tile = cuda.shared.array(THREADS, float64)
    t = cuda.threadIdx.x
    tile[t] = x[cuda.grid(1)]
    cuda.syncthreads()
    out[cuda.grid(1)] = tile[t * stride % THREADS]


@nl.kernel
def lens_wide(x, out):
    """16 bytes: 128-bit access of global and shared memory."""
    tile = cuda.shared.array(WIDE, float32, 16)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    a, b, c, d = load4(x, 4 * i)
    store4(tile, 4 * t, a, b, c, d)
    cuda.syncthreads()
    a, b, c, d = load4(tile, 4 * (THREADS - 1 - t))
    store4(out, 4 * i, a, b, c, d)


@nl.kernel
def lens_product(a, b, c):
    sa = cuda.shared.array((TILE, TILE), float32)
    sb = cuda.shared.array((TILE, TILE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * TILE + ty, cuda.blockIdx.x * TILE + tx
    total = float32(0)
    for k in range(0, a.shape[1], TILE):
        sa[ty, tx] = a[row, k + tx]
        sb[ty, tx] = b[k + ty, column]
        cuda.syncthreads()
        for q in range(TILE):
            total += sa[ty, q] * sb[q, tx]
        cuda.syncthreads()
    c[row, column] = total


@nl.kernel
def lens_reduce(x, out):
    part = cuda.shared.array(THREADS, float32)
    t = cuda.threadIdx.x
    part[t] = x[cuda.grid(1)]
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        cuda.syncthreads()
        half //= 2
    if t == 0:
        out[cuda.blockIdx.x] = part[0]


@nl.kernel
def lens_divergent(x, out):
    i = cuda.grid(1)
    v = x[i]
    if i % 4 == 0:
        for k in range(4):  # enough that the compiler keeps the branch
            v = v * v + x[(i * 7 + k) % x.size]
    out[i] = v


@nl.kernel
def lens_gather(x, index, out):
    i = cuda.grid(1)
    out[i] = x[index[i]]


def random(*shape: int, dtype: str = "float32") -> np.ndarray:
    """The same numbers in every process."""
    return np.random.default_rng(0).random(shape).astype(dtype)


def copied(stride: int, offset: int = 0) -> Case:
    name = f"copy, stride {stride}" if stride > 1 else "copy, misaligned" if offset else "copy"
    return Case(
        name, lens_copy, BLOCKS, THREADS,
        lambda: (random(N * stride + offset), random(N), stride, offset),
    )  # fmt: skip


def square(name: str, kernel: Any) -> Case:
    return Case(name, kernel, (4, 4), (32, 8), lambda: (random(128, 128), random(128, 128)))


def doubles(stride: int) -> Case:
    return Case(
        f"8 bytes, stride {stride}", lens_double, BLOCKS, THREADS,
        lambda: (random(N, dtype="float64"), random(N, dtype="float64"), stride),
    )  # fmt: skip


def places() -> np.ndarray:
    return np.random.default_rng(1).integers(0, N, N).astype(np.int32)


CASES = (
    copied(1),
    *(copied(stride) for stride in (2, 4, 8, 16, 32)),
    copied(1, 1),
    square("transpose", lens_transpose),
    square("transpose, padded", lens_transpose_padded),
    doubles(1),
    doubles(2),
    Case("16 bytes", lens_wide, BLOCKS, THREADS, lambda: (random(4 * N), random(4 * N))),
    Case(
        "matmul, tiled", lens_product, (SIDE // TILE, SIDE // TILE), (TILE, TILE),
        lambda: (random(SIDE, SIDE), random(SIDE, SIDE), random(SIDE, SIDE)),
    ),
    Case("reduction", lens_reduce, BLOCKS, THREADS, lambda: (random(N), random(BLOCKS))),
    Case("divergent branch", lens_divergent, BLOCKS, THREADS, lambda: (random(N), random(N))),
    Case("gather", lens_gather, BLOCKS, THREADS, lambda: (random(N), places(), random(N))),
)  # fmt: skip
