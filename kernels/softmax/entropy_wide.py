"""Softmax cross entropy by 128-bit access, on a GPU; formulas and arguments of :mod:`.entropy`.

- ``loss_wide``: reads a row of any length once, by the one pass of :mod:`.wide`.
- ``gradient_wide``: reads it once more and writes the gradient; what belongs to the row, its
  maximum, sum and gradient of the loss, is read once for each thread.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda, float32, int32, int64, types, uint32

from ..elementwise.wide import RUN
from ..engine import Array
from ..engine.ptx import load4, store4
from ..opspec import GpuKernel
from ..reduce.wide_rows import (
    HELD,
    ITEMS,
    SLOTS,
    own_row,
    place,
    row_kernel,
    row_launch,
    run_of,
    single_of,
    span_of,
)
from .wide import row_exponentials


@row_kernel
def loss_wide(x, labels, stats, losses, head, rows, c):
    """x (rows c,), labels (rows,), stats (rows, 2), losses (rows,)."""
    slots, kept = cuda.shared.array(SLOTS, float32), cuda.local.array(ITEMS, float32)
    row, own = own_row(rows)
    start, before, runs = span_of(own, c, head)
    m, s = row_exponentials(kept, slots, x, start, c, before, runs)
    if cuda.threadIdx.x == 0 and row < rows:
        stats[row, 0] = m
        stats[row, 1] = s
        label = labels[row]
        loss = float32(math.nan)
        if label >= 0 and label < c:
            loss = math.log(s) - (x[start + uint32(label)] - m)
        losses[row] = loss


@cuda.jit(device=True)
def slope(x, m, r, hit, g):
    """Gradient for one item; ``hit``: it is that of the label."""
    p = math.exp(x - m) * r
    return (p - float32(1.0)) * g if hit else p * g


@row_kernel
def gradient_wide(dloss, x, stats, labels, dx, step, scale, head, rows, c):
    """dloss (rows,) with step 1, or (1,) with step 0; x, dx (rows c,); the others as above."""
    row, own = own_row(rows)
    start, before, runs = span_of(own, c, head)
    first = start + before
    label, m, g = labels[own], stats[own, 0], dloss[own * step] * scale
    r = float32(1.0) / stats[own, 1]
    if label < 0 or label >= c:
        g = float32(math.nan)
    at = uint32(label)
    run = run_of(0)
    while run < runs and row < rows:
        a, b, d, e = load4(x, place(first, run))
        j = uint32(before + uint32(RUN) * run)
        a, b = slope(a, m, r, at == j, g), slope(b, m, r, at == uint32(j + uint32(1)), g)
        d = slope(d, m, r, at == uint32(j + uint32(2)), g)
        e = slope(e, m, r, at == uint32(j + uint32(3)), g)
        store4(dx, place(first, run), a, b, d, e)
        run = uint32(run + uint32(cuda.blockDim.x))
    single = single_of(before, runs)
    if single < c and row < rows:
        dx[start + single] = slope(x[start + single], m, r, at == single, g)


def launch_loss(x: Array, labels: Array, stats: Array, losses: Array, head: int) -> None:
    """Run ``loss_wide`` on x (rows, c)."""
    rows, c = x.shape
    numbers = np.uint32(head), np.uint32(rows), np.uint32(c)
    loss_wide[row_launch(rows, c)](x.reshape((rows * c,)), labels, stats, losses, *numbers)


def launch_gradient(
    dloss: Array, x: Array, stats: Array, labels: Array, dx: Array, scale: float, head: int
) -> None:
    """Run ``gradient_wide`` on x and dx (rows, c); dloss (rows,) or (1,)."""
    rows, c = x.shape
    x, dx = x.reshape((rows * c,)), dx.reshape((rows * c,))
    step = np.uint32(dloss.size == rows)  # alike for a single row
    numbers = step, np.float32(scale), np.uint32(head), np.uint32(rows), np.uint32(c)
    gradient_wide[row_launch(rows, c)](dloss, x, stats, labels, dx, *numbers)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, table = types.Array(types.float32, 1, "C"), types.Array(types.float32, 2, "C")
    found = []
    for integer in (int32, int64):
        label, numbers = integer[::1], (uint32, uint32, uint32)
        signature: tuple[Any, ...] = (line, label, table, line, *numbers)
        loads = (f"LDG.128 >= {HELD}", "LDL == 0")
        found.append(GpuKernel("cross_entropy", loss_wide, signature, expects=loads))
        signature = (line, line, table, label, line, uint32, float32, *numbers)
        both = ("LDG.128", "STG.128", "LDL == 0")
        found.append(GpuKernel("cross_entropy_backward", gradient_wide, signature, expects=both))
    return tuple(found)
