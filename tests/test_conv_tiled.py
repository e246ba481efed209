"""Convolution by wide tiles: right on the CPU and in PTX; what its machine code holds."""

from __future__ import annotations

import dataclasses
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlite.errors import ArgumentError
from nnlite.kernels.conv import (
    channels_last,
    conv2d,
    conv2d_backward,
    conv_reference,
    conv_transpose2d,
    conv_transpose_reference,
    gpu_kernels,
    passes,
)
from nnlite.kernels.conv.algorithm import Problem, algorithm, default, products
from nnlite.kernels.conv.geometry import geometry
from nnlite.kernels.conv.tiled import correlate_tiled
from nnlite.kernels.conv.tiled_weight import weight_grad_tiled
from nnlite.kernels.engine import array, empty
from nnlite.kernels.engine.device import GPUS, Limits
from nnlite.kernels.engine.resources import ptx, resources, unmet
from nnlite.kernels.matmul import large
from nnlite.testing.machine import Machine

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
ARCHITECTURES = ("sm_80", "sm_100")  # the compile gate has them all
EPS = 2.0**-24  # half a unit: products and sums are rounded


def numbers_of(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def near(got: Any, expected: np.ndarray, size: np.ndarray, terms: int) -> None:
    """The error of a sum of so many terms, whose sizes add up to ``size``."""
    assert (np.abs(got.numpy() - expected) <= 4 * np.sqrt(terms) * EPS * size).all()


@st.composite
def convolutions(draw: Any) -> SimpleNamespace:
    """Shapes of x and w, and options that fit together."""
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    channels = st.sampled_from([4, 8, 12, 20, 36])
    n, c, m = draw(st.integers(1, 3)), draw(channels), draw(st.sampled_from([4, 8, 16, 132]))
    kernel, stride, dilation = draw(pair), draw(pair), draw(pair)
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for d, k, p in zip(dilation, kernel, padding)]
    size = [a + draw(st.integers(0, 12)) for a in least]
    return SimpleNamespace(
        x=(n, c, *size),
        w=(m, c, *kernel),
        options={"stride": stride, "padding": padding, "dilation": dilation},
        seed=draw(st.integers(0, 2**32 - 1)),
        biased=draw(st.booleans()),
    )


@settings(max_examples=40, deadline=None)
@given(case=convolutions())
def test_agrees_with_the_reference(case):
    x, w, b = numbers_of(case.seed, case.x, case.w, case.w[:1])
    given = [x, w, b if case.biased else None]
    wide = [None if v is None else v.astype(np.float64) for v in given]
    expected = conv_reference(*wide, **case.options)
    size = conv_reference(*(None if v is None else np.abs(v) for v in wide), **case.options)
    arrays = [None if v is None else array(v) for v in given]
    got = conv2d(*arrays, style="tiled", **case.options)
    near(got, expected, size, int(np.prod(case.w[1:])) + 1)


@pytest.fixture
def always_tiled(monkeypatch):
    """Every pass that can be done by wide tiles is, on the CPU too; counts them."""
    calls = SimpleNamespace(n=0)

    def chosen(kind, x, w, y, g, groups, run, output):
        known = groups == 1 and x.dtype == np.float32
        tiled = known and channels_last.fits(x.shape, (*w[:2], *g.kernel), y.shape, g)
        calls.n += tiled
        run("tiled" if tiled else "small")

    monkeypatch.setattr(passes, "_carry_out", chosen)
    return calls


def of_float64(dy: np.ndarray, x: np.ndarray, w: np.ndarray, options: Any) -> Any:
    """The gradients of x and w by the other kernels, and the sums of the sizes of their terms."""
    wide = [array(v.astype(np.float64)) for v in (dy, x, w)]
    sizes = [array(np.abs(v).astype(np.float64)) for v in (dy, x, w)]
    found = (conv2d_backward(*v, (True, True, False), **options)[:2] for v in (wide, sizes))
    return [[v.numpy() for v in pair] for pair in found]


@settings(max_examples=25, deadline=None)
@given(case=convolutions())
def test_gradients_agree_with_the_other_kernels(case):
    x, w = numbers_of(case.seed, case.x, case.w)
    g = geometry("test", case.w[2:], *case.options.values())
    (dy,) = numbers_of(case.seed + 1, (case.x[0], case.w[0], *g.output(case.x[2:])))
    expected, size = of_float64(dy, x, w, case.options)
    dx, dw = (
        empty(x.shape, np.float32, array(x).device),
        empty(w.shape, np.float32, array(x).device),
    )
    channels_last.input_grad(array(dy), array(w), None, dx, g)
    channels_last.weight_grad(array(dy), array(x), dw, g)
    near(dx, expected[0], size[0], w[:, 0].size)
    near(dw, expected[1], size[1], dy[:, 0].size)


