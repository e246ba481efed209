"""Matrix products through tiles in shared memory: static, dynamic, in registers, overlapped."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32

from .entry import Entry, Launch, ceil_div, rounded, uniform

TILE = 16
BM, BN, BK, TM, TN = 64, 64, 8, 4, 4


@cuda.jit
def matmul_tiled(a, b, c):
    """16x16 tiles of both operands."""
    sa = cuda.shared.array(shape=(TILE, TILE), dtype=float32)
    sb = cuda.shared.array(shape=(TILE, TILE), dtype=float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    col, row = cuda.grid(2)
    acc = float32(0)
    for start in range(0, a.shape[1], TILE):
        sa[ty, tx] = 0
        sb[ty, tx] = 0
        if row < a.shape[0] and start + tx < a.shape[1]:
            sa[ty, tx] = a[row, start + tx]
        if col < b.shape[1] and start + ty < b.shape[0]:
            sb[ty, tx] = b[start + ty, col]
        cuda.syncthreads()
        for k in range(TILE):
            acc += sa[ty, k] * sb[k, tx]
        cuda.syncthreads()
    if row < c.shape[0] and col < c.shape[1]:
        c[row, col] = acc


@cuda.jit
def matmul_dynamic(a, b, c):
    """Tiles in dynamic shared memory: two views of one buffer, of the block's width."""
    n = cuda.blockDim.x
    sa = cuda.shared.array(0, float32)
    sb = cuda.shared.array(0, float32)[256:]
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    col, row = cuda.grid(2)
    acc = float32(0)
    for t in range((a.shape[1] + n - 1) // n):
        k0 = t * n
        sa[ty * n + tx] = a[row, k0 + tx] if row < a.shape[0] and k0 + tx < a.shape[1] else 0
        sb[ty * n + tx] = b[k0 + ty, col] if col < b.shape[1] and k0 + ty < b.shape[0] else 0
        cuda.syncthreads()
        for k in range(n):
            acc += sa[ty * n + k] * sb[k * n + tx]
        cuda.syncthreads()
    if row < c.shape[0] and col < c.shape[1]:
        c[row, col] = acc


@cuda.jit
def matmul_registers(a, b, c):
    """64x64 tiles, a 4x4 corner of the result in each thread's registers."""
    sa = cuda.shared.array((BK, BM), float32)
    sb = cuda.shared.array((BK, BN), float32)
    acc = cuda.local.array((TM, TN), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    tid = ty * cuda.blockDim.x + tx
    rows, inner = a.shape
    cols = b.shape[1]
    row0, col0 = cuda.blockIdx.y * BM, cuda.blockIdx.x * BN
    for i in range(TM):
        for j in range(TN):
            acc[i, j] = 0
    for k0 in range(0, inner, BK):
        for e in range(tid, BM * BK, 256):
            r, k = e // BK, e % BK
            if row0 + r < rows and k0 + k < inner:
                sa[k, r] = a[row0 + r, k0 + k]
            else:
                sa[k, r] = 0
        for e in range(tid, BN * BK, 256):
            k, col = e // BN, e % BN
            if k0 + k < inner and col0 + col < cols:
                sb[k, col] = b[k0 + k, col0 + col]
            else:
                sb[k, col] = 0
        cuda.syncthreads()
        for k in range(BK):
            for i in range(TM):
                v = sa[k, ty * TM + i]
                for j in range(TN):
                    acc[i, j] += v * sb[k, tx * TN + j]
        cuda.syncthreads()
    for i in range(TM):
        for j in range(TN):
            row, col = row0 + ty * TM + i, col0 + tx * TN + j
            if row < rows and col < cols:
                c[row, col] = acc[i, j]


@cuda.jit
def matmul_double_buffered(a, b, c):
    """Two sets of tiles: the next one is loaded while this one is used; one barrier a step."""
    sa = cuda.shared.array((2, TILE, TILE), float32)
    sb = cuda.shared.array((2, TILE, TILE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row = cuda.blockIdx.y * TILE + ty
    col = cuda.blockIdx.x * TILE + tx
    steps = a.shape[1] // TILE
    sa[0, ty, tx] = a[row, tx]
    sb[0, ty, tx] = b[ty, col]
    acc = float32(0)
    now = 0
    for t in range(steps):
        cuda.syncthreads()
        after = 1 - now
        if t + 1 < steps:
            sa[after, ty, tx] = a[row, (t + 1) * TILE + tx]
            sb[after, ty, tx] = b[(t + 1) * TILE + ty, col]
        for k in range(TILE):
            acc += sa[now, ty, k] * sb[now, k, tx]
        now = after
    c[row, col] = acc


@cuda.jit
def matmul_strips(a, b, c):
    """A 1-D block of 64 threads: each thread owns a column and eight rows of a tile."""
    sb = cuda.shared.array((TILE, BN), float32)
    acc = cuda.local.array(8, float32)
    t = cuda.threadIdx.x
    row0 = cuda.blockIdx.y * 8
    col = cuda.blockIdx.x * BN + t
    for i in range(8):
        acc[i] = 0
    for k0 in range(0, a.shape[1], TILE):
        for k in range(TILE):
            inside = k0 + k < a.shape[1] and col < b.shape[1]
            sb[k, t] = b[k0 + k, col] if inside else float32(0)
        cuda.syncthreads()
        for k in range(min(TILE, a.shape[1] - k0)):
            v = sb[k, t]
            for i in range(8):
                if row0 + i < a.shape[0]:
                    acc[i] += a[row0 + i, k0 + k] * v
        cuda.syncthreads()
    if col < c.shape[1]:
        for i in range(8):
            if row0 + i < c.shape[0]:
                c[row0 + i, col] = acc[i]


def make(rows, cols, block, shared=0):
    def launch(shape, rng):
        m, k, n = shape
        args = (uniform(rng, m, k), uniform(rng, k, n), np.zeros((m, n), np.float32))
        return Launch((ceil_div(n, cols), ceil_div(m, rows)), block, args, shared)

    return launch


def entry(kernel, launch, tiny, test):
    return Entry(
        kernel, launch, lambda a, b, c: a @ b, tiny, test, (512, 512, 512),
        tolerance=rounded(513, "a sum of up to 512 positive products in turn"),
        work=lambda a, b, c: 2.0 * c.size * a.shape[1], unit="FLOP",
    )  # fmt: skip


ODD = ((1, 1, 1), (37, 53, 41))
SQUARE = (TILE, TILE)
ENTRIES = [
    entry(matmul_tiled, make(TILE, TILE, SQUARE), (18, 20, 17), ODD),
    entry(matmul_dynamic, make(TILE, TILE, SQUARE, 2048), (18, 20, 17), ODD),
    entry(matmul_registers, make(BM, BN, SQUARE), (18, 9, 17), ((1, 1, 1), (137, 53, 141))),
    entry(matmul_double_buffered, make(TILE, TILE, SQUARE), (16, 32, 16),
          ((16, 16, 16), (32, 48, 64))),
    entry(matmul_strips, make(8, BN, BN), (9, 20, 65), ODD),
]  # fmt: skip
