"""Sizes of a convolution: checks of its options, and the windows of its parts."""

from __future__ import annotations

import functools
import numbers
from dataclasses import dataclass
from typing import Any

from ..engine import ArgumentError, ShapeError
from .tiles import Window

Pair = tuple[int, int]


def kernel_of(shape: tuple[int, ...]) -> Pair:
    """Rows and columns of the kernel of a weight of that shape."""
    return (1, shape[2]) if len(shape) == 3 else (shape[2], shape[3])


def key_of(value: Any) -> Any:
    """An option in a form that a cache can hold."""
    return tuple(value) if isinstance(value, list) else value


def pair(op: str, name: str, value: Any, least: int, axes: int = 2) -> Pair:
    """``value``, a whole number or a sequence of ``axes`` of them, as (rows, columns).

    For one axis the rows are those of an image of one row: stride and dilation 1, padding 0.

    Raises:
        ArgumentError: it is anything else, or less than ``least``.
    """
    single = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    values = (value,) * axes if single else value
    whole = isinstance(values, (tuple, list)) and all(
        isinstance(v, numbers.Integral) and not isinstance(v, bool) and int(v) >= least
        for v in values
    )
    if not whole or len(values) not in (1, axes):
        form = "an integer" if axes == 1 else f"an integer or {axes} integers"
        raise ArgumentError(f"{op}: {name}: {value!r} given, expected {form} >= {least}")
    if axes == 1:
        return (least, int(values[0]))
    return (int(values[0]), int(values[-1]))


@dataclass(frozen=True)
class Geometry:
    """The options of a 2-D convolution, checked.

    Args:
        kernel, stride, dilation: of rows and columns.
        before, after: padding above and left, below and right.
    """

    kernel: Pair
    stride: Pair
    before: Pair
    after: Pair
    dilation: Pair

    def output(self, size: tuple[int, ...]) -> Pair:
        """Rows and columns of the output; less than 1 where the window is larger than the image."""
        h, w = (
            (n + b + a - d * (k - 1) - 1) // s + 1
            for n, b, a, d, k, s in zip(
                size, self.before, self.after, self.dilation, self.kernel, self.stride
            )
        )
        return h, w

    def transposed_output(self, size: tuple[int, ...], extra: Pair) -> Pair:
        """Rows and columns of the output of the transposed convolution."""
        h, w = (
            (n - 1) * s - b - a + d * (k - 1) + 1 + e
            for n, s, b, a, d, k, e in zip(
                size, self.stride, self.before, self.after, self.dilation, self.kernel, extra
            )
        )
        return h, w

    def window(self) -> Window:
        """The window of the convolution itself; the taps are those of the weights, in order."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        taps = tuple((i * dh, j * dw) for i in range(kh) for j in range(kw))
        return Window(taps, self.stride, *self.before)

    def phases(self) -> tuple[tuple[Pair, tuple[int, ...], Window], ...]:
        """The correlations of dy that make up the gradient of the input.

        Pixel ``i = s q + r`` of x took part in output ``(i + before - d k) / s`` through tap k, if
        that is a whole number: the pixels of each remainder r have taps of their own, which lie at
        ``q + (r + before - d k) / s``.

        Returns:
            for each pair of remainders: the pair, the numbers of its taps, their window.
        """
        rows = _phases(self.kernel[0], self.stride[0], self.before[0], self.dilation[0])
        columns = _phases(self.kernel[1], self.stride[1], self.before[1], self.dilation[1])
        found = []
        for r, (places, top) in enumerate(rows):
            for s, (across, left) in enumerate(columns):
                taps = tuple((i, j) for i in places.values() for j in across.values())
                numbers = tuple(a * self.kernel[1] + b for a in places for b in across)
                found.append(((r, s), numbers, Window(taps, (1, 1), top, left)))
        return tuple(found)


def _phases(kernel: int, stride: int, before: int, dilation: int) -> list[tuple[dict, int]]:
    """For each remainder: tap -> place in its window, and where the window begins before 0."""
    found = []
    for r in range(stride):
        at = {
            k: (r + before - k * dilation) // stride
            for k in range(kernel)
            if (r + before - k * dilation) % stride == 0
        }
        low = min((0, *at.values()))  # the window begins at or before the image
        found.append(({k: v - low for k, v in at.items()}, -low))
    return found


@functools.lru_cache(maxsize=1024, typed=True)
def geometry(
    op: str, kernel: Pair, stride: Any, padding: Any, dilation: Any, axes: int = 2
) -> Geometry:
    """The checked options.

    Args:
        padding: numbers, ``"valid"`` for none, or ``"same"`` for an output of the size of the
            input; where that needs an odd number, the larger half comes after, as in PyTorch.

    Raises:
        ArgumentError: an option is none of those, or ``"same"`` is given with a stride.
    """
    s = pair(op, "stride", stride, 1, axes)
    d = pair(op, "dilation", dilation, 1, axes)
    if padding == "same":
        if s != (1, 1):
            raise ArgumentError(f"{op}: padding: 'same' given with stride {stride}, expected 1")
        total = (d[0] * (kernel[0] - 1), d[1] * (kernel[1] - 1))
        before = (total[0] // 2, total[1] // 2)
        after = (total[0] - before[0], total[1] - before[1])
    elif isinstance(padding, str) and padding != "valid":
        raise ArgumentError(
            f"{op}: padding: {padding!r} given, expected numbers, 'same' or 'valid'"
        )
    else:
        before = after = pair(op, "padding", 0 if padding == "valid" else padding, 0, axes)
    return Geometry(kernel, s, before, after, d)


def require_groups(op: str, groups: Any, **channels: int) -> None:
    """Raise unless ``groups`` is a positive integer that divides all channels."""
    whole = isinstance(groups, numbers.Integral) and not isinstance(groups, bool)
    if not whole or groups < 1:
        raise ArgumentError(f"{op}: groups: {groups!r} given, expected an integer >= 1")
    for name, count in channels.items():
        if count % groups:
            raise ShapeError(f"{op}: {name}: {count} given, expected a multiple of groups={groups}")
