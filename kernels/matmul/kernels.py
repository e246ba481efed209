"""The kernels of the matrix product ``c[i, j] = sum over q of a[i, q] b[q, j]``.

Why tiles. Computed naively, each item of c reads 2 k numbers from global memory, and each number
of a is read again for every column of c. A block of threads that computes a square tile of c can
share what it reads: with tiles of width w every number is read from global memory k/w times less
often. The tile of a and the tile of b that the next w steps need are kept in shared memory:

              b  ┌──────┬──────┐
                 │      │▒▒▒▒▒▒│ k0    for k0 = 0, T, 2 T, …:
                 │      │▒▒▒▒▒▒│           load the two tiles ▒ together
                 └──────┴──────┘           barrier: both tiles are complete
      a  ┌─k0───┐┌──────┬──────┐           add their product to the tile of c
         │      ││      │      │           barrier: nobody needs the tiles any more
         │▒▒▒▒▒▒││      │  c   │
         └──────┘└──────┴──────┘

* :func:`matmul_tiled`: just that, with one item of c per thread. The kernel to read first.
* :func:`make_matmul`: what the launcher runs. On top of it

  1. a thread computes S x S items, T apart, from S numbers of a and S of b that it holds in
     registers: S² multiply-adds for 2 S reads of shared memory instead of 1 for 2;
  2. a and b may be stored transposed. Whatever the layout, neighbouring threads read
     neighbouring addresses of global memory, and the tile is turned while it is stored;
  3. bias and activation are applied while the result is still in registers.

See Volkov, Demmel, "Benchmarking GPUs to Tune Dense Linear Algebra", SC 2008, for 1.
"""

from __future__ import annotations

import functools
from typing import Any

from numba import cuda, float32

from ..activations.functions import value_function
from ..elementwise.functions import identity
from ..engine import Kernel, kernel

ACTIVATIONS = (None, "relu", "sigmoid", "tanh", "gelu", "silu")  # of every product
TILE = 16  # T: a block has T x T = 256 threads
HALF = 8  # products are summed in runs of 8, short enough that compilers unroll them entirely

# Storing a tile turned sends 16 threads to 16 rows of it. With rows of 16, 32 or 64 numbers they
# would all meet in one of the 32 banks of shared memory; rows longer by 2 spread them.
PADDING = 2


@kernel
def matmul_tiled(a, b, c):  # a: (m, k), b: (k, n), c: (m, n), all float32
    a_tile = cuda.shared.array((TILE, TILE), float32)
    b_tile = cuda.shared.array((TILE, TILE), float32)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    column = cuda.blockIdx.x * TILE + tx
    row = cuda.blockIdx.y * TILE + ty
    m, n = c.shape
    k = a.shape[1]
    total = float32(0.0)
    for k0 in range(0, k, TILE):
        # Beyond the edge the tiles are filled with zeros, which add nothing.
        inside = row < m and k0 + tx < k
        a_tile[ty, tx] = a[row, k0 + tx] if inside else float32(0.0)
        inside = k0 + ty < k and column < n
        b_tile[ty, tx] = b[k0 + ty, column] if inside else float32(0.0)
        cuda.syncthreads()
        for q in range(TILE):
            total += a_tile[ty, q] * b_tile[q, tx]
        cuda.syncthreads()
    if row < m and column < n:
        c[row, column] = total


@functools.cache
def make_matmul(
    real: Any, items: int, transpose_a: bool, transpose_b: bool, activation: str | None
) -> Kernel:
    """The kernel ``c = activation(a b + bias)`` for one dtype and storage order.

    Args:
        real: numba's float32 or float64.
        items: S, a thread computes S x S items and a block a tile of width ``S * TILE``.
        transpose_a: a is stored as (k, m).
        transpose_b: b is stored as (n, k).
        activation: name known to ``activations.functions.value_function``, or None.

    Returns:
        A kernel of (a, b, bias, c) with bias (n,) and c (m, n), for blocks of (TILE, TILE) and a
        grid of (tiles along n, y, z) with y z tiles along m: y alone ends at 65535.
    """
    S, T = items, TILE
    WIDTH = S * T
    A_SHAPE = (T, WIDTH) if transpose_a else (WIDTH, T)
    B_SHAPE = (T, WIDTH + PADDING) if transpose_b else (T, WIDTH)
    finish = identity if activation is None else value_function(activation, real)

    @kernel
    def matmul(a, b, bias, c):
        a_tile = cuda.shared.array(A_SHAPE, real)
        b_tile = cuda.shared.array(B_SHAPE, real)
        total = cuda.local.array((S, S), real)
        tx = cuda.threadIdx.x
        ty = cuda.threadIdx.y
        row0 = (cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y) * WIDTH
        column0 = cuda.blockIdx.x * WIDTH
        m, n = c.shape
        k = a.shape[0] if transpose_a else a.shape[1]
        for i in range(S):
            for j in range(S):
                total[i, j] = real(0.0)
        for k0 in range(0, k, T):
            for s in range(0, WIDTH, T):
                # tx runs along the rows of a and b as they are stored: coalesced reads.
                if transpose_a:
                    q, row = k0 + ty, row0 + s + tx
                    a_tile[ty, s + tx] = a[q, row] if row < m and q < k else real(0.0)
                else:
                    q, row = k0 + tx, row0 + s + ty
                    a_tile[s + ty, tx] = a[row, q] if row < m and q < k else real(0.0)
                if transpose_b:
                    q, column = k0 + tx, column0 + s + ty
                    b_tile[tx, s + ty] = b[column, q] if column < n and q < k else real(0.0)
                else:
                    q, column = k0 + ty, column0 + s + tx
                    b_tile[ty, s + tx] = b[q, column] if column < n and q < k else real(0.0)
            cuda.syncthreads()
            for q0 in range(0, T, HALF):
                for q in range(q0, q0 + HALF):
                    for i in range(S):
                        x = a_tile[q, i * T + ty] if transpose_a else a_tile[i * T + ty, q]
                        for j in range(S):
                            total[i, j] += x * b_tile[q, j * T + tx]
            cuda.syncthreads()
        for i in range(S):
            for j in range(S):
                row = row0 + i * T + ty
                column = column0 + j * T + tx
                if row < m and column < n:
                    c[row, column] = finish(total[i, j] + bias[column])

    return matmul
