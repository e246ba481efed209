"""Pooling layers against PyTorch: 40 drawn configurations of each, and where the rules are subtle.

Bounds: a maximum is exact, and its gradient adds up at most as many terms as windows overlap; a
mean adds up the items of a window and divides once: 4 sqrt(terms) eps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError, NnliteError, ShapeError
from nnlite.testing.parity import check_parity

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

EPS = float(np.finfo(np.float32).eps)
CASES = 40


def image(rng: np.random.Generator, axes: int, least: int, most: int) -> np.ndarray:
    """A batch, or one item of it, with ``axes`` axes to pool."""
    lead = rng.integers(1, 4, int(rng.integers(1, 3)))
    return rng.normal(size=(*lead, *rng.integers(least, most + 1, axes))).astype(np.float32)


def drawn(rng: np.random.Generator, axes: int, dilated: bool) -> tuple[np.ndarray, dict[str, Any]]:
    """An image and options of a sliding pooling that has at least one window."""
    kernel = rng.integers(1, 5, axes)
    dilation = rng.integers(1, 3 if dilated else 2, axes)
    length = dilation * (kernel - 1) + 1
    options: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": rng.integers(1, 5, axes),
        "padding": [int(rng.integers(0, k // 2 + 1)) for k in kernel],
    }
    if dilated:
        options["dilation"] = dilation
    options = {name: tuple(map(int, value)) for name, value in options.items()}
    if rng.random() < 0.3:
        del options["stride"]
    if rng.random() < 0.3:  # one number for every axis; two, with its own kernels, most often
        options = {"kernel_size": int(rng.choice([2, 2, 3]))}
        length = np.array([3] * axes)
    options["ceil_mode"] = bool(rng.integers(2))
    return image(rng, axes, int(length.max()), 24), options


def layers(name: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    return getattr(nl.nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)


@pytest.mark.parametrize("case", range(CASES))
@pytest.mark.parametrize("name", ["MaxPool1d", "MaxPool2d"])
def test_max_pool(name: str, case: int) -> None:
    rng = np.random.default_rng([case, len(name)])
    x, options = drawn(rng, int(name[-2]), dilated=True)
    if rng.random() < 0.5:  # ties: few different numbers
        x = np.round(x)
    ours, theirs = layers(name, **options, return_indices=True)
    check_parity(ours, theirs, x, bound=4 * 4 * EPS)


@pytest.mark.parametrize("case", range(CASES))
@pytest.mark.parametrize("name", ["AvgPool1d", "AvgPool2d"])
def test_avg_pool(name: str, case: int) -> None:
    rng = np.random.default_rng([case, len(name)])
    x, options = drawn(rng, int(name[-2]), dilated=False)
    options["count_include_pad"] = bool(rng.integers(2))
    if name == "AvgPool2d" and rng.random() < 0.3:
        options["divisor_override"] = int(rng.integers(1, 9))
    check_parity(*layers(name, **options), x, bound=4 * 4 * EPS)


@pytest.mark.parametrize("case", range(CASES))
@pytest.mark.parametrize("name", ["AdaptiveAvgPool1d", "AdaptiveAvgPool2d"])
def test_adaptive_avg_pool(name: str, case: int) -> None:
    rng = np.random.default_rng([case, len(name)])
    axes = int(name[-2])
    x = image(rng, axes, 1, 24)
    size = [int(rng.choice([1, 2, 3, 7, n, 2 * n])) for n in x.shape[-axes:]]
    check_parity(*layers(name, size if axes == 2 else size[0]), x, bound=4 * 24 * EPS)


@pytest.mark.parametrize("case", range(CASES))
@pytest.mark.parametrize("name", ["AdaptiveMaxPool1d", "AdaptiveMaxPool2d"])
def test_adaptive_max_pool(name: str, case: int) -> None:
    rng = np.random.default_rng([case, len(name)])
    axes = int(name[-2])
    x = np.round(image(rng, axes, 1, 24))
    size = [int(rng.choice([1, 2, 3, 7, n, 2 * n])) for n in x.shape[-axes:]]
    args = size if axes == 2 else size[0]
    check_parity(*layers(name, args, return_indices=True), x, bound=4 * 8 * EPS)


@pytest.mark.parametrize("size", [(None, 2), (3, None), 1])
def test_adaptive_sizes_that_keep_an_axis(size: Any) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 6)).astype(np.float32)
    for name in ("AdaptiveAvgPool2d", "AdaptiveMaxPool2d"):
        check_parity(*layers(name, size), x, bound=4 * 6 * EPS)


@pytest.mark.parametrize("kernel", [2, 3])
def test_nan_infinity_and_ties_choose_pytorchs_winner(kernel: int) -> None:
    """2 has kernels of its own; 3 with overlap takes the general ones."""
    rng = np.random.default_rng(kernel)
    values = [np.nan, np.nan, np.inf, -np.inf, -np.inf, 0.0, -0.0, 1.0]
    x = rng.choice(values, (3, 4, 12, 12)).astype(np.float32)
    x[0] = -np.inf
    options = {"stride": kernel - kernel // 3, "return_indices": True}
    ours, theirs = layers("MaxPool2d", kernel, **options)
    check_parity(ours, theirs, x, bound=EPS)
    check_parity(*layers("AdaptiveMaxPool2d", 5, return_indices=True), x, bound=EPS)


def test_float64() -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 11, 10))
    bound = 4 * 4 * float(np.finfo(np.float64).eps)
    check_parity(*layers("MaxPool2d", 3, 2, 1), x, bound=bound)
    check_parity(*layers("AvgPool2d", 3, 2, 1), x, bound=bound)
    check_parity(*layers("AvgPool2d", (1, 2)), x, bound=bound)


def test_a_batch_of_none() -> None:
    x = np.zeros((0, 3, 6, 6), np.float32)
    for name, args in (("MaxPool2d", (2,)), ("AvgPool2d", (3,)), ("AdaptiveAvgPool2d", (1,))):
        check_parity(*layers(name, *args), x, bound=EPS)


@pytest.mark.parametrize(
    ("name", "args", "shape", "error", "match"),
    [
        ("MaxPool2d", (2,), (5, 5), ShapeError, r"max_pool2d: x: shape \(5, 5\) given"),
        ("MaxPool2d", (2,), (1, 1, 1, 5, 5), ShapeError, "max_pool2d: x: shape"),
        ("MaxPool2d", (9,), (1, 5, 5), ShapeError, "max_pool2d: x: 5 elements"),
        ("MaxPool2d", (2, 0), (1, 5, 5), ArgumentError, "max_pool2d: stride: 0 given"),
        ("MaxPool2d", (2, 2, 2), (1, 5, 5), ArgumentError, "max_pool2d: padding: 2 given"),
        ("MaxPool1d", ((2, 2),), (1, 5), ArgumentError, r"max_pool1d: kernel_size: \(2, 2\) given"),
        ("MaxPool1d", (9,), (1, 5), ShapeError, "max_pool1d: x: 5 elements"),
        ("AvgPool1d", (2,), (5,), ShapeError, r"avg_pool1d: x: shape \(5,\) given"),
        ("AvgPool2d", (2, 1, -1), (1, 5, 5), ArgumentError, "avg_pool2d: padding: -1 given"),
        ("AdaptiveAvgPool2d", ((1, 2, 3),), (1, 5, 5), ArgumentError, "output_size"),
        ("AdaptiveMaxPool1d", (-1,), (1, 5), ArgumentError, "adaptive_max_pool1d: output_size"),
    ],
)
def test_wrong_calls_name_the_layers_function(
    name: str, args: Any, shape: Any, error: type[NnliteError], match: str
) -> None:
    with pytest.raises(error, match=match):
        getattr(nl.nn, name)(*args)(nl.tensor(np.ones(shape, np.float32)))
