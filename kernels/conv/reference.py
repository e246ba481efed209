"""NumPy references of convolution and transposed convolution, in the dtype of the arguments."""

from __future__ import annotations

from typing import Any

import numpy as np


def _two(value: Any, axes: int) -> tuple[int, int]:
    values = value if isinstance(value, (tuple, list)) else (value,) * axes
    return (1, values[0]) if axes == 1 else (values[0], values[1])


def _pads(padding: Any, reach: tuple[int, int], axes: int) -> list[tuple[int, int]]:
    """Padding before and after, of rows and of columns."""
    if padding == "same":
        return [(r // 2, r - r // 2) for r in reach]
    p = (0, 0) if padding == "valid" else _two(padding, axes)
    return [(0 if axes == 1 else p[0],) * 2, (p[1],) * 2]


def conv_reference(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    style: str | None = None,
) -> np.ndarray:
    """Convolution of images or sequences: the windows of the padded input times the weights."""
    axes = x.ndim - 2
    if axes == 1:
        x, w = x[:, :, None], w[:, :, None]
    (u, v), (a, b) = _two(stride, axes), _two(dilation, axes)
    reach = (a * (w.shape[2] - 1), b * (w.shape[3] - 1))
    padded = np.pad(x, [(0, 0), (0, 0), *_pads(padding, reach, axes)])
    n, c, h, wide = padded.shape
    out = ((h - reach[0] - 1) // u + 1, (wide - reach[1] - 1) // v + 1)
    s = padded.strides
    windows = np.lib.stride_tricks.as_strided(
        padded, (n, c, *w.shape[2:], *out), (s[0], s[1], s[2] * a, s[3] * b, s[2] * u, s[3] * v)
    )
    m, depth = w.shape[0] // groups, w.shape[1] * w.shape[2] * w.shape[3]
    columns = windows.reshape(n, groups, depth, out[0] * out[1])
    y = np.matmul(w.reshape(groups, m, depth), columns).reshape(n, w.shape[0], *out)
    if bias is not None:
        y = y + bias[:, None, None]
    return y[:, :, 0] if axes == 1 else y


def conv_transpose_reference(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> np.ndarray:
    """Transposed convolution: every item of x adds its multiple of the kernel to the output."""
    axes = x.ndim - 2
    if axes == 1:
        x, w = x[:, :, None], w[:, :, None]
    (u, v), (a, b) = _two(stride, axes), _two(dilation, axes)
    n, c, h, wide = x.shape
    m, (kh, kw) = w.shape[1], w.shape[2:]
    extra = _two(output_padding, axes)
    extra = (0, extra[1]) if axes == 1 else extra
    high = (h - 1) * u + a * (kh - 1) + 1 + extra[0]
    across = (wide - 1) * v + b * (kw - 1) + 1 + extra[1]
    y = np.zeros((n, groups * m, high, across), x.dtype)
    split = x.reshape(n, groups, c // groups, h * wide)
    for i in range(kh):
        for j in range(kw):
            tap = w[:, :, i, j].reshape(groups, c // groups, m).transpose(0, 2, 1)
            part = np.matmul(tap, split).reshape(n, groups * m, h, wide)
            rows = slice(i * a, i * a + (h - 1) * u + 1, u)
            columns = slice(j * b, j * b + (wide - 1) * v + 1, v)
            y[:, :, rows, columns] += part
    (top, bottom), (left, right) = _pads(padding, (0, 0), axes)
    y = y[:, :, top : high - bottom, left : across - right]
    if bias is not None:
        y = y + bias[:, None, None]
    return y[:, :, 0] if axes == 1 else y
