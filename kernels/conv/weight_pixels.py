"""Gradient of the weights with threads along the pixels: for few products, or few channels of dy.

    dw[m, k] = sum over n, p, q of  dy[n, m, p, q]  x[n, c, p u + i_t - top, q v + j_t - left]

with k = c T + t. ``weight`` gives each thread channels of dy, so it must turn every number of dy in
shared memory, and where each is used for a few products only, that is most of its work. Here
neighbouring threads take neighbouring pixels of a row, so dy is read as it lies. A thread adds up
CHANNELS x PRODUCTS sums over its pixels; the sums of the LANES threads of a row are added later, by
``collect``: the price is LANES numbers in ``part`` for each weight.

A block has ``chunk`` channels of x and all channels of dy of a group, and goes over some images. It
copies ``rows`` x ``width`` pixels of x with their halo (``tiles``) into shared memory: those that
``th`` x ``tw`` pixels of dy meet. Grid: (G C / chunk, 1, parts).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from numba import cuda, float32, float64, uint64

from ..checks import FLOAT32
from ..engine import Array, Kernel, empty, kernel
from .tiles import LANES, Window, halo_filler, offset_table, shared_items
from .weight_sums import collect, images_of_part, own_images

PRODUCTS = 9  # sums of a thread for each channel of dy: one 3x3 window
CHANNELS = (1, 2)
# Where this kernel is the faster one: measured on a CPU; on a GPU nothing is measured.
FEW_CHANNELS = 4  # of dy, in a group: the other kernel leaves most of its LANES idle
LARGE_IMAGE = 512  # pixels of dy; in smaller ones the reads and writes of part take the time
FEW_WEIGHTS = 1024  # of a group: their parts stay in the cache
GPU_THREADS = 4  # along the products; not measured on a GPU


@functools.cache
def weight_pixels_kernel(real: Any, channels: int, unit: bool) -> Kernel:
    """The kernel for numba's float32 or float64, one of CHANNELS, and a step of 1 or any."""
    S, R = channels, PRODUCTS
    SHARED = shared_items(real)
    fill = halo_filler(real, unit)

    @kernel
    def weight_pixels(
        x, dy, offset, part, groups, taps, chunk, u, v, top, left, rows, width, wide, th, tw
    ):
        # x: (N, G C, H, W), dy: (N, G M, P Q), offset: (chunk T,), part: (parts, G C T, M, LANES).
        tile = cuda.shared.array(SHARED, real)
        total = cuda.local.array((S, R), real)
        slope = cuda.local.array(S, real)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        all_c, all_m = x.shape[1] // groups, part.shape[2]
        group, part_of = cuda.blockIdx.x % groups, cuda.blockIdx.z
        c0 = group * all_c + cuda.blockIdx.x // groups * chunk
        c_now = min(chunk, (group + 1) * all_c - c0)
        products, per_turn = c_now * taps, R * cuda.blockDim.y
        begin, end = own_images(x.shape[0])
        high, across = dy.shape[2] // wide, (wide + tw - 1) // tw
        for n in range(begin, end):
            for spot in range(across * ((high + th - 1) // th)):
                p0, q0 = spot // across * th, spot % across * tw
                fill(tile, 0, x, n, c0, c_now, top - p0 * u, left - q0 * v, rows, width, v)
                if ty == 0:  # what the threads beyond the last column read
                    tile[uint64(c_now * rows * v * width + tx)] = real(0.0)
                cuda.syncthreads()
                for m in range(0, all_m, S):
                    for turn in range((products + per_turn - 1) // per_turn):
                        k = (turn * cuda.blockDim.y + ty) * R
                        for i in range(S):
                            for j in range(R):
                                total[i, j] = real(0.0)
                                if n + spot > begin and m + i < all_m and k + j < products:
                                    total[i, j] = part[part_of, c0 * taps + k + j, m + i, tx]
                        for p in range(min(th, high - p0)):
                            for start in range(0, min(tw, wide - q0), LANES):
                                q = start + tx
                                inside = q < tw and q0 + q < wide
                                pixel = uint64((p0 + p) * wide + q0 + q)
                                for i in range(S):
                                    channel = uint64(group * all_m + min(m + i, all_m - 1))
                                    slope[i] = real(0.0)
                                    if inside:
                                        slope[i] = dy[uint64(n), channel, pixel]
                                for j in range(R):
                                    place = p * u * v * width + q + offset[min(k + j, products - 1)]
                                    # Read anyway, for the CPU compiler: a masked read is slow.
                                    value = tile[uint64(place)]
                                    value = value if inside else real(0.0)
                                    for i in range(S):
                                        total[i, j] += value * slope[i]
                        for i in range(S):
                            for j in range(R):
                                if m + i < all_m and k + j < products:
                                    part[part_of, c0 * taps + k + j, m + i, tx] = total[i, j]
                cuda.syncthreads()

    return weight_pixels


@dataclass(frozen=True)
class Plan:
    """What a block works on.

    Args:
        channels: which of CHANNELS.
        chunk, rows, width: channels, rows and columns of x in the tile.
        th, tw: rows and columns of dy. If tw is less than a row, th is 1.
    """

    channels: int
    chunk: int
    rows: int
    width: int
    th: int
    tw: int


@functools.lru_cache(maxsize=1024)
def plan_pixels(window: Window, c: int, m: int, out: tuple[int, int], items: int) -> Plan | None:
    """The division for c and m channels of a group; None where ``weight`` is faster.

    Args:
        out: rows and columns of dy.
        items: numbers that the tile may hold.
    """
    th, tw = out
    few = th * tw >= LARGE_IMAGE and m * c * len(window.taps) <= FEW_WEIGHTS
    if m > FEW_CHANNELS and not few:
        return None
    room = items - LANES  # threads beyond the last column read on: zeros, never used
    while True:
        rows, width = window.tile_rows(th), window.tile_width(tw)
        chunk = min(c, room // (rows * window.step[1] * width))
        if chunk >= 1:
            chunk = -(-c // -(-c // chunk))
            return Plan(CHANNELS[0] if m == 1 else CHANNELS[1], chunk, rows, width, th, tw)
        if (th, tw) == (1, 1):
            return None
        th, tw = ((th + 1) // 2, tw) if th > 1 else (1, (tw + 1) // 2)


def weight_pixels_grad(
    dy: Array, x: Array, dw: Array, window: Window, groups: int, plan: Plan
) -> None:
    """Fill ``dw``, any view of shape (G, M, C T); dy and x are contiguous, nothing is empty."""
    real = float32 if x.dtype == FLOAT32 else float64
    n, taps = x.shape[0], len(window.taps)
    g, m, k = dw.shape
    c = x.shape[1] // groups
    parts = -(-n // images_of_part(n, x.device.is_cpu))
    part = empty((parts, g * k, m, LANES), x.dtype, x.device)
    offset = offset_table(window, plan.chunk, plan.rows, plan.width, x.device)
    threads = 1 if x.device.is_cpu else max(1, min(GPU_THREADS, -(-plan.chunk * taps // PRODUCTS)))
    grid = (g * -(-c // plan.chunk), 1, parts)
    weight_pixels_kernel(real, plan.channels, window.step[1] == 1)[grid, (LANES, threads)](
        x,
        dy.reshape(n, dy.shape[1], dy.shape[2] * dy.shape[3]),
        offset,
        part,
        groups,
        taps,
        plan.chunk,
        *window.step,
        window.top,
        window.left,
        plan.rows,
        plan.width,
        dy.shape[3],
        plan.th,
        plan.tw,
    )
    collect(part, dw)
