"""Convolutions of many channels on a GPU: NHWC inside, by the kernels with wide tiles.

Images are NCHW everywhere else. Those that these kernels read are copied before, and what they
write is copied behind, by turning tiles (``elementwise.transposing``); the weights become a matrix
with a row for each tap and channel that is summed. For M channels of y and T taps that moves each
number of x once for M T multiply-adds.

* :func:`forward`: the convolution.
* :func:`input_grad`: the gradient of its input, a correlation of dy for each pair of remainders
  modulo the stride (``geometry.phases``); each writes to pixels of its own.
* :func:`weight_grad`: the gradient of the weights.

Each computes in float32 or, with ``factors`` of ``"tf32"`` or ``"bf16"``, on tensor cores
(:mod:`.tensor`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda, float32, types, uint32

from ..elementwise.transposing import MAX_GRID, TILE, transpose_planes
from ..engine import Array, Device, array, cached_constant, empty, kernel
from ..matmul import large, split
from ..matmul.sgemm import DEPTH, RUN, THREADS, WIDTH
from ..opspec import GpuKernel
from .correlate import no_bias
from .geometry import Geometry, Pair
from .tensor import FACTORS, make_correlate, make_weight_grad
from .tiled import FARTHEST, GROUPS, OUTSIDE, ROW_BITS, correlate_tiled
from .tiled_weight import weight_grad_tiled
from .tiles import Window

Shape = tuple[int, ...]
SQUARE, SQUARE_ROWS = 32, 8  # channels of both sides that a block of pack_tiled turns; its rows
PADDED = SQUARE + 1


def fits(x: Shape, w: Shape, y: Shape, g: Geometry) -> bool:
    """Whether the kernels can compute this convolution and its gradients at all.

    Channels must be multiples of four, since a copy takes four; numbers of elements must have 31
    bits, and places of taps 15; and an image has as many pixels as one grid can turn, 2 million.

    Args:
        x, w, y: (N, C, H, W), (M, C, kernel rows, kernel columns), (N, M, P, Q).
    """
    reach = [d * (k - 1) + b for d, k, b in zip(g.dilation, g.kernel, g.before)]
    near = max(max(x[2], y[2]) + reach[0], reach[1]) < FARTHEST
    near = near and can_turn(x, y)
    small = all(int(np.prod(shape, dtype=object)) < large.ITEMS for shape in (x, w, y))
    return near and small and x[1] == w[1] and x[1] % RUN == w[0] % RUN == 0


def can_turn(*images: Shape) -> bool:
    """Whether one grid is enough for the copies of images (N, C, H, W) in the other order."""
    return all(high * wide <= MAX_GRID * TILE for _, _, high, wide in images)


def forward(
    x: Array, w: Array, bias: Array | None, y: Array, g: Geometry, factors: str | None = None
) -> None:
    """Fill y (N, M, P, Q) with the convolution; all arrays are contiguous, nothing is empty."""
    window = g.window()
    made = empty(_last(y.shape), y.dtype, y.device)
    packed = pack(w, tuple(range(len(window.taps))), True)
    correlate(channels_last(x), packed, bias, made, window, factors=factors)
    channels_first(made, y)


def input_grad(
    dy: Array, w: Array, bias: Array | None, dx: Array, g: Geometry, factors: str | None = None
) -> None:
    """Fill dx (N, C, H, W): the gradient, or the transposed convolution with its bias."""
    made = empty(_last(dx.shape), dx.dtype, dx.device)
    source = channels_last(dy)
    for first, numbers, window in g.phases():
        packed = pack(w, numbers, False)
        correlate(source, packed, bias, made, window, first, g.stride, factors)
    channels_first(made, dx)


def weight_grad(dy: Array, x: Array, dw: Array, g: Geometry, factors: str | None = None) -> None:
    """Fill dw (M, C, kernel rows, kernel columns)."""
    window = g.window()
    (n, m, p, q), c, taps = dy.shape, x.shape[1], len(window.taps)
    (hx, wx), (u, v), k, size = x.shape[2:], window.step, taps * x.shape[1], n * p * q
    parts, steps = _slices(m, k, size, x.device)
    sums = empty((parts * m * k,), x.dtype, x.device)
    # 16 pixels are so many images, rows and columns of dy.
    rest, dj = divmod(DEPTH, q)
    images, di = divmod(rest, p)
    step = ((images * hx + di * u) * wx + dj * v) * c
    line, image = step + (u * wx - q * v) * c, (hx - p * u) * wx * c
    sizes = (size, m, k, steps, hx, wx, c, p, q, u, v, window.top, window.left)
    numbers = _words(*sizes, step, di * u, dj * v, line, image)
    grid = (-(-k // WIDTH), -(-m // WIDTH), parts)
    flat = channels_last(dy).reshape(-1), channels_last(x).reshape(-1)
    table = taps_table(window.taps, wx, c, x.device)
    run = weight_grad_tiled if factors is None else make_weight_grad(factors)
    run[grid, THREADS](*flat, table, sums, *numbers)
    if parts > 1:
        total = empty((m * k,), x.dtype, x.device)
        add_slices(sums, no_bias(k, x.dtype, x.device), total, k, parts)
        sums = total
    transpose_planes(sums.reshape(m, taps, c), dw.reshape(m, c, taps))


def correlate(
    x: Array,
    w: Array,
    bias: Array | None,
    y: Array,
    window: Window,
    first: Pair = (0, 0),
    step: Pair = (1, 1),
    factors: str | None = None,
) -> None:
    """Correlation of NHWC images by ``correlate_tiled``, or by that of :mod:`.tensor`.

    Args:
        x: (N, H, W, C).
        w: (T, C, M), as :func:`pack` makes it.
        bias: (M,), or None.
        y: (N, P, Q, M).
        first, step: the pixels of y that are computed: every so many rows and columns.
        factors: the numbers to which x and w are rounded, or None.
    """
    (n, hx, wx, c), (_, high, wide, m) = x.shape, y.shape
    p, q = (-(-(all_ - a) // s) for all_, a, s in zip((high, wide), first, step))
    size, k = n * p * q, c * len(window.taps)
    if size == 0:
        return
    bias = no_bias(m, x.dtype, x.device) if bias is None else bias
    parts, steps = _slices(size, m, k, x.device) if step == (1, 1) else (1, k)
    target, given = y.reshape(-1)[(first[0] * wide + first[1]) * m :], bias
    if parts > 1:
        target = empty((parts * size * m,), x.dtype, x.device)
        given = no_bias(m, x.dtype, x.device)
    sizes = (size, m, k, steps, hx, wx, c, p, q, *window.step, window.top, window.left)
    numbers = _words(*sizes, size * m, high * wide * m, step[0] * wide * m, step[1] * m)
    grid = (-(-size // WIDTH) * -(-m // WIDTH), parts)
    table = taps_table(window.taps, wx, c, x.device)
    run = correlate_tiled if factors is None else make_correlate(factors)
    run[grid, THREADS](x.reshape(-1), w.reshape(-1), given, table, target, *numbers)
    if parts > 1:
        add_slices(target, bias, y.reshape(-1), m, parts)


def add_slices(parts: Array, bias: Array, y: Array, n: int, count: int) -> None:
    """``y = sum of the parts + bias``, for rows of n numbers and so many parts in a row."""
    grid = -(-y.size // (split.THREADS * RUN))
    split.make_sum(True, None)[grid, split.THREADS](parts, bias, y, *_words(n, count))


def _slices(m: int, n: int, k: int, device: Device) -> tuple[int, int]:
    """Into how many slices to split k steps, and how many steps those have: whole tiles."""
    parts = large.slices(m, n, k, device.limits.sms)
    steps = -(-k // (parts * DEPTH)) * DEPTH
    return (1, k) if parts == 1 else (-(-k // steps), steps)


def _words(*numbers: int) -> list[np.uint32]:
    """Numbers modulo 2**32: distances may go back."""
    return [np.uint32(number % 2**32) for number in numbers]


@cached_constant(1024)
def taps_table(taps: tuple[Pair, ...], wide: int, c: int, device: Device) -> Array:
    """For each four channels of each tap: their distance from the first in x, and the tap's place.

    Filled with groups outside of every image, for the last tile and for the one behind it.

    Returns:
        (K / 4 and more, 2) in a row, uint32.
    """
    i, j = np.array(taps or ((0, 0),), np.int64)[: len(taps)].reshape(-1, 2).T
    distance = (i * wide + j)[:, None] * c + np.arange(0, c, RUN)
    place = np.broadcast_to((i << ROW_BITS | j)[:, None], distance.shape)
    count = -(-distance.size * RUN // WIDTH) * WIDTH // RUN + 2 * GROUPS
    table = np.tile(np.array([[0, OUTSIDE]], np.uint32), (count, 1))
    table[: distance.size] = np.stack([distance.ravel(), place.ravel()], axis=1)
    return array(table.ravel(), device=device)


# -- the order of the numbers ----------------------------------------------------------------------
def channels_last(x: Array) -> Array:
    """(N, C, H, W) as (N, H, W, C)."""
    n, c, h, w = x.shape
    y = empty((n, h, w, c), x.dtype, x.device)
    transpose_planes(x.reshape(n, c, h * w), y.reshape(n, h * w, c))
    return y


def channels_first(x: Array, y: Array) -> None:
    """Fill y (N, C, H, W) with x (N, H, W, C)."""
    n, h, w, c = x.shape
    transpose_planes(x.reshape(n, h * w, c), y.reshape(n, c, h * w))


def _last(shape: Shape) -> Shape:
    n, c, h, w = shape
    return n, h, w, c


@kernel
def pack_tiled(w, numbers, out, m, c, taps, turned):
    # w: (m, c, taps), numbers: (t,), out: (t, c, m) if turned, else (t, m, c), all in a row.
    tile = cuda.shared.array((SQUARE, PADDED), float32)
    tx, ty = uint32(cuda.threadIdx.x), uint32(cuda.threadIdx.y)
    t = uint32(cuda.blockIdx.z)
    row0 = uint32(uint32(cuda.blockIdx.y) * uint32(SQUARE))
    column0 = uint32(uint32(cuda.blockIdx.x) * uint32(SQUARE))
    tap = uint32(numbers[t])
    for k in range(0, SQUARE, SQUARE_ROWS):
        row, column = uint32(row0 + ty + uint32(k)), uint32(column0 + tx)
        if row < m and column < c:
            value = w[uint32(uint32(row * c + column) * taps + tap)]
            tile[ty + uint32(k), tx] = value
            if not turned:
                out[uint32(uint32(t * m + row) * c + column)] = value
    cuda.syncthreads()
    for k in range(0, SQUARE, SQUARE_ROWS):
        row, column = uint32(column0 + ty + uint32(k)), uint32(row0 + tx)
        if turned and row < c and column < m:
            out[uint32(uint32(t * c + row) * m + column)] = tile[tx, ty + uint32(k)]


@cached_constant(1024)
def _numbers(taps: tuple[int, ...], device: Device) -> Array:
    return array(np.array(taps or (0,), np.uint32), device=device)


def pack(w: Array, taps: tuple[int, ...], turned: bool) -> Array:
    """Some taps of weights (M, C, kernel rows, kernel columns).

    Returns:
        (t, C, M) if turned, else (t, M, C): rows for the channels that are summed.
    """
    m, c = w.shape[:2]
    out = empty((len(taps), *((c, m) if turned else (m, c))), w.dtype, w.device)
    if taps:
        grid = (-(-c // SQUARE), -(-m // SQUARE), len(taps))
        sizes = _words(m, c, w.shape[2] * w.shape[3])
        flat, made = w.reshape(-1), out.reshape(-1)
        chosen = _numbers(taps, w.device)
        pack_tiled[grid, (SQUARE, SQUARE_ROWS)](flat, chosen, made, *sizes, turned)
    return out


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels of this module, for the compile gate and ``nnlite resources``."""
    f, u = types.Array(types.float32, 1, "C"), types.Array(types.uint32, 1, "C")
    loop = ("FFMA >= 88%", "LDS.128 >= 5%", "LDGSTS.128 == 8", "STG.128", "LDL == 0")
    on_cores = ("HMMA >= 8%", "LDGSTS.128 >= 8", "STG.64", "LDL == 0")
    sizes = (types.uint32,) * 18
    of_correlate, of_weights = (f, f, f, u, f, *sizes[:17]), (f, f, u, f, *sizes)
    found: list[tuple[Any, ...]] = [
        ("conv, tiled", correlate_tiled, of_correlate, loop),
        ("conv weight gradient, tiled", weight_grad_tiled, of_weights, loop),
        ("conv, weights of tiled", pack_tiled, (f, u, f, *sizes[:3], types.boolean), ()),
    ]
    for kind in FACTORS:
        gradient = f"conv weight gradient, {kind}"
        found.append((f"conv, {kind}", make_correlate(kind), of_correlate, on_cores))
        found.append((gradient, make_weight_grad(kind), of_weights, on_cores))
    return tuple(GpuKernel(name, k, s, large.SINCE, expects=e) for name, k, s, e in found)
