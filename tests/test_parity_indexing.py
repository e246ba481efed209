"""Embedding, padding, joining and slices against PyTorch: outputs and gradients.

Forward passes copy: they agree bit for bit. A gradient that sums n terms may differ by
``4 sqrt(n) eps`` of the largest item, with n at most the number of uses of an item.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError, DtypeError, ShapeError
from nnlite.testing.parity import check_parity

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

CASES = 30
EPS = float(np.finfo(np.float32).eps)
SIZES = (1, 2, 3, 5, 7, 16, 33)


def bound_of(terms: int) -> float:
    return 4 * math.sqrt(max(terms, 1)) * EPS


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.asarray(rng.normal(size=shape), np.float32)


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_embedding(dtype: Any) -> None:
    for case in range(CASES):
        rng = np.random.default_rng([1, case])
        rows, width = int(rng.choice(SIZES)), int(rng.choice(SIZES))
        options = {"padding_idx": int(rng.integers(-rows, rows))} if case % 2 else {}
        index = rng.integers(0, rows, [int(rng.choice(SIZES)) for _ in range(case % 4)])
        ours = nl.nn.Embedding(rows, width, **options)
        theirs = torch.nn.Embedding(rows, width, **options)
        assert repr(ours) == repr(theirs)
        check_parity(ours, theirs, np.asarray(index, dtype), bound=bound_of(index.size), seed=case)


def test_embedding_gradient_repeats_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    weight, index = normal(rng, 50, 40), rng.integers(0, 50, 3000)
    dy = nl.tensor(normal(rng, 3000, 40))
    found = []
    for _ in range(2):
        table = nl.tensor(weight, requires_grad=True)
        nl.functional.embedding(index, table).backward(dy)
        found.append(table.grad.numpy().tobytes())
    assert found[0] == found[1]


def test_embedding_starts_with_a_row_of_zeros_for_padding() -> None:
    table = nl.nn.Embedding(6, 400, padding_idx=-2).weight.numpy()
    assert not table[4].any()
    assert np.abs(table[[0, 1, 2, 3, 5]].std() - 1) < 0.1


def test_one_hot() -> None:
    for case in range(CASES):
        rng = np.random.default_rng([2, case])
        classes = int(rng.choice(SIZES))
        index = rng.integers(0, classes, [int(rng.choice(SIZES)) for _ in range(case % 4)])
        count = classes + int(rng.integers(3)) if case % 3 else -1
        expected = torch.nn.functional.one_hot(torch.from_numpy(np.asarray(index)), count)
        found = nl.functional.one_hot(index, count)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_gather(dtype: Any) -> None:
    """PyTorch takes int64 only, and an index that is smaller along the other axes."""
    for case in range(CASES):
        rng = np.random.default_rng([9, case])
        shape = [int(rng.integers(1, 7)) for _ in range(1 + case % 4)]
        dim = int(rng.integers(-len(shape), len(shape)))
        sizes = [int(rng.integers(1, n + 1)) if case % 3 else n for n in shape]
        sizes[dim] = int(rng.integers(0, 9))
        index = np.asarray(rng.integers(0, shape[dim], sizes))

        def ours(a: Any, dim: Any = dim, index: Any = index) -> Any:
            return a.gather(dim, index.astype(dtype))

        def theirs(a: Any, dim: Any = dim, index: Any = index) -> Any:
            return a.gather(dim, torch.from_numpy(index))

        check_parity(ours, theirs, normal(rng, *shape), bound=bound_of(9), seed=case)


@pytest.mark.parametrize("name", ["split", "sections", "chunk"])
def test_split_and_chunk(name: str) -> None:
    for case in range(CASES):
        rng = np.random.default_rng([10, case])
        shape = [int(rng.integers(0, 9)) for _ in range(1 + case % 4)]
        dim = int(rng.integers(-len(shape), len(shape)))
        value: Any = int(rng.integers(1, 9))
        if name == "sections":
            at = int(rng.integers(0, shape[dim] + 1))
            value = [at, 0, shape[dim] - at]
        method = "chunk" if name == "chunk" else "split"

        def both(a: Any, dim: Any = dim, value: Any = value, method: Any = method) -> Any:
            return getattr(a, method)(value, dim)

        check_parity(both, both, normal(rng, *shape), bound=0.0, seed=case)


def test_wrong_gather_and_split() -> None:
    x = nl.tensor(np.ones((2, 3), np.float32))
    F = nl.functional
    for wrong, error, message in (
        (lambda: F.gather(x, 2, [[0]]), ArgumentError, "gather: axis: 2 given"),
        (lambda: F.gather(x, 1, [[3], [0]]), ArgumentError, r"gather: index: 3 given.*\[0, 3\)"),
        (lambda: F.gather(x, 1, [0]), ShapeError, r"gather: index: shape \(1,\) given"),
        (lambda: F.gather(x, 1, [[0], [0], [0]]), ShapeError, "gather: index: shape"),
        (lambda: F.gather(x, 1, [[0.5]]), DtypeError, "gather: index: dtype"),
        (lambda: F.split(x, 0), ArgumentError, "split: split_size_or_sections: 0 given"),
        (lambda: F.split(x, [1, 2]), ArgumentError, "sizes that add up to 2"),
        (lambda: F.split(x, [3, -1]), ArgumentError, "list of integers from 0"),
        (lambda: F.split(x, 1, 2), ArgumentError, "split: dim: 2 given"),
        (lambda: F.chunk(x, 0), ArgumentError, "chunk: chunks: 0 given"),
    ):
        with pytest.raises(error, match=message):
            wrong()


MODES = ("constant", "reflect", "replicate", "circular")


def pad_case(case: int, mode: str) -> tuple[np.ndarray, list[int]]:
    """PyTorch pads 1 to 2 axes of rank 3 to 4; with ``constant`` any, and cuts too."""
    rng = np.random.default_rng([3, case])
    axes = 1 + case % 2
    rank = int(rng.integers(axes, 5)) if mode == "constant" else axes + 2
    shape = [int(rng.integers(2, 12)) for _ in range(rank)]
    widths: list[int] = []
    for k in range(axes):
        size = shape[-1 - k]
        most = {"reflect": size - 1, "circular": size}.get(mode, 4)
        low = -(size // 2) if mode == "constant" and case % 3 == 0 else 0
        widths += [int(rng.integers(low, most + 1)) for _ in range(2)]
    return normal(rng, *shape), widths


@pytest.mark.parametrize("mode", MODES)
def test_pad(mode: str) -> None:
    for case in range(CASES):
        x, widths = pad_case(case, mode)
        options: dict[str, Any] = {"value": 0.75} if mode == "constant" and case % 4 else {}

        def ours(a: Any, widths: Any = widths, options: Any = options) -> Any:
            return nl.functional.pad(a, widths, mode, **options)

        def theirs(a: Any, widths: Any = widths, options: Any = options) -> Any:
            return torch.nn.functional.pad(a, widths, mode, **options)

        check_parity(ours, theirs, x, bound=bound_of(25), seed=case)


PADS = ("ConstantPad", "ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad")


@pytest.mark.parametrize("name", PADS)
@pytest.mark.parametrize("axes", [1, 2])
def test_padding_layers(name: str, axes: int) -> None:
    for case in range(CASES):
        rng = np.random.default_rng([4, case])
        x = normal(rng, *(int(n) for n in rng.integers(3, 9, axes + 2)))
        drawn = [int(n) for n in rng.integers(0, 3, 2 * axes)]
        padding: Any = drawn[0] if case % 2 else tuple(drawn)
        options = (padding, 1.5) if name == "ConstantPad" else (padding,)
        ours = getattr(nl.nn, f"{name}{axes}d")(*options)
        theirs = getattr(torch.nn, f"{name}{axes}d")(*options)
        assert repr(ours) == repr(theirs)
        check_parity(ours, theirs, x, bound=bound_of(25), seed=case)


@pytest.mark.parametrize("name", ["cat", "stack"])
def test_joining(name: str) -> None:
    for case in range(CASES):
        rng = np.random.default_rng([5, case])
        rank = int(rng.integers(1, 5))
        shape = [int(rng.choice(SIZES[:5])) for _ in range(rank)]
        dim = int(rng.integers(-rank, rank))
        arrays = []
        for _ in range(int(rng.integers(1, 5))):
            if name == "cat":
                shape[dim] = int(rng.integers(0, 6))
            arrays.append(normal(rng, *shape))

        def ours(*a: Any, dim: int = dim) -> Any:
            return getattr(nl.functional, name)(a, dim)

        def theirs(*a: Any, dim: int = dim) -> Any:
            return getattr(torch, name)(a, dim)

        check_parity(ours, theirs, *arrays, bound=bound_of(1), seed=case)


def test_joining_of_views_and_integers() -> None:
    x = np.arange(24.0, dtype=np.float32).reshape(4, 6)
    a = nl.tensor(x)
    joined = nl.functional.cat([a.T, a[:, ::2].T, a[::-1].T], 0)
    np.testing.assert_array_equal(joined.numpy(), np.concatenate([x.T, x[:, ::2].T, x[::-1].T]))
    numbers = nl.tensor([1, 2])
    assert nl.functional.stack([numbers, numbers]).numpy().tolist() == [[1, 2], [1, 2]]


def key_for(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Integers and slices with steps above 0, the only ones that PyTorch takes."""
    key: list[Any] = []
    for size in shape[: int(rng.integers(1, len(shape) + 1))]:
        start = int(rng.integers(-size, size))
        if rng.integers(3) == 0:
            key.append(start)
        else:
            key.append(slice(start, int(rng.integers(-size, size + 1)), int(rng.integers(1, 4))))
    return (*key, None) if rng.integers(2) else tuple(key)


