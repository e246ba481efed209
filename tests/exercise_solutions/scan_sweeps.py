"""Another solution of exercise 6: up and down a tree.

Blelloch, "Prefix Sums and Their Applications", 1990.
"""

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
    own = x[i] if i < x.size else float32(0)
    total[t] = own
    cuda.syncthreads()
    distance = 1
    while distance < BLOCK:
        k = (t + 1) * 2 * distance - 1
        if k < BLOCK:
            total[k] += total[k - distance]
        cuda.syncthreads()
        distance *= 2
    if t == BLOCK - 1:
        total[t] = float32(0)
    cuda.syncthreads()
    while distance > 1:
        distance //= 2
        k = (t + 1) * 2 * distance - 1
        if k < BLOCK:
            left = total[k - distance]
            total[k - distance] = total[k]
            total[k] += left
        cuda.syncthreads()
    if i < out.size:
        out[i] = total[t] + own
