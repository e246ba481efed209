"""The kernels of layer, group and root-mean-square normalisation: each row by itself.

A row is what is normalised together: x is (rows, per, inner), a row has ``per`` channels of
``inner`` elements. Weight and bias have one item for each element of a row (``each``: per is 1), or
one for each channel; ``groups`` rows follow each other until they repeat, and blocks take every
``groups``-th row.

- ``forward``, ``backward``: a row of threads per row. Three passes and two follow each other, so
  that the later ones find the row in the cache.
- ``column_sums``: dw and db where weights belong to columns; 32 columns per block, eight threads
  for each, in parts of the rows that the launcher adds up.
- ``channel_sums``: dw and db where weights belong to channels of many elements; a block for each.

Sums are added in a fixed order: results repeat bit for bit.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from numba import cuda

from ..engine import Kernel, kernel
from ..reduce.tree import BLOCK, block_sum, own_row
from .batch_kernels import real_of
from .sums import COLUMNS, ROWS, column_sum, residual, table_sum


@functools.cache
def forward_kernel(dtype: Any, centred: bool, each: bool) -> Kernel:
    """``forward`` for float32 or float64; without ``centred`` the mean is taken to be 0."""
    real = real_of(dtype)
    variance_of = residual(real)

    @kernel
    def forward(x, weight, bias, count, eps, groups, y, stats):
        """x, y (rows, per, inner), stats (3, rows): mean, its rounding error, 1 / deviation."""
        tree = cuda.shared.array(BLOCK, real)
        own, tid = own_row(), cuda.threadIdx.x
        group = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
        rows, per, inner = x.shape
        if group >= groups:
            return
        row = own * groups + group if own * groups < rows else group
        first = group * (inner if each else per)
        mean, rest, square = real(0.0), real(0.0), real(0.0)
        if centred:
            for k in range(per):
                for j in range(tid, inner, cuda.blockDim.x):
                    mean += x[row, k, j]
            mean = block_sum(tree, mean) / count
        for k in range(per):
            for j in range(tid, inner, cuda.blockDim.x):
                d = x[row, k, j] - mean
                rest += d
                square += d * d
        square = block_sum(tree, square) / count
        rest = block_sum(tree, rest) / count if centred else real(0.0)
        inverse = real(1.0) / math.sqrt(variance_of(square, rest) + eps)
        if own * groups >= rows:
            return
        for k in range(per):
            for j in range(tid, inner, cuda.blockDim.x):
                at = first + j if each else first + k
                hat = ((x[row, k, j] - mean) - rest) * inverse
                y[row, k, j] = hat * weight[at] + bias[at]
        if tid == 0:
            stats[0, row], stats[1, row], stats[2, row] = mean, rest, inverse

    return forward


@functools.cache
def backward_kernel(dtype: Any, centred: bool, each: bool) -> Kernel:
    """``backward``, with the options of :func:`forward_kernel`."""
    real = real_of(dtype)

    @kernel
    def backward(dy, x, weight, stats, count, groups, dx):
        """dy, x, dx (rows, per, inner), stats (3, rows)."""
        tree = cuda.shared.array(BLOCK, real)
        own, tid = own_row(), cuda.threadIdx.x
        group = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
        rows, per, inner = x.shape
        if group >= groups:
            return
        row = own * groups + group if own * groups < rows else group
        first = group * (inner if each else per)
        mean, rest, inverse = stats[0, row], stats[1, row], stats[2, row]
        plain, weighted = real(0.0), real(0.0)
        for k in range(per):
            for j in range(tid, inner, cuda.blockDim.x):
                g = dy[row, k, j] * weight[first + j if each else first + k]
                plain += g
                weighted += g * (((x[row, k, j] - mean) - rest) * inverse)
        weighted = block_sum(tree, weighted) / count
        plain = block_sum(tree, plain) / count if centred else real(0.0)
        if own * groups >= rows:
            return
        for k in range(per):
            for j in range(tid, inner, cuda.blockDim.x):
                g = dy[row, k, j] * weight[first + j if each else first + k]
                hat = ((x[row, k, j] - mean) - rest) * inverse
                dx[row, k, j] = ((g - plain) - hat * weighted) * inverse

    return backward


@functools.cache
def sum_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``column_sums`` and ``channel_sums`` for float32 or float64."""
    real = real_of(dtype)

    @kernel
    def column_sums(dy, x, stats, groups, per, chunk, sums):
        """dy, x (n, c), stats (3, n groups), sums (2, parts, c); blockIdx.z is the group."""
        partial = cuda.shared.array((ROWS, COLUMNS), real)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        part = cuda.blockIdx.y
        stop = min(part * chunk + chunk, x.shape[0])
        for group in range(cuda.blockIdx.z, groups, cuda.gridDim.z):
            column = cuda.blockIdx.x * COLUMNS + tx
            inside = column < per
            column += group * per
            plain, weighted = real(0.0), real(0.0)
            if inside:
                for i in range(part * chunk + ty, stop, ROWS):
                    at = i * groups + group
                    hat = ((x[i, column] - stats[0, at]) - stats[1, at]) * stats[2, at]
                    plain += dy[i, column]
                    weighted += dy[i, column] * hat
            weighted = column_sum(partial, weighted)
            plain = column_sum(partial, plain)
            if ty == 0 and inside:
                sums[0, part, column] = weighted
                sums[1, part, column] = plain

    @kernel
    def channel_sums(dy, x, stats, groups, per, sums):
        """dy, x (n, c, l), stats (3, n groups), sums (2, c): block k sums channel k."""
        partial = cuda.shared.array((ROWS, COLUMNS), real)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        channel = cuda.blockIdx.x
        group = channel // per
        n, _, length = x.shape
        plain, weighted = real(0.0), real(0.0)
        for i in range(ty, n, ROWS):
            at = i * groups + group
            mean, rest, inverse = stats[0, at], stats[1, at], stats[2, at]
            for j in range(tx, length, COLUMNS):
                plain += dy[i, channel, j]
                weighted += dy[i, channel, j] * (((x[i, channel, j] - mean) - rest) * inverse)
        weighted = table_sum(partial, weighted)
        plain = table_sum(partial, plain)
        if tx == 0 and ty == 0:
            sums[0, channel] = weighted
            sums[1, channel] = plain

    return column_sums, channel_sums