def test_slices_and_permutations() -> None:
    for case in range(CASES):
        rng = np.random.default_rng([6, case])
        x = normal(rng, *(int(n) for n in rng.choice(SIZES, int(rng.integers(1, 5)))))
        key, order = key_for(rng, x.shape), tuple(int(i) for i in rng.permutation(x.ndim))

        def chosen(a: Any, key: Any = key) -> Any:
            return a[key]

        def turned(a: Any, order: Any = order) -> Any:
            return a.permute(*order).contiguous()

        check_parity(chosen, chosen, x, bound=0.0, seed=case)
        check_parity(turned, turned, x, bound=0.0, seed=case)


def test_transposed_copies_of_every_shape() -> None:
    """Sizes around the tile of the transposing kernel, and views that are not plain."""
    rng = np.random.default_rng(8)
    for rows in (1, 15, 16, 31, 32, 33, 65):
        for columns in (1, 16, 31, 33, 64):
            x = normal(rng, 3, rows, columns)
            views = (
                lambda a: a.transpose(1, 2),
                lambda a: a.permute(2, 0, 1),
                lambda a: a[1:].transpose(0, 2),
                lambda a: a[:, ::2].transpose(1, 2),
            )
            for view in views:
                expected = view(torch.from_numpy(x)).contiguous().numpy()
                found = view(nl.tensor(x)).contiguous().numpy()
                np.testing.assert_array_equal(found, expected)


