"""Which algorithm computes a convolution on a GPU: by shape, or as measured.

==================  ==============================================================================
name                what computes
==================  ==============================================================================
``small``           the kernels of :mod:`.direct`, :mod:`.gemm`, :mod:`.weight`: all shapes, dtypes
``tiled``           implicit GEMM with wide tiles, NHWC inside (:mod:`.channels_last`)
``tf32``, ``bf16``  the same on tensor cores, factors rounded to such numbers (:mod:`.tensor`)
``winograd``        the same after a transform that saves multiplications, 3x3 (:mod:`.winograd`)
==================  ==============================================================================

The CPU always takes ``small``, and so does what the others cannot do (``channels_last.fits``) or
have no use for: float64, GPUs without ``cp.async``, and groups, each of which has few of the
channels where a tile has 128. For all else it is the one of the least time by the model below,
unless ``nl.tune`` has measured them.

``winograd`` computes in float32, and the error that is measured is that of plain sums; but there
are numbers for which the bound that every other kernel keeps is not kept, and infinities become NaN
(both in :mod:`.winograd`). So it is a candidate only where ``nl.set_float32_matmul_precision`` asks
for less than ``"highest"``, with the one of ``tf32`` and ``bf16`` that it allows; or alone where
``style`` names it.

All but ``small`` make copies of the images, ``winograd`` copies of four times their size. Where a
GPU has no memory left for them, the best of the others computes instead (:func:`carry_out`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..checks import FLOAT32
from ..engine import Array, Device
from ..engine.tuning import Choice, on_change, overridden
from ..matmul import cores, large
from ..matmul.sgemm import WIDTH
from . import winograd
from .channels_last import fits
from .geometry import Geometry
from .tensor import FACTORS

SMALL, TILED, WINOGRAD = "small", "tiled", "winograd"
STYLES = (None, "direct", "gemm", TILED, *FACTORS, WINOGRAD)
Shape = tuple[int, ...]

# The model counts multiply-adds of one multiprocessor. Nothing of it is measured on a GPU: the
# shares are those of multiply-adds in the main loops (``nnlite resources conv``), and a
# multiprocessor of an A100 has 64 multiply-adds to a clock, and 13 bytes of memory. What tensor
# cores do is reckoned as for the matrix product (``matmul.cores.speed``).
SMALL_SHARE = 0.15
TILED_SHARE = 0.88
PER_ITEM = 8 * 64 / 13  # to read a number and to write it
# Between the results, relative to the largest item: a term rounded to bfloat16 is off by 2^-7.
TOLERANCE = 2.0**-7

_too_large: set[tuple[Device, str, Problem]] = set()  # what found no memory for its copies
on_change(_too_large.clear)


class Problem(NamedTuple):
    """A convolution of x (N, C, H, W) with w (M, C, kernel) to y (N, M, P, Q), or a gradient.

    Args:
        kind: ``"forward"``, ``"input"`` or ``"weight"``.
        options: the fields of ``Geometry``.
        factors: the numbers to which factors may be rounded, ``"tf32"`` or ``"bf16"``; None: to
            none, and the error must be bounded by the terms of each sum.
    """

    kind: str
    x: Shape
    w: Shape
    y: Shape
    options: tuple[tuple[int, int], ...]
    factors: str | None = None


def algorithm(
    problem: Problem,
    groups: int,
    dtype: Any,
    device: Device,
    run: Callable[[str], Any] | None = None,
    outputs: Sequence[Array] = (),
) -> str:
    """The name of the algorithm; ``run(name)`` fills ``outputs``, for ``nl.tune`` to measure."""
    if device.is_cpu or groups > 1 or dtype != FLOAT32 or not supported(TILED, problem):
        return SMALL
    if device.limits.compute_capability < large.SINCE:
        return SMALL
    return CHOICE(device, problem, run, outputs)


def carry_out(
    problem: Problem,
    groups: int,
    dtype: Any,
    device: Device,
    run: Callable[[str], Any],
    outputs: Sequence[Array],
) -> None:
    """Fill ``outputs`` by ``run(name)`` with the algorithm of the problem.

    If there is no memory for its copies, with the best of the others; they also compute the same
    problem from then on, since asking in vain empties the cache of memory each time.

    Raises:
        MemoryError: there is too little for ``small``, too, or for the one that ``override`` names.
    """

    def attempt(name: str) -> None:
        try:
            run(name)
        except MemoryError as error:
            if overridden(CHOICE.name) == name:
                raise MemoryError(
                    f"{CHOICE.name}: {name!r}, as override says, finds no memory for its copies: "
                    f"{error}"
                ) from error
            if name != SMALL:
                _too_large.add((device, name, problem))
            raise

    while True:
        failed = len(_too_large)
        try:
            attempt(algorithm(problem, groups, dtype, device, attempt, outputs))
            return
        except MemoryError:
            if len(_too_large) == failed:
                raise
        CHOICE.forget()  # not above: the error holds the copies that there was memory for


def supported(name: str, problem: Problem) -> bool:
    """Whether an algorithm can compute this."""
    sizes = problem.x, problem.w, problem.y, Geometry(*problem.options)
    if name == WINOGRAD:
        return problem.kind != "weight" and winograd.fits(*sizes)
    return name == SMALL or fits(*sizes)


def products(problem: Problem) -> list[tuple[int, int, int]]:
    """Rows, columns and steps of the matrix products that ``tiled`` computes."""
    (n, c, h, w), (_, m, p, q) = problem.x, problem.y
    g = Geometry(*problem.options)
    taps = g.kernel[0] * g.kernel[1]
    if problem.kind == "forward":
        return [(n * p * q, m, taps * c)]
    if problem.kind == "weight":
        return [(m, taps * c, n * p * q)]
    found = []
    for (i, j), numbers, _ in g.phases():
        rows, columns = -(-(h - i) // g.stride[0]), -(-(w - j) // g.stride[1])
        found.append((n * rows * columns, c, len(numbers) * m))
    return found


def time(name: str, device: Device, problem: Problem) -> float:
    """Multiply-adds that the busiest multiprocessor could do in the time that is expected."""
    sms = device.limits.sms
    if name == SMALL:
        return sum(m * n * k for m, n, k in products(problem)) / SMALL_SHARE / sms
    sizes = (n * c * h * w for n, c, h, w in (problem.x, problem.w, problem.y))
    total = PER_ITEM * sum(sizes) / sms  # the copies that change the order
    if name == WINOGRAD:
        given, made = problem.x, problem.y
        if problem.kind == "input":
            given, made = made, given
        tiles = made[0] * -(-made[2] // 2) * -(-made[3] // 2)
        blocks = winograd.PLACES * -(-tiles // WIDTH) * -(-made[1] // WIDTH)
        total += -(-blocks // sms) * WIDTH * WIDTH * given[1] / TILED_SHARE
        return total + PER_ITEM * winograd.PLACES * tiles * (given[1] + made[1]) / sms
    share = cores.speed(name, device) if name in FACTORS else TILED_SHARE
    for m, n, k in products(problem):
        parts = large.slices(m, n, k, sms) if m * n else 1
        blocks = parts * -(-m // WIDTH) * -(-n // WIDTH)
        total += -(-blocks // sms) * WIDTH * WIDTH * k / parts / share
        total += PER_ITEM * (parts - 1) * m * n / sms
    return total


def candidates(device: Device, problem: Problem) -> list[str]:
    """What can compute this with the precision that is asked for, and found memory so far."""
    names: tuple[str, ...] = SMALL, TILED
    if problem.factors is not None:
        names = SMALL, TILED, WINOGRAD, problem.factors
    left = (name for name in names if (device, name, problem) not in _too_large)
    return [name for name in left if supported(name, problem)]


def default(device: Device, problem: Problem) -> str:
    """The algorithm of the least time by the model."""
    return min(candidates(device, problem), key=lambda name: time(name, device, problem))


SOURCES = (
    "channels_last",
    "correlate",
    "direct",
    "gemm",
    "passes",
    "tensor",
    "tiled",
    "tiled_weight",
    "tiles",
    "weight",
    "weight_pixels",
    "weight_sums",
    "winograd",
)
CHOICE = Choice(
    "convolution",
    candidates,
    default,
    sources=tuple(f"{__package__}.{module}" for module in SOURCES),
    tolerance=TOLERANCE,
)
