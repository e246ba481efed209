"""Step 9, tensor cores: a warp multiplies small matrices with one instruction.

What changed:
    ``mma.sync`` takes a 16 x 8 piece of a, an 8 x 8 piece of b and adds their product to a 16 x 8
    piece of c: 1024 multiply-adds, spread over the registers of the warp's 32 threads. A warp
    computes 64 x 32 items as 4 x 4 such pieces. a is no longer turned: both tiles are copied
    128 bits at a time.

    The factors are rounded to tf32: float32's range with 10 bits of mantissa instead of 23. The
    sums stay float32. The error bound of this step is a thousand times wider for it.

Why:
    Tensor cores do several times the multiply-adds per cycle of the other units (on an H200, by
    its data sheet, 495 against 67 TFLOP/s), and one instruction replaces 32.

    With g = lane // 4 and t = lane % 4 a thread reads ``a_tile[g, t]`` and ``b_tile[t, g]``. Rows
    of 20 numbers put the first in bank (20 g + t) % 32, rows of 136 the second in (8 t + g) % 32:
    both different for all 32 threads.

Lens, at 128 x 128 x 128:
    For 32 multiply-adds: 0.125 sectors of global memory, 0.12 wavefronts of shared memory (step
    8: 0.188 and 0.267).

On a GPU:
    From sm_80 on. Bound by feeding the tensor cores: libraries go on with ``ldmatrix``, deeper
    pipelines and, on Hopper, instructions that read shared memory themselves (``wgmma``).
"""

from __future__ import annotations

from typing import Any

from numba import cuda, float32, uint32

from ...engine import Array, kernel
from ...engine.ptx import (
    cp_async16,
    cp_async_commit,
    cp_async_wait,
    mma_tf32,
    to_tf32,
)
from ..step import Step
from .step5_register_square import launch as launch_before
from .step6_wide import TILE, run_lines
from .types import LINES

DEPTH = 16  # steps of k in shared memory at a time
A_PITCH, B_PITCH = DEPTH + 4, TILE + 8
A_SHARED, B_SHARED = TILE * A_PITCH, DEPTH * B_PITCH
A_BOTH, B_BOTH = 2 * A_SHARED, 2 * B_SHARED
PIECES = 4  # of c, per warp and direction
SUMS = PIECES * PIECES


@cuda.jit(device=True)
def copy_tiles(
    a: Any, b: Any, a_tile: Any, b_tile: Any, stage: Any, k0: Any, m: Any, n: Any, k: Any
) -> None:
    """Begin the copies of 128 x 16 numbers of a and 16 x 128 of b: two times four a thread."""
    tid = uint32(cuda.threadIdx.x)
    for half in range(2):
        i = uint32(tid + uint32(256 * half))
        row, q = uint32(i >> uint32(2)), uint32(uint32(i & uint32(3)) << uint32(2))
        at = uint32(uint32(stage * uint32(A_SHARED)) + uint32(uint32(row * uint32(A_PITCH)) + q))
        row = uint32(row + uint32(cuda.blockIdx.y * uint32(TILE)))
        q = uint32(q + k0)
        inside = row < m and q < k
        cp_async16(a_tile, at, a, uint32(uint32(row * k) + q) if inside else uint32(0), inside)
        q, column = uint32(i >> uint32(5)), uint32(uint32(i & uint32(31)) << uint32(2))
        at = uint32(uint32(stage * uint32(B_SHARED)) + uint32(uint32(q * uint32(B_PITCH)) + column))
        q = uint32(q + k0)
        column = uint32(column + uint32(cuda.blockIdx.x * uint32(TILE)))
        inside = q < k and column < n
        cp_async16(b_tile, at, b, uint32(uint32(q * n) + column) if inside else uint32(0), inside)
    cp_async_commit()


