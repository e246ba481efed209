"""Convolution with 3x3 taps by fewer multiplications: Winograd's F(2x2, 3x3), for a GPU.

Four outputs, 2 x 2 of one channel, meet 4 x 4 pixels of every channel of x. Both are written as

    Y = Aᵀ [ sum over c of (G g Gᵀ) * (Bᵀ d B) ] A

with the pixels d, the weights g and * item by item: 16 multiplications for the 36 of the sum.

         | 1  0 -1  0 |        | 1   0   0  |
    Bᵀ = | 0  1  1  0 |    G = | ½   ½   ½  |    Aᵀ = | 1  1  1  0 |
         | 0 -1  1  0 |        | ½  -½   ½  |         | 0  1 -1 -1 |
         | 0  1  0 -1 |        | 0   0   1  |

For each of the 16 places the sum over c, taken for all tiles of 2 x 2 and all channels of y, is a
matrix product. ``correlate_tiled`` computes all of them in one launch, as slices that nobody adds.
Kernels before and behind transform pixels, weights and sums; all with channels as neighbours.

Error. All is float32. An item of Bᵀ d B takes 2 roundings, of G g Gᵀ 4, the sum over C channels C,
and Y 4, so with u = 2⁻²⁴, and |.| item by item, the error of Y without bias is at most

    (C + 10) u S,    S = |Aᵀ| [ sum over c of (|G| |g| |Gᵀ|) * (|Bᵀ| |d| |B|) ] |A|

to first order in u. S is of the pixels of the output's own window, but of products of pixels with
the weights of other taps as well, which cancel: where all numbers have one size, it is 64/9 times
the sum of the sizes of the 9 C terms, and the bound much that of the plain sum, 9 C u. Measured
(``tests/test_conv_winograd.py``), the error is that of the plain sum: for 16 to 256 channels of
normal or uniform numbers at most 0.06 of what every op may have, 4 sqrt(n) u times the sizes of
its n terms (``tiled``: 0.08); for pixels behind a ReLU 0.08 (0.08), with weights that are not
negative either 0.4 (0.15). But that bound is not kept for all numbers: where large pixels meet
small weights and the other way round, the terms are small and S is not. And where the terms of a
sum are infinite it is not a number. :mod:`.algorithm` says when that will do.

Source: Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016; Winograd,
"Arithmetic Complexity of Computations", 1980.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda, float32, types, uint32

from ..engine import Array, Device, array, cached_constant, empty, kernel
from ..matmul import large
from ..matmul.sgemm import DEPTH, RUN, THREADS, WIDTH
from ..opspec import GpuKernel
from .channels_last import Shape, can_turn, channels_first, channels_last
from .correlate import no_bias
from .geometry import Geometry
from .tiled import GROUPS, OUTSIDE, correlate_tiled
from .tiles import Window

PLACES = 16
BLOCK = 128  # threads of the transforms


@cuda.jit(device=True)
def mixed(a, b, c, d):
    """Bᵀ times a column of pixels."""
    return a - c, b + c, c - b, b - d


@cuda.jit(device=True)
def spread(a, b, c):
    """G times a column of weights."""
    half, middle = float32(0.5) * (a + c), float32(0.5) * b
    return a, half + middle, half - middle, c


@cuda.jit(device=True)
def joined(a, b, c, d):
    """Aᵀ times a column of sums."""
    return a + b + c, b - c - d


@kernel(launch_bounds=BLOCK)
def winograd_image(x, out, size, hx, wx, c, rows, columns, top, left):
    # x: (N, hx, wx, c), out: (16, tiles, c) of rows x columns tiles to an image; size: of a plane.
    d = cuda.local.array((4, 4), float32)
    at = uint32(cuda.grid(1))
    if at < size:
        channel, tile = uint32(at % c), uint32(at // c)
        j, rest = uint32(tile % columns), uint32(tile // columns)
        i, n = uint32(uint32(rest % rows) * uint32(2) - top), uint32(rest // rows)
        j = uint32(j * uint32(2) - left)
        for a in range(4):
            row = uint32(i + uint32(a))
            line = uint32(uint32(n * hx + row) * wx)
            for b in range(4):
                column = uint32(j + uint32(b))
                d[a, b] = float32(0.0)
                if row < hx and column < wx:
                    d[a, b] = x[uint32(uint32(line + column) * c + channel)]
        for b in range(4):
            d[0, b], d[1, b], d[2, b], d[3, b] = mixed(d[0, b], d[1, b], d[2, b], d[3, b])
        for a in range(4):
            d[a, 0], d[a, 1], d[a, 2], d[a, 3] = mixed(d[a, 0], d[a, 1], d[a, 2], d[a, 3])
            for b in range(4):
                out[uint32(at + uint32(4 * a + b) * size)] = d[a, b]


@kernel(launch_bounds=BLOCK)
def winograd_weights(w, numbers, out, size, columns, of_row, of_column):
    # w: (M, C, 9), out: (16, rows, columns); item (row, column) begins at row of_row + column
    # of_column of w; numbers: (9,), the tap at each place of the window.
    g = cuda.local.array((3, 3), float32)
    t = cuda.local.array((4, 3), float32)
    at = uint32(cuda.grid(1))
    if at < size:
        start = uint32(uint32(at // columns) * of_row + uint32(at % columns) * of_column)
        for a in range(3):
            for b in range(3):
                g[a, b] = w[uint32(start + numbers[3 * a + b])]
        for b in range(3):
            t[0, b], t[1, b], t[2, b], t[3, b] = spread(g[0, b], g[1, b], g[2, b])
        for a in range(4):
            u0, u1, u2, u3 = spread(t[a, 0], t[a, 1], t[a, 2])
            out[uint32(at + uint32(4 * a) * size)] = u0
            out[uint32(at + uint32(4 * a + 1) * size)] = u1
            out[uint32(at + uint32(4 * a + 2) * size)] = u2
            out[uint32(at + uint32(4 * a + 3) * size)] = u3


@kernel(launch_bounds=BLOCK)
def winograd_result(sums, bias, y, size, m, rows, columns, p, q):
    # sums: (16, tiles, m), bias: (m,), y: (N, p, q, m); size: of a plane of sums.
    s = cuda.local.array((4, 4), float32)
    t = cuda.local.array((2, 4), float32)
    at = uint32(cuda.grid(1))
    if at < size:
        channel, tile = uint32(at % m), uint32(at // m)
        j, rest = uint32(uint32(tile % columns) * uint32(2)), uint32(tile // columns)
        i, n = uint32(uint32(rest % rows) * uint32(2)), uint32(rest // rows)
        for a in range(4):
            for b in range(4):
                s[a, b] = sums[uint32(at + uint32(4 * a + b) * size)]
        for b in range(4):
            t[0, b], t[1, b] = joined(s[0, b], s[1, b], s[2, b], s[3, b])
        for a in range(2):
            row = uint32(i + uint32(a))
            first, second = joined(t[a, 0], t[a, 1], t[a, 2], t[a, 3])
            place = uint32(uint32(uint32(uint32(n * p + row) * q) + j) * m + channel)
            if row < p:
                y[place] = first + bias[channel]
                if uint32(j + uint32(1)) < q:
                    y[uint32(place + m)] = second + bias[channel]


def fits(x: Shape, w: Shape, y: Shape, g: Geometry) -> bool:
    """Whether a convolution and the gradient of its input can be computed in this way.

    Taps must be 3x3 and close together, steps 1, channels multiples of 16: the products are slices
    of whole tiles. Images have as many pixels as one grid can turn.

    Args:
        x, w, y: (N, C, H, W), (M, C, 3, 3), (N, M, P, Q).
    """
    plain = g.kernel == (3, 3) and g.stride == g.dilation == (1, 1) and max(g.before) <= 2
    channels = max(x[1], w[0])
    items = [PLACES * s[0] * -(-s[2] // 2) * -(-s[3] // 2) * channels for s in (x, y)]
    small = max(*items, PLACES * x[1] * w[0]) < large.ITEMS and min(x[0], x[2], x[3]) > 0
    channels_fit = x[1] == w[1] and x[1] % DEPTH == w[0] % DEPTH == 0
    return plain and small and channels_fit and can_turn(x, y)


def forward(x: Array, w: Array, bias: Array | None, y: Array, g: Geometry) -> None:
    """Fill y (N, M, P, Q) with the convolution; all arrays are contiguous, nothing is empty."""
    _convolve(x, w, bias, y, g.window(), tuple(range(9)), False)


def input_grad(dy: Array, w: Array, bias: Array | None, dx: Array, g: Geometry) -> None:
    """Fill dx (N, C, H, W): the gradient, or the transposed convolution with its bias."""
    ((_, numbers, window),) = g.phases()
    _convolve(dy, w, bias, dx, window, numbers, True)


def _convolve(
    x: Array,
    w: Array,
    bias: Array | None,
    y: Array,
    window: Window,
    numbers: tuple[int, ...],
    backward: bool,
) -> None:
    """Correlation of NCHW images; ``numbers`` are those of the window's taps in w."""
    (n, c, hx, wx), (_, m, p, q), device = x.shape, y.shape, x.device
    rows, columns = -(-p // 2), -(-q // 2)
    tiles = n * rows * columns
    places, products = (empty((PLACES * tiles * k,), x.dtype, device) for k in (c, m))
    packed = empty((PLACES * c * m,), x.dtype, device)
    order = tuple(t for _, t in sorted(zip(window.taps, numbers)))
    of = (9 * m, 9) if backward else (9, 9 * c)  # w is (c, m, 9) backward, (m, c, 9) forward
    _run(winograd_weights, (w, _order(order, device), packed), c * m, m, *of)
    sizes = tiles * c, hx, wx, c, rows, columns, window.top, window.left
    _run(winograd_image, (channels_last(x), places), *sizes)
    numbers = tiles, m, PLACES * c, c, 1, tiles, c, 1, tiles, 1, 1, 0, 0, tiles * m, 0, 0, m
    nothing = no_bias(m, x.dtype, device)
    grid = (-(-tiles // WIDTH) * -(-m // WIDTH), PLACES)
    table = _table(tiles, c, device)
    words = map(np.uint32, numbers)
    correlate_tiled[grid, THREADS](places, packed, nothing, table, products, *words)
    made = empty((n, p, q, m), y.dtype, device)
    bias = nothing if bias is None else bias
    _run(winograd_result, (products, bias, made), tiles * m, m, rows, columns, p, q)
    channels_first(made, y)


def _run(kernel: Any, arrays: tuple[Array, ...], size: int, *sizes: int) -> None:
    """A thread for each item of a plane."""
    flat = (a.reshape(-1) for a in arrays)
    kernel[-(-size // BLOCK), BLOCK](*flat, *map(np.uint32, (size, *sizes)))


@cached_constant(64)
def _order(numbers: tuple[int, ...], device: Device) -> Array:
    return array(np.array(numbers, np.uint32), device=device)


@cached_constant(256)
def _table(tiles: int, c: int, device: Device) -> Array:
    """What ``channels_last.taps_table`` is for images: the planes one after the other."""
    plane, group = np.arange(PLACES)[:, None] * (tiles * c), np.arange(0, c, RUN)
    table = np.tile(np.array([[0, OUTSIDE]], np.uint32), (PLACES * c // RUN + 2 * GROUPS, 1))
    table[: PLACES * c // RUN] = np.stack([(plane + group).ravel(), 0 * (plane + group).ravel()], 1)
    return array(table.ravel(), device=device)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The transforms, for the compile gate and ``nnlite resources``."""
    f, u = types.Array(types.float32, 1, "C"), types.Array(types.uint32, 1, "C")
    sizes = (types.uint32,) * 8
    found = (
        ("conv, Winograd, pixels", winograd_image, (f, f, *sizes), ("LDG == 16", "STG == 16")),
        ("conv, Winograd, weights", winograd_weights, (f, u, f, *sizes[:4]), ("STG == 16",)),
        ("conv, Winograd, sums", winograd_result, (f, f, f, *sizes[:6]), ("LDG >= 17", "STG == 4")),
    )
    return tuple(GpuKernel(name, k, s, large.SINCE, expects=e) for name, k, s, e in found)
