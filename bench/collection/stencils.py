"""Stencils in one to three dimensions, with and without shared memory, and the Game of Life."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, uint8

from .entry import Entry, Launch, ceil_div, rounded, scaled, uniform

RADIUS = 3
BLOCK = 256
WIDE = 262  # BLOCK + 2 RADIUS


@cuda.jit
def stencil_1d(x, out):
    """Sum over seven neighbours from a shared row with halo; zero outside."""
    row = cuda.shared.array(WIDE, float32)
    g = cuda.grid(1)
    t = cuda.threadIdx.x + RADIUS
    n = x.shape[0]
    row[t] = x[g] if g < n else 0
    if cuda.threadIdx.x < RADIUS:
        left = g - RADIUS
        right = g + BLOCK
        row[t - RADIUS] = x[left] if left >= 0 else 0
        row[t + BLOCK] = x[right] if right < n else 0
    cuda.syncthreads()
    if g < n:
        total = float32(0)
        for offset in range(-RADIUS, RADIUS + 1):
            total += row[t + offset]
        out[g] = total


def make_stencil_1d(n, rng):
    return Launch(ceil_div(n, BLOCK), BLOCK, (uniform(rng, n), np.zeros(n, np.float32)))


def reference_stencil_1d(x, out):
    padded = np.pad(x, RADIUS)
    return sum(padded[k : k + len(x)] for k in range(2 * RADIUS + 1))


@cuda.jit
def jacobi_step(a, b):
    """One Jacobi step of Laplace's equation: the mean of four neighbours; edges stay."""
    i, j = cuda.grid(2)
    n, m = a.shape
    if i >= 1 and i < n - 1 and j >= 1 and j < m - 1:
        b[i, j] = 0.25 * (a[i, j + 1] + a[i, j - 1] + a[i - 1, j] + a[i + 1, j])


def make_jacobi_step(shape, rng):
    a = uniform(rng, *shape)
    return Launch((ceil_div(shape[0], 16), ceil_div(shape[1], 16)), (16, 16), (a, a.copy()))


def reference_jacobi_step(a, b):
    out = a.copy()
    neighbours = a[1:-1, 2:] + a[1:-1, :-2] + a[:-2, 1:-1] + a[2:, 1:-1]
    out[1:-1, 1:-1] = neighbours / 4
    return out


@cuda.jit
def heat_2d(a, b, alpha):
    """Explicit heat step on a 16x16 tile with a halo of one in shared memory."""
    tile = cuda.shared.array((18, 18), float32)
    x, y = cuda.grid(2)
    tx, ty = cuda.threadIdx.x + 1, cuda.threadIdx.y + 1
    h, w = a.shape
    # Every thread loads its own cell, those at the rim the halo too; clamped at the border.
    cx, cy = min(x, w - 1), min(y, h - 1)
    tile[ty, tx] = a[cy, cx]
    if tx == 1:
        tile[ty, 0] = a[cy, max(x - 1, 0)]
    if tx == 16:
        tile[ty, 17] = a[cy, min(x + 1, w - 1)]
    if ty == 1:
        tile[0, tx] = a[max(y - 1, 0), cx]
    if ty == 16:
        tile[17, tx] = a[min(y + 1, h - 1), cx]
    cuda.syncthreads()
    if x < w and y < h:
        right = tile[ty, tx + 1] if x + 1 < w else tile[ty, tx]
        below = tile[ty + 1, tx] if y + 1 < h else tile[ty, tx]
        change = right + below + tile[ty, tx - 1] + tile[ty - 1, tx]
        b[y, x] = tile[ty, tx] + alpha * (change - float32(4) * tile[ty, tx])


def make_heat_2d(shape, rng):
    a = uniform(rng, *shape)
    grid = (ceil_div(shape[1], 16), ceil_div(shape[0], 16))
    return Launch(grid, (16, 16), (a, np.zeros_like(a), np.float32(0.2)))


def reference_heat_2d(a, b, alpha):
    p = np.pad(a, 1, mode="edge")
    return a + alpha * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1] - 4 * a)


@cuda.jit
def heat_3d(a, b, c):
    """Seven-point heat step of a cube, one thread a cell."""
    i, j, k = cuda.grid(3)
    depth, height, width = a.shape
    if 0 < i < width - 1 and 0 < j < height - 1 and 0 < k < depth - 1:
        around = a[k - 1, j, i] + a[k + 1, j, i] + a[k, j - 1, i] + a[k, j + 1, i]
        around += a[k, j, i - 1] + a[k, j, i + 1]
        b[k, j, i] = a[k, j, i] + c * (around - float32(6) * a[k, j, i])


def make_heat_3d(shape, rng):
    a = uniform(rng, *shape)
    grid = (ceil_div(shape[2], 32), ceil_div(shape[1], 4), ceil_div(shape[0], 2))
    return Launch(grid, (32, 4, 2), (a, a.copy(), np.float32(0.1)))


def reference_heat_3d(a, b, c):
    out, inner = a.copy(), a[1:-1, 1:-1, 1:-1]
    around = a[:-2, 1:-1, 1:-1] + a[2:, 1:-1, 1:-1] + a[1:-1, :-2, 1:-1] + a[1:-1, 2:, 1:-1]
    around += a[1:-1, 1:-1, :-2] + a[1:-1, 1:-1, 2:]
    out[1:-1, 1:-1, 1:-1] = inner + c * (around - 6 * inner)
    return out


