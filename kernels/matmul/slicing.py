"""Products whose steps are cut into slices (split-k): how many slices, and their launch.

A product of few tiles with many steps keeps few multiprocessors busy. Its steps are therefore cut
into slices, each of which is summed by blocks of its own. The sums of each slice go to memory, and
:mod:`.split` adds them in the order of the slices.

On tensor cores the time that s slices are expected to take is::

    seconds(s) = rounds of blocks * steps of a slice * seconds of a step
                 + (launch + 2 * 4 s m n / bandwidth   if s > 1)

:func:`fastest` takes the s with the least time, unless another one was measured to be faster
(``engine.tuning``). The seconds of a step follow from the share of the peak that the kernel is
expected to reach: the model is as rough as that estimate.

Source: NVIDIA, CUTLASS documentation, "Efficient GEMM in CUDA", section "Parallelized reductions".
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

from ..engine import Array, Device, empty
from ..engine.device import GPUS
from ..engine.tuning import Choice, overridden
from . import split

ITEMS = 2**31  # a matrix has fewer items: indices have 32 bits and may pass the end by a tile
FALLBACK = GPUS["A100"]  # its rate and bandwidth replace those that a driver reports as 0
LAUNCH = 3e-6  # seconds that one more launch takes, as measured for a cubin
LEAST = 4  # fewest pairs of tiles in a slice, which computes nothing before the first has come
RULE = 0  # in place of a number of slices: as many as :func:`fastest` says

# ``multiply(target, parts, steps)``: the product into target (m, n), or for more than one part the
# sums of each slice of so many steps into (parts m, n), without bias and activation.
Multiply = Callable[[Array, int, int], None]


class Block(NamedTuple):
    """Rows and columns of c that a block computes, and the steps of a pair of tiles."""

    rows: int
    columns: int
    depth: int


# -- how many --------------------------------------------------------------------------------------
def sum_time(m: int, n: int, parts: int, device: Device) -> float:
    """Seconds to add the slices: one more launch, and each slice is written and read."""
    bandwidth = device.limits.bandwidth or FALLBACK.bandwidth
    return LAUNCH + 2 * parts * m * n * 4 / (bandwidth * 1e9)


def most(m: int, n: int, k: int, block: Block, processors: int) -> int:
    """Most slices: no more blocks than processors, and ``LEAST`` pairs of tiles in each."""
    tiles = -(-m // block.rows) * -(-n // block.columns)
    return max(1, min(processors // tiles, k // (LEAST * block.depth), (ITEMS - 1) // (m * n)))


@functools.lru_cache(maxsize=1024)
def fastest(m: int, n: int, k: int, block: Block, rate: float, device: Device) -> tuple[float, int]:
    """(expected seconds of a product, number of slices with which it takes them); 1 on a CPU.

    Args:
        rate: FLOP/s of one multiprocessor.
    """
    sms = device.limits.sms
    tiles = -(-m // block.rows) * -(-n // block.columns)
    whole = 2 * block.rows * block.columns * k / rate

    def seconds(parts: int) -> float:
        sums = sum_time(m, n, parts, device) if parts > 1 else 0.0
        return -(-tiles * parts // sms) * whole / parts + sums

    counts = 1 if device.is_cpu else most(m, n, k, block, sms)
    return min((seconds(parts), parts) for parts in range(1, counts + 1))


Problem = tuple[int, int, int, int, int, int, str]  # m, n, k, the fields of a Block, name


def _counts(device: Device, problem: Problem) -> tuple[int, ...]:
    """Powers of two, as long as no multiprocessor gets more than two blocks for them."""
    m, n, k, *block, _ = problem
    largest = most(m, n, k, Block(*block), 2 * device.limits.sms)
    return tuple(1 << i for i in range(largest.bit_length())) if largest > 1 else ()


# Another order of the sums changes a result by much less than a missing slice does.
SLICES = Choice(
    "matmul tensor core slices", _counts, lambda device, problem: RULE,
    sources=(__name__, *(f"{__package__}.{x}" for x in ("split", "tensor", "halves", "hopper"))),
    tolerance=1e-3,
)  # fmt: skip


# -- the product -----------------------------------------------------------------------------------
def in_slices(
    parts: int,
    k: int,
    depth: int,
    bias: Array,
    c: Array,
    activation: str | None,
    multiply: Multiply,
) -> None:
    """``c = activation(product + bias)`` of k steps, in at most ``parts`` slices of whole tiles.

    Raises:
        MemoryError: there is no room for the sums of the slices; c is as it was.
    """
    tiles = max(1, -(-k // depth))
    each = -(-tiles // parts)
    parts = -(-tiles // each)
    if parts == 1:
        multiply(c, 1, tiles * depth)
        return
    m, n = c.shape
    sums = empty((parts * m, n), c.dtype, c.device)
    multiply(sums, parts, each * depth)
    split.add_up(sums, bias, c, parts, activation)


def with_room(run: Callable[[int], None], parts: int, choice: Choice) -> None:
    """``run(parts)``, or ``run(1)`` where memory has no room for the sums of so many slices.

    Not where ``override`` asks for them: something else would be taken for what was to be tried.
    """
    try:
        run(parts)
    except MemoryError:
        if parts == 1 or overridden(choice.name) is not None:
            raise
        run(1)


def multiply_by_cores(
    k: int,
    block: Block,
    rate: float,
    name: str,
    bias: Array,
    c: Array,
    activation: str | None,
    multiply: Multiply,
) -> None:
    """``c = activation(product + bias)``, in as many slices as :func:`fastest` or tuning says.

    Args:
        rate: as for :func:`fastest`.
        name: format of the numbers and instruction, which tell problems of tuning apart.
    """
    m, n = c.shape

    def run(parts: int) -> None:
        if parts == RULE:
            _, parts = fastest(m, n, k, block, rate, c.device)
        in_slices(parts, k, block.depth, bias, c, activation, multiply)

    with_room(run, SLICES(c.device, (m, n, k, *block, name), run, (c,)), SLICES)
