"""References of the poolings in NumPy: one window after the other, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _count(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """Number of windows along an axis: those that begin early enough, counted one by one."""
    if n < 1 or 2 * p > d * (k - 1) + 1:
        raise ValueError("no elements, or too much padding")
    # The end of the last window may reach into the padding; with ceil_mode up to a stride beyond,
    # if its beginning does not.
    limit = n + p + (s - 1 if ceil_mode else 0)
    count = 0
    while count * s - p + d * (k - 1) < limit and not (ceil_mode and count * s - p >= n):
        count += 1
    if count < 1:
        raise ValueError("the window does not fit")
    return count


def _taps(o: int, n: int, k: int, s: int, p: int, d: int) -> list[int]:
    """The elements of a window that lie inside."""
    found = [o * s - p + j * d for j in range(k) if 0 <= o * s - p + j * d < n]
    if not found:
        raise ValueError("a window without elements")
    return found


def max_pool2d_reference(
    x: np.ndarray,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """The largest element of each window; NaN if it holds one."""
    k, p, d = _pair(kernel_size), _pair(padding), _pair(dilation)
    s = k if stride is None else _pair(stride)
    h, w = x.shape[-2:]
    count = [_count(*axis, ceil_mode) for axis in zip((h, w), k, s, p, d)]
    rows = [_taps(o, h, k[0], s[0], p[0], d[0]) for o in range(count[0])]
    columns = [_taps(o, w, k[1], s[1], p[1], d[1]) for o in range(count[1])]
    return _each(x, rows, columns, lambda v, o, q: v.max(axis=(-2, -1)))


def avg_pool2d_reference(
    x: np.ndarray,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """The sum of each window, divided by its size with or without the padding in it."""
    k, p = _pair(kernel_size), _pair(padding)
    s = k if stride is None else _pair(stride)
    h, w = x.shape[-2:]
    count = [_count(*axis, 1, ceil_mode) for axis in zip((h, w), k, s, p)]
    rows = [_taps(o, h, k[0], s[0], p[0], 1) for o in range(count[0])]
    columns = [_taps(o, w, k[1], s[1], p[1], 1) for o in range(count[1])]

    def mean(v: np.ndarray, o: int, q: int) -> np.ndarray:
        padded = [
            min(i * s[a] - p[a] + k[a], n + p[a]) - (i * s[a] - p[a])
            for a, (i, n) in enumerate(((o, h), (q, w)))
        ]
        inside = v.shape[-2] * v.shape[-1]
        size = padded[0] * padded[1] if count_include_pad else inside
        return v.sum(axis=(-2, -1)) / (divisor_override or size)

    return _each(x, rows, columns, mean)


def _even(n: int, m: int) -> list[list[int]]:
    if n < 1:
        raise ValueError("no elements")
    return [list(range(o * n // m, -(-(o + 1) * n // m))) for o in range(m)]


def adaptive_max_pool2d_reference(x: np.ndarray, output_size: Any) -> np.ndarray:
    """The largest element of each of the given number of windows."""
    m = _pair(output_size)
    rows, columns = _even(x.shape[-2], m[0]), _even(x.shape[-1], m[1])
    return _each(x, rows, columns, lambda v, o, q: v.max(axis=(-2, -1)))


def adaptive_avg_pool2d_reference(x: np.ndarray, output_size: Any) -> np.ndarray:
    """The mean of each of the given number of windows."""
    m = _pair(output_size)
    rows, columns = _even(x.shape[-2], m[0]), _even(x.shape[-1], m[1])
    return _each(x, rows, columns, lambda v, o, q: v.mean(axis=(-2, -1)))


def _each(
    x: np.ndarray,
    rows: list[list[int]],
    columns: list[list[int]],
    function: Callable[[np.ndarray, int, int], np.ndarray],
) -> np.ndarray:
    y = np.empty((*x.shape[:-2], len(rows), len(columns)))
    for o, r in enumerate(rows):
        for q, c in enumerate(columns):
            y[..., o, q] = function(x[..., r, :][..., c], o, q)
    return y
