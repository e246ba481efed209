"""Operands that repeat, by 128-bit access on a GPU: the wide form of maps that broadcast.

Many operands have one group of adjacent axes of the result and are repeated along all others. For
item i of the result such an operand contributes its item ``i // repeat % period``::

    result          operand          period   repeat
    (m, n)          (m, n)           m n      1           whole
    (m, n)          (n,)             n        1           a row
    (m, n)          (m, 1)           m        n           a column
    (n, c, h, w)    (c, 1, 1)        c        h w         an item for each channel
    any             ()               1        its size    a number

The result is written four items at a time. The four items of an operand are read by one access
where they are contiguous and aligned to 16 bytes, and as a single item where they are the same one;
else one by one, from a row that stays in the cache. Indices have 32 bits. Larger results, and
operands that repeat in another way, take the strided kernel. The gain has NOT been measured on a
GPU.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, types, uint32, uint64

from ..checks import FLOAT32
from ..engine import Array, Kernel, kernel, layout
from ..opspec import GpuKernel
from .wide import (
    RUN,
    fetch,
    place_of,
    put_back,
    shared_head,
    threads_of,
    with_two_scalars,
)

MOST = 1 << 31  # items that are counted in 32 bits
BLOCK = 256
NOTHING = np.float32(0.0)  # a scalar that the function does not take


@functools.lru_cache(maxsize=1024)
def _repeats(
    shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int, target: tuple[int, ...]
) -> tuple[int, int] | None:
    """(period, repeat) of an array in one of the shape ``target``, not empty; None if neither."""
    _, _, strides = layout.broadcast(shape, strides, target)
    axes = [(size, stride) for size, stride in zip(target, strides) if size != 1]
    period = repeat = 1
    while axes and axes[-1][1] == 0:
        repeat *= axes.pop()[0]
    while axes and axes[-1][1] == itemsize * period:
        period *= axes.pop()[0]
    return None if any(stride for _, stride in axes) else (period, repeat)


def operand(x: Array, out: Array, head: int) -> tuple[Any, ...] | None:
    """What the kernels take for an operand: its items in a line, period, repeat, alike.

    Args:
        x: broadcasts to the shape of ``out``, on the same GPU.
        out: the result, contiguous and not empty.
        head: ``shared_head`` of the result.

    Returns:
        None if x is not float32 or repeats in another way.
    """
    found = _repeats(x.shape, x.strides, x.dtype.itemsize, out.shape)
    if found is None or x.dtype != FLOAT32:
        return None
    period, repeat = found
    if x.size != period:
        x = x[tuple(slice(None) if stride else slice(1) for stride in x.strides)]
    whole = period == out.size or (head == 0 and period % RUN == 0)
    alike = whole and repeat == 1 and shared_head(out, x) == head
    return x.reshape((period,)), np.uint32(period), np.uint32(repeat), np.uint32(alike)


def operands(out: Array, inputs: tuple[Array, ...]) -> tuple[int, list[Any]] | None:
    """``head`` of the result, and what the kernels take for the operands; None if they cannot."""
    head = shared_head(out) if out.is_contiguous and 0 < out.size < MOST else None
    if head is None:
        return None
    found = [operand(x, out, head) for x in inputs]
    return None if any(f is None for f in found) else (head, found)


@cuda.jit(device=True)
def item_of(i, period, repeat):
    """The item of an operand for item ``i`` of the result."""
    row = uint32(i) if repeat == uint32(1) else uint32(uint32(i) // repeat)
    return row if row < period else uint32(row % period)


@cuda.jit(device=True)
def fetch_repeated(kept, source, i, period, repeat, alike):
    """Those for items ``i`` to ``i + 3`` of the result, into a local array."""
    row, left = uint32(i), uint32(1)  # how often the item still comes
    if repeat != uint32(1):
        row = uint32(row // repeat)
        left = uint32(repeat - uint32(uint32(i) - uint32(row * repeat)))
    at = row if row < period else uint32(row % period)
    if alike != uint32(0):
        fetch(kept, source, at)
    elif left >= uint32(RUN):
        item = source[at]
        kept[0], kept[1], kept[2], kept[3] = item, item, item, item
    else:
        for j in range(RUN):
            kept[j] = source[at]
            left = uint32(left - uint32(1))
            if left == uint32(0):
                left = repeat
                at = uint32(at + uint32(1))
                at = at if at < period else uint32(0)


def broadcast_kernel(name: str, function: Any, inputs: int, scalars: int = 0) -> Kernel:
    """The kernel of a map that broadcasts.

    Args:
        name: what profilers and errors call it.
        function: of ``inputs`` items, 1 or 2, and ``scalars`` scalars.

    Returns:
        A kernel of (x, out, head, alpha, beta, and period, repeat, alike of x), or with y and the
        same three numbers of it; scalars that the function does not take are ignored.
    """
    one, two = with_two_scalars(function, scalars)

    def unary(x, out, head, alpha, beta, period, repeat, alike):
        i, whole = place_of(out.size, head)
        if whole:
            a = cuda.local.array(RUN, float32)
            fetch_repeated(a, x, i, period, repeat, alike)
            for j in range(RUN):
                a[j] = one(a[j], alpha, beta)
            put_back(out, i, a)
        elif i < uint64(out.size):
            out[i] = one(x[item_of(i, period, repeat)], alpha, beta)

    def binary(x, y, out, head, alpha, beta, period, repeat, alike, y_period, y_repeat, y_alike):
        i, whole = place_of(out.size, head)
        if whole:
            a, b = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
            fetch_repeated(a, x, i, period, repeat, alike)
            fetch_repeated(b, y, i, y_period, y_repeat, y_alike)
            for j in range(RUN):
                a[j] = two(a[j], b[j], alpha, beta)
            put_back(out, i, a)
        elif i < uint64(out.size):
            left, right = x[item_of(i, period, repeat)], y[item_of(i, y_period, y_repeat)]
            out[i] = two(left, right, alpha, beta)

    made = unary if inputs == 1 else binary
    made.__name__ = made.__qualname__ = name
    return kernel(made)


def launch_broadcast(made: Kernel, out: Array, inputs: tuple[Array, ...], *scalars: Any) -> bool:
    """Run a kernel of :func:`broadcast_kernel` on arrays of a GPU, if it can take them."""
    found = operands(out, inputs)
    if found is None:
        return False
    head, given = found
    lines, numbers = (line for line, *_ in given), (n for _, *each in given for n in each)
    blocks = -(-threads_of(out.size, head) // BLOCK)
    values = (*scalars, NOTHING, NOTHING)[:2]
    made[blocks, BLOCK](*lines, out.reshape((out.size,)), np.uint32(head), *values, *numbers)
    return True


def gpu_kernel(name: str, made: Any, inputs: int) -> GpuKernel:
    """A kernel of :func:`broadcast_kernel` with the accesses that its code is to hold."""
    line = types.Array(types.float32, 1, "C")
    numbers = uint32, float32, float32, *(uint32,) * 3 * inputs
    expects = f"LDG.128 == {inputs}", "STG.128 == 1", "LDL == 0"
    return GpuKernel(name, made, (*(line,) * (inputs + 1), *numbers), expects=expects)
