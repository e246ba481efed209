"""Three matrix products in Numba CUDA style, compiled for the CPU, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, float32

from nnlite.kernels.engine.cpu import CpuKernel

TILE = 16
BM, BN, BK, TM, TN = 64, 64, 8, 4, 4


def launch(kernel, grid, block, *args):
    """``kernel[grid, block](*args)`` on the CPU."""
    three = [tuple(v) if isinstance(v, tuple) else (v,) for v in (grid, block)]
    g, b = ((*v, 1, 1)[:3] for v in three)
    CpuKernel(kernel).launch(g, b, 0, args)


def ceil_div(a, b):
    return -(-a // b)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@cuda.jit
def matmul_naive(a, b, c):
    row, col = cuda.grid(2)
    if row < c.shape[0] and col < c.shape[1]:
        acc = float32(0)
        for k in range(a.shape[1]):
            acc += a[row, k] * b[k, col]
        c[row, col] = acc


@cuda.jit
def matmul_tiled(a, b, c):
    sa = cuda.shared.array(shape=(TILE, TILE), dtype=float32)
    sb = cuda.shared.array(shape=(TILE, TILE), dtype=float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row = cuda.blockIdx.y * cuda.blockDim.y + ty
    col = cuda.blockIdx.x * cuda.blockDim.x + tx
    m, depth = a.shape
    n = b.shape[1]
    acc = float32(0)
    for t in range((depth + TILE - 1) // TILE):
        sa[ty, tx] = a[row, t * TILE + tx] if row < m and t * TILE + tx < depth else float32(0)
        if col < n and t * TILE + ty < depth:
            sb[ty, tx] = b[t * TILE + ty, col]
        else:
            sb[ty, tx] = 0
        cuda.syncthreads()
        for k in range(TILE):
            acc += sa[ty, k] * sb[k, tx]
        cuda.syncthreads()
    if row < m and col < n:
        c[row, col] = acc


@cuda.jit
def matmul_registers(a, b, c):
    sa = cuda.shared.array((BK, BM), float32)
    sb = cuda.shared.array((BK, BN), float32)
    acc = cuda.local.array((TM, TN), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    tid = ty * cuda.blockDim.x + tx
    m, depth = a.shape
    n = b.shape[1]
    row0, col0 = cuda.blockIdx.y * BM, cuda.blockIdx.x * BN
    for i in range(TM):
        for j in range(TN):
            acc[i, j] = 0
    for k0 in range(0, depth, BK):
        for e in range(tid, BM * BK, 256):
            r, k = e // BK, e % BK
            inside = row0 + r < m and k0 + k < depth
            sa[k, r] = a[row0 + r, k0 + k] if inside else float32(0)
        for e in range(tid, BN * BK, 256):
            k, j = e // BN, e % BN
            sb[k, j] = b[k0 + k, col0 + j] if k0 + k < depth and col0 + j < n else float32(0)
        cuda.syncthreads()
        for k in range(BK):
            for i in range(TM):
                for j in range(TN):
                    acc[i, j] += sa[k, ty * TM + i] * sb[k, tx * TN + j]
        cuda.syncthreads()
    for i in range(TM):
        for j in range(TN):
            row, col = row0 + ty * TM + i, col0 + tx * TN + j
            if row < m and col < n:
                c[row, col] = acc[i, j]


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (37, 53, 41), (128, 100, 130)])
@pytest.mark.parametrize(
    ("kernel", "tile", "rows_first"),
    [(matmul_naive, 16, True), (matmul_tiled, 16, False), (matmul_registers, 64, False)],
)
def test_matmul(rng, kernel, tile, rows_first, m, k, n):
    a, b = rng.random((m, k), dtype=np.float32), rng.random((k, n), dtype=np.float32)
    c = np.zeros((m, n), np.float32)
    grid = (ceil_div(m, tile), ceil_div(n, tile))
    launch(kernel, grid if rows_first else grid[::-1], (16, 16), a, b, c)
    np.testing.assert_allclose(c, a.astype(float) @ b, rtol=2e-6 * k**0.5)
