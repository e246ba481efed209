"""All gradients of layer and root-mean-square normalisation from one read, on a GPU.

Formulas of :mod:`.rows`; where each item goes is told in ``reduce.wide_rows``.

- ``layer_norm_gradients_wide``, ``rms_norm_gradients_wide``: dx and, from the same read, the sums
  that make dw and db. A row of threads takes every ``parts``-th row of x, and so has the same
  columns each time: it adds up its own and writes one row of ``sums``, which a second launch adds
  up, in the same order every time.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import cuda, float32, types, uint32, uint64

from ..elementwise.wide import RUN
from ..engine import Array, Kernel, empty, kernel
from ..opspec import GpuKernel
from ..reduce import sum
from ..reduce.wide_rows import HELD, ITEMS, SLOTS, hold, own_row, release, row_launch, row_sum
from .row_wide import place_of
from .row_wide_slopes import add_terms, finish, normalise, weighed

# Rows that a row of threads adds up, at least, and the most parts: NOT measured. Sums written and
# read again are an eighth of what a second read of dy and x would be.
ROWS_OF_PART, MOST_PARTS = 16, 1024
# Threads of a row, at most: for the sums each needs more registers.
MOST_THREADS = 256
WIDEST = ITEMS * MOST_THREADS


@functools.cache
def gradients_kernel(centred: bool) -> Kernel:
    """dx, and the sums for dw and, if ``centred``, db; a weight for each item of a row.

    Arguments: dy, x (rows c,); weight (c,); stats (3, rows); dx (rows c,); sums (parts c,) for dw,
    as many after them for db; parts; rows; c, a multiple of four of at most ``WIDEST``. All arrays
    begin at multiples of 16 bytes.
    """
    weigh = weighed(True)

    def gradients(dy, x, weight, stats, dx, sums, parts, rows, c):
        slots = cuda.shared.array(SLOTS, float32)
        g, hat = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
        dw, db = cuda.local.array(ITEMS, float32), cuda.local.array(ITEMS, float32)
        part, row = own_row(parts)
        runs, count, call = uint32(c >> uint32(2)), float32(c), uint32(0)
        for j in range(ITEMS):
            dw[j], db[j] = float32(0.0), float32(0.0)
        done = uint32(0)
        while done < rows:  # as often in all threads: they meet in the sums
            own = row if row < rows else uint32(rows - uint32(1))
            first = uint64(uint64(own) * uint64(c))
            mean, rest, inverse = stats[0, own], stats[1, own], stats[2, own]
            hold(g, dy, first, runs, float32(0.0))
            hold(hat, x, first, runs, float32(0.0))
            normalise(hat, runs, mean, rest, inverse)
            if row < rows:
                for j in range(ITEMS):
                    dw[j] += g[j] * hat[j]
                    db[j] += g[j]
            weigh(g, runs, weight, uint32(0), True, uint32(0), uint32(1))
            plain, weighted = add_terms(g, hat, float32(0.0), float32(0.0))
            weighted = row_sum(slots, call, weighted) / count
            if centred:
                plain = row_sum(slots, uint32(1), plain) / count
            else:  # the next sum must not overwrite what this one still reads
                plain, call = float32(0.0), uint32(uint32(1) - call)
            finish(g, hat, plain, weighted, inverse)
            if row < rows:
                release(dx, first, runs, g)
            row, done = uint32(row + parts), uint32(done + parts)
        if part < parts:
            release(sums, uint64(uint64(part) * uint64(c)), runs, dw)
            if centred:
                release(sums, uint64(uint64(uint32(part + parts)) * uint64(c)), runs, db)

    gradients.__name__ = f"{'layer' if centred else 'rms'}_norm_gradients_wide"
    gradients.__qualname__ = gradients.__name__
    return kernel(gradients, launch_bounds=MOST_THREADS)


def summable(weight: Array, c: int, head: int) -> bool:
    """Whether :func:`gradients` takes rows of ``c`` items."""
    return head == 0 and c % RUN == 0 and c <= WIDEST and place_of(weight) == 0


def gradients(
    dy: Array, x: Array, weight: Array, stats: Array, dx: Array, centred: bool
) -> tuple[Array, Array]:
    """dx (rows, c), in place, and dw and db (c,); db is dw unless ``centred``."""
    rows, c = x.shape
    size, kinds = (rows * c,), 1 + centred
    parts = min(max(rows // ROWS_OF_PART, 1), MOST_PARTS)
    sums = empty((kinds, parts, c), x.dtype, x.device)
    gradients_kernel(centred)[row_launch(parts, c)](
        dy.reshape(size),
        x.reshape(size),
        weight,
        stats,
        dx.reshape(size),
        sums.reshape((kinds * parts * c,)),
        np.uint32(parts),
        np.uint32(rows),
        np.uint32(c),
    )
    total = sum(sums, 1) if parts > 1 else sums.reshape((kinds, c))
    return total[0], total[kinds - 1]


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels with argument types, and the accesses that their machine code is to hold."""
    line, table = types.Array(types.float32, 1, "C"), types.Array(types.float32, 2, "C")
    signature = (line, line, line, table, line, line, *(uint32,) * 3)
    found = []
    for centred in (False, True):
        expects = f"LDG.128 == {3 * HELD}", f"STG.128 == {HELD * (2 + centred)}", "LDL == 0"
        made = gradients_kernel(centred)
        found.append(GpuKernel("normalise_backward", made, signature, expects=expects))
    return tuple(found)
