"""Elementwise kernels: streaming, polynomials, option prices, bytes, hashes, half precision."""

from __future__ import annotations

import math

import numpy as np
from numba import cuda, float32, uint8, uint64

from .entry import Entry, Launch, Tolerance, ceil_div, normal, rounded, uniform

THREADS = 256


@cuda.jit
def saxpy(a, x, y, out):
    """out = a x + y, one thread an element."""
    i = cuda.grid(1)
    if i >= x.size:
        return
    out[i] = a * x[i] + y[i]


def make_saxpy(n, rng):
    x, y = uniform(rng, n), uniform(rng, n)
    return Launch(ceil_div(n, THREADS), THREADS, (np.float32(2), x, y, np.zeros_like(x)))


@cuda.jit
def triad(a, b, scale, out):
    """out = a + scale b, in a grid-stride loop."""
    start = cuda.grid(1)
    stride = cuda.gridsize(1)
    for i in range(start, out.shape[0], stride):
        out[i] = a[i] + scale * b[i]


def make_triad(n, rng):
    a, b = uniform(rng, n), uniform(rng, n)
    return Launch(64, 128, (a, b, np.float32(3), np.zeros_like(a)))


COEFFICIENTS = np.array([0.5, -1.25, 2.0, 0.75, -0.1, 0.3], np.float32)


@cuda.jit
def polynomial(x, out):
    """Horner's rule with the coefficients in constant memory."""
    c = cuda.const.array_like(COEFFICIENTS)
    i = cuda.grid(1)
    if i < x.size:
        v = float32(0)
        for k in range(c.size):
            v = v * x[i] + c[k]
        out[i] = v


def make_polynomial(n, rng):
    x = uniform(rng, n)
    return Launch(ceil_div(n, THREADS), THREADS, (x, np.zeros_like(x)))


@cuda.jit(device=True)
def cumulative_normal(d):
    """Abramowitz and Stegun 26.2.17."""
    k = 1.0 / (1.0 + 0.2316419 * math.fabs(d))
    series = -1.821255978 + k * 1.330274429
    tail = k * (0.31938153 + k * (-0.356563782 + k * (1.781477937 + k * series)))
    value = 0.39894228040143267794 * math.exp(-0.5 * d * d) * tail
    if d > 0:
        value = 1.0 - value
    return value


@cuda.jit
def black_scholes(call, put, price, strike, years, rate, volatility):
    """Prices of European options, in double precision as in Numba's example."""
    i = cuda.grid(1)
    if i >= price.shape[0]:
        return
    root = math.sqrt(years[i])
    d1 = math.log(price[i] / strike[i]) + (rate + 0.5 * volatility * volatility) * years[i]
    d1 = d1 / (volatility * root)
    d2 = d1 - volatility * root
    n1 = cumulative_normal(d1)
    n2 = cumulative_normal(d2)
    discounted = strike[i] * math.exp(-rate * years[i])
    call[i] = price[i] * n1 - discounted * n2
    put[i] = discounted * (1.0 - n2) - price[i] * (1.0 - n1)


def make_black_scholes(n, rng):
    price, strike, years = 5 + 25 * rng.random(n), 1 + 99 * rng.random(n), 0.25 + 9 * rng.random(n)
    args = (np.zeros(n), np.zeros(n), price, strike, years, 0.02, 0.3)
    return Launch(ceil_div(n, THREADS), THREADS, args)


def reference_black_scholes(call, put, price, strike, years, rate, volatility):
    def cumulative(d):
        k = 1 / (1 + 0.2316419 * abs(d))
        powers = (0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429)
        tail = sum(c * k ** (i + 1) for i, c in enumerate(powers))
        value = np.exp(-d * d / 2) / math.sqrt(2 * math.pi) * tail
        return np.where(d > 0, 1 - value, value)

    spread = volatility * np.sqrt(years)
    d1 = (np.log(price / strike) + (rate + volatility**2 / 2) * years) / spread
    n1, n2, discounted = cumulative(d1), cumulative(d1 - spread), strike * np.exp(-rate * years)
    return price * n1 - discounted * n2, discounted * (1 - n2) - price * (1 - n1)


@cuda.jit
def blend_bytes(a, b, alpha, out):
    """Alpha blending of two 8-bit images with rounding."""
    x, y = cuda.grid(2)
    if y < out.shape[0] and x < out.shape[1]:
        mixed = a[y, x] * alpha + b[y, x] * (255 - alpha)
        out[y, x] = (mixed + 127) // 255


def make_blend_bytes(shape, rng):
    a, b = (rng.integers(0, 256, shape).astype(np.uint8) for _ in range(2))
    grid = (ceil_div(shape[1], 32), ceil_div(shape[0], 8))
    return Launch(grid, (32, 8), (a, b, np.int32(77), np.zeros_like(a)))


def reference_blend_bytes(a, b, alpha, out):
    return (a.astype(int) * alpha + b.astype(int) * (255 - alpha) + 127) // 255


@cuda.jit
def checksum_bytes(data, out):
    """Adds, rotates and mixes bytes in 8-bit arithmetic that wraps, sixteen a thread."""
    i = cuda.grid(1)
    if i < out.size:
        h = uint8(0x5A)
        for k in range(16):
            h = uint8(h + data[i * 16 + k])
            h = uint8((h << 3) | (h >> 5))
            h = uint8(h ^ uint8(k))
        out[i] = h


