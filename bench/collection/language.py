"""Parts of the language: locks, tickets, views, tuples, stacks, records and slices."""

from __future__ import annotations

import math

import numpy as np
from numba import cuda, float32, float64, int32

from .entry import Entry, Launch, Tolerance, ceil_div, normal, scaled, uniform

DEPTH = 32


@cuda.jit
def locked_sum(lock, x, total):
    """One thread of each block adds under a lock made of compare-and-swap."""
    part = cuda.shared.array(1, float64)
    if cuda.threadIdx.x == 0:
        part[0] = 0
    cuda.syncthreads()
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.add(part, 0, x[i])
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        while cuda.atomic.cas(lock, 0, 0, 1) != 0:
            pass
        cuda.threadfence()
        total[0] += part[0]
        cuda.threadfence()
        cuda.atomic.exch(lock, 0, 0)


def make_locked_sum(n, rng):
    args = (np.zeros(1, np.int32), rng.random(n), np.zeros(1))
    return Launch(ceil_div(n, 64), 64, args)


@cuda.jit
def round_robin(x, turn, buckets):
    """atomic.inc deals the elements to seven buckets; atomic.dec counts them down."""
    i = cuda.grid(1)
    if i < x.size:
        bucket = cuda.atomic.inc(turn, 0, 6)
        cuda.atomic.add(buckets, bucket, 1)
        cuda.atomic.xor(buckets, 7, x[i])
        cuda.atomic.dec(turn, 1, 1 << 20)


def make_round_robin(n, rng):
    x = rng.integers(0, 1 << 20, n).astype(np.uint32)
    args = (x, np.array([0, 1 << 19], np.uint32), np.zeros(8, np.uint32))
    return Launch(ceil_div(n, 64), 64, args)


