"""Convolutions in one and two dimensions, separable, and pooling."""

from __future__ import annotations

import math

import numpy as np
from numba import cuda, float32

from .entry import Entry, Launch, ceil_div, rounded, scaled, uniform

TILE = 16
RADIUS = 2
HALO = 20  # TILE + 2 RADIUS
TAPS = np.array([0.05, 0.1, 0.2, 0.3, 0.2, 0.1, 0.05], np.float32)


@cuda.jit
def convolve_1d(x, out):
    """Seven taps in constant memory; zero outside."""
    taps = cuda.const.array_like(TAPS)
    i = cuda.grid(1)
    if i < x.size:
        total = float32(0)
        for k in range(taps.size):
            j = i + k - taps.size // 2
            if j >= 0 and j < x.size:
                total += taps[k] * x[j]
        out[i] = total


def make_convolve_1d(n, rng):
    return Launch(ceil_div(n, 256), 256, (uniform(rng, n), np.zeros(n, np.float32)))


def reference_convolve_1d(x, out):
    padded = np.pad(x, 3)
    return sum(float(w) * padded[k : k + len(x)] for k, w in enumerate(TAPS))


@cuda.jit
def convolve_2d(image, w, out):
    """5x5 weights on a 16x16 tile with halo; zero outside."""
    tile = cuda.shared.array((HALO, HALO), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    x0, y0 = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
    height, width = image.shape
    for i in range(ty, HALO, TILE):
        for j in range(tx, HALO, TILE):
            yy, xx = y0 + i - RADIUS, x0 + j - RADIUS
            if 0 <= yy < height and 0 <= xx < width:
                tile[i, j] = image[yy, xx]
            else:
                tile[i, j] = 0.0
    cuda.syncthreads()
    y, x = y0 + ty, x0 + tx
    if y >= height or x >= width:
        return
    acc = float32(0)
    for dy in range(2 * RADIUS + 1):
        for dx in range(2 * RADIUS + 1):
            acc += tile[ty + dy, tx + dx] * w[dy, dx]
    out[y, x] = acc


@cuda.jit
def convolve_naive(image, w, out):
    """Any odd window straight from global memory, clamped at the border."""
    x, y = cuda.grid(2)
    height, width = image.shape
    if x >= width or y >= height:
        return
    ry, rx = w.shape[0] // 2, w.shape[1] // 2
    acc = float32(0)
    for dy in range(-ry, ry + 1):
        for dx in range(-rx, rx + 1):
            yy = min(max(y + dy, 0), height - 1)
            xx = min(max(x + dx, 0), width - 1)
            acc += image[yy, xx] * w[dy + ry, dx + rx]
    out[y, x] = acc


def make_convolution(shape, rng):
    image, w = uniform(rng, *shape), uniform(rng, 5, 5)
    grid = (ceil_div(shape[1], TILE), ceil_div(shape[0], TILE))
    return Launch(grid, (TILE, TILE), (image, w, np.zeros_like(image)))


def reference_convolution(mode):
    def reference(image, w, out):
        p, (height, width) = np.pad(image, RADIUS, mode=mode), image.shape
        return sum(
            w[i, j] * p[i : i + height, j : j + width] for i in range(5) for j in range(5)
        )  # fmt: skip

    return reference


@cuda.jit
def gaussian_rows(image, sigma, out):
    """Gaussian blur along rows; weights are made once a block in dynamic shared memory."""
    weights = cuda.shared.array(0, float32)
    x, y = cuda.grid(2)
    t = cuda.threadIdx.x
    r = int(math.ceil(3 * sigma))
    if cuda.threadIdx.y == 0 and t <= 2 * r:
        d = float32(t - r)
        weights[t] = math.exp(-d * d / (2 * sigma * sigma))
    cuda.syncthreads()
    if x < image.shape[1] and y < image.shape[0]:
        total = float32(0)
        norm = float32(0)
        for k in range(-r, r + 1):
            if 0 <= x + k < image.shape[1]:
                total += weights[k + r] * image[y, x + k]
                norm += weights[k + r]
        out[y, x] = total / norm


def make_gaussian_rows(shape, rng):
    image = uniform(rng, *shape)
    grid = (ceil_div(shape[1], 32), ceil_div(shape[0], 8))
    return Launch(grid, (32, 8), (image, np.float32(1.5), np.zeros_like(image)), 4 * 32)


def reference_gaussian_rows(image, sigma, out):
    r = int(np.ceil(3 * sigma))
    w = np.exp(-(np.arange(-r, r + 1.0) ** 2) / (2 * sigma * sigma))
    rows = np.pad(image, ((0, 0), (r, r)))
    inside = np.pad(np.ones(image.shape[1]), r)
    width = image.shape[1]
    total = sum(w[k] * rows[:, k : k + width] for k in range(2 * r + 1))
    return total / sum(w[k] * inside[k : k + width] for k in range(2 * r + 1))


@cuda.jit
def pool_maximum(x, out):
    """2x2 maximum pooling of a stack of images."""
    col, row, plane = cuda.grid(3)
    n, c = plane // x.shape[1], plane % x.shape[1]
    if col < out.shape[3] and row < out.shape[2] and n < x.shape[0]:
        upper = max(x[n, c, 2 * row, 2 * col], x[n, c, 2 * row, 2 * col + 1])
        lower = max(x[n, c, 2 * row + 1, 2 * col], x[n, c, 2 * row + 1, 2 * col + 1])
        out[n, c, row, col] = max(upper, lower)


def make_pool_maximum(shape, rng):
    n, c, h, w = shape
    grid = (ceil_div(w // 2, 16), ceil_div(h // 2, 8), ceil_div(n * c, 2))
    out = np.zeros((n, c, h // 2, w // 2), np.float32)
    return Launch(grid, (16, 8, 2), (uniform(rng, *shape), out))


def reference_pool_maximum(x, out):
    n, c, h, w = out.shape
    return x[:, :, : 2 * h, : 2 * w].reshape(n, c, h, 2, w, 2).max((3, 5))


ODD, LARGE = ((1, 1), (3, 5), (45, 67)), (1024, 1024)
WINDOW = rounded(26, "a sum of 25 positive products")
ENTRIES = [
    Entry(convolve_1d, make_convolve_1d, reference_convolve_1d, 300, (1, 257, 1001), 1 << 21,
          tolerance=rounded(8, "a sum of seven positive products"),
          work=lambda x, out: 14.0 * x.size, unit="FLOP"),
    Entry(convolve_2d, make_convolution, reference_convolution("constant"), (18, 20), ODD, LARGE,
          tolerance=WINDOW, work=lambda i, *_: 50.0 * i.size, unit="FLOP"),
    Entry(convolve_naive, make_convolution, reference_convolution("edge"), (18, 20), ODD, LARGE,
          tolerance=WINDOW, work=lambda i, *_: 50.0 * i.size, unit="FLOP"),
    Entry(gaussian_rows, make_gaussian_rows, reference_gaussian_rows, (9, 35), ODD, LARGE,
          tolerance=scaled(40, 0, "exponentials of exact squares, sums of 11, a quotient"),
          work=lambda i, *_: 40.0 * i.size, unit="FLOP"),
    Entry(pool_maximum, make_pool_maximum, reference_pool_maximum, (1, 2, 8, 10),
          ((1, 1, 2, 2), (2, 3, 9, 37)), (16, 16, 128, 128)),
]  # fmt: skip