@cuda.jit(device=True)
def multiply(total: Any, a_tile: Any, at: Any, b_tile: Any, bt: Any) -> None:
    """Add the product of 64 x 8 numbers from ``at`` on and 8 x 32 from ``bt`` on."""
    for i in range(PIECES):
        top = uint32(at + uint32(16 * i * A_PITCH))
        low = uint32(top + uint32(8 * A_PITCH))
        x = (
            to_tf32(a_tile[top]),
            to_tf32(a_tile[low]),
            to_tf32(a_tile[uint32(top + uint32(4))]),
            to_tf32(a_tile[uint32(low + uint32(4))]),
        )
        for j in range(PIECES):
            left = uint32(bt + uint32(8 * j))
            y = to_tf32(b_tile[left]), to_tf32(b_tile[uint32(left + uint32(4 * B_PITCH))])
            p = i * PIECES + j
            c = mma_tf32((total[p, 0], total[p, 1], total[p, 2], total[p, 3]), x, y)
            total[p, 0], total[p, 1], total[p, 2], total[p, 3] = c[0], c[1], c[2], c[3]


@kernel
def matmul_tensor_core(a: Any, b: Any, c: Any, m: Any, n: Any, k: Any) -> None:
    """a (m k,), b (k n,), c (m n,), float32, row by row; n and k multiples of 4; uint32."""
    a_tile = cuda.shared.array(A_BOTH, float32, 16)
    b_tile = cuda.shared.array(B_BOTH, float32, 16)
    total = cuda.local.array((SUMS, 4), float32)
    warp = uint32(cuda.threadIdx.x >> 5)
    g = uint32(uint32(cuda.threadIdx.x >> 2) & uint32(7))
    t = uint32(cuda.threadIdx.x & 3)
    row = uint32(uint32(warp >> uint32(2)) * uint32(64))
    column = uint32(uint32(warp & uint32(3)) * uint32(32))
    for p in range(SUMS):
        for i in range(4):
            total[p, i] = float32(0.0)
    stage, k0 = uint32(0), uint32(0)
    copy_tiles(a, b, a_tile, b_tile, stage, k0, m, n, k)
    while k0 < k:
        cp_async_wait(0)
        cuda.syncthreads()
        k0 = uint32(k0 + uint32(DEPTH))
        copy_tiles(a, b, a_tile, b_tile, uint32(uint32(1) - stage), k0, m, n, k)
        at = uint32(uint32(uint32(row + g) * uint32(A_PITCH)) + t)
        at = uint32(at + uint32(stage * uint32(A_SHARED)))
        bt = uint32(uint32(uint32(t * uint32(B_PITCH)) + column) + g)
        bt = uint32(bt + uint32(stage * uint32(B_SHARED)))
        multiply(total, a_tile, at, b_tile, bt)
        multiply(total, a_tile, uint32(at + uint32(8)), b_tile, uint32(bt + uint32(8 * B_PITCH)))
        stage = uint32(uint32(1) - stage)
    row = uint32(uint32(row + g) + uint32(cuda.blockIdx.y * uint32(TILE)))
    column = uint32(uint32(column + uint32(t * uint32(2))) + uint32(cuda.blockIdx.x * uint32(TILE)))
    for p in range(SUMS):
        for i in range(4):
            r = uint32(row + uint32(p // PIECES * 16 + i // 2 * 8))
            s = uint32(column + uint32(p % PIECES * 8 + i % 2))
            if r < m and s < n:
                c[uint32(uint32(r * n) + s)] = total[p, i]


def launch(a: Array, b: Array, c: Array) -> None:
    """c = a b; by step 5 where a row is no multiple of 16 bytes."""
    if c.shape[1] % 4 or a.shape[1] % 4:
        launch_before(a, b, c)
    else:
        run_lines(matmul_tensor_core, a, b, c)


STEP = Step(
    "tensor cores",
    "small matrices, one instruction of a warp, factors rounded to tf32",
    matmul_tensor_core,
    launch,
    LINES,
    capability=(8, 0),
    rounding=2.0**-11,
)
