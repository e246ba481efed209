"""Transforms: radix-2 FFT, plain DFT, Walsh-Hadamard, Haar wavelets."""

from __future__ import annotations

import cmath
import math

import numpy as np
from numba import complex64, cuda, float32

from .entry import Entry, Launch, Tolerance, ceil_div, normal, scaled

SIZE = 256
HALF = 128


@cuda.jit
def fft_radix2(x):
    """Each block transforms 256 complex numbers: bit reversal, then eight butterfly stages."""
    s = cuda.shared.array(SIZE, complex64)
    t = cuda.threadIdx.x
    base = cuda.blockIdx.x * SIZE
    for i in range(t, SIZE, HALF):
        s[cuda.brev(i) >> 24] = x[base + i]
    cuda.syncthreads()
    half = 1
    while half < SIZE:
        k = t % half
        i = 2 * half * (t // half) + k
        angle = float32(-math.pi) * float32(k) / float32(half)
        twiddle = complex64(complex(math.cos(angle), math.sin(angle)))
        a = s[i]
        b = s[i + half] * twiddle
        s[i] = a + b
        s[i + half] = a - b
        cuda.syncthreads()
        half *= 2
    for i in range(t, SIZE, HALF):
        x[base + i] = s[i]


def complexes(rng, *shape):
    return (normal(rng, *shape) + 1j * normal(rng, *shape)).astype(np.complex64)


def make_fft(n, rng):
    return Launch(n // SIZE, HALF, (complexes(rng, n),))


@cuda.jit
def dft(x, out):
    """The definition: a sum over all elements per output, in double precision."""
    k = cuda.grid(1)
    n = x.size
    if k < n:
        total = complex(0, 0)
        for j in range(n):
            total += x[j] * cmath.exp(-2j * math.pi * ((j * k) % n) / n)
        out[k] = total


def make_dft(n, rng):
    x = complexes(rng, n).astype(np.complex128)
    return Launch(ceil_div(n, 64), 64, (x, np.zeros_like(x)))


@cuda.jit
def walsh_hadamard(x):
    """Butterflies of sums and differences over 256 elements a block, in place."""
    s = cuda.shared.array(SIZE, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    s[t] = x[i]
    half = 1
    while half < SIZE:
        cuda.syncthreads()
        other = s[t ^ half]
        mine = s[t]
        cuda.syncthreads()
        s[t] = other - mine if t & half else mine + other
        half <<= 1
    x[i] = s[t]


def make_walsh_hadamard(n, rng):
    return Launch(n // SIZE, SIZE, (rng.integers(-50, 50, n).astype(np.float32),))


def reference_walsh_hadamard(x):
    v, half = x.reshape(-1, SIZE), 1
    while half < SIZE:
        pairs = v.reshape(len(v), -1, 2, half)
        v = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], 2)
        half *= 2
    return v.ravel()


@cuda.jit
def haar(x, out):
    """Haar wavelets of 256 elements a block: means to the front, differences behind."""
    s = cuda.shared.array(SIZE, float32)
    t = cuda.threadIdx.x
    base = cuda.blockIdx.x * SIZE
    s[t] = x[base + t]
    s[t + HALF] = x[base + t + HALF]
    n = HALF
    while n > 0:
        cuda.syncthreads()
        if t < n:
            a, b = s[2 * t], s[2 * t + 1]
        cuda.syncthreads()
        if t < n:
            s[t] = (a + b) / 2
            out[base + n + t] = (a - b) / 2
        n //= 2
    if t == 0:
        out[base] = s[0]


def make_haar(n, rng):
    x = normal(rng, n)
    return Launch(n // SIZE, HALF, (x, np.zeros_like(x)))


def reference_haar(x, out):
    rows, n = x.reshape(-1, SIZE), SIZE
    result = np.empty(rows.shape)
    while n > 1:
        n //= 2
        result[:, n : 2 * n] = (rows[:, ::2] - rows[:, 1::2]) / 2
        rows = (rows[:, ::2] + rows[:, 1::2]) / 2
    result[:, 0] = rows[:, 0]
    return result.ravel()


ENTRIES = [
    Entry(fft_radix2, make_fft, lambda x: np.fft.fft(x.reshape(-1, SIZE)).ravel(), 256,
          (256, 1280), 1 << 19, tolerance=scaled(60, 16, "eight stages; results near 23"),
          work=lambda x: 5.0 * 8 * x.size, unit="FLOP"),
    Entry(dft, make_dft, lambda x, out: np.fft.fft(x), 40, (1, 67, 257), 1024,
          tolerance=Tolerance(1e-12, 1e-10, "float64 sums of 1024 terms near 1"),
          work=lambda x, out: 8.0 * x.size**2, unit="FLOP"),
    Entry(walsh_hadamard, make_walsh_hadamard, reference_walsh_hadamard, 256, (256, 1280), 1 << 20),
    Entry(haar, make_haar, reference_haar, 256, (256, 1280), 1 << 20,
          tolerance=scaled(9, 4, "eight means, one difference")),
]  # fmt: skip
