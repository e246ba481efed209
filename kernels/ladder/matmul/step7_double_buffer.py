"""Step 7, double buffering: the next tiles arrive while the present ones are multiplied.

What changed:
    There are two pairs of tiles. While the block multiplies one pair, ``cp.async`` copies the next
    from global to shared memory by itself, past the registers. One barrier per round is left.

Why:
    A read of global memory takes several hundred cycles. In step 6 everybody waited for it at the
    barrier, unless another block had something to compute, and only few of these large blocks
    fit on a multiprocessor. Now the wait lies behind 512 multiply-adds per thread.

    One barrier is enough: after it all have finished the round before, so its tiles may be
    overwritten, and all copies of the next round have arrived.

Lens, at 128 x 128 x 128:
    For 32 multiply-adds: 0.188 sectors of global memory, 0.267 wavefronts of shared memory
    (step 6: 0.0938 and 0.266).

    The sectors double because a's numbers are copied one by one, as the tile is turned: four copies
    touch each sector, and a cache serves three of them.

On a GPU:
    From sm_80 on; before, one reads into registers, multiplies, then writes to shared memory. On
    a CPU the copies happen at once: nothing is gained there.
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32, uint32

from ...engine import Array, kernel
from ...engine.ptx import cp_async4, cp_async16, cp_async_commit, cp_async_wait
from ..step import Step
from .step5_register_square import launch as launch_before
from .step6_wide import DEPTH, ITEMS, PITCH, SHARED, TILE, multiply, run_lines, store_tile
from .types import LINES

BOTH = 2 * SHARED


@cuda.jit(device=True)
def copy_tiles(
    a: Any, b: Any, a_tile: Any, b_tile: Any, to: Any, k0: Any, m: Any, n: Any, k: Any
) -> None:
    """Begin the copies into the tiles at ``to``; beyond the edge they become zeros."""
    tid = uint32(cuda.threadIdx.x)
    row, q = uint32(tid >> uint32(1)), uint32(uint32(tid & uint32(1)) << uint32(2))
    at = uint32(uint32(to + uint32(q * uint32(PITCH))) + row)
    row = uint32(uint32(cuda.blockIdx.y * uint32(TILE)) + row)
    q = uint32(q + k0)
    inside = row < m and q < k
    source = uint32(uint32(row * k) + q) if inside else uint32(0)
    for i in range(4):  # one by one, as a is turned
        place = uint32(at + uint32(i * PITCH))
        cp_async4(a_tile, place, a, uint32(source + uint32(i)), inside)
    q, column = uint32(tid >> uint32(5)), uint32(uint32(tid & uint32(31)) << uint32(2))
    at = uint32(uint32(to + uint32(q * uint32(PITCH))) + column)
    q = uint32(q + k0)
    column = uint32(uint32(cuda.blockIdx.x * uint32(TILE)) + column)
    inside = q < k and column < n
    source = uint32(uint32(q * n) + column) if inside else uint32(0)
    cp_async16(b_tile, at, b, source, inside)
    cp_async_commit()


@kernel
def matmul_double_buffer(a: Any, b: Any, c: Any, m: Any, n: Any, k: Any) -> None:
    """a (m k,), b (k n,), c (m n,), float32, row by row; n and k multiples of 4; uint32."""
    a_tile = cuda.shared.array(BOTH, float32, 16)
    b_tile = cuda.shared.array(BOTH, float32, 16)
    total = cuda.local.array((ITEMS, ITEMS), float32)
    tid = uint32(cuda.threadIdx.x)
    row = uint32(uint32(tid >> uint32(4)) << uint32(2))
    column = uint32(uint32(tid & uint32(15)) << uint32(2))
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
    store_tile(total, c, row, column, m, n)


def launch(a: Array, b: Array, c: Array) -> None:
    """c = a b; by step 5 where a row is no multiple of 16 bytes."""
    if c.shape[1] % 4 or a.shape[1] % 4:
        launch_before(a, b, c)
    else:
        run_lines(matmul_double_buffer, a, b, c)


STEP = Step(
    "double buffer",
    "the next tiles arrive while these are multiplied",
    matmul_double_buffer,
    launch,
    LINES,
    capability=(8, 0),
)
