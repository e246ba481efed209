"""``check_op``: the checks that every op must pass, made from its ``OpSpec``.

- :func:`check_forward`: against the float64 NumPy reference, around each block size, for every
  special value, on seeded calls, and over shapes, layouts and options that Hypothesis draws:
  at least FORWARD_CASES calls; inputs keep every bit.
- :func:`check_mutates`: the arrays that the spec says are updated are the arrays that come back.
- :func:`check_wrong`: wrong calls raise the named error and change nothing.
- :func:`~nnlite.testing.gradients.check_gradient`: the vjp against central differences.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings

from nnlite.kernels.engine import Array, Device, NnliteError
from nnlite.kernels.engine import device as find_device
from nnlite.kernels.opspec import OpSpec

from .compare import assert_close
from .edges import boundary_calls, special_calls
from .gradients import check_gradient
from .layouts import Placed, place
from .seeded import seeded_calls
from .strategies import Call, calls

FORWARD_CASES = 200
# Compilations take seconds, and large shapes are wanted.
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)


def check_op(spec: OpSpec, *, device: Device | str | None = None, max_examples: int = 40) -> None:
    """Run every check that ``spec`` allows; AssertionError says what failed and on which call.

    Args:
        spec: the op; its own ``vjp`` and ``mutates`` decide which checks apply.
        device: where to run; the default device if None.
        max_examples: calls that Hypothesis draws for the forward check.

    Example::

        check_op(OpSpec(name="double", forward=double, reference=lambda x: 2 * x,
                        args=(Arg("x", "..."),), wrong=(...)))
    """
    check_wrong(spec, device=device)
    if spec.mutates:
        check_mutates(spec, device=device)
    check_forward(spec, device=device, max_examples=max_examples)
    if spec.vjp is not None:
        check_gradient(spec, device=device)


def check_forward(
    spec: OpSpec, *, device: Device | str | None = None, max_examples: int = 40
) -> int:
    """Compare the launcher with the reference on calls around a block, special, seeded and drawn.

    Returns:
        how many calls were compared: at least FORWARD_CASES. Those that the reference refuses
        run too, and do not count.
    """
    target = find_device(device)
    compared = 0
    fixed = itertools.chain(boundary_calls(spec), special_calls(spec) if spec.special else ())
    for call in fixed:
        compared += compare_call(spec, call, target)

    @settings(
        max_examples=max_examples,
        deadline=None,
        suppress_health_check=_SLOW,
    )
    @given(calls(spec))
    def run(call: Call) -> None:
        nonlocal compared
        compared += compare_call(spec, call, target)

    run()
    # An op that refuses most calls must not keep the check for ever.
    for call in itertools.islice(seeded_calls(spec), 10 * FORWARD_CASES):
        if compared >= FORWARD_CASES:
            break
        compared += compare_call(spec, call, target)
    return compared


def compare_call(spec: OpSpec, call: Call, device: Device | str | None = None) -> bool:
    """Run one call and compare its outputs with the reference.

    Where the reference raises ValueError (the maximum of nothing), the launcher must raise an
    NnliteError. Arrays that the op does not update must keep every bit.

    Returns:
        True; False where both refuse the call.

    Raises:
        AssertionError: it begins with the call.
    """
    try:
        return _compare(spec, call, device)
    except AssertionError as error:  # printing a call takes longer than many an op
        raise AssertionError(f"{spec.name} of {call!r}{error}") from error


def _compare(spec: OpSpec, call: Call, device: Device | str | None) -> bool:
    placed = _place_all(call.values, call.layouts, device)
    arrays = [p.array if p else None for p in placed]
    try:
        expected = _reference(spec.reference, call)
    except ValueError as error:
        try:
            spec.forward(*arrays, **call.options)
        except NnliteError:
            return False
        raise AssertionError(
            f": the reference refuses this ({error}), the launcher does not"
        ) from error
    outputs = spec.forward(*arrays, **call.options)
    _check_untouched(spec, placed)
    got = outputs if isinstance(outputs, tuple) else (outputs,)
    if len(got) != len(expected):
        raise AssertionError(f": {len(got)} outputs, the reference has {len(expected)}")
    scales = _magnitudes(spec, call, len(expected))
    for i, (output, reference) in enumerate(zip(got, expected, strict=True)):
        if output is None or reference is None:
            if output is not reference:
                raise AssertionError(f": output {i} is None on one side only")
            continue
        if not isinstance(output, Array):
            raise AssertionError(f": output {i} is a {type(output).__name__}, not an Array")
        assert_close(
            output.numpy(),
            reference,
            dtype=_output_dtype(reference, call),
            ulp=spec.tolerance.ulp,
            magnitude=scales[i],
            terms=_terms(spec, call),
            signed_zero=spec.tolerance.signed_zero,
            what=f", output {i}",
        )
    return True


def check_mutates(spec: OpSpec, *, device: Device | str | None = None) -> None:
    """The updated arrays come back as the same objects, in the order of ``spec.mutates``."""
    target = find_device(device)
    names = [arg.name for arg in spec.args]

    @settings(max_examples=10, deadline=None, suppress_health_check=_SLOW)
    @given(calls(spec, dtypes=(np.float32,), special=False))
    def run(call: Call) -> None:
        placed = _place_all(call.values, call.layouts, target)
        arrays = [p.array if p else None for p in placed]
        try:
            _reference(spec.reference, call)
        except ValueError:
            return  # the forward check holds the launcher to this refusal
        outputs = spec.forward(*arrays, **call.options)
        got = outputs if isinstance(outputs, tuple) else (outputs,)
        if len(got) != len(spec.mutates):
            raise AssertionError(f"{spec.name}: {len(got)} outputs, mutates names {spec.mutates}")
        for name, output in zip(spec.mutates, got, strict=True):
            if output is not arrays[names.index(name)]:
                raise AssertionError(f"{spec.name}: output for {name!r} is not the array given")

    run()


def check_wrong(spec: OpSpec, *, device: Device | str | None = None) -> None:
    """Each wrong call raises its error, names the op and the cause, and changes no argument."""
    if len(spec.wrong) < 5:
        raise AssertionError(f"{spec.name}: {len(spec.wrong)} wrong inputs, expected at least 5")
    target = find_device(device)
    for number, wrong in enumerate(spec.wrong):
        what = f"{spec.name}, wrong call {number}"
        placed = [
            place(value, "contiguous", target) if isinstance(value, np.ndarray) else None
            for value in wrong.args
        ]
        args = [p.array if p else v for p, v in zip(placed, wrong.args, strict=True)]
        try:
            spec.forward(*args, **wrong.options)
        except wrong.error as error:
            if not isinstance(error, NnliteError):
                raise AssertionError(f"{what}: {error!r} is not an NnliteError") from error
            if not re.search(wrong.match, str(error)):
                raise AssertionError(f"{what}: {wrong.match!r} is not in {error}") from error
        except Exception as error:
            raise AssertionError(f"{what}: {error!r}, expected {wrong.error.__name__}") from error
        else:
            raise AssertionError(f"{what}: no error, expected {wrong.error.__name__}")
        if any(p is not None and not p.unchanged() for p in placed):
            raise AssertionError(f"{what}: an argument was changed before the error")


def _place_all(values: Any, layouts: Any, device: Any) -> list[Placed | None]:
    return [
        None if value is None else place(value, layout, device)
        for value, layout in zip(values, layouts, strict=True)
    ]


def _reference(function: Callable[..., Any], call: Call) -> tuple[Any, ...]:
    """The outputs of a NumPy function in float64 (other dtypes stay), always as a tuple."""
    wide = [
        v.astype(np.float64) if v is not None and v.dtype.kind == "f" else v for v in call.values
    ]
    with np.errstate(all="ignore"):
        found = function(*wide, **call.options)
    return found if isinstance(found, tuple) else (found,)


def _magnitudes(spec: OpSpec, call: Call, outputs: int) -> tuple[Any, ...]:
    if spec.magnitude is None:
        return (None,) * outputs
    return _reference(spec.magnitude, call)


def _output_dtype(reference: Any, call: Call) -> np.dtype:
    """An option named dtype, else the dtype under test for floats, else that of the reference."""
    if call.options.get("dtype") is not None:
        return np.dtype(call.options["dtype"])
    found = np.asarray(reference).dtype
    return call.dtype if found == np.float64 else found


def _terms(spec: OpSpec, call: Call) -> int | None:
    terms = spec.tolerance.terms
    if terms is None:
        return None
    if callable(terms):
        return terms(*call.values, **call.options)
    sizes: dict[str, int] = {}
    for arg, value in zip(spec.args, call.values, strict=True):
        if value is not None and "..." not in arg.dims:
            sizes.update(zip(arg.dims.split(), value.shape, strict=True))
    total = 1
    for name in terms.split():
        total *= sizes[name]
    return total


def _check_untouched(spec: OpSpec, placed: list[Placed | None]) -> None:
    for arg, p in zip(spec.args, placed, strict=True):
        if p is not None and arg.name not in spec.mutates and not p.unchanged():
            raise AssertionError(f": argument {arg.name!r} was changed")
