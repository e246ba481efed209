"""Running the steps of a ladder: is each right, how fast is it, what does it take of a GPU?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError
from ..kernels.engine import Array, Device, array, empty
from ..kernels.engine import device as find_device
from ..kernels.engine.lens.profiler import profiling
from ..kernels.engine.resources import Resources, resources
from ..kernels.ladder import LADDERS, Ladder, Step

ROUNDS = 7
SUBNORMAL = 1.4e-45  # the smallest float32, so that 0 divides nothing


@dataclass(frozen=True)
class Traffic:
    """What the lens counts of a step, for 32 multiply-adds or numbers: one for each lane of a warp.

    Attributes:
        sectors: sectors of 32 bytes of global memory, as if there were no cache.
        wavefronts: turns of shared memory.
        divergent: share of the branches at which the lanes of a warp part.
    """

    sectors: float
    wavefronts: float
    divergent: float

    def __str__(self) -> str:
        return f"{self.sectors:.3g} sectors, {self.wavefronts:.3g} wavefronts"


@dataclass(frozen=True)
class Rung:
    """What was found out about one step.

    Attributes:
        step: the step.
        error: largest error against the float64 reference, in units of the allowed one
            (:meth:`Ladder.allowed`): at most 1 for a right result.
        seconds: median time of one run, compilation excluded.
        rate: work per second: FLOP/s or B/s, as the ladder says.
        figures: registers, shared memory and machine code on each architecture asked for.
        traffic: what the lens counts, if asked for.
    """

    step: Step
    error: float
    seconds: float
    rate: float
    figures: dict[str, Resources]
    traffic: Traffic | None = None


def traffic(ladder: Ladder, step: Step) -> Traffic:
    """Profile a step on the CPU, at the ladder's sizes for the lens."""
    sizes = ladder.sizes["lens"]
    inputs = ladder.draw(np.random.default_rng(0), sizes)
    placed = [array(x, device="cpu") for x in inputs]
    with profiling() as launches:
        step.launch(*placed, empty(ladder.reference(*inputs).shape, "float32", "cpu"))
    lines = [line for launch in launches for line in launch.lines]
    branches = [line for line in lines if line.what == "branch"]
    warps = ladder.items(sizes) / 32
    return Traffic(
        sum(line.sectors for line in lines) / warps,
        sum(line.wavefronts for line in lines) / warps,
        sum(b.divergent for b in branches) / max(1, sum(b.requests for b in branches)),
    )


def climb(
    name: str,
    *,
    sizes: Sequence[int] | None = None,
    device: Device | str | None = None,
    rounds: int = ROUNDS,
    architectures: Sequence[str] = (),
    lens: bool = False,
) -> Iterator[Rung]:
    """Run the steps of a ladder, one after the other.

    All steps get the same random inputs. Each is checked before it is timed.

    Args:
        name: ``"matmul"``, ``"reduce"`` or ``"conv"``.
        sizes: sizes as the ladder's formula names them; default: fit for the device.
        device: where to run; a step that the GPU is too old for is left out.
        rounds: runs of each step, of whose times the median is taken.
        architectures: GPU architectures to compile for, such as ``"sm_90"``; needs the extra
            ``resources``, no GPU.
        lens: count sectors and wavefronts too, which takes seconds for each step.

    Yields: a :class:`Rung` for each step.

    Raises:
        ArgumentError: an unknown ladder, sizes of another number or below 1, or no round.

    Examples:
        >>> for rung in climb("matmul", sizes=(256, 256, 256)):
        ...     print(rung.step.name, rung.rate)
    """
    if name not in LADDERS:
        raise ArgumentError(f"climb: name: {name!r} given, expected one of {', '.join(LADDERS)}")
    ladder = LADDERS[name]
    target = find_device(device)
    default = ladder.sizes["cpu" if target.is_cpu else "cuda"]
    chosen = default if sizes is None else tuple(sizes)
    if len(chosen) != len(default) or any(s < 1 for s in chosen):
        raise ArgumentError(
            f"climb: sizes: {chosen} given, expected {len(default)} numbers above 0: "
            f"{ladder.formula}"
        )
    if rounds < 1:
        raise ArgumentError(f"climb: rounds: {rounds} given, expected 1 or more")
    return _run(ladder, chosen, target, rounds, architectures, lens)


def _run(
    ladder: Ladder,
    sizes: tuple[int, ...],
    device: Device,
    rounds: int,
    names: Sequence[str],
    lens: bool,
) -> Iterator[Rung]:
    inputs = ladder.draw(np.random.default_rng(0), sizes)
    expected = ladder.reference(*inputs)
    placed = tuple(array(x, device=device) for x in inputs)
    for step in ladder.steps:
        if not device.is_cpu and device.limits.compute_capability < step.capability:
            continue
        out = empty(expected.shape, "float32", device)
        step.launch(*placed, out)
        allowed = ladder.allowed(step, inputs, sizes)
        error = np.abs(out.numpy() - expected) / (allowed + SUBNORMAL)
        seconds = statistics.median(_times(step, placed, out, device, rounds))
        figures = {arch: resources(step.kernel, step.signature, arch) for arch in names}
        worst = float(error.max(initial=0.0))
        counted = traffic(ladder, step) if lens else None
        yield Rung(step, worst, seconds, ladder.work(sizes) / seconds, figures, counted)


def _times(
    step: Step, placed: tuple[Array, ...], out: Array, device: Device, rounds: int
) -> list[float]:
    found = []
    for _ in range(rounds):
        _wait(device)
        start = time.perf_counter()
        step.launch(*placed, out)
        _wait(device)
        found.append(time.perf_counter() - start)
    return found


def _wait(device: Device) -> None:
    """Until the device has done what was asked of it; a CPU launch returns when it is done."""
    if not device.is_cpu:
        from ..kernels.engine import gpu

        gpu.synchronize(device)
