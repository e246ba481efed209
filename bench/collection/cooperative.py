"""Kernels whose whole grid meets at a barrier: iterations and reductions in one launch."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, float64

from .entry import Entry, Launch, Tolerance, scaled, uniform

BLOCK = 64


@cuda.jit
def jacobi_grid(a, b, steps):
    """Many Jacobi steps in one launch; the two arrays change roles after each."""
    grid = cuda.cg.this_grid()
    n = a.size
    for step in range(steps):
        for i in range(cuda.grid(1), n, cuda.gridsize(1)):
            if 0 < i < n - 1:
                if step % 2 == 0:
                    b[i] = float32(0.5) * (a[i - 1] + a[i + 1])
                else:
                    a[i] = float32(0.5) * (b[i - 1] + b[i + 1])
        grid.sync()


def make_jacobi_grid(n, rng):
    a = uniform(rng, n)
    return Launch(4, BLOCK, (a, a.copy(), 10))


def reference_jacobi_grid(a, b, steps):
    arrays = [a.copy(), b.copy()]
    for step in range(steps):
        source, target = arrays[step % 2], arrays[1 - step % 2]
        target[1:-1] = (source[:-2] + source[2:]) / 2
    return arrays[0], arrays[1]


@cuda.jit
def normalise_grid(x, partial):
    """Divides by the sum of all: partial sums, a grid barrier, then every block adds them up."""
    buffer = cuda.shared.array(BLOCK, float64)
    t = cuda.threadIdx.x
    total = 0.0
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        total += x[i]
    buffer[t] = total
    cuda.syncthreads()
    s = BLOCK // 2
    while s > 0:
        if t < s:
            buffer[t] += buffer[t + s]
        cuda.syncthreads()
        s //= 2
    if t == 0:
        partial[cuda.blockIdx.x] = buffer[0]
    cuda.cg.this_grid().sync()
    whole = 0.0
    for b in range(cuda.gridDim.x):
        whole += partial[b]
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        x[i] /= whole


def make_normalise_grid(n, rng):
    return Launch(4, BLOCK, (uniform(rng, n), np.zeros(4)))


@cuda.jit
def sequential_rows(m):
    """Numba's own example: each row is made of the mirrored row before it."""
    col = cuda.grid(1)
    g = cuda.cg.this_grid()
    rows, cols = m.shape
    for row in range(1, rows):
        opposite = cols - col - 1
        m[row, col] = m[row - 1, opposite] + 1
        g.sync()


def make_sequential_rows(shape, rng):
    return Launch(shape[1] // BLOCK, BLOCK, (rng.integers(0, 99, shape).astype(np.int32),))


def reference_sequential_rows(m):
    result = m.copy()
    for row in range(1, len(m)):
        result[row] = result[row - 1, ::-1] + 1
    return result


ENTRIES = [
    Entry(jacobi_grid, make_jacobi_grid, reference_jacobi_grid, 100, (3, 257, 1001), 1 << 18,
          outputs=(0, 1), tolerance=scaled(10, 1, "ten sums of numbers below 1"),
          work=lambda a, b, steps: 8.0 * a.size * steps),
    Entry(normalise_grid, make_normalise_grid, lambda x, p: x / x.sum(), 100, (1, 257, 1001),
          1 << 20, outputs=(0,), tolerance=Tolerance(2 * 2.0**-24, 0, "one rounding to float32")),
    Entry(sequential_rows, make_sequential_rows, reference_sequential_rows, (4, 64),
          ((1, 64), (9, 128)), (256, 1024), outputs=(0,)),
]  # fmt: skip
