"""Winograd's convolution: its bound always holds, that of plain sums for ordinary numbers."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlite as nl
from nnlite.errors import ArgumentError
from nnlite.kernels.conv import conv2d, conv2d_backward, conv_reference, winograd
from nnlite.kernels.conv.geometry import geometry
from nnlite.kernels.engine import Array, array, default_device, empty
from nnlite.kernels.engine.resources import ptx
from nnlite.kernels.engine.tuning import override
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.machine import Machine

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
U = 2.0**-24
IMAGE = np.abs([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
WEIGHT = np.abs([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
RESULT = np.abs([[1, 1, 1, 0], [0, 1, -1, -1]])


def sizes_of(x: np.ndarray, w: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    """S of ``winograd``: what the error of each output is measured by."""
    x, w = np.abs(x).astype(np.float64), np.abs(w).astype(np.float64)
    high, wide = (size + 2 * p - 2 for size, p in zip(x.shape[2:], padding))
    x = np.pad(x, ((0, 0), (0, 0), *((p, p + 1) for p in padding)))
    weights = np.einsum("ia,mcab,jb->mcij", WEIGHT, w, WEIGHT)
    found = np.zeros((x.shape[0], w.shape[0], high + 1, wide + 1))
    for i in range(0, high, 2):
        for j in range(0, wide, 2):
            tile = np.zeros((*x.shape[:2], 4, 4))
            part = x[:, :, i : i + 4, j : j + 4]
            tile[:, :, : part.shape[2], : part.shape[3]] = part
            places = np.einsum("ia,ncab,jb->ncij", IMAGE, tile, IMAGE)
            sums = np.einsum("ncij,mcij->nmij", places, weights)
            found[:, :, i : i + 2, j : j + 2] = np.einsum("ai,nmij,bj->nmab", RESULT, sums, RESULT)
    return found[:, :, :high, :wide]


def forward(x: np.ndarray, w: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    return conv2d(array(x), array(w), padding=padding, style="winograd").numpy()


def input_grad(dy: np.ndarray, w: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    size = [s + 2 - 2 * p for s, p in zip(dy.shape[2:], padding)]
    dx = empty((dy.shape[0], w.shape[1], *size), np.float32, array(dy).device)
    winograd.input_grad(array(dy), array(w), None, dx, geometry("test", (3, 3), 1, padding, 1))
    return dx.numpy()


def turned(w: np.ndarray) -> np.ndarray:
    """The weights of the gradient of the input, a convolution of dy padded by 2 - padding."""
    return np.ascontiguousarray(w.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])


cases = st.fixed_dictionaries(
    {
        "n": st.integers(1, 2),
        "c": st.sampled_from([16, 32, 48]),
        "m": st.sampled_from([16, 32, 144]),
        "size": st.tuples(st.integers(3, 9), st.integers(3, 9)),
        "padding": st.tuples(st.integers(0, 2), st.integers(0, 2)),
        "seed": st.integers(0, 2**32 - 1),
    }
)


@settings(max_examples=15, deadline=None)
@given(case=cases, spread=st.sampled_from([0.0, 1.0, 4.0]))
def test_the_error_keeps_its_bound_whatever_the_numbers(case, spread):
    """Sizes of numbers differ by up to 10 ** (2 spread), and a third of the pixels are zeros."""
    rng = np.random.default_rng(case["seed"])

    def numbers(*shape: int) -> np.ndarray:
        made = rng.standard_normal(shape) * 10 ** rng.uniform(-spread, spread, shape)
        return (made * (rng.random(shape) > 0.3)).astype(np.float32)

    padding, c = case["padding"], case["c"]
    x = numbers(case["n"], c, *case["size"])
    w = numbers(case["m"], c, 3, 3)
    error = np.abs(forward(x, w, padding) - conv_reference(*wide(x, w), padding=padding))
    assert (error <= (c + 10) * U * sizes_of(x, w, padding)).all()
    back, rest = turned(w), tuple(2 - p for p in padding)
    dy = numbers(case["n"], case["m"], *(s + 2 for s in case["size"]))
    error = np.abs(input_grad(dy, w, padding) - conv_reference(*wide(dy, back), padding=rest))
    assert (error <= (case["m"] + 10) * U * sizes_of(dy, back, rest)).all()


def wide(*arrays: np.ndarray) -> list[np.ndarray]:
    return [a.astype(np.float64) for a in arrays]


@pytest.mark.parametrize("kind", ["standard_normal", "uniform"])
@pytest.mark.parametrize("c", [16, 64, 256])
def test_ordinary_numbers_keep_the_bound_of_the_sums(kind, c):
    """A sixth of 4 sqrt(n) u times the sizes of the terms; 0.06 was the most found."""
    rng = np.random.default_rng(c)
    x, w = rng.standard_normal((2, c, 9, 10)), rng.standard_normal((32, c, 3, 3))
    if kind == "uniform":
        x, w = rng.uniform(-4, 4, x.shape), rng.uniform(-4, 4, w.shape)
    x, w = x.astype(np.float32), w.astype(np.float32)
    b = rng.standard_normal(32).astype(np.float32)
    got = conv2d(*map(array, (x, w, b)), padding=1, style="winograd").numpy()
    error = np.abs(got - conv_reference(*wide(x, w, b), padding=1))
    size = conv_reference(*map(np.abs, wide(x, w, b)), padding=1)
    assert (error <= 4 * np.sqrt(9 * c + 1) * U * size / 6).all()


def test_not_all_numbers_keep_it():
    """Why it is not the default: large pixels that only small weights meet."""
    rng = np.random.default_rng(1)
    x, w = np.zeros((1, 16, 3, 4), np.float32), rng.standard_normal((16, 16, 3, 3))
    x[:, :, :, 1] = rng.standard_normal((16, 3))
    w[:, :, :, 1] *= 1e-5
    w = w.astype(np.float32)
    expected, size = conv_reference(*wide(x, w)), conv_reference(*map(np.abs, wide(x, w)))
    allowed = 4 * np.sqrt(144) * U * size
    tiled = conv2d(array(x), array(w), style="tiled").numpy()
    assert (np.abs(tiled - expected) <= allowed).all()
    error = np.abs(forward(x, w, (0, 0)) - expected)
    assert (error > allowed).any()
    assert (error <= 26 * U * sizes_of(x, w, (0, 0))).all()


def test_infinities_spoil_their_windows_only():
    x, w = np.ones((1, 16, 6, 6), np.float32), np.ones((16, 16, 3, 3), np.float32)
    x[0, 3, 2, 3] = np.inf
    y = forward(x, w, (0, 0))[0]
    window = np.zeros((4, 4), bool)
    window[:3, 1:] = True
    assert not np.isfinite(y[:, window]).any()
    assert np.isnan(y[:, window]).any()
    assert (y[:, ~window] == 144).all()


def test_style_is_refused_where_it_cannot_run():
    x, w = np.ones((1, 24, 5, 5), np.float32), np.ones((16, 24, 3, 3), np.float32)
    with pytest.raises(ArgumentError, match="'winograd' given for 24 and 16 .* multiples of 16"):
        forward(x, w, (0, 0))
    with pytest.raises(ArgumentError, match=r"stride \(2, 2\).*expected .* steps of 1"):
        conv2d(array(x[:, :16]), array(w[:, :16]), stride=2, style="winograd")


def test_images_beyond_a_grid_are_left_to_the_others():
    for size, expected in ((1448, True), (1449, False)):
        shape = 1, 16, size, size
        assert winograd.fits(shape, (16, 16, 3, 3), shape, geometry("test", (3, 3), 1, 1, 1)) is (
            expected
        )


@pytest.fixture
def launches(monkeypatch):
    """(grid, block) and arguments of each kernel of a convolution with tiles at every edge."""
    rng = np.random.default_rng(2)
    x, w, b = (
        rng.standard_normal(s).astype(np.float32) for s in ((1, 16, 5, 4), (32, 16, 3, 3), (32,))
    )
    found: dict[str, Any] = {}
    real = type(winograd.winograd_image).__getitem__

    def getitem(self, configuration):
        def launch(*arguments):
            real(self, configuration)(*arguments)
            kept = [a.numpy().copy() if isinstance(a, Array) else a for a in arguments]
            found[self.__name__] = configuration, kept

        return launch

    monkeypatch.setattr(type(winograd.winograd_image), "__getitem__", getitem)
    y = empty((1, 32, 5, 4), np.float32, array(x).device)
    winograd.forward(array(x), array(w), array(b), y, geometry("test", (3, 3), 1, 1, 1))
    return found


OUTPUT = {"winograd_image": 1, "winograd_weights": 2, "winograd_result": 2}  # which argument
DECLARED = {k.kernel.__name__: k for k in winograd.gpu_kernels()}


@pytest.mark.parametrize("name", OUTPUT)
def test_the_checker_finds_nothing(name, launches):
    configuration, arguments = launches[name]
    filled = arguments[OUTPUT[name]].copy()
    DECLARED[name].kernel.check[configuration](*arguments).raise_if_errors()
    np.testing.assert_array_equal(arguments[OUTPUT[name]], filled)


@linux
@pytest.mark.parametrize("name", OUTPUT)
def test_the_code_for_a_gpu_computes_the_same(name, launches):
    (grid, block), arguments = launches[name]
    filled = arguments[OUTPUT[name]].copy()
    arguments[OUTPUT[name]][:] = np.nan
    machine = Machine(ptx(DECLARED[name].kernel, DECLARED[name].signature, "sm_80"))
    machine.launch((grid,), block, *arguments)
    # A GPU may contract a product and a sum, which the CPU has in two steps.
    np.testing.assert_allclose(arguments[OUTPUT[name]], filled, rtol=1e-6, atol=1e-6)


@linux
@pytest.mark.parametrize("name", ["tiled", "winograd"])
def test_a_gpu_takes_what_is_chosen(name):
    """The whole way of a launch, on a GPU that is none."""
    rng = np.random.default_rng(3)
    x, w, b = (
        rng.standard_normal(s).astype(np.float32) for s in ((2, 16, 6, 7), (32, 16, 3, 3), (32,))
    )
    expected = conv_reference(*wide(x, w, b), padding=1)
    size = conv_reference(*map(np.abs, wide(x, w, b)), padding=1)
    needs = (True, name == "tiled", False)
    nl.set_float32_matmul_precision("high")
    try:
        with fake_gpu() as driver, override("convolution", name):
            given = [array(v, device=default_device()) for v in (x, w, b)]
            y = conv2d(*given, padding=1)
            found = [v and v.numpy() for v in conv2d_backward(y, *given[:2], needs, padding=1)]
            y = y.numpy()
    finally:
        nl.set_float32_matmul_precision("highest")
    assert (np.abs(y - expected) <= 4 * np.sqrt(145) * U * size).all()
    for ours, theirs in zip(found, conv2d_backward(*map(array, (y, x, w)), needs, padding=1)):
        if theirs is not None:
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-5 * ours.max())
    names = [found[0] for found in driver.launches]
    assert sum("correlate_tiled" in n for n in names) == 2
    assert sum("weight_grad_tiled" in n for n in names) == (name == "tiled")
    assert sum("winograd_image" in n for n in names) == 2 * (name == "winograd")
