"""Reductions by 128-bit access, on a GPU; see :mod:`.kernels`.

- ``reduce_rows_wide``: a row, or part of a row, for some lanes of a warp or for a block; where each
  item goes is told in :mod:`.wide_rows`. Four accesses of a thread are under way at a time.
- ``reduce_columns_wide``: four columns to a thread: :mod:`..elementwise.wide_columns`.

How rows are cut into parts has not been measured on a GPU. It depends on the shape only, so results
repeat bit for bit.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, types, uint32, uint64

from ..elementwise.wide_columns import columns_kernel, gpu_kernel
from ..engine import Array, Kernel, empty
from ..opspec import GpuKernel
from .tree import OPERATIONS
from .wide_rows import (
    HELD,
    ITEMS,
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
# fewer rows than keep a GPU busy.
ROW_PART, MANY_ROWS, MOST_ROW_PARTS = 8192, 256, 1024


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


def parts_of(rows: int, n: int) -> int:
    """Parts that rows of n items are cut into, each for a block."""
    return 1 if rows >= MANY_ROWS else min(max(n // ROW_PART, 1), MOST_ROW_PARTS)


def reduce_rows(operation: str, x: Array, divisor: Any, head: int) -> Array:
    """Reduce x (rows, n), whose ``row_head`` is ``head``, to (rows,)."""
    rows, n = x.shape
    parts = parts_of(rows, n)
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


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line = types.Array(types.float32, 1, "C")
    found = []
    for name, (combine, identity) in OPERATIONS.items():
        loads = f"LDG.128 >= {HELD}", "LDL == 0"
        signature = (line, line, *(uint32,) * 4, float32)
        found.append(GpuKernel(f"reduce by {name}", rows_kernel(name), signature, expects=loads))
        made = columns_kernel(combine, identity)
        found.append(gpu_kernel(f"reduce by {name}", made))
    return tuple(found)
