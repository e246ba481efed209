"""Kernels in ordinary Numba CUDA style, compiled for the CPU, against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import cuda, float32, int32

from nnlite.kernels.engine.cpu import CpuKernel

TILE = 16
RADIUS = 2
HALO = TILE + 2 * RADIUS


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
def saxpy(a, x, y, out):
    i = cuda.grid(1)
    if i >= x.size:
        return
    out[i] = a * x[i] + y[i]


@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 100_003])
def test_saxpy(rng, n):
    x, y = rng.random((2, n), dtype=np.float32)
    out = np.zeros_like(x)
    launch(saxpy, max(1, ceil_div(n, 256)), 256, np.float32(2), x, y, out)
    np.testing.assert_allclose(out, 2 * x + y, rtol=1e-6)


@cuda.jit
def saxpy_stride(a, x, y, out):
    i = cuda.grid(1)
    while i < x.size:
        out[i] = a * x[i] + y[i]
        i += cuda.gridsize(1)


@pytest.mark.parametrize("n", [1, 1000, 70_001])
def test_grid_stride_loop(rng, n):
    x, y = rng.random((2, n), dtype=np.float32)
    out = np.zeros_like(x)
    launch(saxpy_stride, 3, 128, np.float32(2), x, y, out)
    np.testing.assert_allclose(out, 2 * x + y, rtol=1e-6)


@cuda.jit
def block_sum(x, out):
    buffer = cuda.shared.array(256, float32)
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


@pytest.mark.parametrize("n", [1, 1000, 256 * 40])
def test_tree_reduction(rng, n):
    x = rng.random(n, dtype=np.float32)
    blocks = ceil_div(n, 256)
    out = np.zeros(blocks, np.float32)
    launch(block_sum, blocks, 256, x, out)
    padded = np.concatenate([x, np.zeros(blocks * 256 - n, np.float32)]).reshape(blocks, 256)
    np.testing.assert_allclose(out, padded.sum(1, dtype=float), rtol=1e-5)


@cuda.jit
def scan(x, out):
    buffer = cuda.shared.array(512, float32)
    tid, n, i = cuda.threadIdx.x, cuda.blockDim.x, cuda.grid(1)
    buffer[tid] = x[i]
    cuda.syncthreads()
    offset = 1
    while offset < n:
        v = buffer[tid]
        if tid >= offset:
            v += buffer[tid - offset]
        cuda.syncthreads()
        buffer[tid] = v
        cuda.syncthreads()
        offset *= 2
    out[i] = buffer[tid]


@pytest.mark.parametrize("threads", [1, 32, 512])
def test_scan(rng, threads):
    x = rng.random(threads * 5, dtype=np.float32)
    out = np.zeros_like(x)
    launch(scan, 5, threads, x, out)
    expected = np.cumsum(x.reshape(5, threads), 1, dtype=float).ravel()
    np.testing.assert_allclose(out, expected, rtol=1e-5)


@cuda.jit
def histogram(data, bins):
    local = cuda.shared.array(256, int32)
    tid = cuda.threadIdx.x
    local[tid] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), data.size, cuda.gridsize(1)):
        cuda.atomic.add(local, data[i], 1)
    cuda.syncthreads()
    cuda.atomic.add(bins, tid, local[tid])


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int64])
def test_histogram(rng, dtype):
    data = rng.integers(0, 256, 10_007).astype(dtype)
    bins = np.zeros(256, np.int32)
    launch(histogram, 8, 256, data, bins)
    np.testing.assert_array_equal(bins, np.bincount(data, minlength=256))


@cuda.jit
def transpose(a, out):
    tile = cuda.shared.array((32, 33), float32)
    x = cuda.blockIdx.x * 32 + cuda.threadIdx.x
    y = cuda.blockIdx.y * 32 + cuda.threadIdx.y
    for j in range(0, 32, 8):
        if y + j < a.shape[0] and x < a.shape[1]:
            tile[cuda.threadIdx.y + j, cuda.threadIdx.x] = a[y + j, x]
    cuda.syncthreads()
    x = cuda.blockIdx.y * 32 + cuda.threadIdx.x
    y = cuda.blockIdx.x * 32 + cuda.threadIdx.y
    for j in range(0, 32, 8):
        if y + j < out.shape[0] and x < out.shape[1]:
            out[y + j, x] = tile[cuda.threadIdx.x, cuda.threadIdx.y + j]


@pytest.mark.parametrize("shape", [(1, 1), (70, 100), (256, 224)])
def test_transpose(rng, shape):
    a = rng.random(shape, dtype=np.float32)
    out = np.zeros(shape[::-1], np.float32)
    launch(transpose, (ceil_div(shape[1], 32), ceil_div(shape[0], 32)), (32, 8), a, out)
    np.testing.assert_array_equal(out, a.T)


@cuda.jit
def softmax(x, out):
    buffer = cuda.shared.array(128, float32)
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


@pytest.mark.parametrize("shape", [(1, 1), (20, 10), (7, 1000)])
def test_softmax(rng, shape):
    x = (rng.random(shape) * 20 - 10).astype(np.float32)
    out = np.zeros_like(x)
    launch(softmax, shape[0], 128, x, out)
    e = np.exp(x.astype(float) - x.max(1, keepdims=True))
    np.testing.assert_allclose(out, e / e.sum(1, keepdims=True), rtol=3e-6)


@cuda.jit
def conv2d(image, w, out):
    tile = cuda.shared.array((HALO, HALO), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    x0, y0 = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
    height, width = image.shape
    for i in range(ty, TILE + 2 * RADIUS, TILE):
        for j in range(tx, TILE + 2 * RADIUS, TILE):
            yy, xx = y0 + i - RADIUS, x0 + j - RADIUS
            if 0 <= yy < height and 0 <= xx < width:
                tile[i, j] = image[yy, xx]
            else:
                tile[i, j] = 0
    cuda.syncthreads()
    y, x = y0 + ty, x0 + tx
    if y >= height or x >= width:
        return
    acc = float32(0)
    for dy in range(2 * RADIUS + 1):
        for dx in range(2 * RADIUS + 1):
            acc += tile[ty + dy, tx + dx] * w[dy, dx]
    out[y, x] = acc


@pytest.mark.parametrize("shape", [(3, 5), (50, 61)])
def test_conv2d_with_halo(rng, shape):
    image, w = rng.random(shape, dtype=np.float32), rng.random((5, 5), dtype=np.float32)
    out = np.zeros_like(image)
    launch(conv2d, (ceil_div(shape[1], 16), ceil_div(shape[0], 16)), (16, 16), image, w, out)
    p = np.pad(image, RADIUS).astype(float)
    h, wd = shape
    expected = sum(w[i, j] * p[i : i + h, j : j + wd] for i in range(5) for j in range(5))
    np.testing.assert_allclose(out, expected, rtol=1e-5)


@cuda.jit(device=True)
def escape(cr, ci, limit):
    zr = float32(0)
    zi = float32(0)
    for i in range(limit):
        zr2 = zr * zr
        zi2 = zi * zi
        if zr2 + zi2 > float32(4):
            return i
        zi = float32(2) * zr * zi + ci
        zr = zr2 - zi2 + cr
    return limit


@cuda.jit
def mandelbrot(cr, ci, limit, out):
    x, y = cuda.grid(2)
    if x < out.shape[1] and y < out.shape[0]:
        out[y, x] = escape(cr[x], ci[y], limit)


def test_mandelbrot():
    cr = np.linspace(-2, 1, 61, dtype=np.float32)
    ci = np.linspace(-1, 1, 45, dtype=np.float32)
    out = np.zeros((45, 61), np.int32)
    launch(mandelbrot, (4, 3), (16, 16), cr, ci, 50, out)
    c = cr[None].astype(complex) + 1j * ci[:, None]
    z, expected = np.zeros_like(c), np.full(c.shape, 50)
    for i in range(50):
        expected[(abs(z) > 2) & (expected == 50)] = i
        z = np.where(abs(z) > 2, z, z * z + c)
    # float32 rounding moves a few points on the edge of the set by an iteration or so
    assert (out != expected).mean() < 0.02
    assert (out == 50).sum() > 300
