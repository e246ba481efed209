"""The kernels of batch normalisation.

An image batch is x (n, c, l), with l the product of the axes after the channels. ``*_rows`` is for
l > 1: one block per channel, whose threads (32 along l, 8 along n) read neighbouring elements.
``*_columns`` is for (n, c), where a channel is a column: one thread per channel, neighbouring
threads on neighbouring channels.

- ``train``: mean, variance, running statistics and the normalised values in one launch: the three
  passes over a channel follow each other, so that the later ones find it in the cache.
- ``backward``: the sums over a channel and then its dx, in one launch. ``batch=False`` is the
  gradient where the statistics are constants.
- ``inference``: one multiply-add per element, with scale and shift folded from the four vectors.

A channel is one block: few channels leave a large GPU partly idle, which the single launch repays
at the sizes of small networks. Sums are added in a fixed order: results repeat bit for bit.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, float64

from ..engine import Kernel, kernel
from .sums import COLUMNS, ROWS, residual, table_sum


def real_of(dtype: Any) -> Any:
    """numba's float32 or float64 for a dtype."""
    return float32 if np.dtype(dtype) == np.float32 else float64


@functools.cache
def train_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``train_rows`` and ``train_columns`` for float32 or float64."""
    real = real_of(dtype)
    variance_of = residual(real)

    @cuda.jit(device=True)
    def remember(k, mean, var, momentum, means, variances):
        """Move the running statistics of channel k towards those of the batch."""
        old = real(1.0) - momentum
        means[k] = old * means[k] + momentum * mean
        variances[k] = old * variances[k] + momentum * var

    @kernel
    def train_rows(x, weight, bias, count, eps, momentum, means, variances, y, stats):
        """x, y (n, c, l), stats (3, c), the others (c,); no running statistics if momentum < 0."""
        partial = cuda.shared.array((ROWS, COLUMNS), real)
        channel = cuda.blockIdx.x
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        n, _, length = x.shape
        total = real(0.0)
        for i in range(ty, n, ROWS):
            for j in range(tx, length, COLUMNS):
                total += x[i, channel, j]
        mean = table_sum(partial, total) / count
        rest, square = real(0.0), real(0.0)
        for i in range(ty, n, ROWS):
            for j in range(tx, length, COLUMNS):
                d = x[i, channel, j] - mean
                rest += d
                square += d * d
        rest = table_sum(partial, rest) / count
        var = variance_of(table_sum(partial, square) / count, rest)
        inverse = real(1.0) / math.sqrt(var + eps)
        scale, shift = inverse * weight[channel], bias[channel]
        for i in range(ty, n, ROWS):
            for j in range(tx, length, COLUMNS):
                y[i, channel, j] = ((x[i, channel, j] - mean) - rest) * scale + shift
        if tx == 0 and ty == 0:
            stats[0, channel], stats[1, channel], stats[2, channel] = mean, rest, inverse
            if momentum >= real(0.0):
                unbiased = var * (count / (count - real(1.0)))
                remember(channel, mean + rest, unbiased, momentum, means, variances)

    @kernel
    def train_columns(x, weight, bias, count, eps, momentum, means, variances, y, stats):
        """x, y (n, c); the rest as above."""
        channel = cuda.grid(1)
        n, c = x.shape
        if channel < c:
            mean = real(0.0)
            for i in range(n):
                mean += x[i, channel]
            mean /= count
            rest, square = real(0.0), real(0.0)
            for i in range(n):
                d = x[i, channel] - mean
                rest += d
                square += d * d
            rest /= count
            var = variance_of(square / count, rest)
            inverse = real(1.0) / math.sqrt(var + eps)
            scale, shift = inverse * weight[channel], bias[channel]
            for i in range(n):
                y[i, channel] = ((x[i, channel] - mean) - rest) * scale + shift
            stats[0, channel], stats[1, channel], stats[2, channel] = mean, rest, inverse
            if momentum >= real(0.0):
                unbiased = var * (count / (count - real(1.0)))
                remember(channel, mean + rest, unbiased, momentum, means, variances)

    return train_rows, train_columns


@functools.cache
def backward_kernels(dtype: Any, batch: bool) -> tuple[Kernel, Kernel]:
    """``backward_rows`` and ``backward_columns``; ``batch``: of statistics of the batch itself."""
    real = real_of(dtype)

    @kernel
    def backward_rows(dy, x, weight, stats, count, dx, dw, db):
        """dy, x, dx (n, c, l), weight, dw, db (c,), stats (3, c)."""
        partial = cuda.shared.array((ROWS, COLUMNS), real)
        channel = cuda.blockIdx.x
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        n, _, length = x.shape
        mean, rest, inverse = stats[0, channel], stats[1, channel], stats[2, channel]
        plain, weighted = real(0.0), real(0.0)
        for i in range(ty, n, ROWS):
            for j in range(tx, length, COLUMNS):
                plain += dy[i, channel, j]
                weighted += dy[i, channel, j] * (((x[i, channel, j] - mean) - rest) * inverse)
        plain = table_sum(partial, plain)
        weighted = table_sum(partial, weighted)
        scale = inverse * weight[channel]
        for i in range(ty, n, ROWS):
            for j in range(tx, length, COLUMNS):
                if batch:
                    hat = ((x[i, channel, j] - mean) - rest) * inverse
                    g = (dy[i, channel, j] - plain / count) - hat * (weighted / count)
                    dx[i, channel, j] = g * scale
                else:
                    dx[i, channel, j] = dy[i, channel, j] * scale
        if tx == 0 and ty == 0:
            dw[channel] = weighted
            db[channel] = plain

    @kernel
    def backward_columns(dy, x, weight, stats, count, dx, dw, db):
        """dy, x, dx (n, c); the rest as above."""
        channel = cuda.grid(1)
        n, c = x.shape
        if channel < c:
            mean, rest, inverse = stats[0, channel], stats[1, channel], stats[2, channel]
            plain, weighted = real(0.0), real(0.0)
            for i in range(n):
                plain += dy[i, channel]
                weighted += dy[i, channel] * (((x[i, channel] - mean) - rest) * inverse)
            scale = inverse * weight[channel]
            for i in range(n):
                if batch:
                    hat = ((x[i, channel] - mean) - rest) * inverse
                    g = (dy[i, channel] - plain / count) - hat * (weighted / count)
                    dx[i, channel] = g * scale
                else:
                    dx[i, channel] = dy[i, channel] * scale
            dw[channel] = weighted
            db[channel] = plain

    return backward_rows, backward_columns


@functools.cache
def inference_kernels(dtype: Any) -> tuple[Kernel, Kernel, Kernel]:
    """``inference_rows``, ``inference_columns`` and ``constants`` for float32 or float64."""
    real = real_of(dtype)

    @kernel
    def inference_rows(x, mean, var, weight, bias, eps, channels, y):
        """x, y (n channels, l): a block for each row, of one channel; the vectors (channels,)."""
        row = cuda.blockIdx.x
        k = row % channels
        scale = weight[k] / math.sqrt(var[k] + eps)
        shift = bias[k] - mean[k] * scale
        for j in range(cuda.threadIdx.x, x.shape[1], cuda.blockDim.x):
            y[row, j] = x[row, j] * scale + shift

    @kernel
    def inference_columns(x, mean, var, weight, bias, eps, channels, y):
        """x, y (n, channels); the vectors have (channels,)."""
        k, first = cuda.grid(2)
        rows, _ = y.shape
        if k < channels:
            scale = weight[k] / math.sqrt(var[k] + eps)
            shift = bias[k] - mean[k] * scale
            for row in range(first, rows, cuda.gridDim.y * cuda.blockDim.y):
                y[row, k] = x[row, k] * scale + shift

    @kernel
    def constants(mean, var, eps, stats):
        """mean, var (c,), stats (3, c): what ``backward`` takes."""
        k = cuda.grid(1)
        if k < mean.size:
            stats[0, k] = mean[k]
            stats[1, k] = real(0.0)
            stats[2, k] = real(1.0) / math.sqrt(var[k] + eps)

    return inference_rows, inference_columns, constants
