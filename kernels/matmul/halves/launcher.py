"""Launcher of the product of 16-bit matrices: checks, and which kernel computes it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import types

from ...checks import require_apart, require_array, require_like, require_ndim, require_option
from ...engine import Array, DeviceError, DtypeError, ShapeError, empty, zeros
from ...opspec import GpuKernel
from .. import hopper
from ..alignment import Factor, is_wide
from ..cores import CORES, HALVES, WARPGROUPS, WARPS, instruction_for, rate
from ..kernels import ACTIVATIONS
from ..order import ORDER, STRIP
from ..slicing import ITEMS, Block, multiply_by_cores
from ..stages import stages_for
from .gemm import DEPTH, PAIR_BYTES, THREADS, WIDTH, make_half_gemm

SINCE = (8, 0)  # the compute capability that brought cp.async and bfloat16
STAGES = 4  # most pairs of tiles; beyond them copies have arrived anyway
BLOCK = Block(WIDTH, WIDTH, DEPTH)
RATE = "bf16"  # numbers as fast as these
REAL, BITS = np.dtype(np.float32), np.dtype(np.uint16)
DTYPES = {"f16": np.dtype(np.float16), "bf16": BITS}
# What the machine code holds: ``engine/resources/expectations.py``.
TENSOR_CORES = ("HMMA >= 30%", "LDSM >= 16", "LDGSTS.128", "STG.128", "LDL == 0")
NARROW = ("HMMA", "LDSM >= 16", "LDL == 0")
ROOMY = ("sm_80", "sm_90", "sm_90a", "sm_100")  # shared memory for two blocks of so many stages


def matmul_halves(
    a: Array,
    b: Array,
    *,
    kind: str,
    bias: Array | None = None,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """``activation(a bᵀ + bias)`` of float16 or bfloat16 matrices, with sums and result in float32.

    An entry for research and for measuring: the kernels themselves, without any copy before them.
    ``matmul`` and all that is built on it take float32 and float64; to let float32 products use the
    same tensor cores, see ``set_float32_matmul_precision``.

    On GPUs from compute capability 8.0 on by ``mma.sync``, on those of 9.0 by ``wgmma`` where rows
    of both matrices run along k and begin at multiples of 16 bytes, and that pays; on a CPU by the
    source of the first. Rows of other lengths are copied number by number, which takes longer.

    Args:
        a: (m, k), contiguous or the transpose of a contiguous matrix; float16, or bfloat16 as the
            uint16 of its bits.
        b: (n, k), likewise: for a product with a matrix x (k, n), pass ``x.T``.
        kind: ``"f16"`` or ``"bf16"``.
        bias: (n,), float32, contiguous, or None.
        activation: as for ``matmul``.
        out: (m, n), float32, contiguous: receives the result.

    Returns:
        ``out``, or a new float32 array (m, n). With k = 0 every sum is 0.

    Raises:
        ShapeError: sizes do not agree, or an array is not contiguous as it should be.
        DtypeError: an array of another dtype.
        DeviceError: arrays on several devices, or on a GPU without such tensor cores.
        ArgumentError: another kind or activation, or ``out`` overlaps an argument.

    Example:
        >>> x, w = nl.array(np.ones((4, 8), np.float16)), nl.array(np.ones((3, 8), np.float16))
        >>> matmul_halves(x, w, kind="f16").numpy()[0]
        array([8., 8., 8.], dtype=float32)
    """
    name = "matmul_halves"
    require_option(name, "kind", kind, tuple(DTYPES))
    require_option(name, "activation", activation, ACTIVATIONS)
    require_array(name, "a", a)
    if a.dtype != DTYPES[kind]:
        raise DtypeError(f"{name}: a: dtype {a.dtype} given, expected {DTYPES[kind]}")
    require_like(name, "b", b, "a", a)
    x, y = _stored(name, "a", a), _stored(name, "b", b)
    (m, k), (n, k_of_b) = a.shape, b.shape
    if k != k_of_b:
        raise ShapeError(f"{name}: b: shape {b.shape} given, expected rows of {k} like a")
    if max(m * k, n * k, m * n) >= ITEMS:
        raise ShapeError(f"{name}: a: shape {a.shape} given, expected less than 2^31 items of each")
    if not a.device.is_cpu and a.device.limits.compute_capability < SINCE:
        raise DeviceError(
            f"{name}: a: on {a.device} of compute capability "
            f"{'.'.join(map(str, a.device.limits.compute_capability))}, expected at least 8.0"
        )
    bias = zeros((n,), REAL, a.device) if bias is None else bias
    c = empty((m, n), REAL, a.device) if out is None else out
    for argument, z, shape in (("bias", bias, (n,)), ("out", c, (m, n))):
        require_array(name, argument, z)
        if z.dtype != REAL or z.shape != shape or not z.is_contiguous or z.device != a.device:
            raise ShapeError(
                f"{name}: {argument}: {z.dtype} of shape {z.shape} on {z.device} given, expected "
                f"contiguous float32 of shape {shape} on {a.device}"
            )
    if out is not None:
        require_apart(name, out, a=a, b=b, bias=bias)
    if m and n:
        _multiply(kind, x, y, bias, c, activation)
    return c


def _stored(name: str, argument: str, x: Array) -> Factor:
    """A matrix (size, k) as it lies in memory."""
    require_ndim(name, argument, x, 2)
    if x.is_contiguous:
        return Factor(x, True)
    if x.T.is_contiguous:
        return Factor(x.T, False)
    raise ShapeError(
        f"{name}: {argument}: shape {x.shape} with strides {x.strides} given, expected a "
        "contiguous matrix or the transpose of one"
    )


def _multiply(
    kind: str, a: Factor, b: Factor, bias: Array, c: Array, activation: str | None
) -> None:
    """By ``mma.sync`` or ``wgmma``, as rules say unless it was measured (``engine.tuning``)."""
    k = a.k
    wide = k == 0 or (is_wide(a.matrix) and is_wide(b.matrix))  # of no steps nothing is read
    problem = *c.shape, k, HALVES[kind], a.along, b.along, wide

    def run(how: str) -> None:
        if instruction_for(how, problem, kind, 0, c.device) == WARPGROUPS:
            hopper.multiply(kind, (a.matrix, k * 2), (b.matrix, k * 2), k, bias, c, activation)
        else:
            _by_warps(kind, a, b, wide, bias, c, activation)

    run(CORES(c.device, problem, run, (c,)))


def _by_warps(
    kind: str, a: Factor, b: Factor, wide: bool, bias: Array, c: Array, activation: str | None
) -> None:
    (m, n), k = c.shape, a.k
    stages = stages_for(PAIR_BYTES, STAGES, c.device)
    rows, columns = -(-m // WIDTH), -(-n // WIDTH)

    def multiply(target: Array, parts: int, steps: int) -> None:
        after, sliced = None if parts > 1 else activation, parts > 1
        make = functools.partial(make_half_gemm, kind, a.along, b.along, wide)
        kernel = make(is_wide(target), after, stages, sliced)
        launch = kernel[(rows * columns, 1, parts), THREADS, 0, stages * PAIR_BYTES]
        arrays = bits_of(a.matrix), bits_of(b.matrix), bias, target.reshape(-1)
        sizes = tuple(map(np.uint32, (m, n, k, rows, columns)))

        def run(strip: int) -> None:
            launch(*arrays, *sizes, np.uint32(strip), np.uint32(steps))

        problem = rows, columns, k, HALVES[kind]
        run(STRIP if sliced else ORDER(c.device, problem, run, (target,)))

    of_cores = BLOCK, rate(RATE, c.device), f"{HALVES[kind]} {WARPS}"
    multiply_by_cores(k, *of_cores, bias, c, activation, multiply)


def bits_of(x: Any) -> Array:
    """The items of a contiguous array of 16-bit numbers in a row, as uint16: a view."""
    if x.device.is_cpu:
        return Array(x.data.reshape(-1).view(BITS))
    return x.stretch(BITS)[0]


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernel for some storage orders, for rows of whole 16 bytes and for others."""
    halves, items = types.Array(types.uint16, 1, "C"), types.Array(types.float32, 1, "C")
    signature = (halves, halves, items, items, *[types.uint32] * 7)
    least = 2 * PAIR_BYTES
    found = []
    for kind, order in (("bf16", "nt"), ("f16", "tn")):
        kernel = make_half_gemm(kind, order[0] == "n", order[1] == "t", True, True, None)
        name = f"matmul of {kind} {order}"
        found.append(GpuKernel(name, kernel, signature, SINCE, (), TENSOR_CORES, least))
    name, kernel = "matmul of f16 nn, any", make_half_gemm("f16", True, False, False, False, "silu")
    found.append(GpuKernel(name, kernel, signature, SINCE, (), NARROW, least))
    kernel = make_half_gemm("bf16", True, False, True, True, None, STAGES)
    name, room = f"matmul of bf16 nn, {STAGES} stages", STAGES * PAIR_BYTES
    found.append(GpuKernel(name, kernel, signature, SINCE, ROOMY, TENSOR_CORES, room))
    kernel = make_half_gemm("bf16", True, False, True, True, None, 2, True)
    name = "matmul of bf16 nn, split"
    found.append(GpuKernel(name, kernel, signature, SINCE, (), TENSOR_CORES, least))
    return tuple(found)
