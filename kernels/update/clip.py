"""Norm of gradients over many tensors, scaling by it, limiting of values.

Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
in the form that PyTorch uses; the norm is taken over the items of all tensors as one vector::

    norm = (sum |x|^p)^(1/p)  for p = 1, 2       norm = max |x|  for p = inf
    x = x * min(1, max_norm / (norm + 1e-6))

Kernels:

- ``partial_norm``: a block adds up ``CHUNK`` items; several launches, one for each tensor or
  stretch of tensors, may fill one array of partial results.
- ``combine_norms``: one block adds up the partial results and takes the root. The order of
  additions depends on the sizes only, so the norm repeats bit for bit; it never leaves the device.
- ``clip_scale``, ``clip_value``: one thread per item, in place.
- ``partial_norm_wide``, ``clip_scale_wide``, ``clip_value_wide``: the same by 128-bit access, for
  float32 on a GPU.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, uint64

from .. import checks
from ..elementwise.wide import RUN, fetch, place_of, put_back, shared_head
from ..engine import ArgumentError, Array, Kernel, empty, kernel
from ..reduce.tree import add, block_tree, larger
from .clip_wide import CHUNK, wide_norm_kernel
from .common import BLOCK, flat, launch, launch_at, real_of, require_contiguous

TINY = 1e-6  # what PyTorch adds to the norm, so that a norm of 0 does not divide


def partial_norm_reference(x: np.ndarray, norm_type: float = 2.0) -> np.ndarray:
    """Sums of ``|x|^p``, or maxima of ``|x|``, of each ``CHUNK`` items."""
    items = np.abs(x.reshape(-1))
    parts = [items[i : i + CHUNK] for i in range(0, items.size, CHUNK)]
    if norm_type == math.inf:
        return np.array([part.max() for part in parts])
    return np.array([(part**norm_type).sum() for part in parts])


def combine_norms_reference(partial: np.ndarray, norm_type: float = 2.0) -> np.ndarray:
    """The norm that the partial results make."""
    if norm_type == math.inf:
        return np.asarray(partial.max(initial=0.0))
    return np.asarray(partial.sum() ** (1 / norm_type))


def clip_scale_reference(x: np.ndarray, norm: np.ndarray, max_norm: float) -> np.ndarray:
    return x * np.minimum(max_norm / (norm + TINY), 1.0)


def clip_value_reference(x: np.ndarray, limit: float) -> np.ndarray:
    return np.clip(x, -limit, limit)


@functools.cache
def norm_kernels(norm_type: float, dtype: Any) -> tuple[Kernel, Kernel]:
    """``partial_norm`` and ``combine_norms`` for p = 1, 2 or inf and float32 or float64."""
    real = real_of(dtype)
    combine = larger if norm_type == math.inf else add
    combined = block_tree(combine)
    squared = norm_type == 2.0

    @kernel
    def partial_norm(x: Any, out: Any) -> None:
        """x (n,), out (blocks,)."""
        tree = cuda.shared.array(BLOCK, real)
        first = cuda.blockIdx.x * CHUNK
        stop = min(first + CHUNK, x.size)
        acc = real(0.0)
        for i in range(first + cuda.threadIdx.x, stop, BLOCK):
            v = abs(x[i])
            if squared:
                v = v * v
            acc = combine(acc, v)
        acc = combined(tree, acc)
        if cuda.threadIdx.x == 0:
            out[cuda.blockIdx.x] = acc

    @kernel
    def combine_norms(partial: Any, out: Any) -> None:
        """partial (parts,), out (1,); one block."""
        tree = cuda.shared.array(BLOCK, real)
        acc = real(0.0)
        for i in range(cuda.threadIdx.x, partial.size, BLOCK):
            acc = combine(acc, partial[i])
        acc = combined(tree, acc)
        if cuda.threadIdx.x == 0:
            if squared:
                acc = math.sqrt(acc)
            out[0] = acc

    return partial_norm, combine_norms


def scale_step(dtype: Any) -> Any:
    """Device function that scales item ``i``; arguments as of ``clip_scale``."""
    real = real_of(dtype)
    normal = real(np.finfo(dtype).smallest_normal)

    @cuda.jit(device=True)
    def scale(x, i, norm, max_norm):
        divisor = norm[0] + real(TINY)
        factor = max_norm / divisor
        if factor > real(1.0):  # NaN stays
            factor = real(1.0)
        if factor < normal and divisor > real(1.0):  # the factor has lost digits, x need not
            x[i] = x[i] / divisor * max_norm
        else:
            x[i] *= factor

    return scale


def limit_step() -> Any:
    """Device function that limits item ``i``; arguments as of ``clip_value``."""

    @cuda.jit(device=True)
    def limit_to(x, i, limit):
        v = x[i]
        if v > limit:
            v = limit
        elif v < -limit:
            v = -limit
        x[i] = v

    return limit_to


@functools.cache
def clip_kernels(dtype: Any) -> tuple[tuple[Kernel, Kernel], tuple[Kernel, Kernel]]:
    """``clip_scale`` and ``clip_value`` for float32 or float64, each with its wide form."""
    real = real_of(dtype)
    scale, limit_to = scale_step(dtype), limit_step()

    @kernel
    def clip_scale(x, norm, max_norm):  # x (n,), norm (1,)
        i = cuda.grid(1)
        if i < x.size:
            scale(x, i, norm, max_norm)

    @kernel
    def clip_scale_wide(x, norm, head, max_norm):
        i, whole = place_of(x.size, head)
        if whole:
            v = cuda.local.array(RUN, real)
            fetch(v, x, i)
            for j in range(RUN):
                scale(v, j, norm, max_norm)
            put_back(x, i, v)
        elif i < uint64(x.size):
            scale(x, i, norm, max_norm)

    @kernel
    def clip_value(x, limit):  # x (n,)
        i = cuda.grid(1)
        if i < x.size:
            limit_to(x, i, limit)

    @kernel
    def clip_value_wide(x, head, limit):
        i, whole = place_of(x.size, head)
        if whole:
            v = cuda.local.array(RUN, real)
            fetch(v, x, i)
            for j in range(RUN):
                limit_to(v, j, limit)
            put_back(x, i, v)
        elif i < uint64(x.size):
            limit_to(x, i, limit)

    return (clip_scale, clip_scale_wide), (clip_value, clip_value_wide)


def partial_norm(x: Array, norm_type: float = 2.0, out: Array | None = None) -> Array:
    """Sums of ``|x|^p`` (maxima for p = inf) of each ``CHUNK`` items, for :func:`combine_norms`.

    Args:
        x: any shape and strides, float32 or float64.
        norm_type: p: 1, 2 or inf.
        out: where to write: an array of one item for each ``CHUNK`` items of x, begun or not.

    Returns:
        ``out``, or a new array.

    Raises:
        DtypeError, ShapeError, DeviceError: x is no float array, or ``out`` does not fit.
        ArgumentError: another ``norm_type``.
    """
    op = "partial_norm"
    checks.require_float(op, "x", x)
    check_type(op, norm_type)
    parts = -(-x.size // CHUNK)
    out = checks.require_out(op, out, (parts,), x.dtype, x.device)
    if parts:
        line = flat(x)
        head = _head(line)
        if head is None:
            norm_kernels(float(norm_type), x.dtype)[0][parts, BLOCK](line, out)
        else:
            wide_norm_kernel(float(norm_type))[parts, BLOCK](line, out, np.uint32(head))
    return out


def combine_norms(partial: Array, norm_type: float = 2.0) -> Array:
    """The norm, of shape (), that the results of :func:`partial_norm` make; 0 for none.

    Raises:
        DtypeError, ShapeError: ``partial`` is no float array of one axis.
        ArgumentError: another ``norm_type``.
    """
    op = "combine_norms"
    checks.require_float(op, "partial", partial)
    checks.require_ndim(op, "partial", partial, 1)
    check_type(op, norm_type)
    out = empty((1,), partial.dtype, partial.device)
    norm_kernels(float(norm_type), partial.dtype)[1][1, BLOCK](flat(partial), out)
    return out.reshape(())


def clip_scale(x: Array, norm: Array, max_norm: float) -> Array:
    """``x * min(1, max_norm / (norm + 1e-6))``, in place; NaN everywhere if the norm is NaN.

    Args:
        x: updated in place; contiguous, float32 or float64.
        norm: shape (), like x.
        max_norm: at least 0.

    Returns: x.

    Raises:
        DtypeError, ShapeError, DeviceError: the arrays do not fit.
        ArgumentError: ``max_norm`` is negative or no number.
    """
    op = "clip_scale"
    checks.require_float(op, "x", x)
    checks.require_like(op, "norm", norm, "x", x)
    checks.require_shape(op, "norm", norm, ())
    require_contiguous(op, "x", x)
    checks.require_between(op, "max_norm", max_norm, 0.0, math.inf)
    n = x.size
    if n:
        arrays = flat(x), norm.reshape((1,))
        launch_at(clip_kernels(x.dtype)[0], n, _head(arrays[0]), arrays, max_norm)
    return x


def clip_value(x: Array, limit: float) -> Array:
    """``x`` limited to ``[-limit, limit]``, in place; NaN stays.

    Args:
        x: updated in place; contiguous, float32 or float64.
        limit: at least 0.

    Returns: x.

    Raises:
        DtypeError, ShapeError: x is no float array, or not contiguous.
        ArgumentError: ``limit`` is negative or no number.
    """
    op = "clip_value"
    checks.require_float(op, "x", x)
    require_contiguous(op, "x", x)
    checks.require_between(op, "limit", limit, 0.0, math.inf)
    n = x.size
    if n:
        launch(clip_kernels(x.dtype)[1], n, (flat(x),), limit)
    return x


def _head(line: Array) -> int | None:
    return None if line.device.kind == "cpu" else shared_head(line)


def check_type(op: str, norm_type: float) -> None:
    """Raise ArgumentError unless the norm is one that there are kernels for."""
    checks.require_number(op, "norm_type", norm_type)
    if norm_type not in (1.0, 2.0, math.inf):
        raise ArgumentError(f"{op}: norm_type: {norm_type!r} given, expected 1, 2 or inf")
