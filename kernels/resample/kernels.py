"""The kernels of resampling. x has planes, rows, columns; neighbouring threads take neighbouring
columns.

- ``nearest``, ``linear``: one thread per element of the result and plane.
- ``nearest_backward``, ``linear_backward``: one thread per element of x adds up the elements of dy
  that were made from it: nothing is added atomically, so results repeat bit for bit.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, float64

from ..engine import Kernel, kernel
from ..pool.launch import place


@functools.cache
def nearest_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``nearest`` and ``nearest_backward`` for float32 or float64."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def nearest(x, rows, columns, y):
        """x (planes, h, w), rows (2, oh), columns (2, ow), y (planes, oh, ow)."""
        p, oh, ow = place()
        _, height, width = y.shape
        if oh < height and ow < width:
            h, w = rows[0, oh], columns[0, ow]
            y[p, oh, ow] = x[p, h, w]

    @kernel
    def nearest_backward(dy, row_owners, column_owners, most, dx):
        """dy (planes, oh, ow), owners (2, h) and (2, w), dx (planes, h, w)."""
        p, h, w = place()
        _, height, width = dx.shape
        if h < height and w < width:
            h0, h1 = row_owners[0, h], row_owners[1, h]
            w0, w1 = column_owners[0, w], column_owners[1, w]
            total = real(0.0)
            for i in range(most[0]):
                for j in range(most[1]):
                    if h0 + i <= h1 and w0 + j <= w1:
                        total += dy[p, h0 + i, w0 + j]
            dx[p, h, w] = total

    return nearest, nearest_backward


@functools.cache
def linear_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``linear`` and ``linear_backward`` for float32 or float64."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @cuda.jit(device=True)
    def share(places, weights, o, i):
        """Weight of element i of x in element o of the result."""
        low = weights[0, o] if places[0, o] == i else real(0.0)
        return low + (weights[1, o] if places[1, o] == i else real(0.0))

    @kernel
    def linear(x, rows, columns, row_weights, column_weights, y):
        """x (planes, h, w), row tables (2, oh), column tables (2, ow), y (planes, oh, ow)."""
        p, oh, ow = place()
        _, height, width = y.shape
        if oh < height and ow < width:
            h0, h1 = rows[0, oh], rows[1, oh]
            w0, w1 = columns[0, ow], columns[1, ow]
            a0, a1 = row_weights[0, oh], row_weights[1, oh]
            b0, b1 = column_weights[0, ow], column_weights[1, ow]
            above = b0 * x[p, h0, w0] + b1 * x[p, h0, w1]
            below = b0 * x[p, h1, w0] + b1 * x[p, h1, w1]
            y[p, oh, ow] = a0 * above + a1 * below

    @kernel
    def linear_backward(
        dy, rows, columns, row_weights, column_weights, row_owners, column_owners, most, dx
    ):
        """dy (planes, oh, ow), tables as above, owners (2, h) and (2, w), dx (planes, h, w)."""
        p, h, w = place()
        _, height, width = dx.shape
        if h < height and w < width:
            h0, h1 = row_owners[0, h], row_owners[1, h]
            w0, w1 = column_owners[0, w], column_owners[1, w]
            total = real(0.0)
            for i in range(most[0]):
                for j in range(most[1]):
                    if h0 + i <= h1 and w0 + j <= w1:
                        a = share(rows, row_weights, h0 + i, h)
                        b = share(columns, column_weights, w0 + j, w)
                        total += a * b * dy[p, h0 + i, w0 + j]
            dx[p, h, w] = total

    return linear, linear_backward
