"""Correlation as a matrix product whose right factor is never stored: implicit GEMM.

With k for (channel, tap) and j for (image, row, column) of y, the correlation is the product
``y[m, j] = sum over k of w[m, k] a[k, j]`` of the weights with the matrix a of all windows, which
has T times as many numbers as x (Chellapilla, Puri, Simard, "High performance convolutional neural
networks for document processing", 2006). A block gathers a part of a, DEPTH x COLUMNS, from x into
shared memory, multiplies the weights with it, and forgets it (Chetlur et al., "cuDNN: efficient
primitives for deep learning", 2014, section 3).

Columns run over all images: nothing is lost at the end of a row, however small the images are. A
thread computes CHANNELS x PIXELS outputs in registers. Sums longer than DEPTH wait in y.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, float64, int64, uint64

from ..checks import FLOAT32
from ..engine import Array, Device, Kernel, array, cached_constant, kernel
from .tiles import LANES, Window

CHANNELS, PIXELS = 8, 2  # outputs of a thread
COLUMNS = PIXELS * LANES  # of a block
DEPTH = 192  # products of a sum between two barriers: the tile has 24 KiB in float32
GPU_THREADS = 16  # along the channels; not measured on a GPU


@functools.cache
def gemm_kernel(real: Any) -> Kernel:
    """The kernel for numba's float32 or float64."""
    S, R = CHANNELS, PIXELS

    @kernel
    def correlate_gemm(x, w, bias, where, y, high, wide, groups, u, v, top, left, share):
        # x: (N G C H W,), w: (G M, K), bias: (G M,), y: (N, G M, P, Q); where: (3, K), the place in
        # an image, row and column of tap k. Grid: (columns G / COLUMNS, channels / share).
        tile = cuda.shared.array((DEPTH, COLUMNS), real)
        total = cuda.local.array((S, R), real)
        image, row = cuda.local.array(R, int64), cuda.local.array(R, int64)
        column, corner = cuda.local.array(R, int64), cuda.local.array(R, int64)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        all_m, depth = y.shape[1] // groups, w.shape[1]
        group = cuda.blockIdx.x % groups
        m0 = group * all_m + cuda.blockIdx.y * share
        m1 = min((group + 1) * all_m, m0 + share)
        for r in range(R):
            j = (cuda.blockIdx.x // groups * R + r) * LANES + tx
            row[r] = j // y.shape[3] % y.shape[2]
            column[r] = j % y.shape[3]
            image[r] = j // (y.shape[2] * y.shape[3])
            start = (image[r] * groups + group) * (x.size // (y.shape[0] * groups))
            corner[r] = start + (row[r] * u - top) * wide + column[r] * v - left
        for k0 in range(0, depth, DEPTH):
            now = min(DEPTH, depth - k0)
            for turn in range((now + cuda.blockDim.y - 1) // cuda.blockDim.y):
                k = turn * cuda.blockDim.y + ty
                kk = min(k0 + k, depth - 1)
                for r in range(R):
                    p = row[r] * u - top + where[1, kk]
                    q = column[r] * v - left + where[2, kk]
                    value = real(0.0)
                    if p >= 0 and p < high and q >= 0 and q < wide and image[r] < y.shape[0]:
                        value = x[uint64(corner[r] + where[0, kk])]
                    if k < now:
                        tile[k, r * LANES + tx] = value
            cuda.syncthreads()
            for turn in range((m1 - m0 + S * cuda.blockDim.y - 1) // (S * cuda.blockDim.y)):
                m = m0 + (turn * cuda.blockDim.y + ty) * S
                for i in range(S):
                    for r in range(R):
                        total[i, r] = real(0.0) if k0 > 0 else bias[min(m + i, m1 - 1)]
                for k in range(now):
                    for i in range(S):
                        weight = w[min(m + i, m1 - 1), k0 + k]
                        for r in range(R):
                            total[i, r] += weight * tile[k, r * LANES + tx]
                for i in range(S):
                    for r in range(R):
                        n, p, q = uint64(image[r]), uint64(row[r]), uint64(column[r])
                        value = total[i, r]
                        inside = image[r] < y.shape[0] and m + i < m1
                        if inside and k0 > 0:
                            value += y[n, m + i, p, q]
                        if inside:
                            y[n, m + i, p, q] = value
            cuda.syncthreads()

    return correlate_gemm


@cached_constant(1024)
def where_table(window: Window, shape: tuple[int, ...], device: Device) -> Array:
    """Place, row and column of every product of a sum: (3, C T), int64; shape is (C, H, W)."""
    c, h, w = shape
    found = [((k * h + i) * w + j, i, j) for k in range(c) for i, j in window.taps]
    return array(np.array(found, np.int64).reshape(-1, 3).T, device=device)


def correlate_gemm(x: Array, w: Array, bias: Array, y: Array, window: Window, groups: int) -> None:
    """Run the kernel; x, w and bias are contiguous, y may be any view, nothing is empty."""
    c, m = x.shape[1] // groups, y.shape[1] // groups
    columns = -(-y.shape[0] * y.shape[2] * y.shape[3] // COLUMNS)
    threads = 1 if x.device.is_cpu else min(GPU_THREADS, -(-m // CHANNELS))
    share = max(CHANNELS * threads, m) if x.device.is_cpu else CHANNELS * threads
    where = where_table(window, (c, *x.shape[2:]), x.device)
    gemm_kernel(float32 if x.dtype == FLOAT32 else float64)[
        (columns * groups, -(-m // share)), (LANES, threads)
    ](
        x.reshape(x.size),
        w,
        bias,
        where,
        y,
        *x.shape[2:],
        groups,
        *window.step,
        window.top,
        window.left,
        share,
    )
