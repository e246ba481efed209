"""A solution of exercise 6."""

from __future__ import annotations

from typing import Any

from numba import cuda, float32

BLOCK = 128


@cuda.jit
def block_scan(x: Any, out: Any) -> None:
    """x (n,), out (n,), float32."""
    total = cuda.shared.array(BLOCK, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    total[t] = x[i] if i < x.size else float32(0)
    cuda.syncthreads()
    distance = 1
    while distance < BLOCK:
        left = total[t - distance] if t >= distance else float32(0)
        cuda.syncthreads()
        total[t] += left
        cuda.syncthreads()
        distance *= 2
    if i < out.size:
        out[i] = total[t]
