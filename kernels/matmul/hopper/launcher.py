"""Launch of the product on Hopper GPUs: when it can be used, when it pays, and what goes before it.

``large.launch`` comes here for float32 matrices if less precision will do. a and b are taken as
they are if their numbers are to be tf32 and their rows run along q and begin at multiples of 16
bytes; otherwise :mod:`.operands` makes a copy of such a kind. Then the kernel is told by two tensor
maps where they are.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import types

from ...elementwise.mapping import fold
from ...engine import Array, Device, empty
from ...opspec import GpuKernel
from ..alignment import Factor, is_wide
from ..order import ORDER, STRIP
from ..slicing import ITEMS, LAUNCH, Block, fastest, multiply_by_cores
from . import operands
from .gemm import COLUMNS, ITEM_BYTES, ROWS, SHARED, THREADS, depth_of, make_hopper_gemm
from .operands import RUN, WORDS, make_convert, make_turn, write_maps

CAPABILITY = (9, 0)  # wgmma is of this one alone
ARCHITECTURE = "sm_90a"

# What others measured on an H200 or H100, for the choice below; our own kernels are NOT measured.
PEAK = {"tf32": 495e12, "bf16": 989e12, "f16": 989e12}  # multiply-adds counted as two
SHARE_OF_PEAK = 0.75  # by wgmma
SHARE_OF_WARPS = 0.5  # by mma.sync, at most 0.65
COPY = 4.3e12  # bytes read and written in a second


def fits(m: int, n: int, k: int, device: Device) -> bool:
    """Whether the kernel can compute this product at all."""
    if device.is_cpu or device.limits.compute_capability != CAPABILITY or min(m, n, k) < 1:
        return False
    longest = -(-k // RUN["bf16"]) * RUN["bf16"]
    return max(m * longest, n * longest, m * n) < ITEMS


@functools.lru_cache(maxsize=1024)
def pays(m: int, n: int, k: int, kind: str, moved: int, device: Device) -> bool:
    """Whether it finishes before the kernel for older tensor cores, of 128 x 128 items to a block.

    Args:
        moved: numbers of a and b that have to be brought into another order first.
    """
    ours = block_of(kind)
    older = ours._replace(columns=ROWS)
    copy = moved * (4 + ITEM_BYTES[kind]) / COPY + LAUNCH * (1 + 2 * bool(moved))
    time, _ = fastest(m, n, k, ours, rate(kind, SHARE_OF_PEAK, device), device)
    other, _ = fastest(m, n, k, older, rate(kind, SHARE_OF_WARPS, device), device)
    return time + copy < other


def block_of(kind: str) -> Block:
    """What a block computes."""
    return Block(ROWS, COLUMNS, depth_of(kind))


def rate(kind: str, share: float, device: Device) -> float:
    """FLOP/s of a multiprocessor, at a share of the peak."""
    return PEAK[kind] / device.limits.sms * share


def numbers_to_copy(x: Array, along: bool, kind: str) -> int:
    """How many numbers of a matrix have to be copied before the kernel can read it."""
    return 0 if kind == "tf32" and along and is_wide(x) else x.size


def launch(kind: str, a: Factor, b: Factor, bias: Array, c: Array, activation: str | None) -> None:
    """``c = activation(a b + bias)`` of float32 matrices, rounded to ``"tf32"`` or ``"bf16"``."""
    k = a.k
    x, y = (
        copied(*factor, kind) if numbers_to_copy(*factor, kind) else (factor.matrix, 4 * k)
        for factor in (a, b)
    )
    multiply(kind, x, y, k, bias, c, activation)


def copied(x: Array, along: bool, kind: str) -> tuple[Array, int]:
    """A copy of a float32 matrix as the kernel reads it, and the bytes from a row to the next."""
    size, k = x.shape if along else x.shape[::-1]
    runs = -(-k // RUN[kind])
    target = empty((size * runs * WORDS,), np.dtype(np.uint32), x.device)
    arguments = x.reshape(-1), target, np.uint32(size), np.uint32(k), np.uint32(runs)
    if along:
        grid: Any = -(-size * runs // operands.THREADS)
        kernel = make_convert(kind, is_wide(x))
    else:
        grid = (-(-size // operands.WIDTH), *fold(-(-k // operands.WIDTH)))
        kernel = make_turn(kind)
    kernel[grid, operands.THREADS](*arguments)
    return target, runs * WORDS * 4


def multiply(
    kind: str,
    a: tuple[Any, int],
    b: tuple[Any, int],
    k: int,
    bias: Array,
    c: Array,
    activation: str | None,
) -> None:
    """``c = activation(a bᵀ + bias)`` of matrices as the kernel reads them; ``fits`` must be true.

    Args:
        a, b: each a matrix with rows of k numbers of the kind, the first at a multiple of 16 bytes,
            and the bytes from a row to the next, a multiple of 16.
    """
    from ...engine.gpu.tensor_map import map_words

    m, n = c.shape
    words: list[int] = []
    for (x, pitch), rows, box in ((a, m, ROWS), (b, n, COLUMNS)):
        words += map_words(kind, x, rows, k, pitch, box)
    maps = empty((len(words),), np.dtype(np.uint64), c.device)
    write_maps[1, operands.BOTH_MAPS](maps, tuple(map(np.uint64, words)))
    name, block = f"{kind} wgmma", block_of(kind)

    def multiply(target: Array, parts: int, steps: int) -> None:
        after, sliced = None if parts > 1 else activation, parts > 1
        tiles = parts * -(-m // ROWS), -(-n // COLUMNS)
        kernel = make_hopper_gemm(kind, is_wide(target), after, sliced)
        start = kernel[min(tiles[0] * tiles[1], c.device.limits.sms), THREADS, 0, SHARED]
        sizes = map(np.uint32, (m, n, steps // block.depth, *tiles))
        arguments = maps, bias, target.reshape(-1), *sizes

        def run(strip: int) -> None:
            start(*arguments, np.uint32(strip))

        run(STRIP if sliced else ORDER(c.device, (*tiles, k, name), run, (target,)))

    share = rate(kind, SHARE_OF_PEAK, c.device)
    multiply_by_cores(k, block, share, name, bias, c, activation, multiply)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernel for each kind of numbers, and those that make copies for it."""
    only = (ARCHITECTURE,)
    expected = "HGMMA >= 8%", "UTMALDG >= 2", "STG.128", "R2UR <= 8", "LDL == 0"
    items, words = types.Array(types.float32, 1, "C"), types.Array(types.uint32, 1, "C")
    maps, size = types.Array(types.uint64, 1, "C"), types.uint32
    signature = (maps, items, items, *[size] * 6)
    found = []
    for kind in ITEM_BYTES:
        name, gemm = f"matmul {kind} nt, wgmma", make_hopper_gemm(kind, True, None)
        found.append(
            GpuKernel(
                name, gemm, signature, CAPABILITY, only, expects=expected, dynamic_shared=SHARED
            )
        )
    sliced = make_hopper_gemm("bf16", True, None, True)
    found.append(
        GpuKernel(
            "matmul bf16 nt, wgmma, split", sliced, signature, CAPABILITY, only,
            expects=expected, dynamic_shared=SHARED,
        )
    )  # fmt: skip
    of_copy = items, words, size, size, size
    for kind in RUN:
        convert, turn = make_convert(kind, True), make_turn(kind)
        wide = "LDG.128", "STG.128"
        found.append(GpuKernel(f"{kind} of float32", convert, of_copy, CAPABILITY, only, wide))
        found.append(
            GpuKernel(f"{kind} of float32, turned", turn, of_copy, CAPABILITY, only, ("STG.128",))
        )
    of_maps = maps, types.UniTuple(types.uint64, operands.BOTH_MAPS)
    found.append(GpuKernel("tensor maps", write_maps, of_maps, CAPABILITY, only))
    return tuple(found)
