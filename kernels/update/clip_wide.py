"""``partial_norm_wide``: sums of powers of items by 128-bit access, for float32 on a GPU."""

from __future__ import annotations

import functools
import math
from typing import Any

from numba import cuda, float32, uint32, uint64

from ..engine import Kernel, kernel
from ..reduce.tree import add, larger
from ..reduce.wide_rows import ITEMS, SLOTS, hold, row_combine, single_of, span_at

CHUNK = 4096  # items of a block: enough to make the second launch short, few enough for many blocks


@functools.cache
def wide_norm_kernel(norm_type: float) -> Kernel:
    """``partial_norm_wide`` for p = 1, 2 or inf; where each item goes: ``reduce.wide_rows``."""
    combine = larger if norm_type == math.inf else add
    combined = row_combine(combine, 0.0)
    squared = norm_type == 2.0

    @kernel
    def partial_norm_wide(x: Any, out: Any, head: Any) -> None:
        """x (n,), out (blocks,); ``head`` as of ``shared_head``."""
        slots, kept = cuda.shared.array(SLOTS, float32), cuda.local.array(ITEMS, float32)
        first = uint64(uint64(cuda.blockIdx.x) * uint64(CHUNK))
        length = uint32(min(uint64(CHUNK), uint64(uint64(x.size) - first)))
        before, runs = span_at(first, length, head)
        single = single_of(before, runs)
        hold(kept, x, uint64(first + uint64(before)), runs, float32(0.0))
        acc = abs(x[first + uint64(single)]) if single < length else float32(0.0)
        if squared:
            acc = acc * acc
        for j in range(ITEMS):
            v = abs(kept[j])
            if squared:
                v = v * v
            acc = combine(acc, v)
        acc = combined(slots, 0, acc)
        if cuda.threadIdx.x == 0:
            out[cuda.blockIdx.x] = acc

    return partial_norm_wide
