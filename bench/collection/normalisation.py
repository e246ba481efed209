"""Softmax, layer and RMS norm, attention: reductions along rows."""

from __future__ import annotations

import math

import numpy as np
from numba import cuda, float32

from .entry import Entry, Launch, Tolerance, ceil_div, normal, scaled, uniform

BLOCK = 128
KEYS, WIDTH = 32, 32


@cuda.jit
def softmax_block(x, out):
    """One block a row: maximum, sum of exponentials, quotient, with trees in shared memory."""
    buffer = cuda.shared.array(BLOCK, float32)
    row, tid, n = cuda.blockIdx.x, cuda.threadIdx.x, x.shape[1]
    m = float32(-math.inf)
    for j in range(tid, n, cuda.blockDim.x):
        m = max(m, x[row, j])
    buffer[tid] = m
    cuda.syncthreads()
    s = cuda.blockDim.x // 2
    while s > 0:
        if tid < s:
            buffer[tid] = max(buffer[tid], buffer[tid + s])
        cuda.syncthreads()
        s //= 2
    m = buffer[0]
    cuda.syncthreads()
    total = float32(0)
    for j in range(tid, n, cuda.blockDim.x):
        total += math.exp(x[row, j] - m)
    buffer[tid] = total
    cuda.syncthreads()
    s = cuda.blockDim.x // 2
    while s > 0:
        if tid < s:
            buffer[tid] += buffer[tid + s]
        cuda.syncthreads()
        s //= 2
    total = buffer[0]
    for j in range(tid, n, cuda.blockDim.x):
        out[row, j] = math.exp(x[row, j] - m) / total


@cuda.jit
def softmax_warp(x, out):
    """One warp a row, four rows a block; butterflies of shuffles give every lane the result."""
    lane = cuda.threadIdx.x
    row = cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y
    if row >= x.shape[0]:
        return
    m = float32(-math.inf)
    for j in range(lane, x.shape[1], 32):
        m = max(m, x[row, j])
    for k in (16, 8, 4, 2, 1):
        m = max(m, cuda.shfl_xor_sync(0xFFFFFFFF, m, k))
    total = float32(0)
    for j in range(lane, x.shape[1], 32):
        e = math.exp(x[row, j] - m)
        out[row, j] = e
        total += e
    for k in (16, 8, 4, 2, 1):
        total += cuda.shfl_xor_sync(0xFFFFFFFF, total, k)
    for j in range(lane, x.shape[1], 32):
        out[row, j] /= total


@cuda.jit
def softmax_online(x, out):
    """One thread a row: maximum and sum in a single pass, rescaled when the maximum grows."""
    row = cuda.grid(1)
    if row >= x.shape[0]:
        return
    m = float32(-math.inf)
    total = float32(0)
    for j in range(x.shape[1]):
        v = x[row, j]
        if v > m:
            total = total * math.exp(m - v) + float32(1)
            m = v
        else:
            total += math.exp(v - m)
    for j in range(x.shape[1]):
        out[row, j] = math.exp(x[row, j] - m) / total


def make_softmax(grid, block):
    def make(shape, rng):
        x = uniform(rng, *shape) * np.float32(20) - np.float32(10)
        return Launch(grid(shape[0]), block, (x, np.zeros_like(x)))

    return make