@cuda.jit
def laplace_columns(a, b):
    """3-D Laplacian, each thread marching down a column with three planes in registers."""
    plane = cuda.shared.array((18, 34), float32)
    x, y = cuda.grid(2)
    tx, ty = cuda.threadIdx.x + 1, cuda.threadIdx.y + 1
    depth, height, width = a.shape
    inside = 0 < x < width - 1 and 0 < y < height - 1
    cx, cy = min(x, width - 1), min(y, height - 1)
    before, here = float32(0), a[0, cy, cx]
    for z in range(1, depth):
        after = a[z, cy, cx]
        if z > 1:
            plane[ty, tx] = here
            if tx == 1 and x > 0:
                plane[ty, 0] = a[z - 1, cy, x - 1]
            if tx == 32 and x < width - 1:
                plane[ty, 33] = a[z - 1, cy, x + 1]
            if ty == 1 and y > 0:
                plane[0, tx] = a[z - 1, y - 1, cx]
            if ty == 16 and y < height - 1:
                plane[17, tx] = a[z - 1, y + 1, cx]
            cuda.syncthreads()
            if inside:
                flat = plane[ty, tx - 1] + plane[ty, tx + 1] + plane[ty - 1, tx] + plane[ty + 1, tx]
                b[z - 1, y, x] = before + after + flat - float32(6) * here
            cuda.syncthreads()
        before, here = here, after


def make_laplace_columns(shape, rng):
    a = uniform(rng, *shape)
    grid = (ceil_div(shape[2], 32), ceil_div(shape[1], 16))
    return Launch(grid, (32, 16), (a, np.zeros_like(a)))


def reference_laplace_columns(a, b):
    return reference_heat_3d(a, b, 1.0) * np.pad(np.ones(np.subtract(a.shape, 2)), 1) - np.pad(
        a[1:-1, 1:-1, 1:-1], 1
    )


@cuda.jit
def life(a, b):
    """A generation of the Game of Life on a torus."""
    x, y = cuda.grid(2)
    h, w = a.shape
    if x >= w or y >= h:
        return
    n = 0
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dx != 0 or dy != 0:
                n += a[(y + dy) % h, (x + dx) % w]
    if n == 3 or (n == 2 and a[y, x] == 1):
        b[y, x] = 1
    else:
        b[y, x] = 0


@cuda.jit
def life_shared(a, b):
    """The Game of Life on bytes, from a shared tile with halo."""
    tile = cuda.shared.array((18, 34), uint8)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    h, w = a.shape
    x0, y0 = cuda.blockIdx.x * 32 - 1, cuda.blockIdx.y * 16 - 1
    for j in range(ty, 18, 16):
        for i in range(tx, 34, 32):
            tile[j, i] = a[(y0 + j + h) % h, (x0 + i + w) % w]
    cuda.syncthreads()
    x, y = cuda.grid(2)
    if x < w and y < h:
        n = tile[ty, tx] + tile[ty, tx + 1] + tile[ty, tx + 2]
        n += tile[ty + 1, tx] + tile[ty + 1, tx + 2]
        n += tile[ty + 2, tx] + tile[ty + 2, tx + 1] + tile[ty + 2, tx + 2]
        b[y, x] = n == 3 or (n == 2 and tile[ty + 1, tx + 1] == 1)


def make_life(dtype, block):
    def make(shape, rng):
        a = rng.integers(0, 2, shape).astype(dtype)
        grid = (ceil_div(shape[1], block[0]), ceil_div(shape[0], block[1]))
        return Launch(grid, block, (a, np.zeros_like(a)))

    return make


def reference_life(a, b):
    around = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    n = sum(np.roll(a, shift, (0, 1)) for shift in around)
    return (n == 3) | ((n == 2) & (a == 1))


FLAT, LARGE = ((1, 1), (5, 3), (45, 67)), (2048, 2048)
SEVEN = scaled(8, 12, "eight roundings of terms up to 12")
ENTRIES = [
    Entry(stencil_1d, make_stencil_1d, reference_stencil_1d, 300, (1, 257, 1001), 1 << 22,
          tolerance=rounded(6, "six additions")),
    Entry(jacobi_step, make_jacobi_step, reference_jacobi_step, (20, 30), ((3, 3), (45, 67)),
          LARGE, tolerance=rounded(4, "three additions, one store")),
    Entry(heat_2d, make_heat_2d, reference_heat_2d, (20, 30), FLAT, LARGE, outputs=(1,),
          tolerance=SEVEN),
    Entry(heat_3d, make_heat_3d, reference_heat_3d, (4, 6, 34), ((3, 3, 3), (9, 17, 35)),
          (128, 128, 128), outputs=(1,), tolerance=SEVEN),
    Entry(laplace_columns, make_laplace_columns, reference_laplace_columns, (4, 18, 34),
          ((3, 3, 3), (9, 17, 35)), (128, 128, 128), tolerance=SEVEN),
    Entry(life, make_life(np.int32, (16, 16)), reference_life, (20, 30), FLAT, LARGE),
    Entry(life_shared, make_life(np.uint8, (32, 16)), reference_life, (20, 40), FLAT, LARGE),
]  # fmt: skip
