"""Convolution on tensor cores: the sums of rounded factors, on the CPU and in PTX."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlite as nl
from nnlite.kernels.conv import channels_last, conv2d, conv2d_backward, conv_reference
from nnlite.kernels.conv.geometry import geometry
from nnlite.kernels.conv.tensor import FACTORS, make_correlate, make_weight_grad
from nnlite.kernels.engine import array, default_device, empty
from nnlite.kernels.engine.resources import ptx
from nnlite.kernels.engine.tuning import override
from nnlite.kernels.matmul import large
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.machine import Machine
from nnlite.testing.machine.tensor_cores import rounded

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
EPS = 2.0**-24  # half a unit of float32: sums are rounded, products of rounded factors are exact
BITS = {"tf32": 11, "bf16": 8}  # of a factor, the one before the point included


def numbers_of(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def nearest(kind: str, *arrays: np.ndarray) -> list[np.ndarray]:
    """Factors as tensor cores see them, in float64."""
    return [rounded(a, BITS[kind], kind == "tf32").astype(np.float64) for a in arrays]


def near(got: Any, expected: np.ndarray, size: np.ndarray, terms: int) -> None:
    """The error of a sum of so many terms, whose sizes add up to ``size``."""
    assert (np.abs(got.numpy() - expected) <= 4 * np.sqrt(terms) * EPS * size).all()


@st.composite
def convolutions(draw: Any) -> SimpleNamespace:
    """Shapes of x and w, and options that fit together: tails of tiles, taps beyond the edges."""
    pair = st.tuples(st.integers(1, 3), st.integers(1, 2))
    n, c = draw(st.integers(1, 2)), draw(st.sampled_from([4, 8, 20]))
    m, kernel, stride = draw(st.sampled_from([4, 12, 132])), draw(pair), draw(pair)
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    least = [max(1, k - 2 * p) for k, p in zip(kernel, padding)]
    size = [a + draw(st.integers(0, 9)) for a in least]
    return SimpleNamespace(
        x=(n, c, *size), w=(m, c, *kernel), options={"stride": stride, "padding": padding},
        seed=draw(st.integers(0, 2**32 - 1)),
    )  # fmt: skip


@pytest.mark.parametrize("kind", FACTORS)
@settings(max_examples=5, deadline=None)
@given(case=convolutions())
def test_sums_are_those_of_rounded_factors(kind, case):
    """And by the bound of ``tensor`` near those of the factors themselves."""
    x, w, b = numbers_of(case.seed, case.x, case.w, case.w[:1])
    terms = int(np.prod(case.w[1:])) + 1
    got = conv2d(*map(array, (x, w, b)), style=kind, **case.options)
    x0, w0 = nearest(kind, x, w)
    sizes = [np.abs(v).astype(np.float64) for v in (x0, w0, b)]
    size = conv_reference(*sizes, **case.options)
    near(got, conv_reference(x0, w0, b.astype(np.float64), **case.options), size, terms)
    wide = [v.astype(np.float64) for v in (x, w, b)]
    products = conv_reference(np.abs(wide[0]), np.abs(wide[1]), **case.options)
    u = 2.0 ** -BITS[kind]
    allowed = (2 + u) * u * products + 4 * np.sqrt(terms) * EPS * size
    assert (np.abs(got.numpy() - conv_reference(*wide, **case.options)) <= allowed).all()


@pytest.mark.parametrize("kind", FACTORS)
@settings(max_examples=3, deadline=None)
@given(case=convolutions())
def test_gradients_are_those_of_rounded_factors(kind, case):
    x, w = numbers_of(case.seed, case.x, case.w)
    g = geometry("test", case.w[2:], *case.options.values(), 1)
    (dy,) = numbers_of(case.seed + 1, (case.x[0], case.w[0], *g.output(case.x[2:])))
    factors, needs = nearest(kind, dy, x, w), (True, True, False)
    expected = conv2d_backward(*map(array, factors), needs, **case.options)
    size = conv2d_backward(*(array(np.abs(v)) for v in factors), needs, **case.options)
    dx, dw = (empty(v.shape, np.float32, array(v).device) for v in (x, w))
    channels_last.input_grad(array(dy), array(w), None, dx, g, kind)
    channels_last.weight_grad(array(dy), array(x), dw, g, kind)
    near(dx, expected[0].numpy(), size[0].numpy(), w[:, 0].size)
    near(dw, expected[1].numpy(), size[1].numpy(), dy[:, 0].size)


@pytest.mark.parametrize("kind", FACTORS)
def test_slices_add_up_the_same_each_time(kind, monkeypatch):
    """Steps split over blocks: 9 taps of 20 channels forward, 162 pixels for the weights."""
    monkeypatch.setattr(large, "slices", lambda m, n, k, sms: 3)
    x, w, dy = numbers_of(5, (2, 20, 9, 9), (8, 20, 3, 3), (2, 8, 9, 9))
    g, found = geometry("test", (3, 3), 1, 1, 1), []
    for _ in range(2):
        y, dw = (empty(v.shape, np.float32, array(v).device) for v in (dy, w))
        channels_last.forward(array(x), array(w), None, y, g, kind)
        channels_last.weight_grad(array(dy), array(x), dw, g, kind)
        found.append((y.numpy(), dw.numpy()))
    for first, second in zip(*found):
        np.testing.assert_array_equal(first, second)
    x0, w0, dy0 = nearest(kind, x, w, dy)
    size = conv_reference(np.abs(x0), np.abs(w0), padding=1)
    near(y, conv_reference(x0, w0, padding=1), size, 180)
    sums, size = (conv2d_backward(*v, (False, True, False), padding=1)[1].numpy() for v in (
        [array(a) for a in (dy0, x0, w0)], [array(np.abs(a)) for a in (dy0, x0, w0)]
    ))  # fmt: skip
    near(dw, sums, size, 162)


MADE = {f"{m.__name__} {k}": (m(k), k) for m in (make_correlate, make_weight_grad) for k in FACTORS}
DECLARED = {k.kernel: k for k in channels_last.gpu_kernels()}


@pytest.fixture
def launches(monkeypatch):
    """What the kernels are launched with: two tiles of pixels and channels, with tails."""
    x, w, dy = numbers_of(3, (3, 12, 9, 17), (136, 12, 3, 2), (3, 136, 9, 8))
    g, found = geometry("test", (3, 2), (1, 2), (1, 0), (1, 2)), {}
    real = type(make_correlate("tf32")).__getitem__

    def getitem(self, configuration):
        def launch(*arguments):
            real(self, configuration)(*arguments)
            kept = [v.numpy().copy() if hasattr(v, "numpy") else v for v in arguments]
            found[self] = configuration, kept

        return launch

    monkeypatch.setattr(type(make_correlate("tf32")), "__getitem__", getitem)
    for kind in FACTORS:
        y, dw = (empty(v.shape, np.float32, array(x).device) for v in (dy, w))
        channels_last.forward(array(x), array(w), None, y, g, kind)
        channels_last.weight_grad(array(dy), array(x), dw, g, kind)
    return found


@linux
@pytest.mark.parametrize("name", MADE)
def test_the_code_for_a_gpu_computes_the_same(name, launches):
    """And no two lanes meet a bank of shared memory at once, nor does the checker find a race.

    The same products are added in two orders: terms have sizes around 1, and less at the mean.
    """
    kernel, kind = MADE[name]
    (grid, block), arguments = launches[kernel]
    output, terms = (4, 72) if "correlate" in name else (3, 216)
    filled = arguments[output].copy()
    if kind == "bf16" and "correlate" in name:
        kernel.check[grid, block](*arguments).raise_if_errors()
        np.testing.assert_array_equal(arguments[output], filled)
    arguments[output][:] = np.nan
    machine = Machine(ptx(kernel, DECLARED[kernel].signature, "sm_80"))
    machine.launch(grid, block, *arguments)
    allowed = 4 * np.sqrt(terms) * EPS * terms
    np.testing.assert_allclose(arguments[output], filled, rtol=0, atol=allowed)
    reads = [n for text, n in machine.ways.items() if text.startswith(("ld.shared", "ldmatrix"))]
    assert reads
    assert max(reads) == 1


@linux
def test_a_gpu_takes_what_is_chosen():
    """The whole way of a launch, on a GPU that is none."""
    x, w, b = numbers_of(9, (2, 8, 6, 7), (12, 8, 3, 3), (12,))
    nl.set_float32_matmul_precision("high")
    try:
        with fake_gpu() as driver, override("convolution", "tf32"):
            given = [array(v, device=default_device()) for v in (x, w, b)]
            y = conv2d(*given, padding=1)
            conv2d_backward(y, *given[:2], (True, True, False), padding=1)
            found = y.numpy()
    finally:
        nl.set_float32_matmul_precision("highest")
    np.testing.assert_array_equal(found, conv2d(*map(array, (x, w, b)), padding=1, style="tf32"))
    names = [name for name, *_ in driver.launches]
    assert names.count("correlate_tensor") == 2
    assert names.count("weight_grad_tensor") == 1
