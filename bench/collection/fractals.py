"""Iterations in the plane and rays in space: Mandelbrot, Julia, Newton, spheres."""

from __future__ import annotations

import math

import numpy as np
from numba import cuda, float32

from .entry import Entry, Launch, Tolerance, ceil_div

EDGE = Tolerance(
    why="points on the edge of the set escape an iteration earlier or later when an operation is "
    "fused; all others take the same number of steps",
    outliers=0.02,
)


@cuda.jit(device=True)
def escape(cr, ci, limit):
    """Steps until |z| exceeds 2; leaves the loop by return."""
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
def mandelbrot(out, x0, y0, dx, dy, limit):
    """Escape times of the Mandelbrot set by a device function."""
    x, y = cuda.grid(2)
    if x < out.shape[1] and y < out.shape[0]:
        out[y, x] = escape(float32(x0 + x * dx), float32(y0 + y * dy), limit)


@cuda.jit
def mandelbrot_stride(out, x0, y0, dx, dy, limit):
    """The same with a while loop, in a 2-D grid-stride loop."""
    start_x, start_y = cuda.grid(2)
    step_x, step_y = cuda.gridsize(2)
    for y in range(start_y, out.shape[0], step_y):
        for x in range(start_x, out.shape[1], step_x):
            cr = float32(x0 + x * dx)
            ci = float32(y0 + y * dy)
            zr, zi = float32(0), float32(0)
            n = 0
            while n < limit and zr * zr + zi * zi <= float32(4):
                zr, zi = zr * zr - zi * zi + cr, float32(2) * zr * zi + ci
                n += 1
            out[y, x] = n


def make_mandelbrot(grid):
    def make(shape, rng):
        h, w = shape
        args = (np.zeros(shape, np.int32), -2.0, -1.0, 3 / w, 2 / h, 200)
        return Launch(grid or (ceil_div(w, 16), ceil_div(h, 16)), (16, 16), args)

    return make


def iterated(z, c, limit):
    """Steps until |z| > 2 under z -> z^2 + c, in double precision."""
    n, active = np.full(z.shape, limit), np.arange(z.size)
    z, c = z.ravel(), np.broadcast_to(c, z.shape).ravel()
    for i in range(limit):
        out = z.real**2 + z.imag**2 > 4
        n.ravel()[active[out]] = i
        active, z, c = active[~out], z[~out], c[~out]
        z = z * z + c
    return n


def reference_mandelbrot(out, x0, y0, dx, dy, limit):
    h, w = out.shape
    cr = (x0 + np.arange(w) * dx).astype(np.float32).astype(float)
    ci = (y0 + np.arange(h) * dy).astype(np.float32).astype(float)
    c = cr[None] + 1j * ci[:, None]
    return iterated(np.zeros_like(c), c, limit)


@cuda.jit
def julia(out, c, scale, limit):
    """Escape times of a Julia set in complex arithmetic."""
    x, y = cuda.grid(2)
    h, w = out.shape
    if x >= w or y >= h:
        return
    z = complex((x - w / 2) * scale, (y - h / 2) * scale)
    n = 0
    while n < limit and z.real * z.real + z.imag * z.imag <= 4.0:
        z = z * z + c
        n += 1
    out[y, x] = n


def make_julia(shape, rng):
    args = (np.zeros(shape, np.uint16), complex(-0.8, 0.156), 3 / max(shape), 200)
    return Launch((ceil_div(shape[1], 16), ceil_div(shape[0], 16)), (16, 16), args)


def reference_julia(out, c, scale, limit):
    h, w = out.shape
    z = (np.arange(w)[None] - w / 2) * scale + 1j * (np.arange(h)[:, None] - h / 2) * scale
    return iterated(z, c, limit)


