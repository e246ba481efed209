"""Which elements each window of a pooling holds, and which windows hold each element.

Along one axis of n elements, window o begins at ``b = o stride - padding`` and holds the elements
``b, b + dilation, ..., b + (kernel - 1) dilation`` that lie in [0, n). The number of windows is

    floor((n + 2 padding - dilation (kernel - 1) - 1) / stride) + 1

With ``ceil_mode`` it is rounded up, except for a last window that would begin beyond the elements
and the padding on the left. The windows of adaptive pooling are ``[floor(o n / m), ceil((o + 1) n /
m))`` for m of them. The windows of an image are the products of those of its rows and columns, so a
table for each axis is all that the kernels need, whatever the kind of pooling.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import ArgumentError, Array, Device, ShapeError, array, cached_constant

Size = int | Sequence[int]
Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Axis:
    """The windows along one axis.

    Args:
        table: int32 (4, windows): the first and the last element of each window that lies inside,
            the number of elements with padding, the number without.
        owners: int32 (2, n): of the windows that may hold each element the first and the last.
        taps: most elements of a window.
        step: distance between the elements of a window.
    """

    table: np.ndarray
    owners: np.ndarray
    taps: int
    step: int

    @property
    def windows(self) -> int:
        """How many there are."""
        return self.table.shape[1]

    @property
    def most_owners(self) -> int:
        """Most windows that hold one element."""
        return int(np.max(self.owners[1] - self.owners[0] + 1, initial=0))

    @cached_constant(1024)  # axes are cached themselves, and stay
    def on(self, device: Device) -> tuple[Array, Array]:
        """``table`` and ``owners`` on a device."""
        return array(self.table, device=device), array(self.owners, device=device)


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of an image.

    Args:
        rows, columns: those of its axes.
        cells: the size of the windows if they tile the image without gap, overlap and rest.
    """

    rows: Axis
    columns: Axis
    cells: Pair | None = None

    @property
    def size(self) -> Pair:
        """Height and width of the result."""
        return self.rows.windows, self.columns.windows


def _axis(begin: Any, end: Any, n: int, kernel: int, step: int, padding: int) -> Axis:
    """The tables of windows over the elements begin, begin + step, ..., end (inclusive)."""
    first = np.where(begin < 0, begin % step, begin)
    last = np.where(end < n, end, begin + (n - 1 - begin) // step * step)
    padded = np.minimum(end + 1, n + padding) - begin
    inside = (last - first) // step + 1
    table = np.array([first, last, padded, inside], np.int32)
    # Both ends grow with the window, so the windows around an element are neighbours. Where step is
    # not 1 they may miss it; the kernels look at the stored index of the maximum.
    where = np.arange(n)
    owners = [np.searchsorted(end, where), np.searchsorted(begin, where, "right") - 1]
    return Axis(table, np.array(owners, np.int32), kernel, step)


@functools.lru_cache(maxsize=1024)
def sliding(
    op: str, n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> Axis:
    """The windows of ordinary pooling along an axis of n elements.

    Raises:
        ArgumentError: the padding is more than half of the window.
        ShapeError: there is no window, or one that holds no element.
    """
    length = dilation * (kernel - 1) + 1
    if not 0 <= padding <= length // 2:
        raise ArgumentError(
            f"{op}: padding: {padding} given, expected in [0, {length // 2}], half of the window "
            f"of {length}"
        )
    room = n + 2 * padding - length
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= n + padding:
        count -= 1
    begin = np.arange(max(count, 0)) * stride - padding
    found = _axis(begin, begin + length - 1, n, kernel, dilation, padding)
    if n == 0 or count < 1 or found.table[3].min() < 1:
        raise ShapeError(
            f"{op}: x: {n} elements along an axis given, expected enough for a window of {length} "
            f"with padding {padding} on both sides"
        )
    return found


@functools.lru_cache(maxsize=1024)
def adaptive_axis(op: str, n: int, count: int) -> Axis:
    """``count`` windows that share an axis of n elements as evenly as possible.

    Raises:
        ShapeError: the axis has no elements.
    """
    if n == 0:
        raise ShapeError(f"{op}: x: an axis without elements given, expected at least 1")
    windows = np.arange(count)
    begin, end = windows * n // count, -(-(windows + 1) * n // count) - 1
    return _axis(begin, end, n, int(np.max(end - begin + 1, initial=0)), 1, 0)


@functools.lru_cache(maxsize=1024)
def windows(
    op: str,
    size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair = (1, 1),
    ceil_mode: bool = False,
) -> Windows:
    """The windows of ordinary pooling over an image of height and width ``size``.

    Raises:
        ArgumentError, ShapeError: see :func:`sliding`.
    """
    rows, columns = (
        sliding(op, n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation)
    )
    tiled = kernel == stride and padding == (0, 0) and dilation == (1, 1)
    tiled = tiled and size[0] % kernel[0] == 0 and size[1] % kernel[1] == 0
    return Windows(rows, columns, kernel if tiled else None)


@functools.lru_cache(maxsize=1024)
def adaptive(op: str, size: Pair, count: Pair) -> Windows:
    """The windows of adaptive pooling to ``count`` rows and columns."""
    rows, columns = (adaptive_axis(op, n, m) for n, m in zip(size, count))
    cells = None
    if all(m > 0 and n % m == 0 for n, m in zip(size, count)):
        cells = (size[0] // count[0], size[1] // count[1])
    return Windows(rows, columns, cells)


def pair(op: str, name: str, value: Any, least: int) -> Pair:
    """``value``, an integer or two, as two integers of at least ``least``.

    Raises:
        ArgumentError: it is something else.
    """
    items = value if isinstance(value, (tuple, list)) else (value, value)
    try:
        if len(items) == 2 and not any(isinstance(i, bool) for i in items):
            a, b = operator.index(items[0]), operator.index(items[1])
            if a >= least and b >= least:
                return a, b
    except TypeError:
        pass
    raise ArgumentError(
        f"{op}: {name}: {value!r} given, expected an integer >= {least}, or two of them"
    )
