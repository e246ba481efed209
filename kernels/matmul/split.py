"""The sum of slices: the second half of a product whose steps q were split over several blocks.

A product of few tiles with many steps keeps few multiprocessors busy. Its steps are therefore cut
into slices (see :mod:`.slicing`), each of which writes its partial sums, and the kernel here adds
them::

    c[i, j] = activation(sum over s of parts[s, i, j] + bias[j])

in the order of the slices, without atomics, so that results repeat bit for bit: for as many slices,
that is, and without memory for the parts there is one.

Source: NVIDIA, CUTLASS documentation, "Efficient GEMM in CUDA", section "Parallelized reductions".
"""

from __future__ import annotations

import functools

import numpy as np
from numba import cuda, float32, uint32

from ..activations.functions import value_function
from ..elementwise.functions import identity
from ..engine import Array, Kernel, kernel
from ..engine.ptx import load4, store4
from .alignment import is_wide

THREADS = 256
RUN = 4  # items to a thread
AT_ONCE = 4  # slices that a thread reads before it adds them, so that it waits a quarter as often


@functools.cache
def make_sum(wide: bool, activation: str | None) -> Kernel:
    """The kernel for one activation; float32.

    Args:
        wide: c begins at a multiple of 16 bytes and has rows of a multiple of four numbers.
        activation: name known to ``activations.functions.value_function``, or None.

    Returns:
        A kernel of (parts, bias, c, n, count): ``count`` matrices in a row, and uint32 numbers. For
        blocks of 256, a thread for each four items of c; one for each item unless ``wide``.
    """
    finish = identity if activation is None else value_function(activation, float32)

    @kernel
    def sum_slices_wide(parts, bias, c, n, count):
        i = uint32(uint32(cuda.grid(1)) * uint32(RUN))
        size = uint32(c.size)
        if i < size:
            x0, x1, x2, x3 = load4(parts, i)
            s, at = uint32(1), uint32(i + size)
            while uint32(s + uint32(AT_ONCE - 1)) < count:
                p0, p1, p2, p3 = load4(parts, at)
                q0, q1, q2, q3 = load4(parts, uint32(at + size))
                r0, r1, r2, r3 = load4(parts, uint32(at + uint32(2) * size))
                t0, t1, t2, t3 = load4(parts, uint32(at + uint32(3) * size))
                x0 = x0 + p0 + q0 + r0 + t0
                x1 = x1 + p1 + q1 + r1 + t1
                x2 = x2 + p2 + q2 + r2 + t2
                x3 = x3 + p3 + q3 + r3 + t3
                s, at = uint32(s + uint32(AT_ONCE)), uint32(at + uint32(AT_ONCE) * size)
            while s < count:
                y0, y1, y2, y3 = load4(parts, at)
                x0 += y0
                x1 += y1
                x2 += y2
                x3 += y3
                s, at = uint32(s + uint32(1)), uint32(at + size)
            j = uint32(i % n)
            x0 = finish(x0 + bias[j])
            x1 = finish(x1 + bias[uint32(j + uint32(1))])
            x2 = finish(x2 + bias[uint32(j + uint32(2))])
            x3 = finish(x3 + bias[uint32(j + uint32(3))])
            store4(c, i, x0, x1, x2, x3)

    @kernel
    def sum_slices(parts, bias, c, n, count):
        i = uint32(cuda.grid(1))
        size = uint32(c.size)
        if i < size:
            x = parts[i]
            s, at = uint32(1), uint32(i + size)
            while uint32(s + uint32(AT_ONCE - 1)) < count:
                p, q = parts[at], parts[uint32(at + size)]
                r, t = parts[uint32(at + uint32(2) * size)], parts[uint32(at + uint32(3) * size)]
                x = x + p + q + r + t
                s, at = uint32(s + uint32(AT_ONCE)), uint32(at + uint32(AT_ONCE) * size)
            while s < count:
                x += parts[at]
                s, at = uint32(s + uint32(1)), uint32(at + size)
            c[i] = finish(x + bias[uint32(i % n)])

    return sum_slices_wide if wide else sum_slices


def add_up(parts: Array, bias: Array, c: Array, count: int, activation: str | None) -> None:
    """``c = activation(sum of the parts + bias)``, for parts (count m, n) and c (m, n)."""
    wide = is_wide(c)
    each = THREADS * (RUN if wide else 1)
    sizes = np.uint32(c.shape[1]), np.uint32(count)
    add = make_sum(wide, activation)[-(-c.size // each), THREADS]
    add(parts.reshape(-1), bias, c.reshape(-1), *sizes)
