"""Maximum, minimum and argmax over axes.

NaN wins, as in NumPy: the maximum of values with a NaN among them is NaN, and argmax is the index
of the first NaN. The gradient of a maximum is shared evenly by all elements that attain it (the
convention of ``torch.amax``), which keeps ``sum(dx) == dy``.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, float64, int32, int64

from .. import checks
from ..elementwise import copy
from ..elementwise.wide import shared_head
from ..elementwise.wide_columns import takes_columns
from ..engine import ArgumentError, Array, Kernel, ShapeError, empty, kernel
from . import wide_extreme_columns, wide_extremes
from .kernels import WARP, column_blocks, reduce
from .plan import Plan, plan
from .sums import Axis
from .tree import BLOCK, SHORT_ROW, beats, block_sum
from .wide_rows import row_head


@functools.cache
def argmax_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``argmax_rows`` and ``argmax_columns`` for float32 or float64."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def argmax_rows(x: Any, out: Any) -> None:
        """x (rows, n), out (rows,): a block per row, a tree over (value, index) pairs."""
        values = cuda.shared.array(BLOCK, real)
        places = cuda.shared.array(BLOCK, int64)
        row = cuda.blockIdx.x
        tid = cuda.threadIdx.x
        # Threads beyond the row look at its last element, which changes nothing.
        place = int64(tid if tid < x.shape[1] else x.shape[1] - 1)
        best = x[row, place]
        for j in range(tid + cuda.blockDim.x, x.shape[1], cuda.blockDim.x):
            v = x[row, j]
            if beats(v, best):
                best = v
                place = int64(j)
        values[tid] = best
        places[tid] = place
        cuda.syncthreads()
        half = cuda.blockDim.x // 2
        while half > 0:
            if tid < half:
                a = values[tid]
                b = values[tid + half]
                first = places[tid + half] < places[tid]
                if beats(b, a) or (first and not beats(a, b)):
                    values[tid] = b
                    places[tid] = places[tid + half]
            cuda.syncthreads()
            half //= 2
        if tid == 0:
            out[row] = places[0]

    @kernel
    def argmax_columns(x: Any, out: Any, tiles: Any) -> None:
        """x (outer, n, inner), out (outer, inner): a thread per column."""
        o = cuda.blockIdx.x // tiles
        first = cuda.blockIdx.x % tiles * cuda.blockDim.x
        column = first + cuda.threadIdx.x
        if column >= x.shape[2]:
            return
        best = x[o, 0, column]
        place = int64(0)
        for k in range(1, x.shape[1]):
            v = x[o, k, column]
            if beats(v, best):
                best = v
                place = int64(k)
        out[o, column] = place

    return argmax_rows, argmax_columns


@functools.cache
def share_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``share_rows`` and ``share_columns``, the gradient of a maximum or minimum."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def share_rows(dy: Any, x: Any, y: Any, dx: Any) -> None:
        """dy, y (rows,), x, dx (rows, n): a block per row counts the ties and shares dy."""
        ties = cuda.shared.array(BLOCK, int32)
        row = cuda.blockIdx.x
        tid = cuda.threadIdx.x
        top = y[row]
        count = int32(0)
        for j in range(tid, x.shape[1], cuda.blockDim.x):
            v = x[row, j]
            if v == top or (v != v and top != top):
                count += int32(1)
        count = block_sum(ties, count)
        share = dy[row] / real(count)
        for j in range(tid, x.shape[1], cuda.blockDim.x):
            v = x[row, j]
            dx[row, j] = share if v == top or (v != v and top != top) else real(0.0)

    @kernel
    def share_columns(dy: Any, x: Any, y: Any, dx: Any, tiles: Any) -> None:
        """dy, y (outer, inner), x, dx (outer, n, inner): a thread per column."""
        o = cuda.blockIdx.x // tiles
        first = cuda.blockIdx.x % tiles * cuda.blockDim.x
        column = first + cuda.threadIdx.x
        if column >= x.shape[2]:
            return
        top = y[o, column]
        count = int32(0)
        for k in range(x.shape[1]):
            v = x[o, k, column]
            if v == top or (v != v and top != top):
                count += int32(1)
        share = dy[o, column] / real(count)
        for k in range(x.shape[1]):
            v = x[o, k, column]
            dx[o, k, column] = share if v == top or (v != v and top != top) else real(0.0)

    return share_rows, share_columns


def max(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Maximum over axes; NaN if there is one. Which zero of +0 and -0 is returned is open.

    Args:
        x: any shape, any strides; float32 or float64.
        axis: an axis, several, or None for all; negative ones count from the end.
        keepdims: keep the reduced axes with size 1.

    Raises:
        DtypeError: ``x`` is not a floating-point array.
        ArgumentError: an axis is out of range or named twice, or there is no element.
    """
    return _extreme("max", "larger", x, axis, keepdims)


