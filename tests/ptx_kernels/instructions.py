"""Kernels that use each instruction of ``engine.ptx`` that the CPU knows too."""

from __future__ import annotations

from numba import cuda, float32, uint16, uint32

from nnlite.kernels.engine import kernel
from nnlite.kernels.engine.ptx import (
    cp_async4,
    cp_async16,
    cp_async_commit,
    cp_async_wait,
    ldmatrix_x1,
    ldmatrix_x2,
    ldmatrix_x2_trans,
    ldmatrix_x2_words,
    ldmatrix_x4,
    ldmatrix_x4_trans,
    ldmatrix_x4_words,
    load4,
    mma_bf16,
    mma_f16,
    mma_tf32,
    store2,
    store4,
    to_bf16x2,
    to_f16x2,
    to_tf32,
)


@kernel
def through_shared(x, y, n):
    tile = cuda.shared.array(256, float32, 16)
    t = uint32(cuda.threadIdx.x)
    cp_async16(tile, 4 * t, x, 4 * t, 4 * t < n)
    cp_async4(tile, 128 + t, x, 128 + t, 128 + t < n)
    cp_async_commit()
    cp_async_wait(0)
    cuda.syncthreads()
    a, b, c, d = load4(tile, 4 * (31 - t))
    v = load4(x, 4 * t)
    store4(y, 4 * t, a + v[0], b + v[1], c + v[2], d + tile[128 + t])


@kernel
def store_pairs(x, y):
    t = uint32(cuda.threadIdx.x)
    store2(y, 2 * t, x[t], -x[t])


@kernel
def matrices(tile_in, plain, turned, few):
    tile = cuda.shared.array(32 * 24, uint16, 16)
    lane = cuda.threadIdx.x
    for i in range(lane, tile_in.size, 32):
        tile[i] = tile_in[i]
    cuda.syncwarp()
    row = uint32(24 * (31 - lane))  # rows in any order, three 16-byte units apart
    a = ldmatrix_x4(tile, row)
    b = ldmatrix_x4_trans(tile, row)
    for i in range(4):
        plain[4 * lane + i] = a[i]
        turned[4 * lane + i] = b[i]
    c, d = ldmatrix_x2(tile, row)
    e, f = ldmatrix_x2_trans(tile, row)
    few[5 * lane] = ldmatrix_x1(tile, row)
    few[5 * lane + 1] = c
    few[5 * lane + 2] = d
    few[5 * lane + 3] = e
    few[5 * lane + 4] = f


@kernel
def multiply_tf32(a, b, c):  # a: (16, 8), b: (8, 8) transposed, c: (16, 8), items in a row
    a_tile = cuda.shared.array(128, float32, 16)
    b_tile = cuda.shared.array(64, float32, 16)
    lane = cuda.threadIdx.x
    for i in range(4):
        a_tile[lane + 32 * i] = to_tf32(a[lane + 32 * i])
    for i in range(2):
        b_tile[lane + 32 * i] = to_tf32(b[lane + 32 * i])
    cuda.syncwarp()
    g, t = lane // 4, lane % 4
    x = ldmatrix_x4_words(a_tile, 8 * (lane % 16) + 4 * (lane // 16))
    y = ldmatrix_x2_words(b_tile, 8 * (lane % 8) + 4 * (lane // 8 % 2))
    at = 8 * g + 2 * t
    z = (c[at], c[at + 1], c[at + 64], c[at + 65])
    z = mma_tf32(z, x, y)
    c[at], c[at + 1], c[at + 64], c[at + 65] = z[0], z[1], z[2], z[3]


@kernel
def multiply_numbers(x, y, out):
    c = mma_tf32((float32(0), float32(0), float32(0), float32(0)), (x, x, x, x), (y, y))
    for i in range(4):
        out[4 * cuda.threadIdx.x + i] = c[i]


def make_multiply(pack, mma):
    @kernel
    def multiply(a, b, c):  # a: (16, 16), b: (8, 16) transposed, c: (16, 8), items in a row
        a_tile = cuda.shared.array(256, uint16, 16)
        b_tile = cuda.shared.array(128, uint16, 16)
        lane = cuda.threadIdx.x
        for i in range(lane, 128, 32):
            word = pack(a[2 * i], a[2 * i + 1])
            a_tile[2 * i], a_tile[2 * i + 1] = uint16(word & 0xFFFF), uint16(word >> 16)
        for i in range(lane, 64, 32):
            word = pack(b[2 * i], b[2 * i + 1])
            b_tile[2 * i], b_tile[2 * i + 1] = uint16(word & 0xFFFF), uint16(word >> 16)
        cuda.syncwarp()
        x = ldmatrix_x4(a_tile, 16 * (lane % 16) + 8 * (lane // 16))
        y = ldmatrix_x2(b_tile, 16 * (lane % 8) + 8 * (lane // 8 % 2))
        at = 8 * (lane // 4) + 2 * (lane % 4)
        z = mma((c[at], c[at + 1], c[at + 64], c[at + 65]), x, y)
        c[at], c[at + 1], c[at + 64], c[at + 65] = z[0], z[1], z[2], z[3]

    return multiply


multiply_bf16 = make_multiply(to_bf16x2, mma_bf16)
multiply_f16 = make_multiply(to_f16x2, mma_f16)


@kernel
def conversions(x, tf32, bf16, f16):
    i = cuda.grid(1)
    if i < x.size:
        other = x[x.size - 1 - i]
        tf32[i] = to_tf32(x[i])
        bf16[i] = to_bf16x2(x[i], other)
        f16[i] = to_f16x2(x[i], other)
