"""Graphs and dynamic programming: Floyd-Warshall, BFS, components, knapsack, edit distance."""

from __future__ import annotations

import numpy as np
from numba import cuda, int32

from .entry import Entry, Launch, ceil_div

BLOCK = 128
WORD = 128
DIAGONAL = 129  # WORD + 1


@cuda.jit
def floyd_warshall_step(distance, k):
    """Shortest paths that may pass through node k; launched once per node."""
    j, i = cuda.grid(2)
    n = distance.shape[0]
    if i < n and j < n:
        through = distance[i, k] + distance[k, j]
        if through < distance[i, j]:
            distance[i, j] = through


def make_floyd_warshall(n, rng):
    d = np.where(rng.random((n, n)) < 0.2, rng.integers(1, 100, (n, n)), 10_000)
    d = d.astype(np.int32)
    np.fill_diagonal(d, 0)
    grid = (ceil_div(n, 32), ceil_div(n, 8))
    return [Launch(grid, (32, 8), (d, k)) for k in range(n)]


def reference_floyd_warshall(distance, k):
    d = distance.copy()
    for middle in range(len(d)):
        np.minimum(d, d[:, middle, None] + d[None, middle], out=d)
    return d


@cuda.jit
def bfs_level(starts, targets, level, depth, changed):
    """Breadth-first search: the nodes of one level mark their neighbours for the next."""
    node = cuda.grid(1)
    if node < depth.size and depth[node] == level:
        for e in range(starts[node], starts[node + 1]):
            other = targets[e]
            if depth[other] == -1:
                depth[other] = level + 1
                changed[0] = True


def make_bfs(n, rng):
    counts = np.append(7, rng.integers(0, 8, n - 1))  # the search starts at node 0
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    targets = rng.integers(0, n, starts[-1]).astype(np.int32)
    depth = np.full(n, -1, np.int32)
    depth[0] = 0
    changed = np.zeros(1, np.bool_)
    args = [(starts, targets, level, depth, changed) for level in range(12)]
    return [Launch(ceil_div(n, BLOCK), BLOCK, a) for a in args]


def reference_bfs(starts, targets, level, depth, changed):
    depth, sources = depth.copy(), np.repeat(np.arange(len(depth)), np.diff(starts))
    for now in range(12):
        reached = targets[depth[sources] == now]
        depth[reached[depth[reached] == -1]] = now + 1
    return depth, np.array([(depth > 0).any()])


@cuda.jit
def label_components(sources, targets, labels):
    """Connected components: every edge pulls both ends to the smaller label."""
    for e in range(cuda.grid(1), sources.size, cuda.gridsize(1)):
        a, b = sources[e], targets[e]
        low = min(labels[a], labels[b])
        cuda.atomic.min(labels, a, low)
        cuda.atomic.min(labels, b, low)


def make_label_components(n, rng):
    # Paths of eight nodes: seven launches suffice, whatever the order of the atomics.
    nodes = rng.permutation(8 * n).reshape(n, 8)
    sources, targets = nodes[:, :-1].ravel(), nodes[:, 1:].ravel()
    args = (sources, targets, np.arange(8 * n, dtype=np.int32))
    return [Launch(min(32, ceil_div(7 * n, BLOCK)), BLOCK, args)] * 7


def reference_label_components(sources, targets, labels):
    result, paths = labels.copy(), np.c_[sources.reshape(-1, 7), targets[6::7]]
    result[paths] = paths.min(1, keepdims=True)
    return result


@cuda.jit
def knapsack(weights, values, best):
    """0/1 knapsack of one block: a row of the table per item, two rows in use."""
    t = cuda.threadIdx.x
    capacity = best.shape[1] - 1
    for i in range(weights.shape[0]):
        old, new = i % 2, (i + 1) % 2
        for c in range(t, capacity + 1, cuda.blockDim.x):
            take = 0
            if weights[i] <= c:
                take = best[old, c - weights[i]] + values[i]
            best[new, c] = max(best[old, c], take)
        cuda.syncthreads()


def make_knapsack(n, rng):
    weights, values = rng.integers(1, 50, n), rng.integers(1, 100, n)
    return Launch(1, BLOCK, (weights, values, np.zeros((2, 10 * n + 1), np.int64)))


def reference_knapsack(weights, values, best):
    rows = [best[0], best[1]]
    for w, v in zip(weights, values):
        row = rows[-1 if len(rows) > 2 else 0]
        shifted = np.full_like(row, 0)
        shifted[w:] = row[: max(0, len(row) - w)] + v
        rows.append(np.maximum(row, shifted))
    n = len(weights)
    even, odd = (n, n - 1) if n % 2 == 0 else (n - 1, n)
    return np.stack([rows[1 + even] if even else best[0], rows[1 + odd]])


@cuda.jit
def edit_distance(a, b, distance):
    """Levenshtein distance of a pair of words per block, diagonal by diagonal."""
    d = cuda.shared.array((3, DIAGONAL), int32)
    pair = cuda.blockIdx.x
    i = cuda.threadIdx.x
    n = a.shape[1]
    for k in range(2 * n + 1):
        now, last, before = k % 3, (k + 2) % 3, (k + 1) % 3
        j = k - i
        if i <= n and 0 <= j <= n:
            if i == 0:
                d[now, i] = j
            elif j == 0:
                d[now, i] = i
            else:
                cost = 0 if a[pair, i - 1] == b[pair, j - 1] else 1
                step = min(d[last, i - 1], d[last, i]) + 1
                d[now, i] = min(step, d[before, i - 1] + cost)
        cuda.syncthreads()
    if i == n:
        distance[pair] = d[(2 * n) % 3, n]


def make_edit_distance(shape, rng):
    a = rng.integers(97, 101, shape).astype(np.uint8)
    b = np.roll(np.where(rng.random(shape) < 0.3, 120, a), 1, 1).astype(np.uint8)
    return Launch(shape[0], shape[1] + 1, (a, b, np.zeros(shape[0], np.int32)))


def reference_edit_distance(a, b, distance):
    pairs, n = a.shape
    row = np.tile(np.arange(n + 1), (pairs, 1))
    for i in range(n):
        new = np.empty_like(row)
        new[:, 0] = i + 1
        for j in range(n):
            step = np.minimum(row[:, j + 1], new[:, j]) + 1
            new[:, j + 1] = np.minimum(step, row[:, j] + (a[:, i] != b[:, j]))
        row = new
    return row[:, n]


ODD = (1, 67, 301)
ENTRIES = [
    Entry(floyd_warshall_step, make_floyd_warshall, reference_floyd_warshall, 20, (1, 37, 65), 256,
          outputs=(0,), work=lambda d, k: 2.0 * len(d) ** 3, unit="FLOP"),
    Entry(bfs_level, make_bfs, reference_bfs, 100, ODD, 1 << 16, outputs=(3, 4),
          work=lambda s, t, *_: float(12 * s.nbytes + t.nbytes), restore=(3, 4)),
    Entry(label_components, make_label_components, reference_label_components, 40, ODD, 1 << 15,
          work=lambda s, t, _: 7.0 * (s.nbytes + t.nbytes), restore=(2,)),
    Entry(knapsack, make_knapsack, reference_knapsack, 8, (1, 7, 60), 200,
          work=lambda w, v, b: 16.0 * len(w) * b.shape[1]),
    Entry(edit_distance, make_edit_distance, reference_edit_distance, (2, 31),
          ((1, 1), (3, 31), (5, 63)), (512, WORD - 1),
          work=lambda a, b, d: 5.0 * a.size * a.shape[1], unit="FLOP"),
]  # fmt: skip
