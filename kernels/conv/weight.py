"""Gradient of the weights.

    dw[m, c T + t] = sum over n, p, q of  dy[n, m, p, q]  x[n, c, p u + i_t - top, q v + j_t - left]

The sum runs over all pixels of all images, so it is divided among blocks: each adds up the pixels
of some images, and a second kernel adds what the blocks have found, always in the same order.

dy is copied first so that the channels of a pixel are neighbours: neighbouring threads take
neighbouring channels. ``weight_grad``: a block copies ``chunk`` channels, ``rows`` x ``width``
pixels of x with their halo (``tiles``) into shared memory, of ``many`` images: those that ``th`` x
``tw`` pixels of dy meet. A thread computes CHANNELS x PRODUCTS sums in registers: for each pixel it
reads CHANNELS numbers of dy, which differ from thread to thread, and PRODUCTS of x, which are the
same for a row of threads. Grid: (G C / chunk, M / (CHANNELS LANES), parts).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from numba import cuda, float32, float64, uint64

from ..checks import FLOAT32
from ..elementwise.transposing import transpose_planes
from ..engine import Array, Kernel, empty, kernel, zeros
from .tiles import LANES, Window, halo_filler, offset_table, shared_items
from .weight_sums import collect, images_of_part, own_images

PRODUCTS = 6
CHANNELS = (1, 2)
GPU_THREADS = 8  # along the taps; not measured on a GPU


@functools.cache
def weight_grad_kernel(real: Any, channels: int, unit: bool) -> Kernel:
    """The kernel for numba's float32 or float64, one of CHANNELS, and a step of 1 or any."""
    S, R = channels, PRODUCTS
    SHARED = shared_items(real)
    fill = halo_filler(real, unit)

    @kernel
    def weight_grad(
        x, dy, offset, part, groups, taps, chunk, u, v, top, left, rows, width, wide, th, tw, many
    ):
        # x: (N, G C, H, W), dy: (N, G, P Q, M or more), offset: (chunk T,), part: (parts, G C T, M)
        tile = cuda.shared.array(SHARED, real)
        total = cuda.local.array((S, R), real)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        all_c, all_m = x.shape[1] // groups, part.shape[2]
        group, part_of = cuda.blockIdx.x % groups, cuda.blockIdx.z
        c0 = group * all_c + cuda.blockIdx.x // groups * chunk
        c_now = min(chunk, (group + 1) * all_c - c0)
        products, per_turn = c_now * taps, R * cuda.blockDim.y
        m0 = cuda.blockIdx.y * S * LANES
        begin, end = own_images(x.shape[0])
        high, across = dy.shape[2] // wide, (wide + tw - 1) // tw
        size = c_now * rows * v * width
        for n0 in range(begin, end, many):
            for spot in range(across * ((high + th - 1) // th)):
                p0, q0 = spot // across * th, spot % across * tw
                i0, j0 = top - p0 * u, left - q0 * v
                n_now = min(many, end - n0)
                for b in range(n_now):
                    fill(tile, b * size, x, n0 + b, c0, c_now, i0, j0, rows, width, v)
                cuda.syncthreads()
                for turn in range((products + per_turn - 1) // per_turn):
                    k = (turn * cuda.blockDim.y + ty) * R
                    for i in range(S):
                        for j in range(R):
                            m = m0 + i * LANES + tx
                            total[i, j] = real(0.0)
                            if n0 + spot > begin and m < all_m and k + j < products:
                                total[i, j] = part[part_of, c0 * taps + k + j, m]
                    for b in range(n_now):
                        for p in range(min(th, high - p0)):
                            for q in range(min(tw, wide - q0)):
                                corner = b * size + p * u * v * width + q
                                pixel = uint64((p0 + p) * wide + q0 + q)
                                for j in range(R):
                                    value = tile[uint64(corner + offset[min(k + j, products - 1)])]
                                    for i in range(S):
                                        slope = dy[
                                            uint64(n0 + b), group, pixel, m0 + i * LANES + tx
                                        ]
                                        total[i, j] += value * slope
                    for i in range(S):
                        for j in range(R):
                            if m0 + i * LANES + tx < all_m and k + j < products:
                                part[part_of, c0 * taps + k + j, m0 + i * LANES + tx] = total[i, j]
                cuda.syncthreads()

    return weight_grad


@dataclass(frozen=True)
class Plan:
    """What a block of ``weight_grad`` has in shared memory.

    Args:
        channels: which of CHANNELS.
        chunk, rows, width: channels, rows and columns of x.
        th, tw, many: rows and columns of dy, and images. If tw is less than a row, th is 1.
    """

    channels: int
    chunk: int
    rows: int
    width: int
    th: int
    tw: int
    many: int


@functools.lru_cache(maxsize=1024)
def plan_weight(window: Window, c: int, m: int, out: tuple[int, int], items: int) -> Plan | None:
    """The division for c and m channels of a group; None where not even one channel fits."""
    channels = CHANNELS[0] if m <= LANES else CHANNELS[1]
    v = window.step[1]
    best: tuple[float, Plan] | None = None
    th, tw = out
    while True:
        rows, width = window.tile_rows(th), window.tile_width(tw)
        chunk = min(c, items // (rows * v * width))
        if chunk >= 1:
            chunk = -(-c // -(-c // chunk))
            spots = -(-out[0] // th) * -(-out[1] // tw)
            copied = spots * c * rows * v * -(-width // LANES)
            kept = spots * c * len(window.taps) * channels
            many = items // (chunk * rows * v * width) if spots == 1 else 1
            cost = copied + kept / many
            if best is None or cost < best[0]:
                best = cost, Plan(channels, chunk, rows, width, th, tw, many)
        if (th, tw) == (1, 1):
            return None if best is None else best[1]
        th, tw = ((th + 1) // 2, tw) if th > 1 else (1, (tw + 1) // 2)


def weight_grad(dy: Array, x: Array, dw: Array, window: Window, groups: int, plan: Plan) -> None:
    """Fill ``dw``, any view of shape (G, M, C T); dy and x are contiguous, nothing is empty."""
    real = float32 if x.dtype == FLOAT32 else float64
    n, taps = x.shape[0], len(window.taps)
    g, m, k = dw.shape
    c = x.shape[1] // groups
    share = images_of_part(n, x.device.is_cpu)
    parts = -(-n // share)
    part = empty((parts, g * k, m), x.dtype, x.device)
    offset = offset_table(window, plan.chunk, plan.rows, plan.width, x.device)
    threads = 1 if x.device.is_cpu else max(1, min(GPU_THREADS, -(-plan.chunk * taps // PRODUCTS)))
    grid = (g * -(-c // plan.chunk), -(-m // (plan.channels * LANES)), parts)
    rows, columns = dy.shape[2:]
    # Rows of whole LANES: threads beyond the last channel read anything, and use nothing. On a GPU
    # zeros, which are cheap there: tools that look for reads of what nobody wrote find none.
    whole = grid[1] * plan.channels * LANES
    make = empty if whole == m or x.device.is_cpu else zeros
    turned = make((n, g, rows * columns, whole), dy.dtype, dy.device)
    transpose_planes(dy.reshape(n * g, m, rows * columns), turned.reshape(n * g, *turned.shape[2:]))
    weight_grad_kernel(real, plan.channels, window.step[1] == 1)[grid, (LANES, threads)](
        x,
        turned,
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
        columns,
        plan.th,
        plan.tw,
        min(plan.many, share),
    )
    collect(part.reshape(parts, g * k, m, 1), dw)


def shared_items_of(x: Array) -> int:
    """How many numbers of the dtype of x a tile may hold."""
    return shared_items(float32 if x.dtype == FLOAT32 else float64)