def reference_round_robin(x, turn, buckets):
    n = x.size
    counts = [n // 7 + (k < n % 7) for k in range(7)]
    return np.array([n % 7, (1 << 19) - n]), np.array([*counts, np.bitwise_xor.reduce(x)])


@cuda.jit
def two_views(keys, values, out):
    """Two arrays of different types share one dynamic buffer; each block reverses pairs."""
    n = cuda.blockDim.x
    k = cuda.shared.array(0, int32)
    v = cuda.shared.array(0, float64)[64:]
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    k[t] = keys[i]
    v[t] = values[i]
    cuda.syncthreads()
    out[i] = k[n - 1 - t] * v[n - 1 - t]


def make_two_views(n, rng):
    args = (rng.integers(0, 99, n).astype(np.int32), rng.random(n), np.zeros(n))
    return Launch(n // 128, 128, args, 64 * 8 + 128 * 8)


def reference_two_views(keys, values, out):
    return (keys * values).reshape(-1, 128)[:, ::-1].ravel()


@cuda.jit(device=True)
def polar(x, y):
    """(radius, angle) of a point."""
    return math.sqrt(x * x + y * y), math.atan2(y, x)


@cuda.jit
def to_polar(points, out):
    """A device function that returns a tuple."""
    i = cuda.grid(1)
    if i < points.shape[0]:
        radius, angle = polar(points[i, 0], points[i, 1])
        out[i, 0] = radius
        out[i, 1] = angle


def make_to_polar(n, rng):
    points = normal(rng, n, 2)
    return Launch(ceil_div(n, 128), 128, (points, np.zeros_like(points)))


def reference_to_polar(points, out):
    return np.stack([np.hypot(*points.T), np.arctan2(points[:, 1], points[:, 0])], 1)


KNIGHT = ((1, 2), (2, 1), (2, -1), (1, -2), (-1, -2), (-2, -1), (-2, 1), (-1, 2))


@cuda.jit
def knight_moves(board, out):
    """Sum over the knight's moves: a constant tuple of tuples."""
    x, y = cuda.grid(2)
    h, w = board.shape
    if x < w and y < h:
        total = 0
        for k in range(8):
            yy = y + KNIGHT[k][0]
            xx = x + KNIGHT[k][1]
            if 0 <= yy < h and 0 <= xx < w:
                total += board[yy, xx]
        out[y, x] = total


def make_knight_moves(shape, rng):
    board = rng.integers(0, 99, shape).astype(np.int32)
    grid = (ceil_div(shape[1], 16), ceil_div(shape[0], 16))
    return Launch(grid, (16, 16), (board, np.zeros_like(board)))


def reference_knight_moves(board, out):
    p, (h, w) = np.pad(board, 2), board.shape
    return sum(p[2 + dy : 2 + dy + h, 2 + dx : 2 + dx + w] for dy, dx in KNIGHT)


@cuda.jit
def range_count(low, high, tree, counts):
    """Elements of a search tree within a range; the recursion is a stack in a local array."""
    i = cuda.grid(1)
    if i >= counts.size:
        return
    stack = cuda.local.array(DEPTH, int32)
    stack[0] = 0
    top = 1
    found = 0
    while top > 0:
        top -= 1
        node = stack[top]
        if node >= tree.size:
            continue
        v = tree[node]
        if low[i] <= v < high[i]:
            found += 1
        if v >= low[i]:
            stack[top] = 2 * node + 1
            top += 1
        if v < high[i]:
            stack[top] = 2 * node + 2
            top += 1
    counts[i] = found


def make_range_count(n, rng):
    # A full tree of 1,023 sorted numbers: node k has the children 2k + 1 and 2k + 2.
    values, tree, order = np.sort(rng.integers(0, 5000, 1023)), np.empty(1023, np.int64), []
    stack, node = [], 0
    while stack or node < 1023:
        while node < 1023:
            stack.append(node)
            node = 2 * node + 1
        node = stack.pop()
        order.append(node)
        node = 2 * node + 2
    tree[order] = values
    low = rng.integers(0, 5000, n)
    return Launch(ceil_div(n, 64), 64, (low, low + 200, tree, np.zeros(n, np.int32)))


def reference_range_count(low, high, tree, counts):
    values = np.sort(tree)
    return np.searchsorted(values, high) - np.searchsorted(values, low)


@cuda.jit
def row_views(a, out):
    """A row taken as a view, its parts as slices."""
    i = cuda.grid(1)
    if i < a.shape[0]:
        row = a[i]
        half = row.shape[0] // 2
        first, second = row[:half], row[half:]
        total = float32(0)
        for k in range(half):
            total += first[k] * second[k]
        out[i] = total


def make_row_views(shape, rng):
    return Launch(ceil_div(shape[0], 64), 64, (uniform(rng, *shape), np.zeros(shape[0], "f4")))


def reference_row_views(a, out):
    half = a.shape[1] // 2
    return (a[:, :half] * a[:, half : 2 * half]).sum(1)


def power_kernel(exponent):
    """A kernel that closes over a number."""

    @cuda.jit
    def power_series(x, out):
        """1 + x + ... + x^exponent, the exponent frozen from a closure."""
        i = cuda.grid(1)
        if i < x.size:
            total = 1.0
            term = 1.0
            for _ in range(exponent):
                term *= x[i]
                total += term
            out[i] = total

    return power_series


def make_power_series(n, rng):
    x = rng.random(n)
    return Launch(ceil_div(n, 128), 128, (x, np.zeros_like(x)))


ODD, LARGE = (1, 129, 1001), 1 << 18
ENTRIES = [
    Entry(locked_sum, make_locked_sum, lambda lock, x, total: x.sum(keepdims=True), 100, ODD,
          LARGE, tolerance=Tolerance(1e-12, 0, "float64 sums in any order")),
    Entry(round_robin, make_round_robin, reference_round_robin, 100, ODD, LARGE, outputs=(1, 2)),
    Entry(two_views, make_two_views, reference_two_views, 128, (128, 1280), LARGE),
    Entry(to_polar, make_to_polar, reference_to_polar, 100, ODD, LARGE,
          tolerance=scaled(6, 1, "products, sum and root; atan2 within 2 ulp")),
    Entry(knight_moves, make_knight_moves, reference_knight_moves, (18, 20), ((1, 1), (45, 67)),
          (1024, 1024)),
    Entry(range_count, make_range_count, reference_range_count, 40, ODD, 1 << 14),
    Entry(row_views, make_row_views, reference_row_views, (40, 10), ((1, 2), (67, 33)),
          (4096, 256), tolerance=scaled(130, 0, "sums of up to 128 positive products")),
    Entry(power_kernel(8), make_power_series, lambda x, out: sum(x**k for k in range(9)), 100, ODD,
          LARGE, tolerance=Tolerance(1e-14, 0, "two dozen float64 roundings of positive terms")),
]  # fmt: skip
