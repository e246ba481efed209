"""A solution of exercise 1."""

from __future__ import annotations

from typing import Any

from numba import cuda


@cuda.jit
def saxpy(a: Any, x: Any, y: Any, out: Any) -> None:
    """a, x (n,), y (n,), out (n,), float32."""
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    out[i] = a * x[i] + y[i]
