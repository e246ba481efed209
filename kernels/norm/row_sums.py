"""Launchers of the gradients of weight and bias: sums over rows of dy, and of dy times the rows.

dw = sum over rows of dy h,  db = sum over rows of dy,  with h the normalised rows.
"""

from __future__ import annotations

import math

import numpy as np

from ..elementwise import copy
from ..elementwise.mapping import MAX_GRID
from ..engine import Array, empty, zeros
from ..reduce import sum
from ..reduce.wide_rows import row_head
from . import batch_wide_slopes
from .row_kernels import sum_kernels
from .sums import COLUMNS, ROWS

# Rows that one block adds up before a second launch pays, and the most parts.
PART, MOST_PARTS = 512, 64


def column_sums(
    dy: Array, x: Array, stats: Array, columns: int, groups: int
) -> tuple[Array, Array]:
    """dw and db, where each of the ``columns`` of x has its weight."""
    if not x.size:
        zero = zeros((2, columns), x.dtype, x.device)
        return zero[0], zero[1]
    view = (x.size // columns, columns)
    parts = min(max(view[0] // PART, 1), MOST_PARTS)
    sums = empty((2, parts, columns), x.dtype, x.device)
    by_column, _ = sum_kernels(x.dtype)
    per = columns // groups
    by_column[(-(-per // COLUMNS), parts, min(groups, MAX_GRID)), (COLUMNS, ROWS)](
        contiguous(dy).reshape(view),
        contiguous(x).reshape(view),
        stats,
        np.int64(groups),
        np.int64(per),
        np.int64(-(-view[0] // parts)),
        sums,
    )
    total = sum(sums, 1) if parts > 1 else sums.reshape((2, columns))
    return total[0], total[1]


def channel_sums(dy: Array, x: Array, stats: Array, per: int, groups: int) -> tuple[Array, Array]:
    """dw and db, where each channel of x (n, c, ...) has its weight; ``per`` of them in a group."""
    n, c = x.shape[:2]
    length = math.prod(x.shape[2:])
    dy, x = (contiguous(a).reshape((n, c, length)) for a in (dy, x))
    head = row_head((n * c, length), dy, x)
    if head is not None:
        total = batch_wide_slopes.channel_sums(dy, x, stats, groups, head)
        return total[0], total[1]
    total = zeros((2, c), x.dtype, x.device)
    if x.size:
        _, by_channel = sum_kernels(x.dtype)
        by_channel[c, (COLUMNS, ROWS)](
            dy,
            x,
            stats,
            np.int64(groups),
            np.int64(per),
            total,
        )
    return total[0], total[1]


def contiguous(x: Array) -> Array:
    """``x``, or a contiguous copy."""
    return x if x.is_contiguous else copy(x)