@cuda.jit
def newton_roots(out, size, limit):
    """Which cube root of one Newton's iteration reaches from each point of the plane."""
    i = cuda.grid(1)
    if i >= out.size:
        return
    z = complex((i % size) * 4.0 / size - 2.0, (i // size) * 4.0 / size - 2.0 + 1e-3)
    for _ in range(limit):
        square = z * z
        step = (square * z - 1.0) / (3.0 * square + 1e-30)
        z -= step
        if abs(step) < 1e-9:
            break
    if z.real > 0:
        out[i] = 0
    elif z.imag > 0:
        out[i] = 1
    else:
        out[i] = 2


def make_newton_roots(n, rng):
    return Launch(ceil_div(n * n, 128), 128, (np.zeros(n * n, np.int8), n, 60))


def reference_newton_roots(out, size, limit):
    i = np.arange(out.size)
    z = (i % size) * 4.0 / size - 2.0 + 1j * ((i // size) * 4.0 / size - 2.0 + 1e-3)
    going = np.ones(z.shape, bool)
    for _ in range(limit):
        with np.errstate(all="ignore"):
            step = (z**3 - 1) / (3 * z * z + 1e-30)
        z = np.where(going, z - step, z)
        going &= ~(abs(step) < 1e-9)
    return np.where(z.real > 0, 0, np.where(z.imag > 0, 1, 2))


@cuda.jit(device=True)
def hit(ox, oy, dx, dy, dz, sx, sy, sz, radius):
    """(True, distance) where a ray from (ox, oy, 0) meets a sphere, else (False, 0)."""
    lx, ly = sx - ox, sy - oy
    along = lx * dx + ly * dy + sz * dz
    apart = lx * lx + ly * ly + sz * sz - along * along
    reach = radius * radius - apart
    if reach < 0.0:
        return False, 0.0
    return True, along - math.sqrt(reach)


@cuda.jit
def ray_spheres(spheres, depth, nearest):
    """Parallel rays against all spheres: depth and number of the nearest hit."""
    x, y = cuda.grid(2)
    if x >= depth.shape[1] or y >= depth.shape[0]:
        return
    ox, oy = x / depth.shape[1], y / depth.shape[0]
    best, which = 1e30, -1
    for k in range(spheres.shape[0]):
        cx, cy, cz, r = spheres[k, 0], spheres[k, 1], spheres[k, 2], spheres[k, 3]
        found, t = hit(ox, oy, 0.0, 0.0, 1.0, cx, cy, cz, r)
        if found and t < best:
            best = t
            which = k
    depth[y, x] = best
    nearest[y, x] = which


def make_ray_spheres(shape, rng):
    spheres = rng.random((40, 4)) * (1, 1, 1, 0.2) + (0, 0, 1, 0.02)
    grid = (ceil_div(shape[1], 16), ceil_div(shape[0], 16))
    return Launch(grid, (16, 16), (spheres, np.zeros(shape), np.zeros(shape, np.int32)))


def reference_ray_spheres(spheres, depth, nearest):
    h, w = depth.shape
    best, which = np.full(depth.shape, 1e30), np.full(depth.shape, -1)
    x, y = np.arange(w)[None] / w, np.arange(h)[:, None] / h
    for k, (cx, cy, cz, r) in enumerate(spheres):
        reach = r * r - (cx - x) ** 2 - (cy - y) ** 2
        t = np.where(reach < 0, np.inf, cz - np.sqrt(np.maximum(reach, 0)))
        which[t < best] = k
        best = np.minimum(best, t)
    return best, which


def steps(out, *_):
    """Eight operations a step, a hundred steps a point on average: near enough for a rate."""
    return 8.0 * 50 * out.size


ODD, LARGE = ((1, 1), (45, 61)), (512, 768)
SPHERES = Tolerance(1e-6, 0, "the root loses half the digits at a sphere's rim", outliers=1e-4)
ENTRIES = [
    Entry(mandelbrot, make_mandelbrot(None), reference_mandelbrot, (12, 18), ODD, LARGE,
          outputs=(0,), tolerance=EDGE, work=steps, unit="FLOP"),
    Entry(mandelbrot_stride, make_mandelbrot((8, 8)), reference_mandelbrot, (12, 18), ODD, LARGE,
          outputs=(0,), tolerance=EDGE, work=steps, unit="FLOP"),
    Entry(julia, make_julia, reference_julia, (12, 18), ODD, LARGE, outputs=(0,), tolerance=EDGE,
          work=steps, unit="FLOP"),
    Entry(newton_roots, make_newton_roots, reference_newton_roots, 12, (1, 31, 67), 512,
          outputs=(0,), tolerance=EDGE, work=steps, unit="FLOP"),
    Entry(ray_spheres, make_ray_spheres, reference_ray_spheres, (12, 18), ODD, (512, 512),
          outputs=(1, 2), tolerance=SPHERES, work=lambda s, d, n: 20.0 * len(s) * d.size,
          unit="FLOP"),
]  # fmt: skip
