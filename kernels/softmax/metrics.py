"""Accuracy: how many rows of a table of logits have their maximum at the label.

The maximum of a row is its first one, and NaN counts as larger than any number, as in NumPy's
argmax. Counts are integers, so atomic additions give the same result in any order.

Kernels:

- ``count_thread``: one thread per row, for few classes.
- ``count_equal``: compares indices that ``argmax`` found, for many classes.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, float32, float64, int32, int64

from ..elementwise import copy
from ..engine import Array, Kernel, kernel, zeros
from ..reduce import argmax
from ..reduce.tree import beats, block_sum
from .entropy import require_labels
from .plain import FEW_COLUMNS

ROWS = 128


def accuracy_reference(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Number of rows whose first maximum is at the label; ValueError for a label out of range."""
    n, c = logits.shape
    if n == 0:
        return np.zeros((), np.int64)
    if labels.min() < 0 or labels.max() >= c:
        raise ValueError("label out of range")
    return np.asarray(np.sum(np.argmax(logits, axis=1) == labels), dtype=np.int64)


@functools.cache
def accuracy_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """``count_thread`` and ``count_equal`` for float32 or float64."""
    real = float32 if np.dtype(dtype) == np.float32 else float64

    @kernel
    def count_thread(x: Any, labels: Any, count: Any) -> None:
        """x (n, c), labels (n,), count (1,): thread i does row i; one atomic per block."""
        tree = cuda.shared.array(ROWS, int32)
        tid = cuda.threadIdx.x
        row = cuda.grid(1)
        hit = int32(0)
        if row < x.shape[0]:
            best = real(-math.inf)
            place = int64(0)
            for j in range(x.shape[1]):
                v = x[row, j]
                if beats(v, best):
                    best = v
                    place = int64(j)
            if place == labels[row]:
                hit = int32(1)
        hit = block_sum(tree, hit)
        if tid == 0:
            cuda.atomic.add(count, 0, int64(hit))

    @kernel
    def count_equal(found: Any, labels: Any, count: Any) -> None:
        """found, labels (n,), count (1,): thread i compares item i; one atomic per block."""
        tree = cuda.shared.array(ROWS, int32)
        tid = cuda.threadIdx.x
        i = cuda.grid(1)
        hit = int32(0)
        if i < found.size and found[i] == labels[i]:
            hit = int32(1)
        hit = block_sum(tree, hit)
        if tid == 0:
            cuda.atomic.add(count, 0, int64(hit))

    return count_thread, count_equal


def accuracy(logits: Array, labels: Array) -> Array:
    """Count the rows whose maximum is at the label.

    Args:
        logits: (n, c), any strides; float32 or float64.
        labels: (n,) int32 or int64, each in ``[0, c)``.

    Returns:
        The count, int64 of shape ``()``; divide by n for the accuracy.

    Raises:
        DtypeError, ShapeError, DeviceError: the arguments do not fit each other.
        ArgumentError: on the CPU, a label outside ``[0, c)``; on a GPU such a row counts as wrong.
    """
    require_labels("accuracy", logits, labels)
    n, c = logits.shape
    count = zeros((1,), np.int64, logits.device)
    if n * c:
        x = logits if logits.is_contiguous else copy(logits)
        labels = labels if labels.is_contiguous else copy(labels)
        by_thread, by_index = accuracy_kernels(x.dtype)
        blocks = -(-n // ROWS)
        if c <= FEW_COLUMNS:
            by_thread[blocks, ROWS](x, labels, count)
        else:
            by_index[blocks, ROWS](argmax(x, 1), labels, count)
    return count.reshape(())
