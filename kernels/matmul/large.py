"""Large products of float32 matrices on a GPU: when to use wide tiles, and their launch."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import types

from ..checks import FLOAT32
from ..elementwise.mapping import fold
from ..engine import Array, Device
from ..engine.tuning import Choice
from ..opspec import GpuKernel
from . import cores, halves, hopper, precision, split
from .alignment import is_wide
from .cores import TENSOR_STAGES
from .kernels import TILE
from .sgemm import DEPTH, PAIR_BYTES, THREADS, WIDTH, make_sgemm
from .slicing import FALLBACK, ITEMS, in_slices, sum_time, with_room
from .stages import dynamic_bytes, stages_for
from .tensor import make_tensor_gemm, pair_items

SINCE = (8, 0)  # the compute capability that brought cp.async
# What the machine code holds: ``engine/resources/expectations.py``.
MULTIPLY_ADDS = ("FFMA >= 88%", "LDS.128 >= 5%", "LDGSTS", "STG.128", "LDL == 0")
TENSOR_CORES = ("HMMA >= 8%", "LDGSTS.128", "LDL == 0")
COPIES = ("LDG.128 >= 6", "STG.128 == 1")

# Time of one block, on the scale of ``launcher.GPU_TILES``. NOT measured: it has four times the
# items of the tile of 64 x 64, for which that scale says 9.0, and its main loop is multiply-adds to
# 89 % where that of the smaller tile is to 34 % (``nnlite resources matmul``).
BLOCK_TIME = 4 * 9.0 * 0.34 / 0.89

# Least steps of a slice. An item of a slice is written and read once more, 8 bytes, for which a GPU
# takes as long as for some 40 multiply-adds (A100: 13 bytes and 64 multiply-adds to a clock of a
# multiprocessor); with 256 and more, that is less than a sixth of the work. NOT measured either.
SLICE = 256

SGEMM_STAGES = 3  # most pairs of tiles; beyond them copies have arrived anyway
EFFICIENCY = 0.89  # of the peak of float32: the share of multiply-adds
ROOMY = ("sm_80", "sm_90", "sm_90a", "sm_100")  # shared memory for two blocks of so many stages


def fits(m: int, n: int, k: int, dtype: Any, device: Device) -> bool:
    """Whether the kernel can compute this product at all."""
    known = dtype == FLOAT32 and not device.is_cpu
    return known and device.limits.compute_capability >= SINCE and max(m * k, k * n, m * n) < ITEMS


def slices(m: int, n: int, k: int, sms: int) -> int:
    """Into how many slices of steps to split a product: as many as keep every multiprocessor busy.

    Unless the tiles of c do so by themselves, or a slice would have fewer than ``SLICE`` steps.
    """
    tiles = -(-m // WIDTH) * -(-n // WIDTH)
    return max(1, min(sms // tiles, k // SLICE, (ITEMS - 1) // (m * n)))


def pays(m: int, n: int, k: int, dtype: Any, device: Device, tiles: Any) -> bool:
    """Whether the large tile finishes before the smaller ones of ``tiles``, (items, time) pairs.

    In strict float32, or by tensor cores where less precision will do.
    """
    if device.is_cpu:
        return False
    return _pays(m, n, k, dtype, device, tiles, precision.kind())


@functools.lru_cache(maxsize=1024)
def _pays(m: int, n: int, k: int, dtype: Any, device: Device, tiles: Any, kind: str | None) -> bool:
    if not fits(m, n, k, dtype, device):
        return False
    least = 0.0 if kind is None else cores.memory_seconds(m, n, k, device)
    large = max(exact_seconds(m, n, k, device), least)
    if kind is not None:
        large = min(large, cores.seconds(m, n, k, kind, device))
    sms = device.limits.sms

    def time(width: int, block: float) -> float:
        return -(-(-(-m // width) * -(-n // width)) // sms) * block

    smaller = min(time(items * TILE, block) for items, block in tiles) * _unit(k, device)
    return large < max(smaller, least)


def _unit(k: int, device: Device) -> float:
    """Seconds for 1 of the scale of ``BLOCK_TIME``, for blocks of k steps."""
    rate = (device.limits.float32 or FALLBACK.float32) * 1e12 * EFFICIENCY / device.limits.sms
    return 2 * WIDTH * WIDTH * k / rate / BLOCK_TIME


def exact_seconds(m: int, n: int, k: int, device: Device) -> float:
    """Seconds of a product by :mod:`.sgemm`, in slices if that is how it is computed."""
    sms = device.limits.sms
    parts = slices(m, n, k, sms)
    blocks = parts * -(-m // WIDTH) * -(-n // WIDTH)
    sums = 0.0 if parts == 1 else sum_time(m, n, parts, device)
    return -(-blocks // sms) * BLOCK_TIME / parts * _unit(k, device) + sums


@functools.lru_cache(maxsize=1024)
def by_cores(m: int, n: int, k: int, kind: str, device: Device) -> bool:
    """Whether tensor cores finish before the large tile in strict float32.

    They do not where memory decides, and on a GPU whose tensor cores are no faster.
    """
    exact = max(exact_seconds(m, n, k, device), cores.memory_seconds(m, n, k, device))
    return cores.seconds(m, n, k, kind, device) < exact


def launch(
    a: Array,
    b: Array,
    bias: Array,
    c: Array,
    transpose_a: bool,
    transpose_b: bool,
    activation: str | None,
) -> None:
    """``c = activation(a b + bias)`` of contiguous arrays; see ``launcher.matmul``.

    By :mod:`.cores` where less precision will do and they are faster, otherwise by :mod:`.sgemm`;
    in how many slices, rules say unless it was measured (``engine.tuning``).
    """
    turned_a, turned_b = not transpose_a, transpose_b
    m, n = c.shape
    k = a.shape[0] if transpose_a else a.shape[1]
    kind = precision.kind()
    if kind is not None and by_cores(m, n, k, kind, c.device):
        cores.launch(kind, a, b, bias, c, turned_a, turned_b, activation)
        return
    problem = m, n, k, None, turned_a, turned_b
    arrays = a, b, bias, c

    def run(parts: int) -> None:
        _slices(parts, problem, arrays, activation)

    with_room(run, SLICES(c.device, problem, run, (c,)), SLICES)


Problem = tuple[int, int, int, None, bool, bool]  # m, n, k, no rounding, turned_a, turned_b
Operands = tuple[Array, Array, Array, Array]
RULE = 0  # slices: as :func:`slices` says


def _slice_counts(device: Device, problem: Problem) -> tuple[int, ...]:
    """Powers of two, as long as no multiprocessor gets more than two blocks for them."""
    m, n, k = problem[:3]
    tiles = -(-m // WIDTH) * -(-n // WIDTH)
    most = min(2 * device.limits.sms // tiles, k // (4 * DEPTH), (ITEMS - 1) // (m * n))
    return tuple(1 << i for i in range(max(1, most).bit_length()))


# Another order of the sums changes a result by much less than a missing slice or tile does.
SLICES = Choice(
    "matmul slices", _slice_counts, lambda device, problem: RULE,
    sources=(__name__, *(f"{__package__}.{x}" for x in ("sgemm", "slicing", "split"))),
    tolerance=1e-3,
)  # fmt: skip


def _slices(parts: int, problem: Problem, arrays: Operands, activation: str | None) -> None:
    """By :mod:`.sgemm`, its steps in so many slices."""
    (m, n, k, _, turned_a, turned_b), (a, b, bias, c) = problem, arrays
    sizes = np.uint32(m), np.uint32(n), np.uint32(k)
    grid = (-(-n // WIDTH), *fold(-(-m // WIDTH)))
    matrices = a.reshape(-1), b.reshape(-1), bias
    copied = [x for x, turned in ((a, turned_a), (b, turned_b)) if not turned]
    if parts == RULE:
        parts = slices(m, n, k, a.device.limits.sms)
    stages = stages_for(PAIR_BYTES, SGEMM_STAGES, c.device)
    shared = dynamic_bytes(stages * PAIR_BYTES)

    def multiply(target: Array, parts: int, steps: int) -> None:
        sliced = parts > 1
        wide = all(map(is_wide, (target, *copied)))
        after = None if sliced else activation
        kernel = make_sgemm(turned_a, turned_b, wide, after, sliced, stages)
        start = kernel[(*grid[:2], parts) if sliced else grid, THREADS, 0, shared]
        start(*matrices, target.reshape(-1), *sizes, np.uint32(steps))

    in_slices(parts, k, DEPTH, bias, c, activation, multiply)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels for each precision and storage order, for matrices of whole 128-bit accesses."""
    items, size = types.Array(types.float32, 1, "C"), types.uint32
    signature = (items, items, items, items, size, size, size, size)
    plain = True, False
    found = []
    for kind in precision.KINDS.values():
        for order in ("nn", "nt", "tn", "tt"):
            turned = order[0] == "n", order[1] == "t"
            name = f"matmul {kind or 'float32'} {order}"
            if kind is None:
                kernel = make_sgemm(*turned, True, None)
                found.append(GpuKernel(name, kernel, signature, SINCE, expects=MULTIPLY_ADDS))
            else:
                kernel = make_tensor_gemm(kind, *turned, True, None)
                found.append(GpuKernel(name, kernel, signature, SINCE, expects=TENSOR_CORES))
    for name, kernel, expected in (
        ("float32", make_sgemm(*plain, True, None, True), MULTIPLY_ADDS),
        ("bf16", make_tensor_gemm("bf16", *plain, True, None, 2, True), TENSOR_CORES),
    ):
        found.append(GpuKernel(f"matmul {name} nn, split", kernel, signature, SINCE, (), expected))
    add, of_sum = split.make_sum(True, None), (items, items, items, size, size)
    found.append(GpuKernel("matmul float32, sum of slices", add, of_sum, SINCE, expects=COPIES))
    staged: tuple[Any, ...] = (
        ("float32", SGEMM_STAGES, PAIR_BYTES, MULTIPLY_ADDS,
         make_sgemm(*plain, True, None, False, SGEMM_STAGES)),
        *(
            (kind, TENSOR_STAGES, 4 * sum(pair_items(kind, *plain)), TENSOR_CORES,
             make_tensor_gemm(kind, *plain, True, None, TENSOR_STAGES))
            for kind in ("tf32", "bf16")
        ),
    )  # fmt: skip
    for kind, stages, pair, expected, kernel in staged:
        name = f"matmul {kind} nn, {stages} stages"
        size = dynamic_bytes(stages * pair)
        found.append(GpuKernel(name, kernel, signature, SINCE, ROOMY, expected, size))
    return (*found, *halves.gpu_kernels(), *hopper.gpu_kernels())