def reference_softmax(x, out):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@cuda.jit
def layer_norm(x, gain, bias, out, eps):
    """(x - mean) / sqrt(variance + eps) * gain + bias per row; shuffles, then shared memory."""
    sums = cuda.shared.array(4, float32)
    row, t, n = cuda.blockIdx.x, cuda.threadIdx.x, x.shape[1]
    s = float32(0)
    for j in range(t, n, cuda.blockDim.x):
        s += x[row, j]
    offset = 16
    while offset > 0:
        s += cuda.shfl_down_sync(0xFFFFFFFF, s, offset)
        offset //= 2
    if t % 32 == 0:
        sums[t // 32] = s
    cuda.syncthreads()
    mean = (sums[0] + sums[1] + sums[2] + sums[3]) / float32(n)
    cuda.syncthreads()
    v = float32(0)
    for j in range(t, n, cuda.blockDim.x):
        d = x[row, j] - mean
        v += d * d
    offset = 16
    while offset > 0:
        v += cuda.shfl_down_sync(0xFFFFFFFF, v, offset)
        offset //= 2
    if t % 32 == 0:
        sums[t // 32] = v
    cuda.syncthreads()
    variance = (sums[0] + sums[1] + sums[2] + sums[3]) / float32(n)
    scale = float32(1) / math.sqrt(variance + eps)
    for j in range(t, n, cuda.blockDim.x):
        out[row, j] = (x[row, j] - mean) * scale * gain[j] + bias[j]


def make_layer_norm(shape, rng):
    gain, bias = normal(rng, shape[1]), normal(rng, shape[1])
    x = normal(rng, *shape)
    return Launch(shape[0], BLOCK, (x, gain, bias, np.zeros_like(x), np.float32(1e-5)))


def reference_layer_norm(x, gain, bias, out, eps):
    deviation = np.sqrt(x.var(1, keepdims=True) + eps)
    return (x - x.mean(1, keepdims=True)) / deviation * gain + bias


@cuda.jit
def rms_norm(x, weight, out):
    """x / sqrt(mean(x^2) + 1e-6) * weight, one row a block, one atomic addition a thread."""
    total = cuda.shared.array(1, float32)
    row = cuda.blockIdx.x
    if cuda.threadIdx.x == 0:
        total[0] = 0
    cuda.syncthreads()
    part = float32(0)
    for j in range(cuda.threadIdx.x, x.shape[1], cuda.blockDim.x):
        part += x[row, j] ** 2
    cuda.atomic.add(total, 0, part)
    cuda.syncthreads()
    scale = 1 / math.sqrt(total[0] / x.shape[1] + 1e-6)
    for j in range(cuda.threadIdx.x, x.shape[1], cuda.blockDim.x):
        out[row, j] = x[row, j] * scale * weight[j]


def make_rms_norm(shape, rng):
    x, weight = normal(rng, *shape), normal(rng, shape[1])
    return Launch(shape[0], BLOCK, (x, weight, np.zeros_like(x)))


def reference_rms_norm(x, weight, out):
    return x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-6) * weight


@cuda.jit
def attention(queries, keys, values, out, scale):
    """Attention with an online softmax: one query row a thread, tiles of 32 keys a block."""
    k_tile = cuda.shared.array((KEYS, WIDTH), float32)
    v_tile = cuda.shared.array((KEYS, WIDTH), float32)
    q = cuda.local.array(WIDTH, float32)
    o = cuda.local.array(WIDTH, float32)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x * KEYS + t
    m, total = float32(-1e30), float32(0)
    for d in range(WIDTH):
        q[d] = queries[row, d] * scale
        o[d] = 0
    for start in range(0, keys.shape[0], KEYS):
        for d in range(WIDTH):
            k_tile[t, d] = keys[start + t, d]
            v_tile[t, d] = values[start + t, d]
        cuda.syncthreads()
        for j in range(KEYS):
            s = float32(0)
            for d in range(WIDTH):
                s += q[d] * k_tile[j, d]
            if s > m:
                shrink = math.exp(m - s)
                total *= shrink
                for d in range(WIDTH):
                    o[d] *= shrink
                m = s
            p = math.exp(s - m)
            total += p
            for d in range(WIDTH):
                o[d] += p * v_tile[j, d]
        cuda.syncthreads()
    for d in range(WIDTH):
        out[row, d] = o[d] / total


def make_attention(n, rng):
    q, k, v = (normal(rng, n, WIDTH) for _ in range(3))
    return Launch(n // KEYS, KEYS, (q, k, v, np.zeros_like(q), np.float32(WIDTH**-0.5)))


def reference_attention(queries, keys, values, out, scale):
    s = queries @ keys.T * scale
    e = np.exp(s - s.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True) @ values


ODD, LARGE = ((1, 1), (7, 33), (5, 1001)), (2048, 1024)
SOFTMAX = Tolerance(
    64 * 2.0**-24, 1e-12, "x - max rounds at 20, which exp turns into 20 half ulps; 10 of the sum"
)
NORM = scaled(40, 4, "float32 sums of 32 terms a lane and 7 of the tree; results near 4")
ENTRIES = [
    Entry(softmax_block, make_softmax(lambda rows: rows, BLOCK), reference_softmax, (3, 200), ODD,
          LARGE, tolerance=SOFTMAX),
    Entry(softmax_warp, make_softmax(lambda rows: ceil_div(rows, 4), (32, 4)), reference_softmax,
          (3, 100), ODD, LARGE, tolerance=SOFTMAX),
    Entry(softmax_online, make_softmax(lambda rows: ceil_div(rows, 128), 128), reference_softmax,
          (10, 50), ODD, LARGE, tolerance=scaled(1100, 0, "a sum of 1001 positive terms in turn")),
    Entry(layer_norm, make_layer_norm, reference_layer_norm, (2, 200), ((1, 2), (7, 33), (5, 1001)),
          LARGE, outputs=(3,), tolerance=NORM),
    Entry(rms_norm, make_rms_norm, reference_rms_norm, (2, 200), ODD, LARGE,
          tolerance=scaled(200, 4, "up to 8 terms a thread, 128 atomic additions")),
    Entry(attention, make_attention, reference_attention, 32, (32, 96), 1024, outputs=(3,),
          tolerance=scaled(300, 4, "softmax over 1024 keys with random signs, 32 products each"),
          work=lambda q, *_: 4.0 * len(q) ** 2 * WIDTH, unit="FLOP"),
]  # fmt: skip
