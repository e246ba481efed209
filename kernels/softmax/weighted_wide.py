"""Cross entropy with its options by 128-bit access, on a GPU.

Formulas and arguments of :mod:`.weighted_kernels`.

- ``weighted_loss_wide``: reads a row of any length once, by the one pass of :mod:`.wide`; with
  label smoothing once more, when it may find it in the cache.
- ``weighted_gradient_wide``: reads it once more and writes the gradient.

Weights are read four at a time where they are aligned like the row.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda, float32, int32, int64, uint32

from ..elementwise.wide import RUN, fetch, put_back, shared_head
from ..elementwise.wide_broadcast import fetch_repeated
from ..engine import Array
from ..opspec import GpuKernel
from ..reduce.wide_rows import (
    HELD,
    ITEMS,
    SLOTS,
    hold,
    next_batch,
    own_row,
    place,
    row_kernel,
    row_launch,
    row_sum,
    run_of,
    single_of,
    span_of,
)
from .wide import row_exponentials

APART = 4  # no row is aligned like the weights


@row_kernel
def weighted_loss_wide(x, labels, weight, ignore, a, b, stats, losses, head, side, rows, c):
    """x (rows c,), stats (rows, 3), losses (2, rows); side: the head of weight, or APART."""
    slots, kept = cuda.shared.array(SLOTS, float32), cuda.local.array(ITEMS, float32)
    w = cuda.local.array(RUN, float32)
    row, own = own_row(rows)
    start, before, runs = span_of(own, c, head)
    m, s = row_exponentials(kept, slots, x, start, c, before, runs)
    log_s, single = math.log(s), single_of(before, runs)
    spread, total, alike = float32(0.0), float32(0.0), uint32(before == side)
    if b > float32(0.0):
        if single < c:
            total = weight[single]
            spread = total * (log_s - (x[start + single] - m))
        first, left = place(start + before, 0), runs
        while left > uint32(0):
            hold(kept, x, first, left, m)
            for k in range(HELD):
                if run_of(k) < left:
                    at = uint32(uint32(first - start) + uint32(RUN) * run_of(k))
                    fetch_repeated(w, weight, at, c, uint32(1), alike)
                    for j in range(RUN):
                        total += w[j]
                        spread += w[j] * (log_s - (kept[k * RUN + j] - m))
            first, left = next_batch(first, left)
    spread = row_sum(slots, 0, spread)
    total = row_sum(slots, 1, total)
    if cuda.threadIdx.x == 0 and row < rows:
        label = labels[row]
        loss, share = float32(math.nan), float32(math.nan)
        if label >= 0 and label < c:
            at = uint32(label)
            share = weight[at]
            loss = a * share * (log_s - (x[start + at] - m))
            if b > float32(0.0):
                loss += b * spread
        mass = a * share + b * total
        if label == ignore:
            loss, share, mass = float32(0.0), float32(0.0), float32(0.0)
        stats[row, 0], stats[row, 1], stats[row, 2] = m, s, mass
        losses[0, row], losses[1, row] = loss, share


@cuda.jit(device=True)
def slope(x, m, r, mass, w, a, b, hit, g):
    """Gradient for one item; ``hit``: it is that of the label."""
    share = w if hit else float32(0.0)
    d = math.exp(x - m) * r * mass - (a * share + b * w)  # summed like mass
    return float32(0.0) if mass == float32(0.0) else d * g


@row_kernel
def weighted_gradient_wide(
    dloss, out, x, stats, labels, weight, a, b, step, dx, head, side, rows, c
):
    """dloss (rows,) with step 1, or (1,) with step 0; out (2,); x, dx (rows c,)."""
    kept, w = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
    row, own = own_row(rows)
    start, before, runs = span_of(own, c, head)
    first, alike = start + before, uint32(before == side)
    m, mass, g = stats[own, 0], stats[own, 2], dloss[own * step] / out[1]
    r, label = float32(1.0) / stats[own, 1], uint32(labels[own])  # no number of a class: mass tells
    run = run_of(0)
    while run < runs and row < rows:
        j = uint32(before + uint32(RUN) * run)
        fetch(kept, x, place(first, run))
        fetch_repeated(w, weight, j, c, uint32(1), alike)
        for i in range(RUN):
            hit = uint32(j + uint32(i)) == label
            kept[i] = slope(kept[i], m, r, mass, w[i], a, b, hit, g)
        put_back(dx, place(first, run), kept)
        run = uint32(run + uint32(cuda.blockDim.x))
    single = single_of(before, runs)
    if single < c and row < rows:
        hit = single == label
        dx[start + single] = slope(x[start + single], m, r, mass, weight[single], a, b, hit, g)


def _numbers(x: Array, weight: Array, head: int) -> tuple[Any, ...]:
    side = shared_head(weight)
    rows, c = x.shape
    numbers = head, APART if side is None else side, rows, c
    return tuple(map(np.uint32, numbers))


def launch_loss(
    x: Array, labels: Array, weight: Array, numbers: Any, stats: Array, losses: Array, head: int
) -> None:
    """Run ``weighted_loss_wide`` on x (rows, c); numbers: the ignored label, a and b."""
    rows, c = x.shape
    given = x.reshape((rows * c,)), labels, weight, *numbers, stats, losses
    weighted_loss_wide[row_launch(rows, c)](*given, *_numbers(x, weight, head))


def launch_gradient(
    dloss: Array, out: Array, x: Array, saved: tuple[Array, ...], numbers: Any, dx: Array, head: int
) -> None:
    """Run ``weighted_gradient_wide`` on x, dx (rows, c); of stats, labels, weight; a and b."""
    rows, c = x.shape
    step = np.uint32(dloss.size == rows)  # alike for a single row
    given = dloss, out, x.reshape((rows * c,)), *saved, *numbers, step, dx.reshape((rows * c,))
    weighted_gradient_wide[row_launch(rows, c)](*given, *_numbers(x, saved[2], head))


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, table, found = float32[::1], float32[:, ::1], []
    four = (uint32,) * 4
    for integer in (int32, int64):
        label = integer[::1]
        signature: tuple[Any, ...] = (line, label, line, int64, float32, float32, table, table)
        loads = (f"LDG.128 >= {3 * HELD}", "LDL == 0")
        made = GpuKernel("cross_entropy", weighted_loss_wide, (*signature, *four), expects=loads)
        signature = (line, line, line, table, label, line, float32, float32, uint32, line)
        both = ("LDG.128 >= 2", "STG.128", "LDL == 0")
        name = "cross_entropy_backward"
        found.append(made)
        found.append(GpuKernel(name, weighted_gradient_wide, (*signature, *four), expects=both))
    return tuple(found)
