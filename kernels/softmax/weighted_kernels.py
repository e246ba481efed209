"""Class numbers as targets, with class weights, ignored rows and label smoothing.

    logp_ij = (x_ij - m_i) - log(s_i),  m_i and s_i as in :mod:`~nnlite.kernels.softmax.entropy`
    loss_i = -a_i logp_i[label_i] - b sum_j w_j logp_ij,   a_i = (1 - e) w[label_i],  b = e / c
    mean = sum_i loss_i / sum_i w[label_i]                 over the rows that are not ignored

with the label smoothing e. Negative log-likelihood is the same on given logp, with e = 0. The
gradient, with ``mass_i = a_i + b sum_j w_j`` and g_i the gradient of loss_i:

    dx_ij = (exp(logp_ij) mass_i - b w_j - [j = label_i] a_i) g_i,   0 in ignored rows

Source of label smoothing: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception
Architecture for Computer Vision", arXiv:1512.00567.

Kernels:

- ``loss_thread``, ``loss_block``: cross entropy, one thread per row for few classes, a row of
  threads for many. They write, for each row, its loss and the weight of its label.
- ``nll_rows``: the same for negative log-likelihood, one thread per row.
- ``finish``: one block sums losses and weights in a fixed order, and divides for the mean.
- ``gradient``, ``nll_gradient``: one thread per item of x, blocks along the rows.

A row whose label is outside the classes and not ignored becomes NaN, and nothing outside its row
is read.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, float64

from ..engine import Kernel, kernel
from ..reduce.tree import BLOCK, block_max, block_sum, larger, own_row

ROWS = 128


def _real(dtype: Any) -> Any:
    return float32 if np.dtype(dtype) == np.float32 else float64


@functools.cache
def loss_thread_kernel(dtype: Any) -> Kernel:
    """``loss_thread`` for float32 or float64."""
    real = _real(dtype)

    @kernel
    def loss_thread(
        x: Any, labels: Any, weight: Any, ignore: Any, a: Any, b: Any, stats: Any, rows: Any
    ) -> None:
        """x (n, c), labels (n,), weight (c,), stats (n, 3), rows (2, n); a = 1 - e, b = e / c."""
        row = cuda.grid(1)
        if row >= x.shape[0]:
            return
        m = real(-math.inf)
        for j in range(x.shape[1]):
            m = larger(m, x[row, j])
        s = real(0.0)
        total = real(0.0)
        for j in range(x.shape[1]):
            s += math.exp(x[row, j] - m)
            total += weight[j]
        log_s = math.log(s)
        loss = real(0.0)
        if b > real(0.0):
            for j in range(x.shape[1]):
                loss += b * weight[j] * (log_s - (x[row, j] - m))
        label = labels[row]
        share = real(math.nan)
        if label >= 0 and label < x.shape[1]:
            share = weight[label]
            loss += a * share * (log_s - (x[row, label] - m))
        else:
            loss = real(math.nan)
        mass = a * share + b * total
        if label == ignore:
            loss = real(0.0)
            share = real(0.0)
            mass = real(0.0)
        stats[row, 0] = m
        stats[row, 1] = s
        stats[row, 2] = mass
        rows[0, row] = loss
        rows[1, row] = share

    return loss_thread


@functools.cache
def loss_block_kernel(dtype: Any) -> Kernel:
    """``loss_block`` for float32 or float64."""
    real = _real(dtype)

    @kernel
    def loss_block(
        x: Any, labels: Any, weight: Any, ignore: Any, a: Any, b: Any, stats: Any, rows: Any
    ) -> None:
        """As ``loss_thread``, with a row of threads for each row."""
        tree = cuda.shared.array(BLOCK, real)
        row, tid = own_row(), cuda.threadIdx.x
        own = row if row < x.shape[0] else 0
        m = real(-math.inf)
        for j in range(tid, x.shape[1], cuda.blockDim.x):
            m = larger(m, x[own, j])
        m = block_max(tree, m)
        s = real(0.0)
        total = real(0.0)
        for j in range(tid, x.shape[1], cuda.blockDim.x):
            s += math.exp(x[own, j] - m)
            total += weight[j]
        s = block_sum(tree, s)
        total = block_sum(tree, total)
        log_s = math.log(s)
        spread = real(0.0)
        for j in range(tid, x.shape[1], cuda.blockDim.x):
            spread += weight[j] * (log_s - (x[own, j] - m))
        spread = block_sum(tree, spread)
        if tid == 0 and row < x.shape[0]:
            label = labels[row]
            loss = real(math.nan)
            share = real(math.nan)
            if label >= 0 and label < x.shape[1]:
                share = weight[label]
                loss = a * share * (log_s - (x[row, label] - m))
                if b > real(0.0):
                    loss += b * spread
            ignored = label == ignore
            stats[row, 0] = m
            stats[row, 1] = s
            stats[row, 2] = real(0.0) if ignored else a * share + b * total
            rows[0, row] = real(0.0) if ignored else loss
            rows[1, row] = real(0.0) if ignored else share

    return loss_block


@functools.cache
def nll_kernel(dtype: Any) -> Kernel:
    """``nll_rows`` for float32 or float64."""
    real = _real(dtype)

    @kernel
    def nll_rows(x: Any, labels: Any, weight: Any, ignore: Any, rows: Any) -> None:
        """x (n, c), labels (n,), weight (c,), rows (2, n): thread i does row i."""
        row = cuda.grid(1)
        if row >= x.shape[0]:
            return
        label = labels[row]
        loss = real(math.nan)
        share = real(math.nan)
        if label >= 0 and label < x.shape[1]:
            share = weight[label]
            loss = -(share * x[row, label])
        if label == ignore:
            loss = real(0.0)
            share = real(0.0)
        rows[0, row] = loss
        rows[1, row] = share

    return nll_rows


@functools.cache
def finish_kernel(dtype: Any) -> Kernel:
    """``finish`` for float32 or float64."""
    real = _real(dtype)

    @kernel
    def finish(rows: Any, divide: Any, out: Any) -> None:
        """rows (2, n), out (2,): the loss, and what it was divided by (1 unless ``divide``)."""
        tree = cuda.shared.array(BLOCK, real)
        tid = cuda.threadIdx.x
        loss = real(0.0)
        share = real(0.0)
        for i in range(tid, rows.shape[1], BLOCK):
            loss += rows[0, i]
            share += rows[1, i]
        loss = block_sum(tree, loss)
        share = block_sum(tree, share)
        if tid == 0:
            if divide == 0:
                share = real(1.0)
            out[0] = loss / share
            out[1] = share

    return finish


@functools.cache
def gradient_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``gradient`` and ``nll_gradient`` for float32 or float64."""
    real = _real(dtype)

    @kernel
    def gradient(
        dloss: Any,
        out: Any,
        x: Any,
        stats: Any,
        labels: Any,
        weight: Any,
        a: Any,
        b: Any,
        step: Any,
        dx: Any,
    ) -> None:
        """dloss (n,) with step 1, or (1,) with step 0; out (2,) of ``finish``; x, dx (n, c)."""
        row = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
        j = cuda.grid(1)
        if row >= x.shape[0] or j >= x.shape[1]:
            return
        mass = stats[row, 2]
        p = math.exp(x[row, j] - stats[row, 0]) / stats[row, 1]
        share = weight[j] if j == labels[row] else real(0.0)
        d = p * mass - (a * share + b * weight[j])  # summed like mass: 0 for a single class
        dx[row, j] = real(0.0) if mass == real(0.0) else d * (dloss[row * step] / out[1])

    @kernel
    def nll_gradient(dloss: Any, out: Any, rows: Any, labels: Any, step: Any, dx: Any) -> None:
        """dloss, out, step as in ``gradient``; rows (2, n) of the forward pass; dx (n, c)."""
        row = cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y
        j = cuda.grid(1)
        if row >= dx.shape[0] or j >= dx.shape[1]:
            return
        share = rows[1, row]
        hit = share != real(0.0) and (j == labels[row] or share != share)
        dx[row, j] = -(share * (dloss[row * step] / out[1])) if hit else real(0.0)

    return gradient, nll_gradient
