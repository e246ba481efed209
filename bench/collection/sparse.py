"""Products of a sparse matrix and a vector: CSR by threads and warps, COO, ELL; PageRank."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32

from .entry import Entry, Launch, ceil_div, rounded, uniform

BLOCK = 128


@cuda.jit
def csr_scalar(starts, columns, values, x, y):
    """CSR, one thread a row."""
    row = cuda.grid(1)
    if row < y.size:
        total = float32(0)
        for j in range(starts[row], starts[row + 1]):
            total += values[j] * x[columns[j]]
        y[row] = total


@cuda.jit
def csr_vector(starts, columns, values, x, y):
    """CSR, one warp a row, the sum by shuffles."""
    lane = cuda.threadIdx.x % 32
    row = cuda.grid(1) // 32
    if row >= y.size:
        return
    total = float32(0)
    for j in range(starts[row] + lane, starts[row + 1], 32):
        total += values[j] * x[columns[j]]
    for offset in (16, 8, 4, 2, 1):
        total += cuda.shfl_down_sync(0xFFFFFFFF, total, offset)
    if lane == 0:
        y[row] = total


@cuda.jit
def coo_atomic(rows, columns, values, x, y):
    """Coordinates, one thread an element, atomic additions."""
    i = cuda.grid(1)
    if i < values.size:
        cuda.atomic.add(y, rows[i], values[i] * x[columns[i]])


@cuda.jit
def ell(columns, values, x, y):
    """ELLPACK: rows padded to one length, stored by columns; -1 marks padding."""
    row = cuda.grid(1)
    if row < y.size:
        total = float32(0)
        for k in range(columns.shape[0]):
            column = columns[k, row]
            if column >= 0:
                total += values[k, row] * x[column]
        y[row] = total


def matrix(n, rng):
    """(row starts, columns, values) of n rows with 0 to 63 elements each."""
    counts = rng.integers(0, 64, n)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    columns = rng.integers(0, n, starts[-1]).astype(np.int32)
    return starts, columns, uniform(rng, starts[-1])


def make_csr(threads):
    def make(n, rng):
        args = (*matrix(n, rng), uniform(rng, n), np.zeros(n, np.float32))
        return Launch(ceil_div(n * threads, BLOCK), BLOCK, args)

    return make


def reference_csr(starts, columns, values, x, y):
    rows = np.repeat(np.arange(len(y)), np.diff(starts))
    return np.bincount(rows, values * x[columns], minlength=len(y))


def make_coo(n, rng):
    starts, columns, values = matrix(n, rng)
    rows = np.repeat(np.arange(n, dtype=np.int32), np.diff(starts))
    order = rng.permutation(len(rows))
    args = (rows[order], columns[order], values[order], uniform(rng, n), np.zeros(n, np.float32))
    return Launch(ceil_div(len(rows), BLOCK), BLOCK, args)


def reference_coo(rows, columns, values, x, y):
    return np.bincount(rows, values * x[columns], minlength=len(y))


def make_ell(n, rng):
    columns = np.where(rng.random((24, n)) < 0.7, rng.integers(0, n, (24, n)), -1)
    args = (columns.astype(np.int32), uniform(rng, 24, n), uniform(rng, n), np.zeros(n, "f4"))
    return Launch(ceil_div(n, BLOCK), BLOCK, args)


def reference_ell(columns, values, x, y):
    return np.where(columns >= 0, values * x[columns], 0).sum(0)


@cuda.jit
def pagerank_push(starts, targets, rank, damping, fresh):
    """One step of PageRank: each page adds its share to the pages it links to."""
    page = cuda.grid(1)
    if page >= rank.shape[0]:
        return
    first, last = starts[page], starts[page + 1]
    if last > first:
        share = damping * rank[page] / (last - first)
        for j in range(first, last):
            cuda.atomic.add(fresh, targets[j], share)


def make_pagerank_push(n, rng):
    starts, targets, _ = matrix(n, rng)
    args = (starts, targets, rng.random(n) / n, 0.85, np.full(n, 0.15 / n))
    return Launch(ceil_div(n, BLOCK), BLOCK, args)


def reference_pagerank_push(starts, targets, rank, damping, fresh):
    counts = np.diff(starts)
    share = np.repeat(damping * rank / np.maximum(counts, 1), counts)
    return fresh + np.bincount(targets, share, minlength=len(rank))


def bytes_of(columns, values):
    """Eight bytes an element and four of x: the figure CSR products are quoted in."""
    return 12.0 * values.size


ODD, LARGE = (1, 67, 1001), 1 << 16
SUM = rounded(130, "sums of up to about 128 positive products in any order")
ENTRIES = [
    Entry(csr_scalar, make_csr(1), reference_csr, 100, ODD, LARGE, tolerance=SUM,
          work=lambda s, c, v, *_: bytes_of(c, v)),
    Entry(csr_vector, make_csr(32), reference_csr, 12, ODD, LARGE, tolerance=SUM,
          work=lambda s, c, v, *_: bytes_of(c, v)),
    Entry(coo_atomic, make_coo, reference_coo, 20, ODD, LARGE, tolerance=SUM,
          work=lambda r, c, v, *_: bytes_of(c, v) + r.nbytes),
    Entry(ell, make_ell, reference_ell, 100, ODD, LARGE, tolerance=SUM,
          work=lambda c, v, *_: bytes_of(c, v)),
    Entry(pagerank_push, make_pagerank_push, reference_pagerank_push, 100, ODD, LARGE,
          tolerance=rounded(1, "float64 sums")),
]  # fmt: skip
