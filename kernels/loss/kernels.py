"""The kernels of every loss that compares two arrays item by item.

    loss_i = f(p_i, t_i, s)            with weights:  loss_i = w_i f(p_i, t_i, q_i)
    reduced by ``none``, or to ``sum_i loss_i / divisor``
    dp_i = f'(p_i, t_i, s) dloss_i scale

Kernels, made from a device function f or f', each with and without weights:

- ``each``: one thread per item, for ``none``.
- ``total``: each block adds up one part in a shared-memory tree; the sums of the parts are added
  by ``reduce``. One launch for at most PART items.
- ``gradient``: one thread per item.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, float64

from ..engine import Kernel, kernel
from ..reduce.tree import block_sum

BLOCK = 256
# Items that one block adds up before a second launch pays, and the most blocks.
PART, MOST_PARTS = 8192, 1024


def _real(dtype: Any) -> Any:
    return float32 if np.dtype(dtype) == np.float32 else float64


@functools.cache
def value_kernels(f: Any, dtype: Any) -> tuple[Kernel, Kernel]:
    """``each`` and ``total`` of the device function f for float32 or float64."""
    real = _real(dtype)

    @kernel
    def each(p: Any, t: Any, s: Any, loss: Any) -> None:
        """p, t, loss (n,)."""
        i = cuda.grid(1)
        if i < p.size:
            loss[i] = f(p[i], t[i], s)

    @kernel
    def total(p: Any, t: Any, s: Any, sums: Any, chunk: Any, divisor: Any) -> None:
        """p, t (n,), sums (parts,): block b adds items b*chunk onwards."""
        tree = cuda.shared.array(BLOCK, real)
        tid = cuda.threadIdx.x
        start = cuda.blockIdx.x * chunk
        stop = min(start + chunk, p.size)
        acc = real(0.0)
        for i in range(start + tid, stop, BLOCK):
            acc += f(p[i], t[i], s)
        acc = block_sum(tree, acc)
        if tid == 0:
            sums[cuda.blockIdx.x] = acc / divisor

    return each, total


@functools.cache
def weighted_kernels(f: Any, dtype: Any) -> tuple[Kernel, Kernel]:
    """``each`` and ``total`` with weights w of the items and numbers q of their own for f."""
    real = _real(dtype)

    @kernel
    def each(p: Any, t: Any, w: Any, q: Any, loss: Any) -> None:
        """p, t, w, q, loss (n,)."""
        i = cuda.grid(1)
        if i < p.size:
            loss[i] = w[i] * f(p[i], t[i], q[i])

    @kernel
    def total(p: Any, t: Any, w: Any, q: Any, sums: Any, chunk: Any, divisor: Any) -> None:
        """p, t, w, q (n,), sums (parts,): block b adds items b*chunk onwards."""
        tree = cuda.shared.array(BLOCK, real)
        tid = cuda.threadIdx.x
        start = cuda.blockIdx.x * chunk
        stop = min(start + chunk, p.size)
        acc = real(0.0)
        for i in range(start + tid, stop, BLOCK):
            acc += w[i] * f(p[i], t[i], q[i])
        acc = block_sum(tree, acc)
        if tid == 0:
            sums[cuda.blockIdx.x] = acc / divisor

    return each, total


@functools.cache
def gradient_kernels(slope: Any) -> tuple[Kernel, Kernel]:
    """``gradient`` of the device function ``slope``, without and with weights."""

    @kernel
    def gradient(dloss: Any, p: Any, t: Any, s: Any, dp: Any, step: Any, scale: Any) -> None:
        """dloss (n,) with step 1, or (1,) with step 0; p, t, dp (n,)."""
        i = cuda.grid(1)
        if i < p.size:
            dp[i] = slope(p[i], t[i], s) * (dloss[i * step] * scale)

    @kernel
    def weighted_gradient(
        dloss: Any, p: Any, t: Any, w: Any, q: Any, dp: Any, step: Any, scale: Any
    ) -> None:
        """dloss (n,) with step 1, or (1,) with step 0; p, t, w, q, dp (n,)."""
        i = cuda.grid(1)
        if i < p.size:
            dp[i] = w[i] * slope(p[i], t[i], q[i]) * (dloss[i * step] * scale)

    return gradient, weighted_gradient
