"""Gradients of the weights and of the bias.

    dw[m, c T + t] = sum over n, p, q of  dy[n, m, p, q]  x[n, c, p u + i_t - top, q v + j_t - left]
    db[m]          = sum over n, p, q of  dy[n, m, p, q]

The sum runs over all pixels of all images, so it is divided among blocks: each adds up the pixels
of some images, and a second kernel adds what the blocks have found, always in the same order.

* ``weight_grad``: a block copies pixels of x with their halo (``tiles``) and the pixels of dy,
  turned so that the channels of a pixel are neighbours, into shared memory. A thread computes
  CHANNELS x PRODUCTS sums in registers: for each pixel it reads CHANNELS numbers of dy, which
  differ from thread to thread, and PRODUCTS of x, which are the same for a row of threads.
* ``collect``: adds the parts and turns them to the order of the weights.
* ``channel_sums``: a block adds up one channel.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from numba import cuda, float32, float64, uint64

from ..checks import FLOAT32
from ..engine import Array, Kernel, empty, kernel
from ..reduce.tree import block_sum
from .tiles import LANES, Window, halo_filler, offset_table, shared_items

PRODUCTS = 6
CHANNELS = (1, 2)
# Blocks that the images are divided among: fixed, so that results do not depend on the number of
# CPU cores.
PARTS_CPU, PARTS_GPU = 8, 32
GPU_THREADS = 8  # along the taps; not measured on a GPU
TURN = 0.1  # time to turn a number of dy, in that of copying a row of LANES numbers of x; measured
SUM_THREADS_CPU, SUM_THREADS_GPU = 32, 128


@functools.cache
def turning_filler(real: Any, wide: int) -> Any:
    """A device function that copies pixels of ``wide`` channels so that channels are neighbours."""

    @cuda.jit(device=True)
    def fill(tile, first, dy, n, m0, m1, pixel0, pixels):
        # dy: (N, G M, P Q), tile[first:]: (pixels, wide)
        for turn in range((wide + cuda.blockDim.y - 1) // cuda.blockDim.y):
            for start in range(0, pixels, LANES):
                m = turn * cuda.blockDim.y + cuda.threadIdx.y
                pixel = start + cuda.threadIdx.x
                value = real(0.0)
                if m0 + m < m1 and pixel < pixels:
                    value = dy[uint64(n), uint64(m0 + m), uint64(pixel0 + pixel)]
                if m < wide and pixel < pixels:
                    tile[uint64(first + pixel * wide + m)] = value

    return fill


@functools.cache
def weight_grad_kernel(real: Any, channels: int, unit: bool) -> Kernel:
    """The kernel for numba's float32 or float64, one of CHANNELS, and a step of 1 or any."""
    S, R = channels, PRODUCTS
    WIDE = S * LANES
    SHARED = shared_items(real)
    fill_x, fill_dy = halo_filler(real, unit), turning_filler(real, S * LANES)

    @kernel
    def weight_grad(
        x, dy, offset, part, groups, taps, chunk, u, v, top, left, rows, width, wide, th, tw, many
    ):
        # x: (N, G C, H, W), dy: (N, G M, P Q), offset: (chunk T,), part: (parts, G C T, M). The
        # tile holds many images: chunk, rows, width of x, then th, tw, WIDE of dy; wide is Q.
        # Grid: (G C / chunk, M / WIDE, parts).
        tile = cuda.shared.array(SHARED, real)
        total = cuda.local.array((S, R), real)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        all_c, all_m = x.shape[1] // groups, part.shape[2]
        group, part_of = cuda.blockIdx.x % groups, cuda.blockIdx.z
        c0 = group * all_c + cuda.blockIdx.x // groups * chunk
        c_now = min(chunk, (group + 1) * all_c - c0)
        products, per_turn = c_now * taps, R * cuda.blockDim.y
        m0 = cuda.blockIdx.y * WIDE
        m_first, m_end = group * all_m + m0, (group + 1) * all_m
        share = (x.shape[0] + cuda.gridDim.z - 1) // cuda.gridDim.z
        begin, end = part_of * share, min(x.shape[0], (part_of + 1) * share)
        high, across = dy.shape[2] // wide, (wide + tw - 1) // tw
        size = c_now * rows * v * width
        for n0 in range(begin, end, many):
            for spot in range(across * ((high + th - 1) // th)):
                p0, q0 = spot // across * th, spot % across * tw
                i0, j0, pixel0 = top - p0 * u, left - q0 * v, p0 * wide + q0
                h_now, w_now = min(th, high - p0), min(tw, wide - q0)
                n_now, area = min(many, end - n0), h_now * w_now
                for b in range(n_now):
                    fill_x(tile, b * size, x, n0 + b, c0, c_now, i0, j0, rows, width, v)
                    start = n_now * size + b * area * WIDE
                    fill_dy(tile, start, dy, n0 + b, m_first, m_end, pixel0, area)
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
                        for p in range(h_now):
                            for q in range(w_now):
                                corner = b * size + p * u * v * width + q
                                pixel = n_now * size + (b * area + p * w_now + q) * WIDE + tx
                                for j in range(R):
                                    place = corner + offset[min(k + j, products - 1)]
                                    value = tile[uint64(place)]
                                    for i in range(S):
                                        total[i, j] += value * tile[uint64(pixel + i * LANES)]
                    for i in range(S):
                        for j in range(R):
                            m = m0 + i * LANES + tx
                            if m < all_m and k + j < products:
                                part[part_of, c0 * taps + k + j, m] = total[i, j]
                cuda.syncthreads()

    return weight_grad


@functools.cache
def collect_kernel(real: Any) -> Kernel:
    """The kernel that adds the parts, for numba's float32 or float64."""

    @kernel
    def collect(part, dw):  # part: (parts, G K, M), dw: (G, M, K)
        groups = dw.shape[0]
        group = cuda.blockIdx.x % groups
        m = cuda.blockIdx.x // groups * cuda.blockDim.x + cuda.threadIdx.x
        k = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
        if m < dw.shape[1] and k < dw.shape[2]:
            total = real(0.0)
            for i in range(part.shape[0]):
                total += part[i, group * dw.shape[2] + k, m]
            dw[group, m, k] = total

    return collect


@functools.cache
def channel_sums_kernel(real: Any) -> Kernel:
    """The kernel of the bias gradient for numba's float32 or float64."""

    @kernel
    def channel_sums(dy, part):  # dy: (N, M, pixels), part: (parts, M); block (m, part)
        tree = cuda.shared.array(SUM_THREADS_GPU, real)
        m = cuda.blockIdx.x
        total = real(0.0)
        share = (dy.shape[0] + cuda.gridDim.y - 1) // cuda.gridDim.y
        begin = cuda.blockIdx.y * share
        for n in range(begin, min(dy.shape[0], begin + share)):
            for turn in range((dy.shape[2] + cuda.blockDim.x - 1) // cuda.blockDim.x):
                pixel = turn * cuda.blockDim.x + cuda.threadIdx.x
                total += dy[n, m, pixel] if pixel < dy.shape[2] else real(0.0)
        total = block_sum(tree, total)
        if cuda.threadIdx.x == 0:
            part[cuda.blockIdx.y, m] = total

    return channel_sums


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
    wide, v = channels * LANES, window.step[1]
    best: tuple[float, Plan] | None = None
    th, tw = out
    while True:
        rows, width = window.tile_rows(th), window.tile_width(tw)
        chunk = min(c, (items - th * tw * wide) // (rows * v * width))
        if chunk >= 1:
            chunk = -(-c // -(-c // chunk))
            spots = -(-out[0] // th) * -(-out[1] // tw)
            turned = -(-c // chunk) * out[0] * out[1] * wide * TURN
            copied = spots * c * rows * v * -(-width // LANES)
            kept = spots * c * len(window.taps) * channels
            many = items // (chunk * rows * v * width + th * tw * wide) if spots == 1 else 1
            cost = turned + copied + kept / many
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
    share = -(-n // (PARTS_CPU if x.device.is_cpu else PARTS_GPU))
    parts = -(-n // share)
    part = empty((parts, g * k, m), x.dtype, x.device)
    offset = offset_table(window, plan.chunk, plan.rows, plan.width, x.device)
    threads = 1 if x.device.is_cpu else max(1, min(GPU_THREADS, -(-plan.chunk * taps // PRODUCTS)))
    grid = (g * -(-c // plan.chunk), -(-m // (plan.channels * LANES)), parts)
    rows, columns = dy.shape[2:]
    weight_grad_kernel(real, plan.channels, window.step[1] == 1)[grid, (LANES, threads)](
        x,
        dy.reshape(n, dy.shape[1], rows * columns),
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
    collect_kernel(real)[(g * -(-m // LANES), -(-k // LANES)), (LANES, LANES)](part, dw)


def shared_items_of(x: Array) -> int:
    """How many numbers of the dtype of x a tile may hold."""
    return shared_items(float32 if x.dtype == FLOAT32 else float64)


def channel_sums(dy: Array) -> Array:
    """Sum of dy (N, M, ...) over everything but the channels; dy is contiguous and not empty."""
    real = float32 if dy.dtype == FLOAT32 else float64
    n, m = dy.shape[:2]
    run = channel_sums_kernel(real)
    threads = SUM_THREADS_CPU if dy.device.is_cpu else SUM_THREADS_GPU
    parts = 1 if dy.device.is_cpu else min(n, PARTS_GPU)
    part = empty((parts, m), dy.dtype, dy.device)
    run[(m, parts), threads](dy.reshape(n, m, dy.size // (n * m)), part)
    if parts == 1:
        return part.reshape(m)
    db = empty((1, m), dy.dtype, dy.device)
    run[(m, 1), threads](part.T.copy().reshape(1, m, parts), db)
    return db.reshape(m)
