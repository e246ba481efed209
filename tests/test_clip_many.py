"""Norm and clipping of many gradients where they lie, on the pretended GPU."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlite as nl
from nnlite.kernels.engine import array
from nnlite.kernels.update.many import CHUNK
from nnlite.testing.fake_gpu import fake_gpu

SIZES = (1, 3, 4, 0, 37, CHUNK - 1, CHUNK + 5, 64, 2 * CHUNK)


def numbers(seed: int, size: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32)


def same_bits(a: list[np.ndarray], b: list[np.ndarray]) -> None:
    for x, y in zip(a, b):
        assert x.tobytes() == y.tobytes()


def clipped(sizes: Any, shifts: Any, change: Any, device: str) -> tuple[Any, list[np.ndarray]]:
    """What ``change`` returned, and the gradients after it."""
    params = [nl.tensor(np.zeros(n, np.float32), device=device) for n in sizes]
    for i, (p, shift) in enumerate(zip(params, shifts)):
        g = np.concatenate([np.zeros(shift, np.float32), numbers(i, p.size)])
        p.grad = nl.tensor(np.zeros(1, np.float32), device=device)
        p.grad.array = array(g, device=device)[shift:]
    found = change(params)
    return found, [p.grad.numpy() for p in params]


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def check_clipping(driver: Any, data: Any) -> None:
    norm_type = data.draw(st.sampled_from([1.0, 2.0, np.inf]))
    sizes = data.draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=6))
    shifts = [data.draw(st.integers(0, 3)) for _ in sizes]

    def change(params: Any) -> float:
        norm = nl.nn.utils.clip_grad_norm_(params, 1.0, norm_type)
        nl.nn.utils.clip_grad_value_(params, 0.01)
        return norm.item()

    before = driver.inside
    norm, found = clipped(sizes, shifts, change, "cuda")
    assert driver.inside == before
    moved, again = clipped(sizes, [0] * len(sizes), change, "cuda")
    assert moved == norm  # wherever they begin
    same_bits(found, again)
    expected, others = clipped(sizes, shifts, change, "cpu")
    np.testing.assert_allclose(norm, expected, rtol=1e-5)
    for a, b in zip(found, others):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_clipping_where_gradients_lie() -> None:
    with fake_gpu() as driver:
        check_clipping(driver)


@pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools: Linux only")
@pytest.mark.parametrize("norm_type", [1.0, 2.0, np.inf])
def test_the_code_for_a_gpu_clips(norm_type: float) -> None:
    def change(params: Any) -> float:
        norm = nl.nn.utils.clip_grad_norm_(params, 1.0, norm_type)
        nl.nn.utils.clip_grad_value_(params, 0.01)
        return norm.item()

    sizes, shifts = (5, 1, CHUNK + 7, 0, 1030), (0, 1, 0, 0, 3)
    with fake_gpu(run="machine") as driver:
        norm, found = clipped(sizes, shifts, change, "cuda")
        names = {k for k, *_ in driver.launches}
    assert names >= {"partial_norm_many", "clip_scale_many", "clip_value_many"}
    expected, others = clipped(sizes, shifts, change, "cpu")
    np.testing.assert_allclose(norm, expected, rtol=1e-5)
    for a, b in zip(found, others):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_gradients_that_are_one_array_are_clipped_once_each() -> None:
    """As on a CPU: both are scaled by the same factor, and neither twice."""
    found = []
    for device in ("cuda", "cpu"):
        with fake_gpu():
            params = [nl.tensor(np.zeros(8, np.float32), device=device) for _ in range(3)]
            shared = nl.tensor(np.ones(8, np.float32), device=device)
            for p, g in zip(params, (shared, shared, nl.tensor(numbers(0, 8), device=device))):
                p.grad = g
            norm = nl.nn.utils.clip_grad_norm_(params, 1.0).item()
            found.append([np.float32(norm)] + [p.grad.numpy() for p in params])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-5)
