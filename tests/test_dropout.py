"""Dropout: the generator against its published vectors, the masks, the layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numba import cuda

import nnlite as nl
from nnlite.errors import ArgumentError, ShapeError
from nnlite.kernels.dropout import dropout, philox, philox_reference
from nnlite.nn import functional as F

# Counter, key and words of philox4x32-10, from the file kat_vectors of the authors' Random123.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@nl.kernel
def philox_kernel(counters, k0, k1, out):  # counters, out: (n, 4), uint32
    i = cuda.grid(1)
    if i < out.shape[0]:
        a, b, c, d = philox(counters[i, 0], counters[i, 1], counters[i, 2], counters[i, 3], k0, k1)
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = a, b, c, d


def on_device(counters: np.ndarray, key: list[int], device: Any) -> np.ndarray:
    given = nl.array(counters.astype(np.uint32), device=device)
    out = nl.array(np.zeros(counters.shape, np.uint32), device=device)
    philox_kernel[-(-len(counters) // 32), 32](given, *map(np.uint32, key), out)
    return out.numpy()


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_gives_the_published_words(
    counter: str, key: str, expected: str, device: Any
) -> None:
    given = np.array([words(counter)])
    k0, k1 = words(key)
    assert philox_reference(given, (k0, k1)).tolist() == [words(expected)]
    assert on_device(given, [k0, k1], device).tolist() == [words(expected)]


def test_philox_on_the_device_is_that_of_the_reference(device: Any) -> None:
    rng = np.random.default_rng(0)
    counters = rng.integers(0, 2**32, (1000, 4), dtype=np.uint64)
    k0, k1 = map(int, rng.integers(0, 2**32, 2))
    expected = philox_reference(counters, (k0, k1))
    assert np.array_equal(on_device(counters, [k0, k1], device), expected)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_rate_of_kept_items(p: float, device: Any) -> None:
    """The number kept is binomial: five of its standard deviations fail once in a million runs.

    The seeds are fixed, so the test gives the same answer in every run.
    """
    n = 100_000
    ones = nl.array(np.ones(n, np.float32), device=device)
    for seed in range(5):
        found = dropout(ones, p, seed).numpy()
        kept = found != 0
        assert abs(kept.sum() - n * (1 - p)) <= 5 * math.sqrt(n * p * (1 - p))
        assert np.all(found[kept] == np.float32(1 / (1 - p)))
        # So is the number of items kept together with the item `lag` later, in expectation.
        for lag in (1, 2, n // 4, n // 2):
            both = (kept[lag:] & kept[:-lag]).sum()
            expected, count = (1 - p) ** 2, n - lag
            assert abs(both - count * expected) <= 8 * math.sqrt(count * expected)


def test_seeds_and_sizes_give_their_own_masks(device: Any) -> None:
    ones = nl.array(np.ones(4096, np.float32), device=device)
    masks = [dropout(ones, 0.5, seed).numpy() for seed in (0, 1, 2**32, 2**63)]
    for i, a in enumerate(masks):
        assert np.array_equal(a, dropout(ones, 0.5, (0, 1, 2**32, 2**63)[i]).numpy())
        for b in masks[:i]:
            assert 0.4 < (a == b).mean() < 0.6  # 2048 expected, 5 deviations are 160


def test_a_dropped_item_is_zero_whatever_it_was() -> None:
    x = np.full(1000, np.nan, np.float32)
    found = dropout(nl.array(x), 0.5, 3).numpy()
    kept = dropout(nl.array(np.ones_like(x)), 0.5, 3).numpy() != 0
    assert np.array_equal(np.isnan(found), kept)
    assert np.all(found[~kept] == 0)


def test_the_layer_follows_the_seed_and_the_mode() -> None:
    layer = nl.nn.Dropout(0.3)
    x = nl.tensor(np.ones((20, 30), np.float32), requires_grad=True)
    nl.manual_seed(7)
    first, second = layer(x), layer(x)
    nl.manual_seed(7)
    again = layer(x)
    assert np.array_equal(first.numpy(), again.numpy())
    assert not np.array_equal(first.numpy(), second.numpy())
    first.backward(nl.tensor(np.full((20, 30), 2, np.float32)))
    assert np.array_equal(x.grad.numpy(), 2 * first.numpy())
    assert layer.eval()(x) is x
    assert nl.nn.Dropout(0.0)(x) is x
    assert np.array_equal(nl.nn.Dropout(1.0)(x).numpy(), np.zeros((20, 30)))
    assert repr(layer) == "Dropout(p=0.3)"


@pytest.mark.parametrize(("layer", "shape"), [
    (nl.nn.Dropout1d, (40, 50, 6)), (nl.nn.Dropout1d, (500, 6)),
    (nl.nn.Dropout2d, (40, 50, 3, 2)), (nl.nn.Dropout2d, (500, 3, 2)),
])  # fmt: skip
def test_whole_channels(layer: Any, shape: tuple[int, ...]) -> None:
    nl.manual_seed(1)
    x = nl.tensor(np.random.default_rng(0).uniform(1, 2, shape), requires_grad=True)
    y = layer(0.25)(x)
    axes = int(layer.__name__[-2])
    ratio = (y.numpy() / x.numpy()).reshape(*shape[:-axes], -1)
    kept = ratio[..., 0] != 0
    n = kept.size
    assert np.array_equal(ratio != 0, np.broadcast_to(kept[..., None], ratio.shape))
    assert np.allclose(ratio[kept], 1 / 0.75, rtol=1e-12, atol=0)
    assert abs(kept.sum() - 0.75 * n) <= 5 * math.sqrt(n * 0.75 * 0.25)
    y.backward(nl.tensor(np.ones(shape)))
    assert np.allclose(x.grad.numpy(), ratio.reshape(shape), rtol=1e-12, atol=0)
    assert layer(0.25).eval()(x) is x


def test_wrong_calls() -> None:
    with pytest.raises(ArgumentError, match="Dropout: p: 2 given"):
        nl.nn.Dropout(2)
    x = nl.tensor(np.ones((2, 3), np.float32))
    with pytest.raises(ArgumentError, match="dropout: p: -1 given"):
        F.dropout(x, -1)
    with pytest.raises(ShapeError, match=r"dropout2d: x: shape \(2, 3\) given"):
        F.dropout2d(x)
    with pytest.raises(ArgumentError, match="dropout1d: training: None given"):
        F.dropout1d(x, 0.5, None)  # type: ignore[arg-type]
