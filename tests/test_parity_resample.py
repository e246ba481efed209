"""Up-sampling against PyTorch: 60 drawn configurations of each mode.

Bounds: the nearest item is exact. PyTorch computes the place of an item in float32, where n items
lie up to n eps away from where they should, and interpolates between two of them on each axis;
gradients add up to (factor + 1)^2 items: 4 (n + factor + 1) eps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError, NnliteError, ShapeError
from nnlite.nn import functional as F
from nnlite.testing.parity import check_parity

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

EPS = float(np.finfo(np.float32).eps)
CASES = 60
MOST = 20


def drawn(rng: np.random.Generator, axes: int, dtype: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Images or sequences, and the size of the result in one of its forms."""
    given = tuple(map(int, rng.integers(1, MOST, axes)))
    x = rng.normal(size=(*map(int, rng.integers(1, 4, 2)), *given)).astype(dtype)
    kind = int(rng.integers(4))
    if kind == 0:
        return x, {"size": int(rng.integers(1, 3 * MOST))}
    if kind == 1:
        return x, {"size": tuple(map(int, rng.integers(1, 3 * MOST, axes)))}
    if kind == 2:
        return x, {"scale_factor": float(rng.choice([2, 3, 1, 4]))}
    factors = tuple(float(max(f, 1 / n)) for f, n in zip(rng.uniform(0.3, 3.2, axes), given))
    factors = tuple(f if int(n * f) else 1.0 for f, n in zip(factors, given))
    return x, {"scale_factor": factors, "recompute_scale_factor": bool(rng.integers(2))}


@pytest.mark.parametrize("case", range(CASES))
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest(mode: str, case: int) -> None:
    rng = np.random.default_rng([case, len(mode)])
    dtype = np.float32 if case % 4 else np.float64
    x, options = drawn(rng, 1 + case % 2, dtype)
    ours, theirs = (module.Upsample(mode=mode, **options) for module in (nl.nn, torch.nn))
    check_parity(ours, theirs, x, bound=4 * 8 * EPS)


@pytest.mark.parametrize("case", range(CASES))
@pytest.mark.parametrize("mode", ["linear", "bilinear"])
def test_linear(mode: str, case: int) -> None:
    rng = np.random.default_rng([case, len(mode)])
    dtype = np.float32 if case % 4 else np.float64
    x, options = drawn(rng, 2 if mode == "bilinear" else 1, dtype)
    options |= {"mode": mode, "align_corners": (True, False, None)[case % 3]}
    ours, theirs = (module.Upsample(**options) for module in (nl.nn, torch.nn))
    bound = 4 * (MOST + 3 * MOST + 1) * float(np.finfo(dtype).eps)
    check_parity(ours, theirs, x, bound=bound)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_every_nearest_item_is_pytorchs(mode: str) -> None:
    """Places fall on or near whole numbers for many sizes, where one rounding decides.

    Images only: for sequences PyTorch rounds nearest-exact otherwise than for images.
    """
    for n in range(1, 40):
        x = np.arange(n, dtype=np.float32)[None, None, None]
        for m in range(1, 80):
            found = F.interpolate(nl.tensor(x), (1, m), mode=mode).numpy()
            peer = torch.nn.functional.interpolate(torch.from_numpy(x), (1, m), mode=mode)
            assert np.array_equal(found, peer.numpy()), (n, m)


def test_the_named_layers() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    for name in ("UpsamplingNearest2d", "UpsamplingBilinear2d"):
        ours, theirs = (getattr(m, name)(scale_factor=2) for m in (nl.nn, torch.nn))
        check_parity(ours, theirs, x, bound=4 * 12 * EPS)
    assert repr(nl.nn.Upsample(3)) == "Upsample(size=3, mode='nearest')"


def test_nan_and_infinity() -> None:
    x = np.random.default_rng(1).normal(size=(1, 1, 6, 6)).astype(np.float32)
    x[0, 0, 1, 1], x[0, 0, 4, 4] = np.nan, np.inf
    for options in ({"mode": "nearest"}, {"mode": "bilinear", "align_corners": False}):
        ours, theirs = (m.Upsample(scale_factor=2, **options) for m in (nl.nn, torch.nn))
        check_parity(ours, theirs, x, bound=4 * 12 * EPS)


def test_runs_repeat_bit_for_bit() -> None:
    rng = np.random.default_rng(2)
    x, dy = (rng.normal(size=(3, 4, 9 * k, 9 * k)).astype(np.float32) for k in (1, 3))
    found = []
    for _ in range(3):
        t = nl.tensor(x, requires_grad=True)
        F.interpolate(t, 27, mode="bilinear").backward(nl.tensor(dy))
        assert t.grad is not None
        found.append(t.grad.numpy())
    assert all(np.array_equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize(
    ("shape", "options", "error", "match"),
    [
        ((4, 5), {"size": 3}, ShapeError, r"interpolate: x: shape \(4, 5\) given"),
        ((1, 1, 0, 5), {"size": 3}, ShapeError, "x: shape .* not empty"),
        ((1, 1, 4, 5), {}, ArgumentError, "interpolate: size, scale_factor: expected one"),
        ((1, 1, 4, 5), {"size": 3, "scale_factor": 2}, ArgumentError, "expected one of them"),
        ((1, 1, 4, 5), {"size": (3,)}, ArgumentError, r"interpolate: size: \(3,\) given"),
        ((1, 1, 4, 5), {"size": 0}, ArgumentError, "size: .* given, expected an integer >= 1"),
        ((1, 1, 4, 5), {"scale_factor": 0.1}, ArgumentError, "size: "),
        ((1, 1, 4, 5), {"scale_factor": "2"}, ArgumentError, "interpolate: scale_factor: '2'"),
        ((1, 1, 4, 5), {"size": 3, "mode": "linear"}, ArgumentError, "mode: 'linear' given"),
        ((1, 1, 4), {"size": 3, "mode": "bilinear"}, ArgumentError, "mode: 'bilinear' given"),
        ((1, 1, 4), {"size": 3, "align_corners": True}, ArgumentError, "align_corners: True"),
    ],
)
def test_wrong_calls(
    shape: Any, options: dict[str, Any], error: type[NnliteError], match: str
) -> None:
    with pytest.raises(error, match=match):
        nl.nn.Upsample(**options)(nl.tensor(np.ones(shape, np.float32)))
