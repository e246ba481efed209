"""Kernels of instructions that only newer GPUs have; they are compiled, never run."""

from __future__ import annotations

from numba import cuda, float32, int32, uint16, uint32, uint64

from nnlite.kernels.engine import kernel
from nnlite.kernels.engine.ptx import (
    bulk_copy,
    descriptor,
    fence_async,
    fence_mbarrier_init,
    fewer_registers,
    mbarrier_arrive,
    mbarrier_expect,
    mbarrier_init,
    mbarrier_wait,
    more_registers,
    tma_load_2d,
    wgmma,
    wgmma_wait,
)

DEPTH = 64  # bfloat16 in a row of 128 bytes
ROWS, COLUMNS = 64, 128
A_TILE, B_TILE = ROWS * DEPTH, COLUMNS * DEPTH
HELD = COLUMNS // 2

multiply = wgmma("bf16", COLUMNS)
wait = wgmma_wait(COLUMNS, 0)
multiply_tf32 = wgmma("tf32", 8)
wait_tf32 = wgmma_wait(8, 0)


@kernel(launch_bounds=128)
def copy_in_bulk(x, y):
    tile = cuda.shared.array(1024, float32, 128)
    full = cuda.shared.array(2, uint64, 8)
    t = uint32(cuda.threadIdx.x)
    if t == 0:
        mbarrier_init(full, 0, 1)
        mbarrier_init(full, 1, 128)
        fence_mbarrier_init()
    cuda.syncthreads()
    if t == 0:
        mbarrier_expect(full, 0, 4096)
        bulk_copy(tile, 0, x, 0, 4096, full, 0)
    mbarrier_wait(full, 0, 0)
    y[t] = tile[t]
    mbarrier_arrive(full, 1)
    mbarrier_wait(full, 1, 0)


@kernel(launch_bounds=256)
def multiply_boxes(maps, c, steps):
    """One warpgroup copies boxes of a and b, the other multiplies them."""
    a_tile = cuda.shared.array(A_TILE, uint16, 1024)
    b_tile = cuda.shared.array(B_TILE, uint16, 1024)
    bars = cuda.shared.array(2, uint64, 8)
    t = uint32(cuda.threadIdx.x)
    if t == 0:
        mbarrier_init(bars, 0, 1)
        mbarrier_init(bars, 1, 1)
        fence_mbarrier_init()
    cuda.syncthreads()
    if t < 128:
        fewer_registers(40)
        if t == 0:
            for k in range(steps):
                mbarrier_wait(bars, 1, uint32(1 - (k & 1)))
                mbarrier_expect(bars, 0, 2 * (A_TILE + B_TILE))
                tma_load_2d(a_tile, 0, maps, 0, DEPTH * k, 0, bars, 0)
                tma_load_2d(b_tile, 0, maps, 1, DEPTH * k, 0, bars, 0)
    else:
        more_registers(232)
        total = cuda.local.array(HELD, float32)
        for i in range(HELD):
            total[i] = float32(0.0)
        for k in range(steps):
            mbarrier_wait(bars, 0, uint32(k & 1))
            multiply(total, descriptor(a_tile, 0), descriptor(b_tile, 0), int32(1))
            wait(total)
            if t == 128:
                mbarrier_arrive(bars, 1)
        for i in range(HELD):
            c[HELD * (t - 128) + i] = total[i]


@kernel(launch_bounds=128)
def multiply_own(c):
    tile = cuda.shared.array(64 * 32, float32, 1024)
    t = uint32(cuda.threadIdx.x)
    for i in range(t, 64 * 32, 128):
        tile[i] = float32(i)
    fence_async()
    cuda.syncthreads()
    total = cuda.local.array(4, float32)
    for i in range(4):
        total[i] = float32(0.0)
    multiply_tf32(total, descriptor(tile, 0), descriptor(tile, 0), int32(0))
    wait_tf32(total)
    for i in range(4):
        c[4 * t + i] = total[i]