def test_all_passes_of_both_convolutions(always_tiled):
    """Forward and backward by the launchers; a bias; more than one tile of pixels and channels."""
    x, w, b, b2 = numbers_of(7, (2, 12, 9, 10), (132, 12, 3, 3), (132,), (12,))
    y = conv2d(*map(array, (x, w, b)), padding=1)
    wide = [v.astype(np.float64) for v in (x, w, b)]
    near(y, conv_reference(*wide, padding=1), conv_reference(*map(np.abs, wide), padding=1), 109)
    dx, dw, _ = conv2d_backward(y, array(x), array(w), padding=1)
    expected, size = of_float64(y.numpy(), x, w, {"padding": 1})
    near(dx, expected[0], size[0], 132 * 9)
    near(dw, expected[1], size[1], 180)
    back = conv_transpose2d(y, array(w), array(b2), stride=2, padding=1, output_padding=1)
    wide, options = [v.astype(np.float64) for v in (y.numpy(), w, b2)], {"stride": 2, "padding": 1}
    options["output_padding"] = 1
    size = conv_transpose_reference(*map(np.abs, wide), **options)
    near(back, conv_transpose_reference(*wide, **options), size, 132 * 9 + 1)
    assert always_tiled.n == 4
    conv2d(array(x[:, :3]), array(np.ascontiguousarray(w[:, :3])))
    assert always_tiled.n == 4


@pytest.mark.parametrize("parts", [2, 5])
def test_slices_add_up(parts, always_tiled, monkeypatch):
    """Steps split over blocks: 9 taps of 20 channels forward, 162 pixels for the weights."""
    monkeypatch.setattr(large, "slices", lambda m, n, k, sms: parts)
    x, w, b = numbers_of(parts, (2, 20, 9, 9), (8, 20, 3, 3), (8,))

    def run():
        y = conv2d(*map(array, (x, w, b)), padding=1)
        return y, *conv2d_backward(y, array(x), array(w), (True, True, False), padding=1)[:2]

    y, dx, dw = run()
    for first, second in zip((y, dx, dw), run()):
        np.testing.assert_array_equal(first.numpy(), second.numpy())
    wide = [v.astype(np.float64) for v in (x, w, b)]
    near(y, conv_reference(*wide, padding=1), conv_reference(*map(np.abs, wide), padding=1), 181)
    expected, size = of_float64(y.numpy(), x, w, {"padding": 1})
    near(dx, expected[0], size[0], 72)
    near(dw, expected[1], size[1], 162)


def test_infinities_stay_in_their_windows():
    x, w = np.ones((1, 4, 6, 7), np.float32), np.ones((8, 4, 3, 3), np.float32)
    x[0, 2, 1, 1], w[5, 0, 0, 0] = np.inf, np.nan
    y = conv2d(array(x), array(w), style="tiled").numpy()
    assert np.isnan(y[0, 5]).all()
    rest = np.delete(y[0], 5, axis=0)
    assert np.isinf(rest[:, :2, :2]).all()
    assert (rest[:, 2:] == 36).all()
    assert (rest[:, :, 2:] == 36).all()


def test_style_is_refused_where_it_cannot_run():
    x, w = np.ones((1, 6, 5, 5)), np.ones((8, 6, 3, 3))
    with pytest.raises(ArgumentError, match="style: 'tiled' given for float64, groups=1"):
        conv2d(array(x), array(w), style="tiled")
    x, w = x.astype(np.float32), w.astype(np.float32)
    with pytest.raises(ArgumentError, match="groups=2.*expected float32, one group"):
        conv2d(array(x), array(np.ones((8, 3, 3, 3), np.float32)), groups=2, style="tiled")
    with pytest.raises(ArgumentError, match="given for 6 and 8 channels.*expected multiples of 4"):
        conv2d(array(x), array(w), style="tiled")


KERNELS = {"correlate": correlate_tiled, "weight_grad": weight_grad_tiled}
OUTPUT = {"correlate": 4, "weight_grad": 3}  # which argument


@pytest.fixture
def launches(monkeypatch):
    """What both kernels are launched with, by name: two tiles of pixels and of channels, tails."""
    x, w, dy = numbers_of(3, (3, 12, 9, 17), (136, 12, 3, 2), (3, 136, 9, 8))
    g = geometry("test", (3, 2), (1, 2), (1, 0), (1, 2))
    found, real = {}, type(correlate_tiled).__getitem__

    def getitem(self, configuration):
        def launch(*arguments):
            found[self.__name__] = configuration, arguments
            real(self, configuration)(*arguments)

        return launch

    monkeypatch.setattr(type(correlate_tiled), "__getitem__", getitem)
    y, dw = (empty(v.shape, np.float32, array(x).device) for v in (dy, w))
    channels_last.forward(array(x), array(w), None, y, g)
    channels_last.weight_grad(array(dy), array(x), dw, g)
    return {name: found[kernel.__name__] for name, kernel in KERNELS.items()}


