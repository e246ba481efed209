"""Particles: gravity with and without tiles, records, k-means."""

from __future__ import annotations

import math

import numpy as np
from numba import cuda, float32, from_dtype

from .entry import Entry, Launch, ceil_div, normal, scaled, uniform

TILE = 64
SOFTENING = 0.01


@cuda.jit
def nbody_tiled(pos, acc):
    """Accelerations of all on all; positions pass through shared memory in tiles of 64."""
    tile = cuda.shared.array((TILE, 3), float32)
    i, t = cuda.grid(1), cuda.threadIdx.x
    ax, ay, az = float32(0), float32(0), float32(0)
    xi, yi, zi = pos[i, 0], pos[i, 1], pos[i, 2]
    for b in range(pos.shape[0] // TILE):
        for c in range(3):
            tile[t, c] = pos[b * TILE + t, c]
        cuda.syncthreads()
        for j in range(TILE):
            dx = tile[j, 0] - xi
            dy = tile[j, 1] - yi
            dz = tile[j, 2] - zi
            inverse = float32(1) / math.sqrt(dx * dx + dy * dy + dz * dz + float32(SOFTENING))
            w = inverse * inverse * inverse
            ax += dx * w
            ay += dy * w
            az += dz * w
        cuda.syncthreads()
    acc[i, 0] = ax
    acc[i, 1] = ay
    acc[i, 2] = az


@cuda.jit
def nbody_naive(pos, acc):
    """The same straight from global memory, in a local array of three."""
    i = cuda.grid(1)
    if i < pos.shape[0]:
        a = cuda.local.array(3, float32)
        d = cuda.local.array(3, float32)
        for c in range(3):
            a[c] = 0
        for j in range(pos.shape[0]):
            r2 = float32(SOFTENING)
            for c in range(3):
                d[c] = pos[j, c] - pos[i, c]
                r2 += d[c] * d[c]
            w = r2 ** float32(-1.5)
            for c in range(3):
                a[c] += d[c] * w
        for c in range(3):
            acc[i, c] = a[c]


def make_nbody(n, rng):
    pos = uniform(rng, n, 3)
    return Launch(ceil_div(n, TILE), TILE, (pos, np.zeros_like(pos)))


def reference_nbody(pos, acc):
    out = np.empty(pos.shape)
    for part in range(0, len(pos), 256):
        d = pos[None] - pos[part : part + 256, None]
        w = ((d * d).sum(-1) + np.float32(SOFTENING)) ** -1.5
        out[part : part + 256] = (d * w[..., None]).sum(1)
    return out


PARTICLE = np.dtype([("x", "f4"), ("y", "f4"), ("vx", "f4"), ("vy", "f4"), ("hits", "i4")])
particle = from_dtype(PARTICLE)


@cuda.jit
def move_particles(particles, dt):
    """Records: particles fly on and bounce off the walls of the unit square."""
    i = cuda.grid(1)
    if i < particles.size:
        p = particles[i]
        p.x += p.vx * dt
        p.y += p.vy * dt
        if p.x < 0 or p.x > 1:
            p.vx = -p.vx
            p.hits += 1
        if p.y < 0 or p.y > 1:
            p.vy = -p.vy
            p.hits += 1


def make_move_particles(n, rng):
    particles = np.zeros(n, PARTICLE)
    for name in ("x", "y"):
        particles[name], particles["v" + name] = uniform(rng, n), normal(rng, n)
    return Launch(ceil_div(n, 128), 128, (particles, np.float32(0.125)))


def reference_move_particles(particles, dt):
    new = np.zeros(len(particles), [(name, "f8") for name in PARTICLE.names])
    for name in PARTICLE.names:
        new[name] = particles[name]
    for name in ("x", "y"):
        new[name] += new["v" + name] * float(dt)
        out = (new[name] < 0) | (new[name] > 1)
        new["v" + name] *= np.where(out, -1, 1)
        new["hits"] += out
    return new


@cuda.jit
def sort_records_by_cell(particles, cells, counts, places):
    """Puts records into cells of a grid; shared records pass through the block."""
    staged = cuda.shared.array(64, dtype=particle)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    if i < particles.size:
        staged[t] = particles[i]
    cuda.syncthreads()
    if i < particles.size:
        cell = int(staged[t].x * cells) + cells * int(staged[t].y * cells)
        places[i] = cell
        cuda.atomic.add(counts, cell, 1)


def make_sort_records(n, rng):
    particles = make_move_particles(n, rng).args[0]
    zeros = (np.zeros(64, np.int32), np.zeros(n, np.int32))
    return Launch(ceil_div(n, 64), 64, (particles, 8, *zeros))


def reference_sort_records(particles, cells, counts, places):
    x, y = ((particles[c] * np.float32(cells)).astype(int) for c in ("x", "y"))
    return np.bincount(x + cells * y, minlength=counts.size), x + cells * y


@cuda.jit
def kmeans_assign(points, centres, labels):
    """The nearest centre of each point."""
    i = cuda.grid(1)
    if i >= points.shape[0]:
        return
    best = float32(np.inf)
    label = -1
    for k in range(centres.shape[0]):
        distance = float32(0)
        for d in range(points.shape[1]):
            difference = points[i, d] - centres[k, d]
            distance += difference * difference
        if distance < best:
            best = distance
            label = k
    labels[i] = label


def make_kmeans_assign(n, rng):
    # Small integers: all distances are exact, so that ties fall to the first centre.
    points, centres = (rng.integers(-8, 9, (m, 8)).astype(np.float32) for m in (n, 16))
    return Launch(ceil_div(n, 128), 128, (points, centres, np.zeros(n, np.int32)))


def reference_kmeans_assign(points, centres, labels):
    return ((points[:, None] - centres[None]) ** 2).sum(2).argmin(1)


@cuda.jit
def kmeans_update(points, labels, sums, counts):
    """Sums and counts per label: in shared memory first, then atomically in global memory."""
    part = cuda.shared.array((16, 8), float32)
    t = cuda.threadIdx.x
    part[t // 8, t % 8] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), points.shape[0], cuda.gridsize(1)):
        for d in range(8):
            cuda.atomic.add(part, (labels[i], d), points[i, d])
        cuda.atomic.add(counts, labels[i], 1)
    cuda.syncthreads()
    cuda.atomic.add(sums, (t // 8, t % 8), part[t // 8, t % 8])


def make_kmeans_update(n, rng):
    points, labels = rng.integers(-8, 9, (n, 8)).astype(np.float32), rng.integers(0, 16, n)
    args = (points, labels, np.zeros((16, 8), np.float32), np.zeros(16, np.int32))
    return Launch(min(16, ceil_div(n, 128)), 128, args)


def reference_kmeans_update(points, labels, sums, counts):
    columns = [np.bincount(labels, points[:, d], minlength=16) for d in range(8)]
    return np.stack(columns, 1), np.bincount(labels, minlength=16)


ODD, LARGE = (1, 129, 1001), 1 << 17
PULL = scaled(400, 200, "sums of signed terms up to 400 that cancel to near 0")
FLOPS = {"tolerance": PULL, "work": lambda pos, acc: 20.0 * len(pos) ** 2, "unit": "FLOP"}
ENTRIES = [
    Entry(nbody_tiled, make_nbody, reference_nbody, 64, (64, 320), 2048, **FLOPS),
    Entry(nbody_naive, make_nbody, reference_nbody, 40, (1, 67, 301), 2048, **FLOPS),
    Entry(move_particles, make_move_particles, reference_move_particles, 200, ODD, 1 << 20,
          outputs=(0,), tolerance=scaled(2, 1, "one product, one sum")),
    Entry(sort_records_by_cell, make_sort_records, reference_sort_records, 100, ODD, 1 << 20,
          outputs=(2, 3)),
    Entry(kmeans_assign, make_kmeans_assign, reference_kmeans_assign, 100, ODD, LARGE,
          work=lambda p, c, _: 3.0 * p.size * len(c), unit="FLOP"),
    Entry(kmeans_update, make_kmeans_update, reference_kmeans_update, 300, ODD, LARGE,
          outputs=(2, 3)),
]  # fmt: skip
