"""Gradient check: the vjp launcher against central differences of the float64 reference.

With ``y = f(x)`` and a random cotangent ``dy``, the vjp must return the gradient of
``<dy, f(x)>``. (The gradient of ``y.sum()`` would not do: a softmax backward that returns zeros
passes it.) Central differences of the reference in float64 are good to about 1e-10, the vjp runs
in float64, so a tolerance of 1e-6 separates right from wrong; the float32 vjp is then compared
with the float64 one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nnlite.kernels.engine import Device, array
from nnlite.kernels.engine import device as find_device
from nnlite.kernels.opspec import OpSpec

from .edges import configured, options_of, random_values, seed_of
from .seeded import gradient_cases

# The cube root of eps balances truncation (h^2) against rounding (eps / h).
STEP = float(np.finfo(np.float64).eps) ** (1 / 3)
TOLERANCE = 1e-6
# float32 against float64: some 100 roundings of 6e-8 each, of terms as large as the largest result.
TOLERANCE_32 = 1e-5
# Full differences cost two references per element; larger arrays get random directions.
FULL_ELEMENTS = 200
DIRECTIONS = 4
GRADIENT_CASES = 50


def check_gradient(
    spec: OpSpec, *, device: Device | str | None = None, cases: int = GRADIENT_CASES
) -> int:
    """Check ``spec.vjp`` for each combination of options, around a block, and on small shapes.

    Where the spec configures its own cases, those instead.

    Args:
        spec: the op.
        device: where to run; the default device if None.
        cases: how many to compare at least, each combination of options among them.

    Returns:
        how many were compared, without those that the reference refuses.

    Raises:
        AssertionError: a gradient is wrong, missing, or of the wrong shape or dtype.
    """
    if spec.vjp is None:
        raise ValueError(f"{spec.name} has no vjp to check")
    target = find_device(device)
    compared = 0
    # An op that refuses most cases must not keep the check for ever.
    tried = itertools.islice(_cases(spec), 10 * cases)
    for number, (sizes, options) in enumerate(tried):
        rng = np.random.default_rng([seed_of(spec), number])
        # float32 holds the values exactly, so that both runs see the same numbers.
        values = [random_values(arg, sizes, rng, spec.smooth) for arg in spec.args]
        try:
            with np.errstate(all="ignore"):
                output = spec.reference(*values, **options)
        except ValueError:
            continue  # options that exclude each other; the forward check covers the refusal
        output = np.asarray(output[0] if isinstance(output, tuple) else output)
        dy = rng.uniform(0.5, 2.0, output.shape).astype(np.float32).astype(np.float64)
        dy *= rng.choice([-1.0, 1.0], output.shape)
        _check_case(spec, values, dy, options, target)
        compared += 1
        if compared >= cases and number >= len(options_of(spec)):
            break
    return compared


def _cases(spec: OpSpec) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Sizes of the dimensions, and options, without end."""
    if spec.configure is not None:
        yield from configured(spec, 10 * GRADIENT_CASES)
        return
    for options in options_of(spec):
        yield _sizes(spec, small=True), options
    # One large shape: the options take part in the small ones, tiling does not.
    yield _sizes(spec, small=False), options_of(spec)[0]
    yield from gradient_cases(spec)


def _check_case(
    spec: OpSpec, values: list[Any], dy: np.ndarray, options: dict[str, Any], device: Device
) -> None:
    what = f"gradient of {spec.name}{[None if v is None else v.shape for v in values]} {options}"
    wide = _run_vjp(spec, values, dy, options, np.float64, device, what)

    def objective(*arrays: Any) -> float:
        found = spec.reference(*arrays, **options)
        return float(np.sum(dy * (found[0] if isinstance(found, tuple) else found)))

    differentiable = [
        (i, arg)
        for i, arg in enumerate(spec.args)
        if values[i] is not None and arg.kind != "index" and arg.differentiable
    ]
    for i, arg in differentiable:
        if wide[i] is None:
            raise AssertionError(f"{what}: no gradient for {arg.name!r}")
        _compare_differences(objective, values, i, wide[i], f"{what}, {arg.name!r}")
    narrow = _run_vjp(spec, values, dy, options, np.float32, device, what)
    for i, arg in differentiable:
        scale = float(np.max(np.abs(wide[i]), initial=0.0))
        error = float(np.max(np.abs(narrow[i] - wide[i]), initial=0.0))
        if not error <= TOLERANCE_32 * scale:
            raise AssertionError(
                f"{what}, {arg.name!r}: float32 differs from float64 by {error:.3g}, "
                f"allowed {TOLERANCE_32 * scale:.3g}"
            )


