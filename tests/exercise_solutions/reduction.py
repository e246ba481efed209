"""A solution of exercise 5."""

from __future__ import annotations

import math
from typing import Any

from numba import cuda, float32

BLOCK = 128


@cuda.jit
def block_max(x: Any, out: Any) -> None:
    """x (n,), out (blocks,), float32."""
    best = cuda.shared.array(BLOCK, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    best[t] = x[i] if i < x.size else float32(-math.inf)
    cuda.syncthreads()
    distance = BLOCK // 2
    while distance > 0:
        if t < distance:
            best[t] = max(best[t], best[t + distance])
        cuda.syncthreads()
        distance //= 2
    if t == 0:
        out[cuda.blockIdx.x] = best[0]