TABLE = nl.tensor(np.ones((4, 3), np.float32))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: nl.functional.embedding([0, 4], TABLE), ArgumentError, "index: 4 given"),
        (lambda: nl.functional.embedding([0.5], TABLE), DtypeError, "index: dtype float64"),
        (lambda: nl.functional.embedding([0], TABLE, 7), ArgumentError, "padding_idx: 7"),
        (lambda: nl.nn.Embedding(4, -1), ArgumentError, "embedding_dim: -1"),
        (lambda: nl.nn.Embedding(4, 2, padding_idx=4), ArgumentError, "padding_idx: 4"),
        (lambda: nl.functional.one_hot([1, 5], 5), ArgumentError, "index: 5 given"),
        (lambda: nl.functional.pad(TABLE, (1,)), ArgumentError, "expected pairs"),
        (lambda: nl.functional.pad(TABLE, (3, 0), "reflect"), ShapeError, "too few items"),
        (lambda: nl.nn.ZeroPad2d((1, 2)), ArgumentError, "ZeroPad2d: padding"),
        (lambda: nl.functional.cat([]), ArgumentError, "cat: tensors"),
        (lambda: nl.functional.cat([TABLE, TABLE[0]]), ShapeError, r"arrays\[1\]"),
        (lambda: nl.functional.stack([TABLE, TABLE], 3), ArgumentError, "axis: 3"),
    ],
)
def test_wrong_calls(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()
