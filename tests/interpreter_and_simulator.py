"""Run with NUMBA_ENABLE_CUDASIM=1: the interpreter and Numba's simulator give the same arrays."""

from __future__ import annotations

import numpy as np
from numba import cuda, int64

from nnlite.testing.interpreter import interpret


@cuda.jit(device=True)
def pair_sum(s, t, k):
    if t < k:
        s[t] += s[t + k]
    cuda.syncthreads()


@cuda.jit
def reduce(x, out):
    s = cuda.shared.array(64, int64)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    s[t] = x[i]
    cuda.syncthreads()
    k = cuda.blockDim.x // 2
    while k > 0:
        pair_sum(s, t, k)
        k //= 2
    if t == 0:
        out[cuda.blockIdx.x] = s[0]


@cuda.jit
def scan(x, out):
    s = cuda.shared.array((2, 64), int64)
    t = cuda.threadIdx.x
    s[0, t] = x[cuda.grid(1)]
    side = 0
    cuda.syncthreads()
    for k in (1, 2, 4, 8, 16, 32):
        s[1 - side, t] = s[side, t] + (s[side, t - k] if t >= k else 0)
        side = 1 - side
        cuda.syncthreads()
    out[cuda.grid(1)] = s[side, t]


@cuda.jit
def histogram(x, out):
    i = cuda.grid(1)
    cuda.atomic.add(out, x[i] % 7, 1)
    cuda.atomic.max(out, 8 + x[i] % 3, x[i])
    cuda.atomic.min(out, 12, -x[i])
    cuda.atomic.xor(out, (13,), x[i])


@cuda.jit
def counting(x, out):
    i = cuda.grid(1)
    out[i] = cuda.syncthreads_count(int(x[i] > 20))
    out[i] += 100 * cuda.syncthreads_and(int(x[i] >= 0))
    out[i] += 1000 * cuda.syncthreads_or(int(x[i] == 3))


@cuda.jit
def bits(x, out):
    i = cuda.grid(1)
    mine = cuda.local.array(4, int64)
    for k in range(4):
        mine[k] = x[i] + k
    a, b = cuda.popc(x[i]), cuda.selp(x[i] > 9, mine[1], mine[2])
    out[i] = a + 10 * b + (mine[3] << 4)


@cuda.jit
def dynamic(x, out):
    s = cuda.shared.array(0, int64)
    t = cuda.threadIdx.x
    s[t] = x[cuda.grid(1)]
    cuda.syncthreads()
    out[cuda.grid(1)] = s[(t * 5 + 1) % cuda.blockDim.x] if t != 7 else -1


for kernel in (reduce, scan, histogram, counting, bits, dynamic):
    x = np.random.default_rng(0).integers(0, 50, 128)
    simulated, interpreted = np.zeros(128, np.int64), np.zeros(128, np.int64)
    kernel[2, 64, 0, 512](x, simulated)
    interpret(kernel, (2, 1, 1), (64, 1, 1), (x, interpreted), shared_bytes=512)
    np.testing.assert_array_equal(interpreted, simulated, err_msg=kernel.__name__)
    assert simulated.any(), f"{kernel.__name__} did nothing"
    print(kernel.__name__)
