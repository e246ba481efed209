"""What the collection knows of a kernel: how to launch it, what it should give, what it costs."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

HALF_ULP = 2.0**-24
"""Largest relative error of one float32 rounding."""


@dataclass(frozen=True)
class Tolerance:
    """How far a result may lie from the reference, and why.

    Attributes:
        relative, absolute: ``|got - expected| <= absolute + relative * |expected|``.
        why: the arithmetic that asks for it.
        outliers: share of the elements that may lie anywhere (chaotic or discontinuous results).
    """

    relative: float = 0.0
    absolute: float = 0.0
    why: str = "integers, copies and comparisons are exact"
    outliers: float = 0.0


EXACT = Tolerance()


def rounded(times: float, why: str) -> Tolerance:
    """At most ``times`` float32 roundings of half an ulp between the inputs and the result."""
    return Tolerance(relative=times * HALF_ULP, why=why)


def scaled(times: float, scale: float, why: str) -> Tolerance:
    """As :func:`rounded`, where terms of magnitude ``scale`` may cancel."""
    return Tolerance(times * HALF_ULP, times * HALF_ULP * scale, why)


@dataclass(frozen=True)
class Launch:
    """``kernel[grid, block, 0, shared](*args)``."""

    grid: Any
    block: Any
    args: tuple[Any, ...]
    shared: int = 0

    @property
    def dims(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Grid and block with three sizes each."""
        return three(self.grid), three(self.block)


def three(sizes: Any) -> tuple[int, int, int]:
    """The sizes in x, y and z of a grid or block as users write it."""
    x, y, z = (*(sizes if isinstance(sizes, tuple) else (sizes,)), 1, 1)[:3]
    return int(x), int(y), int(z)


def traffic(*args: Any) -> float:
    """Bytes of all arrays: the least a kernel moves that reads or writes each element once."""
    return float(sum(a.nbytes for a in args if isinstance(a, np.ndarray)))


@dataclass(frozen=True)
class Entry:
    """One kernel of the collection.

    Args:
        kernel: the ``cuda.jit`` kernel.
        make: ``make(size, rng)`` gives a :class:`Launch`, or a list of them on the same arrays.
        reference: ``reference(*args)``, with the first launch's arguments as they are before it,
            gives the expected outputs: an array, or a tuple of arrays.
        tiny: size for Numba's simulator, which runs one Python thread per CUDA thread.
        test: sizes of the tests, odd where the kernel allows it.
        real: the size a user would time.
        outputs: positions of the arguments that the kernel writes.
        tolerance: how far outputs may lie from the reference.
        work, unit: ``work(*args)`` operations (``"FLOP"``) or bytes (``"B"``) of one run.
        restore: positions of arguments, counters mostly, that a second run needs as they were.
        settle: puts outputs whose order a kernel leaves open into one order before comparing.
        wide: compute the reference in float64; not for chaotic results.
    """

    kernel: Any
    make: Callable[[Any, np.random.Generator], Launch | list[Launch]]
    reference: Callable[..., Any]
    tiny: Any
    test: tuple[Any, ...]
    real: Any
    outputs: tuple[int, ...] = (-1,)
    tolerance: Tolerance = EXACT
    work: Callable[..., float] = traffic
    unit: str = "B"
    restore: tuple[int, ...] = ()
    settle: Callable[..., tuple[np.ndarray, ...]] | None = None
    wide: bool = True

    @property
    def name(self) -> str:
        return str(self.kernel.__name__)

    def launches(self, size: Any) -> list[Launch]:
        """The launches of one run; the numbers depend on the name and the size only."""
        rng = np.random.default_rng(zlib.crc32(f"{self.name} {size}".encode()))
        made = self.make(size, rng)
        return made if isinstance(made, list) else [made]

    def expected(self, launches: list[Launch]) -> tuple[np.ndarray, ...]:
        """The reference's outputs, from arguments that no launch has changed yet."""
        args = launches[0].args
        with np.errstate(over="ignore"):  # hashes and generators wrap on purpose
            found = self.reference(*(map(widened, args) if self.wide else args))
        return self.settled(found if isinstance(found, tuple) else (found,))

    def results(self, launches: list[Launch]) -> tuple[np.ndarray, ...]:
        """The outputs as the launches left them."""
        return self.settled(tuple(launches[0].args[i] for i in self.outputs))

    def settled(self, arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        return self.settle(*arrays) if self.settle else arrays

    def check(self, launches: list[Launch], expected: tuple[np.ndarray, ...]) -> None:
        """Raise AssertionError unless the outputs agree with the reference."""
        results = self.results(launches)
        assert len(results) == len(expected)
        for got, wanted in zip(results, expected):
            compare(got, np.asarray(wanted), self.tolerance, self.name)


def widened(value: Any) -> Any:
    """Arrays and scalars of float32, float16 and complex64 in double precision."""
    dtype = getattr(value, "dtype", None)
    if dtype in (np.float32, np.float16):
        return value.astype(np.float64)
    return value.astype(np.complex128) if dtype == np.complex64 else value


def compare(got: np.ndarray, expected: np.ndarray, allowed: Tolerance, name: str) -> None:
    """Raise AssertionError unless ``got`` lies within the tolerance; NaN equals nothing."""
    assert got.shape == expected.shape, f"{name}: shape {got.shape}, expected {expected.shape}"
    if got.dtype.names is not None:
        for field in got.dtype.names:
            compare(got[field], expected[field], allowed, f"{name}.{field}")
        return
    if allowed.relative == allowed.absolute == 0:
        good = got == expected
    else:
        wide = complex if np.iscomplexobj(expected) else float
        a, b = got.astype(wide), expected.astype(wide)
        good = abs(a - b) <= allowed.absolute + allowed.relative * abs(b)
    bad = np.argwhere(~np.asarray(good))
    if len(bad) > allowed.outliers * expected.size:
        at = tuple(bad[0])
        raise AssertionError(
            f"{name}: {len(bad)} of {expected.size} elements differ, the first at {at}: "
            f"{got[at]!r}, expected {expected[at]!r} (allowed: {allowed})"
        )


def ceil_div(a: int, b: int) -> int:
    """Blocks of ``b`` threads that cover ``a`` elements; at least one."""
    return max(1, -(-a // b))


def uniform(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """float32 numbers in [0, 1)."""
    return rng.random(shape, dtype=np.float32)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """float32 numbers of a normal distribution."""
    return rng.standard_normal(shape, dtype=np.float32)