def on_host(arguments: Any) -> list[Any]:
    return [v.numpy().copy() if hasattr(v, "numpy") else v for v in arguments]


@pytest.mark.parametrize("name", KERNELS)
def test_the_checker_finds_no_race_and_nothing_out_of_bounds(name, launches):
    configuration, arguments = launches[name]
    arguments = on_host(arguments)
    filled = arguments[OUTPUT[name]].copy()
    KERNELS[name].check[configuration](*arguments).raise_if_errors()
    np.testing.assert_array_equal(arguments[OUTPUT[name]], filled)


@linux
@pytest.mark.parametrize("name", KERNELS)
def test_the_code_for_a_gpu_computes_the_same(name, launches):
    (grid, block), arguments = launches[name]
    arguments = on_host(arguments)
    filled = arguments[OUTPUT[name]].copy()
    arguments[OUTPUT[name]][:] = np.nan
    signature = next(k.signature for k in gpu_kernels() if k.kernel is KERNELS[name])
    machine = Machine(ptx(KERNELS[name], signature, "sm_80"))
    machine.launch(grid, block, *arguments)
    np.testing.assert_allclose(arguments[OUTPUT[name]], filled, rtol=0, atol=2e-5)
    reads = [ways for text, ways in machine.ways.items() if text.startswith("ld.shared")]
    assert reads
    assert max(reads) == 1


@linux
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("name", KERNELS)
def test_main_loop_is_multiply_adds(name, arch):
    declared = next(k for k in gpu_kernels() if k.kernel is KERNELS[name])
    found = resources(declared.kernel, declared.signature, arch)
    assert unmet(found, declared.expects) == []
    assert found.spills == found.stack == found.float64 == 0
    assert found.registers <= 128  # two blocks of 256 threads to a multiprocessor
    assert found.loop["FFMA"] == 8 * 8 * 16
    assert found.loop["LDS.128"] == 4 * 16


def problem(kind: str, n: int, c: int, m: int, size: int, kernel: int, stride: int = 1) -> Problem:
    g = geometry("test", (kernel, kernel), stride, kernel // 2, 1)
    x, w = (n, c, size, size), (m, c, kernel, kernel)
    fields = g.kernel, g.stride, g.before, g.after, g.dilation
    return Problem(kind, x, w, (n, m, *g.output((size, size))), fields)


@dataclasses.dataclass(frozen=True)
class Pretended:
    limits: Limits
    is_cpu: bool = False


FLOAT32 = np.dtype(np.float32)


def test_choice_by_shape():
    a100 = Pretended(GPUS["A100"])
    for kind in ("forward", "input", "weight"):
        assert default(a100, problem(kind, 32, 128, 128, 28, 3)) == "tiled"
        assert default(a100, problem(kind, 64, 256, 512, 14, 3, 2)) == "tiled"
        assert default(a100, problem(kind, 1, 4, 4, 5, 3)) == "small"
    few = [problem("forward", 32, 3, 64, 224, 7, 2), problem("forward", 32, 64, 10, 8, 1)]
    assert [algorithm(p, 1, FLOAT32, a100) for p in few] == ["small", "small"]
    large_one = problem("forward", 32, 128, 128, 28, 3)
    assert algorithm(large_one, 1, np.dtype(np.float64), a100) == "small"
    assert algorithm(large_one, 2, FLOAT32, a100) == "small"
    assert (
        algorithm(large_one, 1, FLOAT32, Pretended(GPUS["T4"])) == "small"
    )  # no asynchronous copies
    assert algorithm(large_one, 1, FLOAT32, array(np.zeros(1)).device) == "small"


def test_what_does_not_fit():
    def fits(x, w, y, padding=0):
        return channels_last.fits(x, w, y, geometry("test", w[2:], 1, padding, 1))

    assert fits((1, 4, 1, 160000), (8, 4, 1, 3), (1, 8, 1, 159998))
    assert not fits((1, 4, 160000, 1), (8, 4, 3, 1), (1, 8, 159998, 1))
    assert not fits((1, 4, 1024, 2048), (8, 4, 1, 1), (1, 8, 1024, 2048))
    assert not fits((1, 4, 9, 9), (8, 4, 3, 3), (1, 8, 65545, 65545), 1 << 15)
    assert not fits((2**11, 64, 128, 128), (4, 64, 1, 1), (2**11, 4, 128, 128))  # 2**31 numbers


def test_products_of_the_phases_are_those_of_the_gradient():
    """Each weight meets each pixel of dy once, whatever the stride."""
    p = problem("input", 3, 8, 12, 20, 4, 2)
    assert len(products(p)) == 4
    assert sum(m * n * k for m, n, k in products(p)) == 3 * 20 * 20 * 8 * 12 * 4
