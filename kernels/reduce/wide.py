"""The two access patterns of a reduction by 128-bit access, on a GPU; see :mod:`.kernels`.

- ``reduce_rows_wide``: a row, or part of a row, for some lanes of a warp or for a block; where each
  item goes is told in :mod:`.wide_rows`. Four accesses of a thread are under way at a time.
- ``reduce_columns_wide``: four columns to a thread, for an inner axis that is a multiple of four. A
  block has ``COLUMNS`` threads along the columns and ``ROWS`` along the reduced axis, which meet in
  shared memory.

How the work is cut into parts has not been measured on a GPU. Parts depend on the shape only, so
results repeat bit for bit.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, types, uint32, uint64

from ..elementwise.wide import RUN, fetch, put_back, shared_head
from ..engine import Array, Kernel, empty, kernel
from ..engine.ptx import load4
from ..opspec import GpuKernel
from .tree import OPERATIONS
from .wide_rows import (
    HELD,
    ITEMS,
    MOST,
    SLOTS,
    hold,
    next_batch,
    own_row,
    row_combine,
    row_kernel,
    row_launch,
    single_of,
    span_at,
)

# A part is worth a second launch when it holds at least this many items of a row, and there are
# fewer rows than keep a GPU busy ...
ROW_PART, MANY_ROWS, MOST_ROW_PARTS = 8192, 256, 1024
# ... or this many items of a column; there are enough parts for so many blocks.
COLUMN_PART, MANY_BLOCKS = 64, 1024
LEAST_COLUMNS, LEAST_ROWS = 32, 16  # fewer would leave most threads of a block idle
COLUMNS, ROWS, TABLE = 32, 8, 1024  # threads of a block, and the items that they have
STEPS = 4  # rows that a thread reads at a time


@functools.cache
def rows_kernel(operation: str) -> Kernel:
    """``reduce_rows_wide`` for one of OPERATIONS."""
    combine, identity = OPERATIONS[operation]
    combined, nothing = row_combine(combine, identity), float32(identity)

    def reduce_rows_wide(x, out, head, rows, n, chunk, divisor):
        """x (rows n,), out (rows parts,): part p of a row is its items p*chunk onwards."""
        slots, kept = cuda.shared.array(SLOTS, float32), cuda.local.array(ITEMS, float32)
        row, own = own_row(rows)
        part = uint32(cuda.blockIdx.y)
        skip = uint32(part * chunk)
        length = uint32(n - skip) if skip < n else uint32(0)
        length = chunk if chunk < length else length
        start = uint64(uint64(own) * uint64(n) + uint64(skip))
        before, runs = span_at(start, length, head)
        single = single_of(before, runs)
        acc = x[start + single] if single < length else nothing
        first, left = uint64(start + uint64(before)), runs
        while left > uint32(0):
            hold(kept, x, first, left, nothing)
            for j in range(ITEMS):
                acc = combine(acc, kept[j])
            first, left = next_batch(first, left)
        acc = combined(slots, 0, acc)
        if cuda.threadIdx.x == 0 and row < rows:
            out[uint64(uint64(row) * uint64(cuda.gridDim.y) + uint64(part))] = acc / divisor

    return row_kernel(reduce_rows_wide)


@functools.cache
def columns_kernel(operation: str) -> Kernel:
    """``reduce_columns_wide`` for one of OPERATIONS."""
    combine, identity = OPERATIONS[operation]
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


def reduce_rows(operation: str, x: Array, divisor: Any, head: int) -> Array:
    """Reduce x (rows, n), whose ``row_head`` is ``head``, to (rows,)."""
    rows, n = x.shape
    parts = 1 if rows >= MANY_ROWS else min(max(n // ROW_PART, 1), MOST_ROW_PARTS)
    if parts > 1:
        x, head = _rows(operation, x, parts, np.float32(1.0), head), 0
    return _rows(operation, x, 1, divisor, head).reshape((rows,))


def _rows(operation: str, x: Array, parts: int, divisor: Any, head: int) -> Array:
    rows, n = x.shape
    out = empty((rows, parts), x.dtype, x.device)
    chunk = -(-n // parts)
    blocks, block = row_launch(rows, chunk)
    rows_kernel(operation)[(blocks, parts), block](
        x.reshape((rows * n,)),
        out.reshape((rows * parts,)),
        np.uint32(head),
        np.uint32(rows),
        np.uint32(n),
        np.uint32(chunk),
        divisor,
    )
    return out


def takes_columns(x: Array) -> bool:
    """Whether :func:`reduce_columns` can and should reduce x (outer, n, inner) over n."""
    outer, n, inner = x.shape
    if x.device.kind == "cpu" or inner % RUN or max(outer, n, inner) >= MOST:
        return False
    return inner >= LEAST_COLUMNS and n >= LEAST_ROWS and shared_head(x) == 0


def reduce_columns(operation: str, x: Array, divisor: Any) -> Array:
    """Reduce x (outer, n, inner) that :func:`takes_columns` to (outer, inner)."""
    outer, n, inner = x.shape
    wanted = -(-MANY_BLOCKS // (outer * _tiles(inner)))
    parts = max(min(n // COLUMN_PART, wanted), 1)
    if parts > 1:
        x = _columns(operation, x, parts, np.float32(1.0))
    return _columns(operation, x, 1, divisor).reshape((outer, inner))


def _tiles(inner: int) -> int:
    """Blocks that span the columns."""
    return -(-inner // (COLUMNS * RUN))


def _columns(operation: str, x: Array, parts: int, divisor: Any) -> Array:
    outer, n, inner = x.shape
    out = empty((outer, parts, inner), x.dtype, x.device)
    tiles = _tiles(inner)
    columns_kernel(operation)[(outer * tiles, parts), (COLUMNS, ROWS)](
        x.reshape((x.size,)),
        out.reshape((out.size,)),
        np.uint32(n),
        np.uint32(inner),
        np.uint32(-(-n // parts)),
        np.uint32(tiles),
        divisor,
    )
    return out


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, four = types.Array(types.float32, 1, "C"), (uint32,) * 4
    found = []
    for name in OPERATIONS:
        loads = f"LDG.128 >= {HELD}", "LDL == 0"
        signature: tuple[Any, ...] = (line, line, *four, float32)
        found.append(GpuKernel(f"reduce by {name}", rows_kernel(name), signature, expects=loads))
        both = f"LDG.128 >= {STEPS + 1}", "STG.128 == 1", "LDL == 0"
        signature = (line, line, *four, float32)
        found.append(GpuKernel(f"reduce by {name}", columns_kernel(name), signature, expects=both))
    return tuple(found)
