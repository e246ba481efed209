"""Padding of any axes: with a number, mirrored, with the edge repeated, or circular.

    y[q] = x[source(q)] along each padded axis of n items and ``lo`` new ones before them:

    constant    q - lo, or the number where that is outside; negative widths cut items off
    reflect     |q - lo|, and 2 (n - 1) - that beyond the end: the edge is not repeated
    replicate   q - lo held between 0 and n - 1
    circular    q - lo modulo n

    dx[p] = sum of dy[q] over all q with source(q) = p

Kernels, on x as (planes, rows, columns), a block for 8 x 32 items of a plane of the result:

* ``pad_kernel``: pads rows and columns. The last two axes take one launch together, every other
  padded axis one of its own, as the rows of a view.
* ``pad_backward_kernel``: each thread gathers what its item was copied to, first the copy in the
  middle, then those in the border. Nothing is scattered, so results repeat bit for bit. The
  gradient of ``constant`` is a slice, and needs only a copy.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, float32, float64, int64, types

from .. import checks
from ..elementwise import assign, copy
from ..elementwise.mapping import fold, require_rank
from ..engine import ArgumentError, Array, ShapeError, empty, kernel, zeros

BLOCK = (32, 8)
MODES = ("constant", "reflect", "replicate", "circular")


@cuda.jit(device=True)
def constant(q, lo, n):
    s = q - lo
    return s if s >= 0 and s < n else -1


@cuda.jit(device=True)
def reflect(q, lo, n):
    s = abs(q - lo)
    return s if s < n else 2 * (n - 1) - s


@cuda.jit(device=True)
def replicate(q, lo, n):
    return min(max(q - lo, 0), n - 1)


@cuda.jit(device=True)
def circular(q, lo, n):
    s = q - lo
    return s + n if s < 0 else (s - n if s >= n else s)


SOURCES = {
    "constant": constant,
    "reflect": reflect,
    "replicate": replicate,
    "circular": circular,
}


@functools.cache
def pad_kernels(mode: str, real: Any) -> tuple[Any, Any]:
    """``pad_kernel`` and ``pad_backward_kernel`` for numba's float32 or float64.

    ``constant`` reads neighbouring items with neighbouring threads in the whole row; for the
    others that holds but in the border.
    """
    source = SOURCES[mode]
    plain = mode == "constant"

    @kernel
    def pad_kernel(x, top, left, value, tiles, y):  # x: (planes, h, w), y: (planes, h2, w2)
        column = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        number = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
        plane = number // tiles
        row = (number - plane * tiles) * cuda.blockDim.y + cuda.threadIdx.y
        if plane < y.shape[0] and row < y.shape[1] and column < y.shape[2]:
            r = source(row, top, x.shape[1])
            if plain:
                c = column - left
                inside = r >= 0 and c >= 0 and c < x.shape[2]
                y[plane, row, column] = x[plane, r, c] if inside else value
            else:
                y[plane, row, column] = x[plane, r, source(column, left, x.shape[2])]

    @kernel
    def pad_backward_kernel(dy, top, left, border_h, border_w, tiles, dx):
        """dy (planes, h2, w2), dx (planes, h, w); border_h rows, border_w columns are new."""
        column = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        number = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
        plane = number // tiles
        row = (number - plane * tiles) * cuda.blockDim.y + cuda.threadIdx.y
        h, w = dx.shape[1], dx.shape[2]
        if plane < dx.shape[0] and row < h and column < w:
            total = real(0.0)
            for i in range(border_h + 1):
                # i = 0 is the copy in the middle, the others are the rows of the border.
                q = row + top if i == 0 else (i - 1 if i <= top else i - 1 + h)
                if source(q, top, h) == row:
                    for j in range(border_w + 1):
                        p = column + left if j == 0 else (j - 1 if j <= left else j - 1 + w)
                        if source(p, left, w) == column:
                            total += dy[plane, q, p]
            dx[plane, row, column] = total

    return pad_kernel, pad_backward_kernel


class Pass(NamedTuple):
    """One launch: the views of x and y, and how many rows and columns are new on each side."""

    x: tuple[int, int, int]
    y: tuple[int, int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]


def pad(x: Array, widths: Sequence[int], mode: str = "constant", value: float = 0.0) -> Array:
    """``x`` with new items around it.

    Args:
        x: float32 or float64, rank 1 to 8, any strides.
        widths: how many items to add before and after the last axis, then before and after the
            one before it, and so on. Negative ones, for the mode ``"constant"`` only, cut off.
        mode: ``"constant"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        value: the number for ``"constant"``.

    Raises:
        DtypeError: x is not a float array.
        ArgumentError: widths are not pairs of integers, or negative; another option is wrong.
        ShapeError: x has too few axes, or an axis has too few items: reflect needs more than it
            adds, circular as many, replicate one, and no size may become negative.
    """
    _check("pad", x, widths, mode, value)
    return _forward(x, tuple(widths), mode, x.dtype.type(value))


def _forward(x: Array, widths: tuple[int, ...], mode: str, value: Any) -> Array:
    forward, _ = pad_kernels(mode, _real(x))
    shape = list(x.shape)
    y = x if x.is_contiguous else copy(x)
    for step in passes(x.shape, widths):
        source, y = y, empty(step.y, x.dtype, x.device)
        if y.size:
            (top, _), (left, _) = step.rows, step.columns
            grid, tiles = _grid(step.y)
            widths_before = np.int64(top), np.int64(left)
            forward[grid, BLOCK](source.reshape(step.x), *widths_before, value, tiles, y)
    for k in range(len(widths) // 2):
        shape[-1 - k] += widths[2 * k] + widths[2 * k + 1]
    return copy(y) if y is x else y.reshape(tuple(shape))


def pad_backward(
    dy: Array, shape: tuple[int, ...], widths: Sequence[int], mode: str = "constant"
) -> Array:
    """Gradient of :func:`pad` for an x of ``shape``; ``dy`` has the shape of the output."""
    op = "pad_backward"
    checks.require_float(op, "dy", dy)
    widths = tuple(widths)
    expected = [*shape]
    for k in range(len(widths) // 2):
        expected[-1 - k] += widths[2 * k] + widths[2 * k + 1]
    checks.require_shape(op, "dy", dy, tuple(expected))
    if mode == "constant":
        return _cut(dy, shape, widths)
    _, backward = pad_kernels(mode, _real(dy))
    dx = dy if dy.is_contiguous else copy(dy)
    for step in reversed(passes(shape, widths)):
        given, dx = dx, empty(step.x, dy.dtype, dy.device)
        if dx.size:
            (top, bottom), (left, right) = step.rows, step.columns
            numbers = map(np.int64, (top, left, top + bottom, left + right))
            grid, tiles = _grid(step.x)
            backward[grid, BLOCK](given.reshape(step.y), *numbers, tiles, dx)
    return copy(dx) if dx is dy else dx.reshape(tuple(shape))


def _cut(dy: Array, shape: tuple[int, ...], widths: tuple[int, ...]) -> Array:
    """The part of dy that is a copy of x; zeros for the items of x that were cut off."""
    dx = (zeros if min(widths, default=0) < 0 else empty)(shape, dy.dtype, dy.device)
    kept, copied = [slice(None)] * len(shape), [slice(None)] * len(shape)
    for k in range(len(widths) // 2):
        before, after = widths[2 * k], widths[2 * k + 1]
        axis = len(shape) - 1 - k
        kept[axis] = slice(max(-before, 0), shape[axis] - max(-after, 0))
        copied[axis] = slice(max(before, 0), dy.shape[axis] - max(after, 0))
    assign(dx[tuple(kept)], dy[tuple(copied)])
    return dx


def passes(shape: tuple[int, ...], widths: tuple[int, ...]) -> list[Pass]:
    """The launches: the last two axes together, then every other padded axis on its own."""
    pairs = [(widths[i], widths[i + 1]) for i in range(0, len(widths), 2)]
    pairs += [(0, 0)] * (len(shape) - len(pairs))
    sizes = list(shape)
    found: list[Pass] = []

    def add(axis: int, rows: tuple[int, int], inner: int, columns: tuple[int, int]) -> None:
        outer = math.prod(sizes[:axis]) if axis else 1
        h = sizes[axis] if axis >= 0 else 1
        new = (outer, h + sum(rows), inner + sum(columns))
        found.append(Pass((outer, h, inner), new, rows, columns))

    rank = len(shape)
    last_two = pairs[1] if rank > 1 else (0, 0)
    if any(pairs[0]) or any(last_two):
        add(rank - 2, last_two, sizes[-1], pairs[0])
        for k in range(min(rank, 2)):
            sizes[-1 - k] += sum(pairs[k])
    for k in range(2, rank):
        if any(pairs[k]):
            axis = rank - 1 - k
            add(axis, pairs[k], math.prod(sizes[axis + 1 :]), (0, 0))
            sizes[axis] += sum(pairs[k])
    return found


def _check(op: str, x: Array, widths: Any, mode: str, value: Any) -> None:
    checks.require_float(op, "x", x)
    require_rank(op, "x", x.shape)
    checks.require_option(op, "mode", mode, MODES)
    checks.require_number(op, "value", value)
    listed = isinstance(widths, (tuple, list)) and len(widths) % 2 == 0
    if not listed or any(
        isinstance(w, bool) or not isinstance(w, (int, np.integer)) for w in widths
    ):
        raise ArgumentError(f"{op}: widths: {widths!r} given, expected pairs of integers")
    if len(widths) > 2 * len(x.shape):
        raise ShapeError(f"{op}: x: shape {x.shape} given, expected {len(widths) // 2} axes")
    for k in range(len(widths) // 2):
        before, after = widths[2 * k], widths[2 * k + 1]
        size, most = x.shape[-1 - k], max(before, after)
        if mode != "constant" and min(before, after) < 0:
            raise ArgumentError(f"{op}: widths: {widths!r} given, expected none below 0 for {mode}")
        least = {"reflect": most + 1, "circular": most, "replicate": 1}.get(mode, 0)
        if (most and size < least) or size + before + after < 0:
            raise ShapeError(
                f"{op}: x: shape {x.shape} given, too few items along axis {-1 - k} for {mode} "
                f"padding by {before} and {after}"
            )


def _real(x: Array) -> Any:
    return float32 if x.dtype == checks.FLOAT32 else float64


def _grid(shape: tuple[int, int, int]) -> tuple[tuple[int, int, int], Any]:
    """Grid for tiles of BLOCK, and how many of them lie below each other in one plane."""
    planes, h, w = shape
    width, height = BLOCK
    tiles = (h + height - 1) // height
    return ((w + width - 1) // width, *fold(planes * tiles)), np.int64(tiles)


def signatures() -> tuple[Any, ...]:
    """Kernels with argument types for the compile gate."""
    found: list[Any] = []
    for real in (types.float32, types.float64):
        block = types.Array(real, 3, "C")
        for mode in MODES:
            forward, backward = pad_kernels(mode, real)
            found.append((forward, (block, int64, int64, real, int64, block)))
            if mode != "constant":
                found.append((backward, (block, *[int64] * 5, block)))
    return tuple(found)
