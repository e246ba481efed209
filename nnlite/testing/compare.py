"""The one comparator: is a result within the allowed error of a float64 reference?

Two kinds of bound (DESIGN.md, numerics contract), both on ``|actual - expected|``:

- elementwise: ``ulp`` units in the last place of the expected value;
- reductions over n terms: ``4 * sqrt(n) * eps * magnitude`` with the sum of the absolute values of
  the terms as magnitude; for ``eps * magnitude`` the smallest subnormal, where that is larger.

Everything that a bound cannot say must agree exactly: shape, dtype, where the NaNs are, the
infinities and their signs, the sign of a zero, integers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

REDUCTION_FACTOR = 4.0


def difference(
    actual: Any,
    expected: Any,
    *,
    dtype: Any = None,
    ulp: float = 4.0,
    magnitude: Any = None,
    terms: int | None = None,
    signed_zero: bool = True,
) -> str | None:
    """Say how ``actual`` differs from ``expected``, or return None if it does not.

    Args:
        actual: the result under test.
        expected: the reference, in float64 for floating-point results.
        dtype: the dtype that ``actual`` must have; the dtype of ``expected`` if not given.
        ulp: allowed units in the last place (of ``dtype``), where ``terms`` is None.
        magnitude: the sum of the absolute values of the terms that were added up. With ``terms``
            it scales the bound of a reduction; without, the ulp is taken at the larger of
            ``|expected|`` and ``magnitude`` (an elementwise formula whose terms may cancel).
        terms: number of terms of the reduction.
        signed_zero: a zero must have the sign of the reference (only where neither ``terms`` nor
            ``magnitude`` is given: the sign of a sum that cancels to zero depends on rounding).

    Returns:
        A description with the number of differing elements and the first of them, or None.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    dtype = np.dtype(expected.dtype if dtype is None else dtype)
    if actual.shape != expected.shape:
        return f"shape {actual.shape}, expected {expected.shape}"
    if actual.dtype != dtype:
        return f"dtype {actual.dtype}, expected {dtype}"
    if dtype.kind != "f":
        return _describe(actual != expected, actual, expected, "differ (exact comparison)")
    expected = expected.astype(np.float64)
    value = actual.astype(np.float64)

    wrong = np.isnan(value) != np.isnan(expected)
    if wrong.any():
        return _describe(wrong, actual, expected, "are NaN on one side only")
    finite = np.isfinite(expected)
    bound = _bound(expected, np.dtype(dtype), ulp, magnitude, terms)
    if not np.isfinite(bound[finite]).all():
        return _describe(finite & ~np.isfinite(bound), bound, expected, "have no finite bound")

    # Where rounding may carry the reference over the largest finite number, inf is right too.
    with np.errstate(over="ignore"):
        overflow = finite & (np.abs(expected) + bound >= float(np.finfo(dtype).max))
    agrees = np.isinf(value) & (np.sign(value) == np.sign(expected)) & (overflow | ~finite)
    wrong = (np.isinf(value) | np.isinf(expected)) & ~agrees
    if wrong.any():
        return _describe(wrong, actual, expected, "differ in an infinity or its sign")
    with np.errstate(invalid="ignore"):
        error = np.abs(value - expected)
    wrong = finite & np.isfinite(value) & ~(error <= bound)
    if wrong.any():
        with np.errstate(over="ignore"):
            ratio = float(np.max(error[wrong] / np.maximum(bound[wrong], 5e-324)))
        what = f"exceed the bound (up to {ratio:.3g} times)"
        return _describe(wrong, actual, expected, what, bound)
    if signed_zero and terms is None and magnitude is None:
        wrong = finite & (value == 0) & (np.signbit(value) != np.signbit(expected))
        return _describe(wrong, actual, expected, "differ in the sign of zero")
    return None


def assert_close(actual: Any, expected: Any, *, what: str = "", **options: Any) -> None:
    """Raise AssertionError with the description that :func:`difference` gives, if any.

    Args:
        what: words put before the description: the op, its options, which output.
        options: those of :func:`difference`.
    """
    found = difference(actual, expected, **options)
    if found is not None:
        raise AssertionError(f"{what}: {found}" if what else found)


def same_bits(a: Any, b: Any) -> bool:
    """True if two arrays agree in shape, dtype and every bit (NaN payloads and -0 included)."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def assert_same_bits(actual: Any, expected: Any, *, what: str = "arrays") -> None:
    """Raise AssertionError unless :func:`same_bits`."""
    if not same_bits(actual, expected):
        raise AssertionError(f"{what} differ bit for bit:\n{actual!r}\n{expected!r}")


def ulp_size(value: Any, dtype: Any) -> np.ndarray:
    """Distance between neighbouring numbers of ``dtype`` at ``|value|``, in float64."""
    info = np.finfo(dtype)
    clipped = np.minimum(np.abs(np.asarray(value, dtype=np.float64)), float(info.max))
    _, exponent = np.frexp(clipped)
    # frexp calls 0 (and NaN) exponent 0; there the smallest subnormal is the distance.
    exponent = np.where(clipped > 0, exponent - 1, info.minexp)
    return np.ldexp(1.0, np.maximum(exponent, info.minexp) - info.nmant)


def _bound(
    expected: np.ndarray, dtype: np.dtype, ulp: float, magnitude: Any, terms: int | None
) -> np.ndarray:
    if magnitude is not None:
        magnitude = np.asarray(magnitude, dtype=np.float64)
        if magnitude.shape != expected.shape:
            raise ValueError(f"magnitude has shape {magnitude.shape}, not {expected.shape}")
    if terms is None:
        scale = np.abs(expected)
        if magnitude is not None:
            # maximum keeps a NaN of a broken magnitude, which the caller reports.
            scale = np.maximum(scale, magnitude)
            return np.where(np.isfinite(scale), ulp * ulp_size(scale, dtype), scale)
        return ulp * ulp_size(scale, dtype)
    if magnitude is None:
        raise ValueError("a reduction (terms is set) needs its magnitude")
    info = np.finfo(dtype)
    # A term that underflows is rounded by a unit that does not shrink with it.
    unit = np.maximum(float(info.eps) * magnitude, float(info.smallest_subnormal))
    return REDUCTION_FACTOR * math.sqrt(max(terms, 1)) * unit


def _describe(
    wrong: np.ndarray,
    actual: np.ndarray,
    expected: np.ndarray,
    what: str,
    bound: np.ndarray | None = None,
) -> str | None:
    wrong = np.asarray(wrong)
    if not wrong.any():
        return None
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    text = (
        f"{int(wrong.sum())} of {wrong.size} elements {what}; "
        f"first at {index}: got {actual[index]!r}, expected {expected[index]!r}"
    )
    return text if bound is None else f"{text}, allowed error {float(bound[index]):.3g}"