def min(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Minimum over axes; NaN if there is one. Arguments and errors as :func:`max`."""
    return _extreme("min", "smaller", x, axis, keepdims)


def _extreme(op: str, operation: str, x: Array, axis: Axis, keepdims: bool) -> Array:
    checks.require_float(op, "x", x)
    p = plan(op, x, axis)
    _require_elements(op, p)
    y = reduce(operation, x, p)
    return y.reshape(p.kept) if keepdims else y


def _require_elements(op: str, p: Plan) -> None:
    if p.n == 0:
        raise ArgumentError(f"{op}: x: shape {p.given} given, expected elements to choose from")


def argmax(x: Array, axis: int | None = None) -> Array:
    """Index of the first maximum along an axis, or in the flattened array (axis None), as int64.

    The first NaN counts as the maximum, as in NumPy. Errors as :func:`max`.
    """
    checks.require_float("argmax", "x", x)
    if axis is not None and not isinstance(axis, int):
        raise ArgumentError(f"argmax: axis: {axis!r} given, expected an integer or None")
    p = plan("argmax", x, axis)
    _require_elements("argmax", p)
    out = empty(p.shape, np.int64, x.device)
    if out.size == 0:
        return out
    view = p.view(x)
    outer, n, inner = view.shape
    rows, columns = argmax_kernels(x.dtype)
    if inner == 1:
        table, line = view.reshape((outer, n)), out.reshape((outer,))
        head = row_head((outer, n), table)
        if head is not None:
            wide_extremes.argmax_rows(table, line, head)
            return out
        rows[outer, WARP if n <= SHORT_ROW else BLOCK](table, line)
    elif takes_columns(view):
        wide_extreme_columns.argmax_columns(view, out)
    else:
        tiles, block = column_blocks(inner)
        columns[outer * tiles, block](view, out.reshape((outer, inner)), np.int64(tiles))
    return out


def extreme_backward(
    dy: Array, x: Array, y: Array, axis: Axis = None, keepdims: bool = False
) -> Array:
    """Gradient of :func:`max` and :func:`min`: ``dy`` shared by the elements equal to ``y``.

    Args:
        dy: gradient of the result; its shape, with or without the reduced axes.
        x, y: argument and result of the forward launcher.

    Raises:
        ShapeError: ``dy`` or ``y`` does not have the shape of the result.
    """
    op = "extreme_backward"
    checks.require_float(op, "x", x)
    p = plan(op, x, axis)
    _require_elements(op, p)
    for name, a in (("dy", dy), ("y", y)):
        checks.require_like(op, name, a, "x", x)
        if a.shape not in (p.shape, p.kept):
            raise ShapeError(f"{op}: {name}: shape {a.shape} given, expected {p.shape}")
    view = p.view(x)
    outer, n, inner = view.shape
    dx = empty(view.shape, x.dtype, x.device)
    if dx.size == 0:
        return p.unview(dx)
    dy, y = (a if a.is_contiguous else copy(a) for a in (dy, y))
    rows, columns = share_kernels(x.dtype)
    if inner == 1:
        table = outer, n
        given = dy.reshape(outer), view.reshape(table), y.reshape(outer), dx.reshape(table)
        head = row_head(table, given[1], given[3])
        if head is None:
            rows[outer, WARP if n <= SHORT_ROW else BLOCK](*given)
        else:
            wide_extremes.share_rows(*given, head)
    elif takes_columns(view) and (head := shared_head(view, dx)) is not None:
        wide_extreme_columns.share_columns(dy, view, y, dx, head)
    else:
        tiles, block = column_blocks(inner)
        top, dtop = y.reshape(outer, inner), dy.reshape(outer, inner)
        columns[outer * tiles, block](dtop, view, top, dx, np.int64(tiles))
    return p.unview(dx)
