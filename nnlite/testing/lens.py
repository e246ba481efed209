"""Run an op's launchers under the lens, on sample arguments made from its spec."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from nnlite.kernels.engine import Array, NnliteError, UnsupportedKernelError, array
from nnlite.kernels.engine.lens import Report, checking
from nnlite.kernels.engine.lens.profiler import Profile, profiling
from nnlite.kernels.opspec import OpSpec

from .edges import boundary_calls, options_of, seed_of
from .layouts import fits, place
from .seeded import seeded_calls
from .strategies import Call

STRIDED = 4  # calls on strided arrays
SEEDED = 60  # further calls for kernels that only some options reach


def check_launches(
    spec: OpSpec, calls: int = 3, kernels: Collection[str] | None = None
) -> list[Report]:
    """The reports of all launches, forward and backward, of a few calls.

    Args:
        spec: the op.
        calls: how many of the calls around a block are made, spread over all of them; further
            ones follow while some of ``kernels`` have not run: on strided arrays, the other ones
            around a block, seeded ones.
        kernels: names of kernels that shall run; those of ``spec.kernels`` if None.

    Example:
        >>> all(report.ok for report in check_launches(spec))
        True
    """
    wanted = kernel_names(spec) if kernels is None else set(kernels)
    with checking(raise_errors=False) as reports:
        for call in sample(spec, calls):
            _run(spec, call)
        for call in _further(spec):
            if not wanted - {report.kernel for report in reports}:
                break
            _run(spec, call)
    return reports


def kernel_names(spec: OpSpec) -> set[str]:
    """Names of the kernels of an op."""
    return {kernel.__name__ for kernel, _ in spec.kernels}


def profile_launches(spec: OpSpec) -> list[Profile]:
    """The profiles of all launches, forward and backward, of one call of an op."""
    with profiling() as profiles:
        for call in sample(spec, 1):
            _run(spec, call)
    return profiles


def sample(spec: OpSpec, calls: int) -> Iterator[Call]:
    """Every so many of the calls around a block, the last one first: it has the largest sizes."""
    known = list(boundary_calls(spec))
    step = max(1, len(known) // calls)
    yield from known[::-1][::step][:calls]


def _further(spec: OpSpec) -> Iterator[Call]:
    around = [call for call in boundary_calls(spec) if call.dtype == np.float32]
    if spec.configure is None:  # otherwise the sizes decide more than the strides
        wide = [c for c in around if any(v is not None and v.ndim > 1 and v.size for v in c.values)]
        for options in itertools.islice(options_of(spec), STRIDED):
            call = dataclasses.replace((wide or around)[-1], options=options)
            yield dataclasses.replace(call, layouts=tuple(map(_strided, call.values)))
    yield from around
    seeded = (call for call in seeded_calls(spec) if call.dtype == np.float32)
    yield from itertools.islice(seeded, SEEDED)


def _strided(value: np.ndarray | None) -> str:
    if value is None:
        return "contiguous"
    return next((kind for kind in ("transposed", "sliced") if fits(kind, value)), "contiguous")


def _run(spec: OpSpec, call: Call) -> None:
    arrays = [
        None if v is None else place(v, layout, "cpu").array
        for v, layout in zip(call.values, call.layouts)
    ]
    try:
        found: Any = spec.forward(*arrays, **call.options)
        first = found[0] if isinstance(found, tuple) else found
        if spec.vjp is None or not isinstance(first, Array):
            return
        rng = np.random.default_rng(seed_of(spec))
        dy = rng.standard_normal(first.shape).astype(first.dtype)
        spec.vjp(array(dy, device="cpu"), *arrays, **call.options)
    except UnsupportedKernelError:
        raise
    except NnliteError:  # the maximum of nothing, for example; the forward check is about these
        return
