"""Another solution of exercise 12: largest number and sum in one pass, two reads of each number.

Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018.
"""

from __future__ import annotations

import math
from typing import Any

from numba import cuda, float32

BLOCK = 64


@cuda.jit
def softmax(x: Any, out: Any) -> None:
    """x (rows, columns), out (rows, columns), float32."""
    largest = cuda.shared.array(BLOCK, float32)
    total = cuda.shared.array(BLOCK, float32)
    t = cuda.threadIdx.x
    r = cuda.blockIdx.x
    best, part = float32(-math.inf), float32(0)
    for j in range(t, x.shape[1], BLOCK):
        value = x[r, j]
        new = max(best, value)
        part = part * math.exp(best - new) + math.exp(value - new)
        best = new
    largest[t], total[t] = best, part
    cuda.syncthreads()
    distance = BLOCK // 2
    while distance > 0:
        if t < distance:
            new = max(largest[t], largest[t + distance])
            if new > float32(-math.inf):  # else neither has seen a number
                total[t] *= math.exp(largest[t] - new)
                total[t] += total[t + distance] * math.exp(largest[t + distance] - new)
                largest[t] = new
        cuda.syncthreads()
        distance //= 2
    for j in range(t, x.shape[1], BLOCK):
        out[r, j] = math.exp(x[r, j] - largest[0]) / total[0]
