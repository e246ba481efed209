"""Reductions: trees in shared memory, shuffles, atomics, two stages."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, int32, int64

from .entry import Entry, Launch, ceil_div, rounded, uniform

BLOCK = 256


@cuda.jit
def reduce_interleaved(x, out):
    """Tree with interleaved addressing: threads 0, 2s, 4s, ... add."""
    buffer = cuda.shared.array(BLOCK, float32)
    tid = cuda.threadIdx.x
    i = cuda.grid(1)
    if i < x.size:
        buffer[tid] = x[i]
    else:
        buffer[tid] = 0
    cuda.syncthreads()
    s = 1
    while s < cuda.blockDim.x:
        if tid % (2 * s) == 0:
            buffer[tid] += buffer[tid + s]
        cuda.syncthreads()
        s *= 2
    if tid == 0:
        out[cuda.blockIdx.x] = buffer[0]


@cuda.jit
def reduce_tree(x, out):
    """Tree with sequential addressing: the first half adds the second."""
    buffer = cuda.shared.array(BLOCK, float32)
    tid = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[tid] = x[i] if i < x.size else 0
    cuda.syncthreads()
    s = cuda.blockDim.x // 2
    while s > 0:
        if tid < s:
            buffer[tid] += buffer[tid + s]
        cuda.syncthreads()
        s //= 2
    if tid == 0:
        out[cuda.blockIdx.x] = buffer[0]


@cuda.jit
def reduce_last_warp(x, out):
    """Adds two elements while loading; the last warp needs only syncwarp."""
    buffer = cuda.shared.array(BLOCK, float32)
    tid = cuda.threadIdx.x
    i = cuda.blockIdx.x * (BLOCK * 2) + tid
    total = float32(0)
    if i < x.size:
        total = x[i]
    if i + BLOCK < x.size:
        total += x[i + BLOCK]
    buffer[tid] = total
    cuda.syncthreads()
    for s in (128, 64):
        if tid < s:
            buffer[tid] += buffer[tid + s]
        cuda.syncthreads()
    if tid < 32:
        buffer[tid] += buffer[tid + 32]
        cuda.syncwarp()
        s = 16
        while s > 0:
            v = buffer[tid + s]
            cuda.syncwarp()
            buffer[tid] += v
            cuda.syncwarp()
            s >>= 1
    if tid == 0:
        out[cuda.blockIdx.x] = buffer[0]


def block_sums(x, size):
    padded = np.concatenate([x, np.zeros(-len(x) % size)]).reshape(-1, size)
    return padded.sum(1)


def make_blocks(size):
    def make(n, rng):
        blocks = ceil_div(n, size)
        return Launch(blocks, BLOCK, (uniform(rng, n), np.zeros(blocks, np.float32)))

    return make


@cuda.jit
def reduce_atomic(x, total):
    """Every thread adds its elements, then adds to the total atomically."""
    part = 0
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        part += x[i]
    cuda.atomic.add(total, 0, part)


def make_reduce_atomic(n, rng):
    x = rng.integers(-1000, 1000, n).astype(np.int32)
    return Launch(min(16, ceil_div(n, 128)), 128, (x, np.zeros(1, np.int64)))


@cuda.jit(device=True)
def warp_sum(value):
    """Sum over a warp, in lane 0."""
    offset = 16
    while offset > 0:
        value += cuda.shfl_down_sync(0xFFFFFFFF, value, offset)
        offset //= 2
    return value


@cuda.jit
def reduce_shuffle(x, out):
    """Shuffles within the warps, shared memory between them, one atomic a block."""
    shared = cuda.shared.array(32, float32)
    tid = cuda.threadIdx.x
    lane = tid % 32
    warp = tid // 32
    acc = float32(0)
    i = cuda.grid(1)
    stride = cuda.gridsize(1)
    while i < x.size:
        acc += x[i]
        i += stride
    acc = warp_sum(acc)
    if lane == 0:
        shared[warp] = acc
    cuda.syncthreads()
    if warp == 0:
        acc = shared[lane] if lane < cuda.blockDim.x // 32 else float32(0)
        acc = warp_sum(acc)
        if lane == 0:
            cuda.atomic.add(out, 0, acc)


def make_reduce_shuffle(n, rng):
    return Launch(min(64, ceil_div(n, BLOCK)), BLOCK, (uniform(rng, n), np.zeros(1, np.float32)))


@cuda.jit
def reduce_last_block(x, partial, finished, out):
    """Two stages in one launch: the block that finishes last adds the partial sums."""
    buffer = cuda.shared.array(BLOCK, int64)
    last = cuda.shared.array(1, int32)
    tid = cuda.threadIdx.x
    total = 0
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        total += x[i]
    buffer[tid] = total
    cuda.syncthreads()
    s = BLOCK // 2
    while s > 0:
        if tid < s:
            buffer[tid] += buffer[tid + s]
        cuda.syncthreads()
        s //= 2
    if tid == 0:
        partial[cuda.blockIdx.x] = buffer[0]
        cuda.threadfence()
        ticket = cuda.atomic.add(finished, 0, 1)
        last[0] = ticket == cuda.gridDim.x - 1
    cuda.syncthreads()
    if last[0] and tid == 0:
        result = 0
        for b in range(cuda.gridDim.x):
            result += partial[b]
        out[0] = result


def make_reduce_last_block(n, rng):
    x = rng.integers(-1000, 1000, n).astype(np.int32)
    blocks = min(32, ceil_div(n, BLOCK))
    zeros = (np.zeros(blocks, np.int64), np.zeros(1, np.int32), np.zeros(1, np.int64))
    return Launch(blocks, BLOCK, (x, *zeros))


@cuda.jit(device=True)
def block_sum(buffer, tid):
    """Sum over the block, for every thread; a device function with barriers."""
    s = cuda.blockDim.x // 2
    while s > 0:
        if tid < s:
            buffer[tid] += buffer[tid + s]
        cuda.syncthreads()
        s //= 2
    total = buffer[0]
    cuda.syncthreads()
    return total


@cuda.jit
def dot_and_norm(x, y, dot, norm):
    """Dot product and squared norm, both with one device function that holds barriers."""
    buffer = cuda.shared.array(BLOCK, float32)
    tid = cuda.threadIdx.x
    xy, xx = float32(0), float32(0)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        xy += x[i] * y[i]
        xx += x[i] * x[i]
    buffer[tid] = xy
    cuda.syncthreads()
    xy = block_sum(buffer, tid)
    buffer[tid] = xx
    cuda.syncthreads()
    xx = block_sum(buffer, tid)
    if tid == 0:
        dot[cuda.blockIdx.x] = xy
        norm[cuda.blockIdx.x] = xx


def make_dot_and_norm(n, rng):
    blocks = min(32, ceil_div(n, BLOCK))
    zeros = (np.zeros(blocks, np.float32), np.zeros(blocks, np.float32))
    return Launch(blocks, BLOCK, (uniform(rng, n), uniform(rng, n), *zeros))


def reference_dot_and_norm(x, y, dot, norm):
    size = dot.size * BLOCK
    parts = []
    for product in (x * y, x * x):
        padded = np.concatenate([product, np.zeros(-len(x) % size)])
        parts.append(padded.reshape(-1, dot.size, BLOCK).sum((0, 2)))
    return tuple(parts)


ODD, LARGE = (1, 257, 1001), 1 << 22
TREE = rounded(9, "each of the 9 levels of the tree rounds once")
LONG = rounded(1 << 9, "sums of up to 2^9 terms before, in and after the tree, all positive")
ENTRIES = [
    Entry(reduce_interleaved, make_blocks(BLOCK), lambda x, out: block_sums(x, BLOCK), 300,
          ODD, LARGE, tolerance=TREE),
    Entry(reduce_tree, make_blocks(BLOCK), lambda x, out: block_sums(x, BLOCK), 300, ODD, LARGE,
          tolerance=TREE),
    Entry(reduce_last_warp, make_blocks(2 * BLOCK), lambda x, out: block_sums(x, 2 * BLOCK), 600,
          ODD, LARGE, tolerance=TREE),
    Entry(reduce_atomic, make_reduce_atomic, lambda x, out: x.sum(keepdims=True, dtype=np.int64),
          300, ODD, LARGE),
    Entry(reduce_shuffle, make_reduce_shuffle, lambda x, out: x.sum(keepdims=True), 300, ODD,
          LARGE, tolerance=LONG),
    Entry(reduce_last_block, make_reduce_last_block, lambda x, *_: x.sum(keepdims=True), 300, ODD,
          LARGE, restore=(2,)),
    Entry(dot_and_norm, make_dot_and_norm, reference_dot_and_norm, 300, ODD, LARGE,
          outputs=(2, 3), tolerance=rounded(2 + (1 << 9) + 9, "products, 2^9 sums, the tree"),
          work=lambda x, *_: 8.0 * x.size),
]  # fmt: skip
