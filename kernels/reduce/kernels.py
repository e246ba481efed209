"""The two access patterns of a reduction, each a kernel for any operation.

- ``reduce_rows``: the reduced axis is contiguous. A row of threads per row (or part of a row);
  thread t reads elements t, t + threads, ..., so that neighbouring threads read neighbouring
  elements; then a tree in shared memory.
- ``reduce_columns``: the reduced axis has a stride. One thread per column, neighbouring threads on
  neighbouring columns, so that every row is read as one coalesced stretch; no shared memory.

Few long rows or columns would leave most of a GPU idle: they are cut into parts, which a second
launch combines. Nothing is added atomically, so results repeat bit for bit.

Float32 on a GPU takes the kernels of :mod:`.wide` where it can.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, float64

from ..elementwise.wide_columns import columns_kernel as wide_columns_kernel
from ..elementwise.wide_columns import reduce_columns, takes_columns
from ..engine import Array, Kernel, empty, kernel
from . import wide
from .plan import Plan
from .tree import BLOCK, OPERATIONS, block_tree, own_row, row_blocks
from .wide_rows import row_head

WARP = 32
# A part is worth a second launch when it holds at least this many elements ...
ROW_PART, COLUMN_PART = 8192, 512
# ... and when there are fewer independent rows or columns than keep a GPU busy.
MANY_ROWS, MANY_COLUMNS = 256, 1 << 15
MOST_PARTS = 1024


@functools.cache
def rows_kernel(operation: str, dtype: Any) -> Kernel:
    """``reduce_rows`` for one of OPERATIONS and float32 or float64."""
    combine, identity = OPERATIONS[operation]
    combined = block_tree(combine)
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def reduce_rows(x: Any, out: Any, chunk: Any, divisor: Any) -> None:
        """x (rows, n), out (rows, parts): part p of a row is its elements p*chunk onwards."""
        tree = cuda.shared.array(BLOCK, real)
        row, tid = own_row(), cuda.threadIdx.x
        own = row if row < x.shape[0] else 0
        part = cuda.blockIdx.y
        stop = min(part * chunk + chunk, x.shape[1])
        acc = real(identity)
        for j in range(part * chunk + tid, stop, cuda.blockDim.x):
            acc = combine(acc, x[own, j])
        acc = combined(tree, acc)
        if tid == 0 and row < x.shape[0]:
            out[row, part] = acc / divisor

    return reduce_rows


@functools.cache
def columns_kernel(operation: str, dtype: Any) -> Kernel:
    """``reduce_columns`` for one of OPERATIONS and float32 or float64."""
    combine, identity = OPERATIONS[operation]
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def reduce_columns(x: Any, out: Any, chunk: Any, tiles: Any, divisor: Any) -> None:
        """x (outer, n, inner), out (outer, parts, inner); ``tiles`` blocks span inner."""
        o = cuda.blockIdx.x // tiles
        first = cuda.blockIdx.x % tiles * cuda.blockDim.x
        column = first + cuda.threadIdx.x
        part = cuda.blockIdx.y
        if column >= x.shape[2]:
            return
        stop = min(part * chunk + chunk, x.shape[1])
        acc = real(identity)
        for k in range(part * chunk, stop):
            acc = combine(acc, x[o, k, column])
        out[o, part, column] = acc / divisor

    return reduce_columns


def reduce(operation: str, x: Array, plan: Plan, divisor: float = 1.0) -> Array:
    """Reduce ``x`` by one of OPERATIONS, over at least one element; result of ``plan.shape``.

    Args:
        divisor: the reduced values are divided by it (the count, for a mean).
    """
    view = plan.view(x)
    outer, n, inner = view.shape
    dtype = view.dtype
    if outer * inner == 0:
        return empty(plan.shape, dtype, x.device)
    one = dtype.type(1)
    if inner == 1:
        view = view.reshape((outer, n))
        head = row_head((outer, n), view)
        if head is not None:
            return wide.reduce_rows(operation, view, dtype.type(divisor), head).reshape(plan.shape)
        parts = _parts(n, ROW_PART, outer >= MANY_ROWS)
        if parts > 1:
            view = _rows(operation, view, parts, one)
        out = _rows(operation, view, 1, dtype.type(divisor))
    elif takes_columns(view):
        made = wide_columns_kernel(*OPERATIONS[operation])
        out = reduce_columns(made, view, dtype.type(divisor))
    else:
        parts = _parts(n, COLUMN_PART, outer * inner >= MANY_COLUMNS)
        if parts > 1:
            view = _columns(operation, view, parts, one)
        out = _columns(operation, view, 1, dtype.type(divisor))
    return out.reshape(plan.shape)


def _parts(n: int, part: int, busy: bool) -> int:
    return 1 if busy else min(max(n // part, 1), MOST_PARTS)


def _rows(operation: str, x: Array, parts: int, divisor: Any) -> Array:
    rows, n = x.shape
    out = empty((rows, parts), x.dtype, x.device)
    blocks, block = row_blocks(rows, n)
    chunk = -(-n // parts)
    rows_kernel(operation, x.dtype)[(blocks, parts), block](x, out, np.int64(chunk), divisor)
    return out


def _columns(operation: str, x: Array, parts: int, divisor: Any) -> Array:
    outer, n, inner = x.shape
    out = empty((outer, parts, inner), x.dtype, x.device)
    tiles, block = column_blocks(inner)
    chunk = -(-n // parts)
    columns_kernel(operation, x.dtype)[(outer * tiles, parts), block](
        x, out, np.int64(chunk), np.int64(tiles), divisor
    )
    return out


def column_blocks(inner: int) -> tuple[int, int]:
    """(blocks that span the columns, threads per block)."""
    block = WARP if inner < BLOCK else BLOCK
    return -(-inner // block), block
