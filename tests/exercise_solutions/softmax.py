"""A solution of exercise 12: the row in shared memory."""

from __future__ import annotations

import math
from typing import Any

from numba import cuda, float32

BLOCK, WIDEST = 64, 256


@cuda.jit
def softmax(x: Any, out: Any) -> None:
    """x (rows, columns), out (rows, columns), float32."""
    t = cuda.threadIdx.x
    r = cuda.blockIdx.x
    columns = x.shape[1]
    row = cuda.shared.array(WIDEST, float32)
    partial = cuda.shared.array(BLOCK, float32)
    best = float32(-math.inf)
    for j in range(t, columns, BLOCK):
        row[j] = x[r, j]
        best = max(best, row[j])
    partial[t] = best
    cuda.syncthreads()
    distance = BLOCK // 2
    while distance > 0:
        if t < distance:
            partial[t] = max(partial[t], partial[t + distance])
        cuda.syncthreads()
        distance //= 2
    best = partial[0]
    cuda.syncthreads()
    total = float32(0)
    for j in range(t, columns, BLOCK):
        row[j] = math.exp(row[j] - best)
        total += row[j]
    partial[t] = total
    cuda.syncthreads()
    distance = BLOCK // 2
    while distance > 0:
        if t < distance:
            partial[t] += partial[t + distance]
        cuda.syncthreads()
        distance //= 2
    for j in range(t, columns, BLOCK):
        out[r, j] = row[j] / partial[0]
