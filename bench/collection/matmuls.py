"""Matrix products without tiles in two dimensions: naive, 1-D blocks, by warps, batched."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32

from .entry import Entry, Launch, Tolerance, ceil_div, rounded, uniform


@cuda.jit
def matmul_naive(a, b, c):
    """One thread an element; x runs along the rows, as in Numba's documentation."""
    row, col = cuda.grid(2)
    if row < c.shape[0] and col < c.shape[1]:
        total = float32(0.0)
        for k in range(a.shape[1]):
            total += a[row, k] * b[k, col]
        c[row, col] = total


@cuda.jit
def matmul_coalesced(a, b, c):
    """One thread an element; x runs along the columns, so that a warp reads a row of b."""
    col, row = cuda.grid(2)
    if row < c.shape[0] and col < c.shape[1]:
        total = float32(0.0)
        for k in range(a.shape[1]):
            total += a[row, k] * b[k, col]
        c[row, col] = total


@cuda.jit
def matmul_double(a, b, c):
    """The careless version: a Python float makes the sum float64."""
    col, row = cuda.grid(2)
    if row < c.shape[0] and col < c.shape[1]:
        total = 0.0
        for k in range(a.shape[1]):
            total += a[row, k] * b[k, col]
        c[row, col] = total


@cuda.jit
def matmul_transposed(a, b, c):
    """c = a b^T: both operands are read along their rows."""
    col, row = cuda.grid(2)
    if row < c.shape[0] and col < c.shape[1]:
        total = float32(0)
        for k in range(a.shape[1]):
            total += a[row, k] * b[col, k]
        c[row, col] = total


@cuda.jit
def matmul_flat(a, b, c):
    """A 1-D block and grid: row and column come from a division."""
    i = cuda.grid(1)
    n = c.shape[1]
    if i < c.size:
        row = i // n
        col = i % n
        total = float32(0)
        for k in range(a.shape[1]):
            total += a[row, k] * b[k, col]
        c[row, col] = total


@cuda.jit
def matmul_warp(a, b, c):
    """One warp an element of c = a b^T: the lanes share the sum and add it up by shuffles."""
    lane = cuda.threadIdx.x % 32
    element = cuda.grid(1) // 32
    if element >= c.size:
        return
    row, col = element // c.shape[1], element % c.shape[1]
    total = float32(0)
    for k in range(lane, a.shape[1], 32):
        total += a[row, k] * b[col, k]
    for offset in (16, 8, 4, 2, 1):
        total += cuda.shfl_down_sync(0xFFFFFFFF, total, offset)
    if lane == 0:
        c[row, col] = total


@cuda.jit
def matmul_batched(a, b, c):
    """A stack of small products, the stack along z."""
    col, row, item = cuda.grid(3)
    if item < c.shape[0] and row < c.shape[1] and col < c.shape[2]:
        total = float32(0)
        for k in range(a.shape[2]):
            total += a[item, row, k] * b[item, k, col]
        c[item, row, col] = total


@cuda.jit
def matvec_rows(a, x, y):
    """y = a x, one row a thread."""
    row = cuda.grid(1)
    if row < a.shape[0]:
        total = float32(0)
        for k in range(a.shape[1]):
            total += a[row, k] * x[k]
        y[row] = total


@cuda.jit
def matvec_blocks(a, x, y):
    """y = a x, one row a block, the sum by a tree in shared memory."""
    parts = cuda.shared.array(128, float32)
    row = cuda.blockIdx.x
    t = cuda.threadIdx.x
    total = float32(0)
    for k in range(t, a.shape[1], cuda.blockDim.x):
        total += a[row, k] * x[k]
    parts[t] = total
    cuda.syncthreads()
    s = 64
    while s > 0:
        if t < s:
            parts[t] += parts[t + s]
        cuda.syncthreads()
        s //= 2
    if t == 0:
        y[row] = parts[0]


@cuda.jit
def outer_product(x, y, out):
    """out = x y^T on a 2-D grid."""
    i, j = cuda.grid(2)
    if i < x.size and j < y.size:
        out[i, j] = x[i] * y[j]


