"""Combining the items of each column of a table by 128-bit access, on a GPU.

``reduce_columns_wide`` is for an inner axis that is a multiple of four. A block has ``COLUMNS``
threads along the columns and ``ROWS`` along the reduced axis, which meet in shared memory. Few
columns would leave most of a GPU idle: the reduced axis is cut into parts, which a second launch
combines. How it is cut has not been measured on a GPU; it depends on the shape only, so results
repeat bit for bit.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, types, uint32, uint64

from ..engine import Array, Kernel, empty, kernel
from ..engine.ptx import load4
from ..opspec import GpuKernel
from .wide import RUN, fetch, put_back, shared_head

# A part is worth a second launch when it holds at least this many rows; there are enough parts for
# so many blocks.
COLUMN_PART, MANY_BLOCKS = 64, 1024
LEAST_COLUMNS, LEAST_ROWS = 32, 16  # fewer would leave most threads of a block idle
COLUMNS, ROWS, TABLE = 32, 8, 1024  # threads of a block, and the items that they have
STEPS = 4  # rows that a thread reads at a time
MOST = 1 << 31  # rows and columns that are counted in 32 bits


@functools.cache
def columns_kernel(combine: Any, identity: float) -> Kernel:
    """``reduce_columns_wide`` for a device function of two items and what changes nothing."""
    nothing = float32(identity)

    @cuda.jit(device=True)
    def combine_four(acc, x, at):
        a, b, c, d = load4(x, at)
        acc[0], acc[1] = combine(acc[0], a), combine(acc[1], b)
        acc[2], acc[3] = combine(acc[2], c), combine(acc[3], d)

    def reduce_columns_wide(x, out, n, inner, chunk, tiles, divisor):
        """x (outer n inner,), out (outer parts inner,); ``tiles`` blocks span inner."""
        table = cuda.shared.array(TABLE, float32)
        acc = cuda.local.array(RUN, float32)
        a, b = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
        c, d = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
        tx, ty, part = uint32(cuda.threadIdx.x), uint32(cuda.threadIdx.y), uint32(cuda.blockIdx.y)
        outer = uint32(uint32(cuda.blockIdx.x) // tiles)
        tile = uint32(uint32(cuda.blockIdx.x) - outer * tiles)
        column = uint32((tile * uint32(COLUMNS) + tx) * uint32(RUN))
        own = uint32((ty * uint32(COLUMNS) + tx) * uint32(RUN))
        for j in range(RUN):
            acc[j] = nothing
        if column < inner:
            k, stop = uint32(part * chunk + ty), uint32(part * chunk + chunk)
            stop = stop if stop < n else n
            at = uint64((uint64(outer) * uint64(n) + uint64(k)) * uint64(inner) + uint64(column))
            step = uint64(uint64(ROWS) * uint64(inner))
            while uint32(k + uint32((STEPS - 1) * ROWS)) < stop:
                fetch(a, x, at)
                fetch(b, x, at + step)
                fetch(c, x, at + uint64(2) * step)
                fetch(d, x, at + uint64(3) * step)
                for j in range(RUN):
                    acc[j] = combine(acc[j], combine(combine(a[j], b[j]), combine(c[j], d[j])))
                k, at = uint32(k + uint32(STEPS * ROWS)), uint64(at + uint64(STEPS) * step)
            while k < stop:
                combine_four(acc, x, at)
                k, at = uint32(k + uint32(ROWS)), uint64(at + step)
        put_back(table, own, acc)
        cuda.syncthreads()
        if ty == uint32(0) and column < inner:
            for i in range(1, ROWS):
                combine_four(acc, table, uint32(own + uint32(i * COLUMNS * RUN)))
            for j in range(RUN):
                acc[j] /= divisor
            first = uint64(uint64(outer) * uint64(cuda.gridDim.y) + uint64(part))
            put_back(out, uint64(first * uint64(inner) + uint64(column)), acc)

    return kernel(reduce_columns_wide, launch_bounds=COLUMNS * ROWS)


def takes_columns(x: Array) -> bool:
    """Whether :func:`reduce_columns` can and should reduce x (outer, n, inner) over n."""
    outer, n, inner = x.shape
    if x.device.kind == "cpu" or inner % RUN or max(outer, n, inner) >= MOST:
        return False
    return inner >= LEAST_COLUMNS and n >= LEAST_ROWS and shared_head(x) == 0


def reduce_columns(made: Kernel, x: Array, divisor: Any) -> Array:
    """Reduce x (outer, n, inner) that :func:`takes_columns` to (outer, inner).

    Args:
        made: of :func:`columns_kernel`.
        divisor: what the results are divided by, float32.
    """
    outer, n, inner = x.shape
    wanted = -(-MANY_BLOCKS // (outer * _tiles(inner)))
    parts = max(min(n // COLUMN_PART, wanted), 1)
    if parts > 1:
        x = _columns(made, x, parts, np.float32(1.0))
    return _columns(made, x, 1, divisor).reshape((outer, inner))


def _tiles(inner: int) -> int:
    """Blocks that span the columns."""
    return -(-inner // (COLUMNS * RUN))


def _columns(made: Kernel, x: Array, parts: int, divisor: Any) -> Array:
    outer, n, inner = x.shape
    out = empty((outer, parts, inner), x.dtype, x.device)
    tiles = _tiles(inner)
    made[(outer * tiles, parts), (COLUMNS, ROWS)](
        x.reshape((x.size,)),
        out.reshape((out.size,)),
        np.uint32(n),
        np.uint32(inner),
        np.uint32(-(-n // parts)),
        np.uint32(tiles),
        divisor,
    )
    return out


def gpu_kernel(name: str, made: Kernel) -> GpuKernel:
    """A kernel of :func:`columns_kernel` with the accesses that its machine code is to hold."""
    line = types.Array(types.float32, 1, "C")
    signature = (line, line, uint32, uint32, uint32, uint32, float32)
    expects = f"LDG.128 >= {STEPS + 1}", "STG.128 == 1", "LDL == 0"
    return GpuKernel(name, made, signature, expects=expects)
