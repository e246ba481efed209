"""Matrix products on tensor cores: the expected time, and the choice between two instructions.

- ``mma.sync``, of one warp: :mod:`.tensor` for float32 matrices, which are rounded on the way to
  registers, and :mod:`.halves` for 16-bit ones.
- ``wgmma``, of four warps, on Hopper GPUs only: :mod:`.hopper`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..elementwise.mapping import fold
from ..engine import Array, Device
from ..engine.tuning import Choice, overridden
from . import hopper
from .alignment import Factor, is_wide
from .sgemm import DEPTH, THREADS, WIDTH
from .slicing import FALLBACK, Block, fastest, multiply_by_cores
from .stages import dynamic_bytes, stages_for
from .tensor import make_tensor_gemm, pair_items

TENSOR_STAGES = 4  # most pairs of tiles; beyond them copies have arrived anyway
BLOCK = Block(WIDTH, WIDTH, DEPTH)

# Peak of the tensor cores, with sums in float32, over the peak of float32, by compute capability:
# from the data sheets of A100, H100 and H200, B200. LEAST_RATES, for all others, are those of the
# RTX 4090, the lowest of the GPUs we looked up.
RATES = {
    (8, 0): {"tf32": 8.0, "bf16": 16.0},
    (9, 0): {"tf32": 7.4, "bf16": 14.8},
    (10, 0): {"tf32": 13.8, "bf16": 28.0},
}
LEAST_RATES = {"tf32": 1.0, "bf16": 2.0}
# Share of that peak that mma.sync is expected to reach. Others measured at most 0.65 on 9.0, where
# wgmma is faster, and 0.9 where mma.sync is the only instruction; 10.0 is a guess. Our own kernels
# have NOT been measured.
SHARES = {(9, 0): 0.5, (10, 0): 0.25}
SHARE = 0.7


# -- how long they take ----------------------------------------------------------------------------
def speed(kind: str, device: Device) -> float:
    """Rate expected of ``mma.sync``, as a multiple of the float32 peak of the device."""
    capability = device.limits.compute_capability
    return RATES.get(capability, LEAST_RATES)[kind] * SHARES.get(capability, SHARE)


def rate(kind: str, device: Device) -> float:
    """FLOP/s expected of one multiprocessor by ``mma.sync``, by :func:`speed`."""
    limits = device.limits
    return (limits.float32 or FALLBACK.float32) * 1e12 * speed(kind, device) / limits.sms


def seconds(m: int, n: int, k: int, kind: str, device: Device) -> float:
    """Seconds expected for a product of float32 matrices by ``mma.sync``, at least those of memory.

    A block computes 128 x 128 items; k is split into as many slices as take least time.
    """
    taken, _ = fastest(m, n, k, BLOCK, rate(kind, device), device)
    return max(taken, memory_seconds(m, n, k, device))


def memory_seconds(m: int, n: int, k: int, device: Device) -> float:
    """Seconds to read two float32 matrices and to write their product, each once."""
    bandwidth = device.limits.bandwidth or FALLBACK.bandwidth
    return 4 * (m * k + k * n + m * n) / (bandwidth * 1e9)


# -- by which instruction --------------------------------------------------------------------------
BY_RULE, WARPS, WARPGROUPS = "rule", "mma.sync", "wgmma"  # rule: as ``hopper.pays`` says
HALVES = {"f16": "f16 halves", "bf16": "bf16 halves"}  # kinds of matrices that are so in memory

# m, n, k, kind, and whether the rows of a and of b run along k; for matrices of 16 bits also
# whether those rows begin at multiples of 16 bytes.
Problem = tuple[Any, ...]


def _instructions(device: Device, problem: Problem) -> tuple[str, ...]:
    """Those that can compute a product.

    Float32 matrices may be stored in any way: what ``wgmma`` cannot read is copied first. 16-bit
    ones are not copied.
    """
    m, n, k, kind, *as_wanted = problem
    able = hopper.fits(m, n, k, device) and (kind not in HALVES.values() or all(as_wanted))
    return (WARPS, WARPGROUPS) if able else (WARPS,)


# Candidates add in different orders; the tolerance is far below the error of a missing tile.
CORES = Choice(
    "matmul tensor cores", _instructions, lambda device, problem: BY_RULE,
    sources=(__name__, *(f"{__package__}.{x}" for x in ("tensor", "halves", "hopper", "slicing"))),
    tolerance=1e-3,
)  # fmt: skip


def instruction_for(how: str, problem: Problem, kind: str, moved: int, device: Device) -> str:
    """The instruction, ``WARPS`` or ``WARPGROUPS``, that a candidate of ``CORES`` means.

    Args:
        moved: numbers of a and b that have to be copied before ``wgmma`` can read them.
    """
    if how != BY_RULE:
        return how
    m, n, k = problem[:3]
    able = WARPGROUPS in _instructions(device, problem)
    return WARPGROUPS if able and hopper.pays(m, n, k, kind, moved, device) else WARPS


def launch(
    kind: str,
    a: Array,
    b: Array,
    bias: Array,
    c: Array,
    along_a: bool,
    along_b: bool,
    activation: str | None,
) -> None:
    """``c = activation(a b + bias)`` of contiguous float32 matrices, rounded to ``kind``.

    By :mod:`.tensor` or :mod:`.hopper`: which of them, rules say unless it was measured
    (``engine.tuning``). By the former, which needs no copies, where memory has no room for those
    of the latter.

    Args:
        kind: ``"tf32"`` or ``"bf16"``.
        along_a: a is (m, k). Otherwise (k, m).
        along_b: b is (n, k). Otherwise (k, n).
    """
    factors = Factor(a, along_a), Factor(b, along_b)
    problem = *c.shape, factors[0].k, kind, along_a, along_b

    def run(how: str) -> None:
        moved = sum(hopper.numbers_to_copy(*factor, kind) for factor in factors)
        if instruction_for(how, problem, kind, moved, c.device) == WARPGROUPS:
            hopper.launch(kind, *factors, bias, c, activation)
        else:
            _by_warps(kind, *factors, bias, c, activation)

    how = CORES(c.device, problem, run, (c,))
    try:
        run(how)
    except MemoryError:
        if how == WARPS or overridden(CORES.name) is not None:
            raise
        run(WARPS)


def _by_warps(
    kind: str, a: Factor, b: Factor, bias: Array, c: Array, activation: str | None
) -> None:
    (m, n), k = c.shape, a.k
    wide = is_wide(a.matrix) and is_wide(b.matrix)
    pair = 4 * sum(pair_items(kind, a.along, b.along))
    stages = stages_for(pair, TENSOR_STAGES, c.device)
    grid = (-(-n // WIDTH), *fold(-(-m // WIDTH)))

    def multiply(target: Array, parts: int, steps: int) -> None:
        sliced = parts > 1
        after = None if sliced else activation
        kernel = make_tensor_gemm(kind, a.along, b.along, wide, after, stages, sliced)
        config = (*grid[:2], parts) if sliced else grid, THREADS, 0, dynamic_bytes(stages * pair)
        sizes = map(np.uint32, (m, n, k, steps))
        kernel[config](a.matrix.reshape(-1), b.matrix.reshape(-1), bias, target.reshape(-1), *sizes)

    name = f"{kind} {WARPS}"
    multiply_by_cores(k, BLOCK, rate(kind, c.device), name, bias, c, activation, multiply)