def _run_vjp(
    spec: OpSpec,
    values: list[Any],
    dy: np.ndarray,
    options: dict[str, Any],
    dtype: Any,
    device: Device,
    what: str,
) -> list[Any]:
    """The gradients as float64 arrays, after checking their count, shapes and dtypes."""

    def send(value: Any) -> Any:
        if value is None:
            return None
        return array(value.astype(dtype) if value.dtype.kind == "f" else value, device=device)

    assert spec.vjp is not None
    inputs = [send(v) for v in values]
    found = spec.vjp(send(dy), *inputs, **options)
    found = found if isinstance(found, tuple) else (found,)
    if len(found) != len(values):
        raise AssertionError(f"{what}: {len(found)} gradients for {len(values)} arguments")
    gradients: list[Any] = []
    for arg, gradient, value in zip(spec.args, found, values, strict=True):
        if gradient is None:
            gradients.append(None)
            continue
        if gradient.shape != value.shape or gradient.dtype != dtype:
            raise AssertionError(
                f"{what}: the gradient of {arg.name!r} is {gradient.dtype}{gradient.shape}, "
                f"expected {np.dtype(dtype)}{value.shape}"
            )
        gradients.append(gradient.numpy().astype(np.float64))
    return gradients


def _compare_differences(
    objective: Callable[..., float], values: list[Any], i: int, gradient: np.ndarray, what: str
) -> None:
    """Compare with the slope of the objective along each axis, or along random directions."""
    x = values[i]
    rng = np.random.default_rng(x.size)
    if x.size <= FULL_ELEMENTS:
        directions = (_unit(x.shape, k) for k in range(x.size))
    else:
        directions = (rng.standard_normal(x.shape) for _ in range(DIRECTIONS))
    for direction in directions:
        ahead, behind = list(values), list(values)
        ahead[i] = x + STEP * direction
        behind[i] = x - STEP * direction
        up, down = objective(*ahead), objective(*behind)
        slope = (up - down) / (2 * STEP)
        given = float(np.sum(gradient * direction))
        # The difference of two objectives carries their rounding errors, divided by the step.
        noise = 8 * float(np.finfo(np.float64).eps) * (abs(up) + abs(down)) / STEP
        scale = max(1.0, abs(slope))
        if x.size > FULL_ELEMENTS:  # the slope is a sum of terms of both signs, of this size
            scale = max(math.sqrt(x.size), float(np.linalg.norm(gradient)))
        if not (math.isfinite(given) and abs(given - slope) <= TOLERANCE * scale + noise):
            where = np.unravel_index(int(np.argmax(direction)), x.shape)
            raise AssertionError(
                f"{what} at {tuple(map(int, where))}: {given:.9g}, central difference {slope:.9g}"
            )


def _unit(shape: tuple[int, ...], k: int) -> np.ndarray:
    direction = np.zeros(shape)
    direction.reshape(-1)[k] = 1.0
    return direction


def _sizes(spec: OpSpec, small: bool) -> dict[str, Any]:
    """Sizes of the dimensions, a few items or about a block each."""
    names = dict.fromkeys(name for arg in spec.args for name in arg.dims.split())
    choices = [2, 3, 5] if small else [spec.block + 1, spec.block - 1]
    sizes: dict[str, Any] = {}
    for k, name in enumerate(n for n in names if n):
        if name == "...":
            sizes[name] = (3, 5) if small else (3, spec.block + 1)
        else:
            sizes[name] = int(name) if name.isdigit() else choices[k % len(choices)]
    return sizes
