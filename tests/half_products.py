"""Products of 16-bit matrices against NumPy's in float64, for several test files."""

from __future__ import annotations

import numpy as np

from nnlite.kernels.engine import Array, array
from nnlite.kernels.matmul import matmul_halves
from nnlite.testing.machine.tensor_cores import rounded

BITS = {"bf16": 8, "f16": 11}  # of a number, the one before the point included
EPS = 2.0**-24


def halves(x: np.ndarray, kind: str) -> np.ndarray:
    """Numbers of the kind as they are stored; they must be such numbers."""
    if kind == "f16":
        return x.astype(np.float16)
    return (x.astype(np.float32).view(np.uint32) >> np.uint32(16)).astype(np.uint16)


def numbers(rng: np.random.Generator, shape: tuple[int, int], kind: str) -> np.ndarray:
    """Random numbers of the kind, in float64."""
    return rounded(rng.standard_normal(shape), BITS[kind], away=False)


def stored(x: np.ndarray, along: bool, kind: str, device: str) -> Array:
    """A matrix with its rows along k, or the transpose of one with a row for each step."""
    return as_stored(halves(x, kind), along, device)


def as_stored(x: np.ndarray, along: bool, device: str = "cpu") -> Array:
    return array(x, device=device) if along else array(x.T, device=device).T


def require_product(
    kind: str,
    order: str,
    m: int,
    n: int,
    k: int,
    device: str = "cpu",
    activation: str | None = None,
) -> np.ndarray:
    """``matmul_halves`` of one storage order against float64; the result."""
    rng = np.random.default_rng(m * n + k)
    a, b = numbers(rng, (m, k), kind), numbers(rng, (n, k), kind)
    bias = rng.standard_normal(n).astype(np.float32)
    x, y = stored(a, order[0] == "n", kind, device), stored(b, order[1] == "t", kind, device)
    z = array(bias, device=device)
    got = matmul_halves(x, y, kind=kind, bias=z, activation=activation).numpy()
    assert got.shape == (m, n)
    assert got.dtype == np.float32
    expected = a @ b.T + bias
    expected = np.maximum(expected, 0) if activation == "relu" else expected
    bound = 4 * np.sqrt(max(k, 1)) * EPS * (np.abs(a) @ np.abs(b).T + np.abs(bias))
    assert (np.abs(got - expected) <= bound).all(), (kind, order, m, n, k)
    return got
