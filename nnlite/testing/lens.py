"""Run an op's launchers under the lens, on sample arguments made from its spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnlite.kernels.engine import Array, NnliteError, UnsupportedKernelError, array
from nnlite.kernels.engine.lens import Report, checking
from nnlite.kernels.engine.lens.profiler import Profile, profiling
from nnlite.kernels.opspec import OpSpec

from .edges import boundary_calls, seed_of
from .strategies import Call


def check_launches(spec: OpSpec, calls: int = 3) -> list[Report]:
    """The reports of all launches, forward and backward, of a few calls.

    Args:
        spec: the op.
        calls: how many of the calls around a block are made, spread over all of them.

    Example:
        >>> all(report.ok for report in check_launches(spec))
        True
    """
    with checking(raise_errors=False) as reports:
        for call in sample(spec, calls):
            _run(spec, call)
    return reports


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


def _run(spec: OpSpec, call: Call) -> None:
    arrays = [None if v is None else array(v, device="cpu") for v in call.values]
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
