"""Step 6, wide access: four numbers at a time, 32-bit indices, unrolled by hand.

What changed:
    - Global and shared memory are read and written 128 bits at a time. A thread's 8 x 8 items are
      runs of four now, 64 apart, so that what it reads of a row of a tile lies together.
    - The matrices are passed as lines of numbers, and their indices are uint32.
    - The product of the two tiles is unrolled whole, by ``multiply_columns``.

Why:
    A multiprocessor issues one instruction per cycle and quarter; whatever is not a multiply-add
    costs one. Per step of k a thread now reads its 16 numbers with 4 instructions instead of 16.
    Numba's indices are signed 64-bit numbers that may count from the end: each access tests for
    that and computes an address in two registers. Unsigned ones need neither. And a loop around
    64 multiply-adds counts and branches; unrolled, all that is known at compile time.

Lens, at 128 x 128 x 128:
    For 32 multiply-adds: 0.0938 sectors of global memory, 0.266 wavefronts of shared memory
    (step 5: 0.0938 and 0.289).

On a GPU:
    The main loop is nearly all multiply-adds. What is left is waiting: for the tiles to arrive.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda, float32, uint32

from ...engine import Array, kernel
from ...engine.ptx import load4, multiply_columns, store4
from ..step import Step, blocks
from .step5_register_square import launch as launch_before
from .types import LINES

TILE = 128  # rows and columns of the block's tile of c
DEPTH = 8  # steps of k in shared memory at a time
ITEMS = 8  # items per thread and direction
HALF = 64  # a thread's two runs of four are half a tile apart
PITCH = TILE + 4  # rows start at a multiple of 16 bytes; a column's numbers in different banks
THREADS = 256
SHARED = DEPTH * PITCH
multiply = multiply_columns(DEPTH, ITEMS, ITEMS, HALF, HALF, PITCH)


@cuda.jit(device=True)
def load_tiles(a: Any, b: Any, a_tile: Any, b_tile: Any, k0: Any, m: Any, n: Any, k: Any) -> None:
    """Four numbers of each tile per thread; a's are turned, so that a row holds one step of k."""
    tid = uint32(cuda.threadIdx.x)
    row, q = uint32(tid >> uint32(1)), uint32(uint32(tid & uint32(1)) << uint32(2))
    at = uint32(uint32(q * uint32(PITCH)) + row)
    row = uint32(uint32(cuda.blockIdx.y * uint32(TILE)) + row)
    q = uint32(q + k0)
    x = float32(0.0), float32(0.0), float32(0.0), float32(0.0)
    if row < m and q < k:
        x = load4(a, uint32(uint32(row * k) + q))
    a_tile[at] = x[0]
    a_tile[uint32(at + uint32(PITCH))] = x[1]
    a_tile[uint32(at + uint32(2 * PITCH))] = x[2]
    a_tile[uint32(at + uint32(3 * PITCH))] = x[3]
    q, column = uint32(tid >> uint32(5)), uint32(uint32(tid & uint32(31)) << uint32(2))
    at = uint32(uint32(q * uint32(PITCH)) + column)
    q = uint32(q + k0)
    column = uint32(uint32(cuda.blockIdx.x * uint32(TILE)) + column)
    x = float32(0.0), float32(0.0), float32(0.0), float32(0.0)
    if q < k and column < n:
        x = load4(b, uint32(uint32(q * n) + column))
    store4(b_tile, at, x[0], x[1], x[2], x[3])


@cuda.jit(device=True)
def store_tile(total: Any, c: Any, row: Any, column: Any, m: Any, n: Any) -> None:
    """A thread's items: from (row, column) on, and half a tile further down and right."""
    for i in range(ITEMS):
        r = uint32(row + uint32(i // 4 * HALF + i % 4))
        for j in range(0, ITEMS, 4):
            s = uint32(column + uint32(j // 4 * HALF))
            if r < m and s < n:
                at = uint32(uint32(r * n) + s)
                store4(c, at, total[i, j], total[i, j + 1], total[i, j + 2], total[i, j + 3])


@kernel
def matmul_wide(a: Any, b: Any, c: Any, m: Any, n: Any, k: Any) -> None:
    """a (m k,), b (k n,), c (m n,), float32, row by row; n and k multiples of 4; uint32."""
    a_tile = cuda.shared.array(SHARED, float32, 16)
    b_tile = cuda.shared.array(SHARED, float32, 16)
    total = cuda.local.array((ITEMS, ITEMS), float32)
    tid = uint32(cuda.threadIdx.x)
    row = uint32(uint32(tid >> uint32(4)) << uint32(2))
    column = uint32(uint32(tid & uint32(15)) << uint32(2))
    for i in range(ITEMS):
        for j in range(ITEMS):
            total[i, j] = float32(0.0)
    k0 = uint32(0)
    while k0 < k:
        load_tiles(a, b, a_tile, b_tile, k0, m, n, k)
        cuda.syncthreads()
        multiply(total, a_tile, row, b_tile, column)
        cuda.syncthreads()
        k0 = uint32(k0 + uint32(DEPTH))
    row = uint32(row + uint32(cuda.blockIdx.y * uint32(TILE)))
    column = uint32(column + uint32(cuda.blockIdx.x * uint32(TILE)))
    store_tile(total, c, row, column, m, n)


def launch(a: Array, b: Array, c: Array) -> None:
    """c = a b; by the step before where a row is no multiple of 16 bytes."""
    if c.shape[1] % 4 or a.shape[1] % 4:
        launch_before(a, b, c)
    else:
        run_lines(matmul_wide, a, b, c)


def run_lines(run: Any, a: Array, b: Array, c: Array) -> None:
    """Launch a kernel that takes the matrices as lines, for tiles of 128 x 128."""
    m, n = c.shape
    sizes = np.uint32(m), np.uint32(n), np.uint32(a.shape[1])
    grid = (blocks(n, TILE), blocks(m, TILE))
    run[grid, THREADS](a.reshape((a.size,)), b.reshape((b.size,)), c.reshape((c.size,)), *sizes)


STEP = Step("wide access", "128 bits at a time, 32-bit indices", matmul_wide, launch, LINES)
