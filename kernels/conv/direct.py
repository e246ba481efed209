"""Correlation with a halo tile in shared memory: each pixel is read from global memory once.

A block computes some rows and columns of one image, for some output channels. It copies the pixels
it needs, halo included, into shared memory (``tiles``), as many channels at a time as fit. A thread
computes CHANNELS x ROWS outputs in registers: for every tap it reads ROWS pixels of the tile and
CHANNELS weights, which are the same for all threads of a row. If not all channels fit at once, the
sums wait in y for the next ones.

Sums run over the channels and taps in order: results repeat bit for bit.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from numba import cuda, float32, float64, uint64

from ..checks import FLOAT32
from ..engine import Array, Kernel, kernel
from .tiles import LANES, Window, halo_filler, offset_table, shared_items

# Output channels x rows of a thread: 16 sums, enough to hide the latency of a multiply-add. The
# second is for one or two output channels (depthwise convolution, gradient of a grey image).
SHAPES = ((8, 2), (2, 8))
SHAPES_FLOAT64_GPU = ((4, 2), (2, 8))  # (8, 2) with its addresses is more than 255 registers
MOST_COLUMNS = 64  # of outputs of a block
FEW_CHANNELS = 8  # in a tile: with fewer, y is read and written too often
BLOCKS_CPU = 16  # with fewer blocks a CPU core may be idle at the end
BLOCKS_GPU = 512  # a few for each multiprocessor
GPU_ROWS = 8  # threads along the rows of the image; not measured on a GPU


@functools.cache
def direct_kernel(real: Any, channels: int, rows: int, unit: bool) -> Kernel:
    """The kernel for numba's float32 or float64, one of its shapes, and a step of 1 or any."""
    S, R = channels, rows
    SHARED = shared_items(real)
    fill = halo_filler(real, unit)

    @kernel
    def correlate_direct(
        x, w, bias, offset, y, groups, taps, channels, u, v, top, left, rows, width, th, tw, share
    ):
        # x: (N, G C, H, W), w: (G M, C T), bias: (G M,), offset: (channels T,), y: (N, G M, P, Q);
        # the tile holds channels, rows, width; a block computes th x tw pixels of share channels.
        tile = cuda.shared.array(SHARED, real)
        total = cuda.local.array((S, R), real)
        ty = cuda.threadIdx.y
        high, wide = y.shape[2], y.shape[3]
        all_c, all_m = x.shape[1] // groups, y.shape[1] // groups
        across = (wide + tw - 1) // tw
        tiles = across * ((high + th - 1) // th)
        group = cuda.blockIdx.x % groups
        n = cuda.blockIdx.x // groups // tiles
        p0 = cuda.blockIdx.x // groups % tiles // across * th
        q0 = cuda.blockIdx.x // groups % tiles % across * tw
        pitch = u * v * width
        strips = (min(th, high - p0) + R * cuda.blockDim.y - 1) // (R * cuda.blockDim.y)
        m0 = group * all_m + cuda.blockIdx.y * share
        m1 = min((group + 1) * all_m, m0 + share)
        for c0 in range(0, all_c, channels):
            now = min(channels, all_c - c0)
            fill(
                tile, 0, x, n, group * all_c + c0, now, top - p0 * u, left - q0 * v, rows, width, v
            )
            if ty == 0:  # what the threads beyond the last column read
                tile[uint64(now * rows * v * width + cuda.threadIdx.x)] = real(0.0)
            cuda.syncthreads()
            for m in range(m0, m1, S):
                for strip in range(strips):
                    for start in range(0, min(tw, wide - q0), LANES):
                        row = (strip * cuda.blockDim.y + ty) * R
                        q = start + cuda.threadIdx.x
                        for i in range(S):
                            first = real(0.0) if c0 > 0 else bias[min(m + i, m1 - 1)]
                            for r in range(R):
                                total[i, r] = first
                        for k in range(taps * now):
                            place = row * pitch + q + offset[k]
                            for i in range(S):
                                weight = w[min(m + i, m1 - 1), taps * c0 + k]
                                for r in range(R):
                                    total[i, r] += weight * tile[uint64(place + r * pitch)]
                        for i in range(S):
                            for r in range(R):
                                p = p0 + row + r
                                value = total[i, r]
                                inside = q0 + q < wide and m + i < m1 and p < high
                                if inside and c0 > 0:
                                    value += y[n, m + i, uint64(p), q0 + q]
                                if inside:
                                    y[n, m + i, uint64(p), q0 + q] = value
            cuda.syncthreads()

    return correlate_direct


@dataclass(frozen=True)
class Plan:
    """How the work is divided: outputs, and channels of the input, of a block.

    Args:
        kernel: which of :func:`shapes`.
        th, tw, share: rows, columns and channels of y.
        channels: channels of x in a tile.
        rows, width: of the tile.
        threads: along the rows of the image.
    """

    kernel: tuple[int, int]
    th: int
    tw: int
    share: int
    channels: int
    rows: int
    width: int
    threads: int


def shapes(real: Any, on_cpu: bool) -> tuple[tuple[int, int], tuple[int, int]]:
    """Those for numba's float32 or float64: for many output channels, and for one or two."""
    return SHAPES_FLOAT64_GPU if real == float64 and not on_cpu else SHAPES


@functools.lru_cache(maxsize=1024)
def plan_direct(
    window: Window, c: int, m: int, out: tuple[int, int], images: int, real: Any, on_cpu: bool
) -> Plan | None:
    """The division for c and m channels of a group and ``images`` images times groups.

    Args:
        out: rows and columns of y.
        real: numba's float32 or float64.
        on_cpu: one thread along the rows, because the compiler makes loops of threads.

    Returns:
        None where not even one channel of the smallest tile fits: taps that lie far apart.
    """
    many, few = shapes(real, on_cpu)
    shape, items = many if m > few[0] else few, shared_items(real)
    threads = 1 if on_cpu else max(1, min(GPU_ROWS, -(-out[0] // shape[1])))
    step = shape[1] * threads
    wanted = min(c, FEW_CHANNELS)
    strips, tw = -(-out[0] // step), min(-(-out[1] // LANES) * LANES, MOST_COLUMNS)

    def fit(strips: int, tw: int) -> tuple[int, int, int]:
        rows = window.tile_rows(strips * step)
        width = window.tile_width(min(tw, out[1]))
        # Threads beyond the last column read up to LANES numbers further: zeros, never used.
        return (items - LANES) // (rows * window.step[1] * width), rows, width

    while fit(strips, tw)[0] < wanted and (strips > 1 or tw > LANES):
        if strips > 1:
            strips = (strips + 1) // 2
        else:
            tw -= LANES
    channels, rows, width = fit(strips, tw)
    if channels < 1:
        return None
    channels = -(-c // -(-c // min(channels, c)))
    blocks = images * -(-out[0] // (strips * step)) * -(-out[1] // tw)
    parts = min(-(-m // shape[0]), max(1, -(-(BLOCKS_CPU if on_cpu else BLOCKS_GPU) // blocks)))
    share = -(-m // (parts * shape[0])) * shape[0]
    return Plan(shape, strips * step, tw, share, channels, rows, width, threads)


def correlate_direct(
    x: Array, w: Array, bias: Array, y: Array, window: Window, groups: int, plan: Plan
) -> None:
    """Run the kernel; x, w and bias are contiguous, y may be any view, nothing is empty."""
    real = float32 if x.dtype == FLOAT32 else float64
    n, m = x.shape[0], y.shape[1] // groups
    run = direct_kernel(real, *plan.kernel, window.step[1] == 1)
    tiles = -(-y.shape[2] // plan.th) * -(-y.shape[3] // plan.tw)
    offset = offset_table(window, plan.channels, plan.rows, plan.width, x.device)
    grid = (n * groups * tiles, -(-m // plan.share))
    run[grid, (LANES, plan.threads)](
        x,
        w,
        bias,
        offset,
        y,
        groups,
        len(window.taps),
        plan.channels,
        *window.step,
        window.top,
        window.left,
        plan.rows,
        plan.width,
        plan.th,
        plan.tw,
        plan.share,
    )
