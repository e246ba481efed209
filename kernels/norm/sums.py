"""Sums that the normalisations share, and the variance.

The variance is that of the corrected two-pass algorithm (Chan, Golub and LeVeque, "Algorithms for
computing the sample variance", The American Statistician, 1983):

    m = sum x / n,    r = sum (x - m) / n,    var = sum (x - m)^2 / n - r^2

m is the mean but for its rounding error, r is that error. Where the mean is large against the
deviations, x - m is exact, r repairs the mean, and (x - m) - r has nearly all its digits; the
textbook formula ``mean(x^2) - mean(x)^2`` has none.
"""

from __future__ import annotations

import functools
from typing import Any

from numba import cuda

# A block that sums a table: a warp along its contiguous axis, eight of them along the other.
COLUMNS, ROWS = 32, 8


@cuda.jit(device=True)
def column_sum(partial: Any, value: Any) -> Any:
    """Sum of one value of each thread of a column of a (COLUMNS, ROWS) block; row 0 gets it.

    ``partial`` is shared memory (ROWS, COLUMNS), and may be used again at once.
    """
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    partial[ty, tx] = value
    cuda.syncthreads()
    total = value
    if ty == 0:
        for i in range(1, ROWS):
            total += partial[i, tx]
    cuda.syncthreads()
    return total


@cuda.jit(device=True)
def table_sum(partial: Any, value: Any) -> Any:
    """Sum of one value of each thread of a (COLUMNS, ROWS) block; every thread gets it.

    ``partial`` is shared memory (ROWS, COLUMNS), and may be used again at once.
    """
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    partial[ty, tx] = value
    cuda.syncthreads()
    if ty == 0:
        total = partial[0, tx]
        for i in range(1, ROWS):
            total += partial[i, tx]
        partial[0, tx] = total
    cuda.syncthreads()
    half = COLUMNS // 2
    while half > 0:
        if ty == 0 and tx < half:
            partial[0, tx] += partial[0, tx + half]
        cuda.syncthreads()
        half //= 2
    result = partial[0, 0]
    cuda.syncthreads()
    return result


@functools.cache
def residual(real: Any) -> Any:
    """A device function for the variance from the mean square and the mean of ``x - m``."""

    @cuda.jit(device=True)
    def variance(square: Any, rest: Any) -> Any:
        # Rounding can leave less than zero where all x are equal. NaN stays: no max().
        found = square - rest * rest
        return real(0.0) if found < real(0.0) else found

    return variance