def product(shape, rng, second):
    m, k, n = shape
    return uniform(rng, m, k), uniform(rng, *second(k, n)), np.zeros((m, n), np.float32)


def make_grid(rows_first, second=lambda k, n: (k, n)):
    def make(shape, rng):
        m, _, n = shape
        grid = (ceil_div(m, 16), ceil_div(n, 16))
        grid = grid if rows_first else grid[::-1]
        return Launch(grid, (16, 16), product(shape, rng, second))

    return make


def make_flat(per_block, threads, second):
    def make(shape, rng):
        blocks = ceil_div(shape[0] * shape[2], per_block)
        return Launch(blocks, threads, product(shape, rng, second))

    return make


def make_batched(shape, rng):
    count, m, k, n = shape
    grid = (ceil_div(n, 8), ceil_div(m, 8), ceil_div(count, 4))
    args = (uniform(rng, count, m, k), uniform(rng, count, k, n), np.zeros((count, m, n), "f4"))
    return Launch(grid, (8, 8, 4), args)


def make_matvec(grid, block):
    def make(shape, rng):
        a, x = uniform(rng, *shape), uniform(rng, shape[1])
        return Launch(grid(shape[0]), block, (a, x, np.zeros(shape[0], np.float32)))

    return make


def make_outer_product(shape, rng):
    grid = (ceil_div(shape[0], 16), ceil_div(shape[1], 16))
    args = (uniform(rng, shape[0]), uniform(rng, shape[1]), np.zeros(shape, np.float32))
    return Launch(grid, (16, 16), args)


def flops(a, b, c):
    return 2.0 * c.size * a.shape[-1]


ROWS, COLUMNS = (lambda k, n: (k, n)), (lambda k, n: (n, k))
ODD, LARGE = ((1, 1, 1), (37, 53, 41)), (512, 512, 512)
SUM = rounded(513, "a sum of up to 512 positive products in turn")
FLOP = {"tolerance": SUM, "work": flops, "unit": "FLOP"}
ENTRIES = [
    Entry(matmul_naive, make_grid(True), lambda a, b, c: a @ b, (18, 9, 17), ODD, LARGE, **FLOP),
    Entry(matmul_coalesced, make_grid(False), lambda a, b, c: a @ b, (18, 9, 17), ODD, LARGE,
          **FLOP),
    Entry(matmul_double, make_grid(False), lambda a, b, c: a @ b, (18, 9, 17), ODD, LARGE,
          tolerance=Tolerance(2 * 2.0**-24, 0, "each product in float32, the sum in float64"),
          work=flops, unit="FLOP"),
    Entry(matmul_transposed, make_grid(False, COLUMNS), lambda a, b, c: a @ b.T, (18, 9, 17), ODD,
          LARGE, **FLOP),
    Entry(matmul_flat, make_flat(256, 256, ROWS), lambda a, b, c: a @ b, (18, 9, 17), ODD, LARGE,
          **FLOP),
    Entry(matmul_warp, make_flat(4, 128, COLUMNS), lambda a, b, c: a @ b.T, (3, 40, 5), ODD,
          (256, 512, 256), **FLOP),
    Entry(matmul_batched, make_batched, lambda a, b, c: a @ b, (3, 5, 6, 7),
          ((1, 1, 1, 1), (5, 9, 8, 17)), (1024, 32, 32, 32), **FLOP),
    Entry(matvec_rows, make_matvec(lambda n: ceil_div(n, 128), 128), lambda a, x, y: a @ x,
          (70, 30), ((1, 1), (131, 67)), (2048, 2048),
          tolerance=rounded(2049, "a sum of up to 2048 positive products in turn")),
    Entry(matvec_blocks, make_matvec(lambda n: n, 128), lambda a, x, y: a @ x, (3, 200),
          ((1, 1), (13, 301)), (2048, 2048), tolerance=rounded(25, "16 products, a tree of 7")),
    Entry(outer_product, make_outer_product, lambda x, y, out: np.outer(x, y), (20, 30),
          ((1, 1), (45, 67)), (2048, 2048), tolerance=rounded(1, "one product")),
]  # fmt: skip