def make_checksum_bytes(n, rng):
    data = rng.integers(0, 256, 16 * n).astype(np.uint8)
    return Launch(ceil_div(n, THREADS), THREADS, (data, np.zeros(n, np.uint8)))


def reference_checksum_bytes(data, out):
    rows, h = data.reshape(-1, 16).astype(int), np.full(out.size, 0x5A)
    for k in range(16):
        h = (h + rows[:, k]) & 255
        h = ((h << 3 | h >> 5) & 255) ^ k
    return h


@cuda.jit(device=True, inline="always")
def mix64(h):
    """Finaliser of MurmurHash3."""
    h ^= h >> uint64(33)
    h *= uint64(0xFF51AFD7ED558CCD)
    h ^= h >> uint64(33)
    h *= uint64(0xC4CEB9FE1A85EC53)
    return h ^ (h >> uint64(33))


@cuda.jit
def hash_keys(keys, seed, out):
    """A 64-bit hash of each key."""
    i = cuda.grid(1)
    if i < keys.size:
        out[i] = mix64(keys[i] + seed)


def make_hash_keys(n, rng):
    keys = rng.integers(0, 1 << 63, n).astype(np.uint64)
    seed = np.uint64(0x9E3779B97F4A7C15)
    return Launch(ceil_div(n, THREADS), THREADS, (keys, seed, np.zeros_like(keys)))


def reference_hash_keys(keys, seed, out):
    h, shift = keys + seed, np.uint64(33)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h = (h ^ (h >> shift)) * np.uint64(factor)
    return h ^ (h >> shift)


@cuda.jit
def half_axpy(a, x, y):
    """y += a x in half precision."""
    i = cuda.grid(1)
    if i < x.size:
        y[i] = a * x[i] + y[i]


def make_half_axpy(n, rng):
    x, y = normal(rng, n).astype(np.float16), normal(rng, n).astype(np.float16)
    return Launch(ceil_div(n, THREADS), THREADS, (np.float16(1.5), x, y))


@cuda.jit
def quantise(x, scale, out):
    """float32 to int8 with rounding to even and saturation."""
    i = cuda.grid(1)
    if i < x.size:
        q = round(x[i] / scale)
        out[i] = max(-128, min(127, q))


def make_quantise(n, rng):
    x = normal(rng, n)
    return Launch(ceil_div(n, THREADS), THREADS, (x, np.float32(0.03125), np.zeros(n, np.int8)))


@cuda.jit
def normalise_batch(images, mean, deviation, out):
    """(image - mean) / deviation per channel; a 3-D grid over channel, row and column."""
    col, row, plane = cuda.grid(3)
    planes, channels = images.shape[0] * images.shape[1], images.shape[1]
    if col < images.shape[3] and row < images.shape[2] and plane < planes:
        n, c = plane // channels, plane % channels
        out[n, c, row, col] = (images[n, c, row, col] - mean[c]) / deviation[c]


def make_normalise_batch(shape, rng):
    images, mean, deviation = uniform(rng, *shape), uniform(rng, shape[1]), uniform(rng, shape[1])
    grid = (ceil_div(shape[3], 32), ceil_div(shape[2], 4), ceil_div(shape[0] * shape[1], 2))
    args = (images, mean, deviation + np.float32(0.5), np.zeros_like(images))
    return Launch(grid, (32, 4, 2), args)


def reference_normalise_batch(images, mean, deviation, out):
    return (images - mean[:, None, None]) / deviation[:, None, None]


ODD, LARGE = (1, 255, 1001), 1 << 22
HALF = Tolerance(2.0**-11, 2.0**-9, "one half-precision rounding of the product, one of the sum")
ENTRIES = [
    Entry(saxpy, make_saxpy, lambda a, x, y, out: a * x + y, 300, ODD, LARGE,
          tolerance=rounded(2, "product and sum, each rounded")),
    Entry(triad, make_triad, lambda a, b, scale, out: a + scale * b, 300, ODD, LARGE,
          tolerance=rounded(2, "product and sum, each rounded")),
    Entry(polynomial, make_polynomial, lambda x, out: np.polyval(COEFFICIENTS.astype(float), x),
          300, ODD, LARGE, tolerance=Tolerance(0, 40 * 2.0**-24, "12 roundings of values below 4")),
    Entry(black_scholes, make_black_scholes, reference_black_scholes, 100, ODD, 1 << 20,
          outputs=(0, 1), tolerance=Tolerance(0, 1e-11, "a few dozen float64 roundings below 100"),
          work=lambda call, *_: 60.0 * call.size, unit="FLOP"),
    Entry(blend_bytes, make_blend_bytes, reference_blend_bytes, (9, 33), ((1, 1), (45, 67)),
          (2048, 2048)),
    Entry(checksum_bytes, make_checksum_bytes, reference_checksum_bytes, 100, ODD, 1 << 18),
    Entry(hash_keys, make_hash_keys, reference_hash_keys, 300, ODD, 1 << 21),
    Entry(half_axpy, make_half_axpy, lambda a, x, y: a * x + y, 300, ODD, LARGE, tolerance=HALF),
    Entry(quantise, make_quantise, lambda x, s, out: np.clip(np.rint(x / s), -128, 127),
          300, ODD, LARGE),
    Entry(normalise_batch, make_normalise_batch, reference_normalise_batch, (1, 3, 5, 7),
          ((2, 3, 9, 35), (1, 1, 1, 1)), (16, 3, 224, 224),
          tolerance=Tolerance(2 * 2.0**-24, 4 * 2.0**-24, "difference and quotient, below 2")),
]  # fmt: skip
