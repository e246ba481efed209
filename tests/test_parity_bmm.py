"""Products of many matrices against PyTorch: outputs and gradients, with broadcast leading axes.

Bound: a product sums k terms, its gradients m or n of them, and a shared factor all products:
``4 sqrt(terms) eps`` of the size of the terms, relative to the largest item.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import DtypeError, ShapeError
from nnlite.testing.parity import check_parity

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

CASES = 40
EPS = float(np.finfo(np.float32).eps)
SIZES = (1, 2, 3, 7, 16, 17, 33)
LEADS = (
    ((2,), (2,)),
    ((3,), (1,)),
    ((1,), (4,)),
    ((2, 3), (2, 3)),
    ((2, 1), (3,)),
    ((3,), (2, 1)),
    ((2, 3), ()),
    ((), (2, 3)),
    ((), (2,)),
    ((0,), (1,)),
)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.asarray(rng.normal(size=shape), np.float32)


def bound_of(*arrays: np.ndarray) -> float:
    """With the most terms that any of the sums can have."""
    return 4 * math.sqrt(max(1, *(a.size for a in arrays))) * EPS


def test_matmul_with_leading_axes() -> None:
    for case in range(CASES):
        rng = np.random.default_rng([1, case])
        m, k, n = (int(rng.choice(SIZES)) for _ in range(3))
        first, second = LEADS[case % len(LEADS)]
        x, y = normal(rng, *first, m, k), normal(rng, *second, k, n)
        check_parity(
            nl.functional.matmul, torch.matmul, x, y, bound=bound_of(x, y), floor=1.0, seed=case
        )


def test_matmul_of_vectors() -> None:
    for case in range(CASES):
        rng = np.random.default_rng([2, case])
        m, k, n = (int(rng.choice(SIZES)) for _ in range(3))
        pairs = (((k,), (k,)), ((m, k), (k,)), ((k,), (k, n)), ((k,), (3, k, n)), ((2, m, k), (k,)))
        first, second = pairs[case % len(pairs)]
        x, y = normal(rng, *first), normal(rng, *second)
        check_parity(
            nl.functional.matmul, torch.matmul, x, y, bound=bound_of(x, y), floor=1.0, seed=case
        )


def test_bmm_of_views() -> None:
    """Swapped axes are read in place; other strides are copied first."""
    for case in range(CASES):
        rng = np.random.default_rng([3, case])
        p, m, k, n = (int(rng.choice(SIZES[:6])) for _ in range(4))
        x = normal(rng, p, k, m) if case % 2 else normal(rng, p, m, 2 * k)
        y = normal(rng, p, n, k) if case % 3 else normal(rng, k, p, n)

        def product(bmm: Any, a: Any, b: Any, case: int = case) -> Any:
            a = a.transpose(1, 2) if case % 2 else a[:, :, ::2]
            return bmm(a, b.transpose(1, 2) if case % 3 else b.transpose(0, 1))

        def ours(a: Any, b: Any, product: Any = product) -> Any:
            return product(nl.functional.bmm, a, b)

        def theirs(a: Any, b: Any, product: Any = product) -> Any:
            return product(torch.bmm, a, b)

        check_parity(ours, theirs, x, y, bound=bound_of(x, y), floor=1.0, seed=case)


def test_attention() -> None:
    """Two products with a softmax between them, heads and batch as leading axes."""
    rng = np.random.default_rng(4)
    q, k, v = (normal(rng, 2, 4, 19, 8) for _ in range(3))

    def ours(q: Any, k: Any, v: Any) -> Any:
        return nl.functional.softmax(q @ k.transpose(2, 3) * 0.35, -1) @ v

    def theirs(q: Any, k: Any, v: Any) -> Any:
        return torch.softmax(q @ k.transpose(2, 3) * 0.35, -1) @ v

    check_parity(ours, theirs, q, k, v, bound=3 * 4 * math.sqrt(19) * EPS, floor=1.0)


def given(*shape: int) -> nl.Tensor:
    return nl.tensor(np.ones(shape, np.float32))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: given(2, 3, 4) @ given(2, 3, 4), ShapeError, r"\(2, 3, 4\) and \(2, 3, 4\)"),
        (lambda: given(2, 3, 4) @ given(3, 4, 5), ShapeError, r"leading axes \(2,\) and \(3,\)"),
        (lambda: given(2, 3, 4) @ given(3), ShapeError, r"\(2, 3, 4\) and \(3,\) given"),
        (lambda: given(2, 3, 4) @ given(2, 4, 5).to(dtype="float64"), DtypeError, "matmul: y"),
        (lambda: nl.functional.matmul(given(3).sum(), given(3)), ShapeError, r"\(\) and \(3,\)"),
        (lambda: nl.functional.bmm(given(2, 3, 4), given(4, 5)), ShapeError, "bmm: shapes"),
        (lambda: nl.functional.bmm(given(2, 3, 4), given(1, 4, 5)), ShapeError, "bmm: shapes"),
    ],
)
def test_wrong_calls(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()
