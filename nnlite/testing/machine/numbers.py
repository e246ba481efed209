"""Types of PTX as those of NumPy, and arithmetic that rounds as a GPU does.

Source: PTX ISA, sections "Fundamental Types", "Floating-Point Instructions: Rounding".
"""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS: dict[str, Any] = {
    "pred": np.dtype(np.bool_),
    **{f"{letter}{8 * n}": np.dtype(f"u{n}") for letter in "bu" for n in (1, 2, 4, 8)},
    **{f"s{8 * n}": np.dtype(f"i{n}") for n in (1, 2, 4, 8)},
    "f16": np.dtype(np.float16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "bf16": np.dtype(np.uint16),
    "f16x2": np.dtype(np.uint32),
    "bf16x2": np.dtype(np.uint32),
}


def is_float(kind: str) -> bool:
    """Whether a type of PTX is one of floating-point numbers that NumPy has."""
    return kind in ("f16", "f32", "f64")


def flushed(x: np.ndarray) -> np.ndarray:
    """Subnormal float32 as zeros of their sign: ``.ftz``."""
    return np.where(np.abs(x) < np.finfo(np.float32).tiny, np.copysign(np.float32(0), x), x)


def two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``a + b`` and what rounding took from it (Knuth)."""
    s = a + b
    v = s - a
    return s, (a - (s - v)) + (b - v)


def to_odd(s: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Float64 ``s``, whose rounding lost ``error``, as rounding to odd would have left it.

    A second rounding to fewer bits is then right (Boldo and Melquiond, "Emulation of a FMA and
    correctly rounded sums", 2008).
    """
    s = np.asarray(s, np.float64)
    bits = s.view(np.int64)
    lost = (error != 0) & np.isfinite(s) & (bits & 1 == 0)
    step = np.where((error > 0) == (s > 0), 1, -1)
    return np.where(lost, bits + step, bits).view(np.float64)


def fma32(a: np.ndarray, b: np.ndarray, c: np.ndarray, rounding: str) -> np.ndarray:
    """``a b + c`` of float32, rounded once."""
    product = a.astype(np.float64) * b.astype(np.float64)  # exact: 48 bits
    s, error = two_sum(product, np.float64(c))
    error = np.where(np.isfinite(s), error, 0)
    return narrow(to_odd(s, error), rounding)


def fma64(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """``a b + c`` of float64, rounded once to the nearest."""
    product, low = two_product(a, b)
    s, error = two_sum(product, c)
    tail, lost = two_sum(low, error)
    result = s + to_odd(tail, lost)
    plain = a * b + c  # right for what is not finite, and close where the splitting overflows
    return np.where(np.isfinite(result) & np.isfinite(low) & np.isfinite(error), result, plain)


def two_product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``a b`` of float64 and what rounding took from it (Dekker, with Veltkamp's splitting)."""
    product = a * b
    parts = []
    for x in (a, b):
        big = x * np.float64(2**27 + 1)
        high = big - (big - x)
        parts.append((high, x - high))
    (ah, al), (bh, bl) = parts
    return product, ((ah * bh - product) + ah * bl + al * bh) + al * bl


def narrow(x: np.ndarray, rounding: str = "rn") -> np.ndarray:
    """Float64 to float32: to the nearest even, or toward zero, minus or plus infinity."""
    near = x.astype(np.float32)
    if rounding == "rn":
        return near
    back = near.astype(np.float64)
    zero, below, above = np.float32(0), np.float32(-np.inf), np.float32(np.inf)
    if rounding == "rz":
        wrong, toward = np.abs(back) > np.abs(x), zero
    elif rounding == "rm":
        wrong, toward = back > x, below
    else:
        wrong, toward = back < x, above
    return np.where(wrong, np.nextafter(near, toward), near)


def whole(x: np.ndarray, rounding: str) -> np.ndarray:
    """Rounded to an integer, as a float: to even, toward zero, down, up."""
    function: Any = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}[rounding]
    return function(x)


def to_integer(x: np.ndarray, kind: Any) -> np.ndarray:
    """A whole float as an integer: out of range the nearest one, not a number 0."""
    info = np.iinfo(kind)
    wide = np.where(np.isnan(x), 0, x).astype(np.float64)
    inside = np.clip(wide, float(info.min), float(info.max))
    result = np.where(inside >= float(info.max), 0, inside).astype(kind)
    return np.where(inside >= float(info.max), info.max, result).astype(kind)
