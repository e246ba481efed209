"""Losses with weights by 128-bit access, for float32 on a GPU; formulas of :mod:`.kernels`.

Weights w of the items and numbers q of their own repeat as in ``elementwise.wide_broadcast``: no
array as large as the prediction is written for them.

- ``weighted_each_wide``, ``weighted_total_wide``, ``weighted_gradient_wide``: as in :mod:`.wide`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda, float32, uint32, uint64

from ..elementwise import copy
from ..elementwise.wide import RUN, fetch, place_of, put_back
from ..elementwise.wide_broadcast import fetch_repeated, item_of, operand
from ..engine import Array, Kernel, kernel
from ..opspec import GpuKernel
from ..reduce.wide_rows import HELD, SLOTS, row_kernel
from .kernels import BLOCK
from .wide import blocks_of, gradient_map, part_sum


def _with_weights(f: Any) -> tuple[Any, Any]:
    """``one`` and ``four``, as in :mod:`.wide`, of ``w f(p, t, q)``.

    They are given (w, q, wp, wr, wa, qp, qr, qa): period, repeat and alike of both.
    """

    @cuda.jit(device=True)
    def one(p, t, i, given):
        w, q, wp, wr, _, qp, qr, _ = given
        return w[item_of(i, wp, wr)] * f(p[i], t[i], q[item_of(i, qp, qr)])

    @cuda.jit(device=True)
    def four(a, b, at, i, given):
        w, q, wp, wr, wa, qp, qr, qa = given
        u, v = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
        fetch_repeated(u, w, i, wp, wr, wa)
        fetch_repeated(v, q, i, qp, qr, qa)
        for j in range(RUN):
            a[at + j] = u[j] * f(a[at + j], b[at + j], v[j])

    return one, four


@functools.cache
def each_kernel(f: Any) -> Kernel:
    """``weighted_each_wide`` of a device function f."""
    one, four = _with_weights(f)

    @kernel
    def weighted_each_wide(p, t, w, q, loss, head, wp, wr, wa, qp, qr, qa):
        """p, t, loss (n,), w (wp,), q (qp,); period, repeat, alike of both."""
        given = w, q, wp, wr, wa, qp, qr, qa
        i, whole = place_of(p.size, head)
        if whole:
            a, b = cuda.local.array(RUN, float32), cuda.local.array(RUN, float32)
            fetch(a, p, i)
            fetch(b, t, i)
            four(a, b, 0, i, given)
            put_back(loss, i, a)
        elif i < uint64(p.size):
            loss[i] = one(p, t, i, given)

    return weighted_each_wide


@functools.cache
def total_kernel(f: Any) -> Kernel:
    """``weighted_total_wide`` of f."""
    summed = part_sum(*_with_weights(f))

    @row_kernel
    def weighted_total_wide(p, t, w, q, sums, head, chunk, divisor, wp, wr, wa, qp, qr, qa):
        """p, t (n,), w (wp,), q (qp,), sums (parts,): block b adds items b*chunk onwards."""
        slots = cuda.shared.array(SLOTS, float32)
        acc = summed(slots, p, t, (w, q, wp, wr, wa, qp, qr, qa), head, chunk)
        if cuda.threadIdx.x == 0:
            sums[cuda.blockIdx.x] = acc / divisor

    return weighted_total_wide


@functools.cache
def gradient_kernel(slope: Any, each: bool) -> Kernel:
    """``weighted_gradient_wide``; ``each``: dloss has an item for each of p."""
    mapped = gradient_map(*_with_weights(slope), each)

    @kernel
    def weighted_gradient_wide(dloss, p, t, w, q, dp, head, scale, wp, wr, wa, qp, qr, qa):
        """dloss (n,) or (1,); p, t, dp (n,), w (wp,), q (qp,)."""
        mapped(dloss, p, t, (w, q, wp, wr, wa, qp, qr, qa), dp, head, scale)

    return weighted_gradient_wide


class Weights:
    """Weights as the kernels take them.

    Args:
        weights: w and q; each broadcasts to the shape of ``pred``.
        pred: the prediction, contiguous.
        head: ``shared_head`` of it.
    """

    def __init__(self, weights: tuple[Array, ...], pred: Array, head: int) -> None:
        given = [_operand(w, pred, head) for w in weights]
        self.lines = tuple(line for line, *_ in given)
        self.numbers = tuple(n for _, *numbers in given for n in numbers)


def _operand(w: Array, pred: Array, head: int) -> Any:
    found = operand(w, pred, head)
    return operand(copy(w.broadcast_to(pred.shape)), pred, head) if found is None else found


def each(f: Any, pair: tuple[Array, Array], w: Weights, loss: Array, head: int) -> None:
    """The loss of each item of (p, t)."""
    run = each_kernel(f)[blocks_of(loss.size, head), BLOCK]
    run(*pair, *w.lines, loss, np.uint32(head), *w.numbers)


def total(
    f: Any, pair: tuple[Array, Array], w: Weights, sums: Array, divisor: Any, head: int
) -> None:
    """The sums of as many parts as ``sums`` has items, divided."""
    chunk = np.uint32(-(-pair[0].size // sums.size))
    run = total_kernel(f)[sums.size, BLOCK]
    run(*pair, *w.lines, sums, np.uint32(head), chunk, divisor, *w.numbers)


def gradient(
    slope: Any, arrays: tuple[Array, ...], w: Weights, dp: Array, each: bool, scale: Any, head: int
) -> None:
    """The gradient of each item; of (dloss, p, t), the first has one for each if ``each``."""
    run = gradient_kernel(slope, each)[blocks_of(dp.size, head), BLOCK]
    run(*arrays, *w.lines, dp, np.uint32(head), scale, *w.numbers)


def gpu_kernels(losses: Any) -> tuple[GpuKernel, ...]:
    """The kernels of some losses, with the accesses that their machine code is to hold."""
    line, found = float32[::1], []
    numbers = (uint32,) * 6
    of_each = (*(line,) * 5, uint32, *numbers)
    of_total = (*(line,) * 5, uint32, uint32, float32, *numbers)
    of_slope = (*(line,) * 6, uint32, float32, *numbers)
    write, sums = ("STG.128 == 1", "LDL == 0"), (f"LDG.128 >= {2 * HELD}", "LDL == 0")
    for loss in losses:
        made = each_kernel(loss.value)  # q is not read where the loss takes no number
        found.append(GpuKernel(loss.name, made, of_each, expects=("LDG.128 >= 3", *write)))
        found.append(GpuKernel(loss.name, total_kernel(loss.value), of_total, expects=sums))
        for slope in filter(None, (loss.slope, loss.target_slope)):
            for each in (False, True):
                made = gradient_kernel(slope, each)
                expects = f"LDG.128 >= {2 + each}", *write
                found.append(GpuKernel(f"{loss.name}_backward", made, of_slope, expects=expects))
    return tuple(found)
