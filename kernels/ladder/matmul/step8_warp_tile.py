"""Step 8, warp tile: the 32 threads of a warp take a compact part of the tile.

What changed:
    Only which thread computes what. In step 7 a warp covered 16 rows by 128 columns of the block's
    tile; now it covers 64 x 32: 8 x 4 threads with two runs of four in each direction.

Why:
    Shared memory hands a number to all threads of a warp that ask for it at the same time, so what
    counts is how many *different* numbers a warp reads per step of k: 16 + 128 before, 64 + 32
    now, for the same 2048 multiply-adds. It is the argument of the register tile, one level up.

Lens, at 128 x 128 x 128:
    For 32 multiply-adds: 0.188 sectors of global memory, 0.267 wavefronts of shared memory
    (step 7: 0.188 and 0.267).

    The lens counts one wavefront for each quarter of a warp in a 128-bit access and sees no
    difference; it does not know which equal addresses of different quarters the hardware serves
    together.

On a GPU:
    Less traffic of shared memory, as far as equal addresses are served together: to be measured.
    The tiles of block, warp and thread now match the three levels of memory: global, shared,
    registers.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32, uint32

from ...engine import Array, kernel
from ...engine.ptx import cp_async_wait, multiply_columns, store4
from ..step import Step
from .step5_register_square import launch as launch_before
from .step6_wide import DEPTH, ITEMS, PITCH, SHARED, TILE, run_lines
from .step7_double_buffer import BOTH, copy_tiles
from .types import LINES

WARP_ROWS, WARP_COLUMNS = 64, 32  # the part of a warp; 2 x 4 warps make the tile
ROW_STEP, COLUMN_STEP = WARP_ROWS // 2, WARP_COLUMNS // 2  # between the two runs of a thread
multiply = multiply_columns(DEPTH, ITEMS, ITEMS, ROW_STEP, COLUMN_STEP, PITCH)


@cuda.jit(device=True)
def first_row() -> Any:
    """Row of the tile where this thread's items begin."""
    tid = uint32(cuda.threadIdx.x)
    warp = uint32(tid >> uint32(7))
    lane = uint32(uint32(tid & uint32(31)) >> uint32(2))
    return uint32(uint32(warp * uint32(WARP_ROWS)) + uint32(lane << uint32(2)))


@cuda.jit(device=True)
def first_column() -> Any:
    """Column of the tile where this thread's items begin."""
    tid = uint32(cuda.threadIdx.x)
    warp = uint32(uint32(tid >> uint32(5)) & uint32(3))
    lane = uint32(tid & uint32(3))
    return uint32(uint32(warp * uint32(WARP_COLUMNS)) + uint32(lane << uint32(2)))


@kernel
def matmul_warp_tile(a: Any, b: Any, c: Any, m: Any, n: Any, k: Any) -> None:
    """a (m k,), b (k n,), c (m n,), float32, row by row; n and k multiples of 4; uint32."""
    a_tile = cuda.shared.array(BOTH, float32, 16)
    b_tile = cuda.shared.array(BOTH, float32, 16)
    total = cuda.local.array((ITEMS, ITEMS), float32)
    row, column = first_row(), first_column()
    for i in range(ITEMS):
        for j in range(ITEMS):
            total[i, j] = float32(0.0)
    here, k0 = uint32(0), uint32(0)
    copy_tiles(a, b, a_tile, b_tile, here, k0, m, n, k)
    while k0 < k:
        cp_async_wait(0)
        cuda.syncthreads()
        k0 = uint32(k0 + uint32(DEPTH))
        copy_tiles(a, b, a_tile, b_tile, uint32(uint32(SHARED) - here), k0, m, n, k)
        multiply(total, a_tile, uint32(here + row), b_tile, uint32(here + column))
        here = uint32(uint32(SHARED) - here)
    row = uint32(row + uint32(cuda.blockIdx.y * uint32(TILE)))
    column = uint32(column + uint32(cuda.blockIdx.x * uint32(TILE)))
    for i in range(ITEMS):
        r = uint32(row + uint32(i // 4 * ROW_STEP + i % 4))
        for j in range(0, ITEMS, 4):
            s = uint32(column + uint32(j // 4 * COLUMN_STEP))
            if r < m and s < n:
                at = uint32(uint32(r * n) + s)
                store4(c, at, total[i, j], total[i, j + 1], total[i, j + 2], total[i, j + 3])


def launch(a: Array, b: Array, c: Array) -> None:
    """c = a b; by step 5 where a row is no multiple of 16 bytes."""
    if c.shape[1] % 4 or a.shape[1] % 4:
        launch_before(a, b, c)
    else:
        run_lines(matmul_warp_tile, a, b, c)


STEP = Step(
    "warp tile",
    "a warp takes a compact part of the tile",
    matmul_warp_tile,
    launch,
    LINES,
    capability=(8, 0),
)
