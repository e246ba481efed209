"""Operands that repeat, by 128-bit access on a GPU: the bits of the scalar kernels, on a CPU."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlite.kernels.prelu as prelu_kernels
from nnlite.kernels import activations, gpu_kernels
from nnlite.kernels.elementwise import arithmetic, convert, wide_broadcast
from nnlite.kernels.elementwise.wide_broadcast import BLOCK, _repeats, launch_broadcast
from nnlite.kernels.engine import array, empty
from nnlite.testing.compare import assert_same_bits
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.pretend import run

GLU = importlib.import_module("nnlite.kernels.activations.glu")  # the name is that of a function
linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
MAPS = {"add": arithmetic.ADD, "div": arithmetic.DIV}
sizes = st.one_of(st.integers(1, 9), st.integers(31, 37))


def begin_at(patch, head: int, alike: bool) -> None:
    """Let arrays begin ``head`` items before a multiple of 16 bytes; ``alike`` or each its own."""
    patch.setattr(wide_broadcast, "shared_head", lambda *a: head if alike or len(a) == 1 else None)


@st.composite
def pairs(draw):
    """Shapes of two operands: rows, columns, channels, numbers, products of two lines."""
    m, n, c = draw(sizes), draw(sizes), draw(st.integers(1, 5))
    forms = [
        ((m, n), (n,)),
        ((m, n), (1, n)),
        ((m, n), (m, 1)),
        ((m, n), ()),
        ((m, n), (m, n)),
        ((2, c, n), (c, 1)),
        ((2, c, m, 3), (c, 1, 1)),
        ((m, c, n), (m, 1, 1)),
        ((m, 1), (n,)),
    ]
    return draw(st.permutations(draw(st.sampled_from(forms))))


def numbers(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    shapes=pairs(), name=st.sampled_from(list(MAPS)), head=st.integers(0, 3), alike=st.booleans()
)
def test_arithmetic_gives_the_bits_of_the_scalar_kernel(shapes, name, head, alike):
    x, y = (array(numbers(i, shape)) for i, shape in enumerate(shapes))
    expected = getattr(arithmetic, name)(x, y)
    out = empty(expected.shape)
    with pytest.MonkeyPatch.context() as patch:
        begin_at(patch, head, alike)
        assert launch_broadcast(MAPS[name].broadcast, out, (x, y))
    assert_same_bits(out.numpy(), expected.numpy())


@settings(max_examples=20, deadline=None)
@given(m=sizes, n=sizes, head=st.integers(0, 3), axis=st.integers(0, 2))
def test_views_that_repeat(m, n, head, axis):
    """As in the gradients of sums and means: copied, or scaled by a number."""
    base = numbers(m, ((1, n), (m, 1), (m, n, 1))[axis])
    shape = (m, n, 3) if axis == 2 else (m, n)
    view = array(base).broadcast_to(shape)
    for found, scalars in ((convert.COPY, ()), (arithmetic.SCALE, (np.float32(0.3),))):
        out = empty(shape)
        with pytest.MonkeyPatch.context() as patch:
            begin_at(patch, head, True)
            assert launch_broadcast(found.broadcast, out, (view,), *scalars)
        expected = np.broadcast_to(base, shape) * (scalars[0] if scalars else np.float32(1))
        assert_same_bits(out.numpy(), expected)


def test_how_operands_repeat():
    def found(x, shape):
        return _repeats(x.shape, x.strides, 4, shape)

    x = np.zeros((6, 5, 4), np.float32)
    assert found(x, x.shape) == (120, 1)
    assert found(x[0], x.shape) == (20, 1)
    assert found(x[0, 0], x.shape) == (4, 1)
    assert found(x[:, :1, :1].copy(), x.shape) == (6, 20)
    assert found(x[0, :, :1].copy(), x.shape) == (5, 4)
    assert found(x[:, :, :1].copy(), x.shape) == (30, 4)
    assert found(np.zeros((), np.float32), x.shape) == (1, 120)
    assert found(np.broadcast_to(x[0, 0], (5, 4)), x.shape) == (4, 1)
    assert found(x[:, :1], (6, 7, 4)) is None  # two groups of axes
    assert found(x[:, ::2], (6, 3, 4)) is None
    assert found(x.transpose(0, 2, 1), (6, 4, 5)) is None
    assert found(x[:, :, :1], x.shape) is None  # not neighbours in memory


def test_what_the_kernels_do_not_take(monkeypatch):
    x, row = array(numbers(0, (3, 8))), array(numbers(1, (8,)))
    kernel = arithmetic.ADD.broadcast
    begin_at(monkeypatch, 0, True)
    assert not launch_broadcast(kernel, empty((8, 3)).transpose(), (x, row))
    assert not launch_broadcast(kernel, empty((3, 8)), (x, array(np.zeros((3, 1, 8)))[:, 0]))
    assert not launch_broadcast(kernel, empty((3, 8)), (array(numbers(2, (8, 3))).T, row))
    monkeypatch.setattr(wide_broadcast, "MOST", 24)
    assert not launch_broadcast(kernel, empty((3, 8)), (x, row))
    monkeypatch.setattr(wide_broadcast, "MOST", 25)
    monkeypatch.setattr(wide_broadcast, "shared_head", lambda *arrays: None)
    assert not launch_broadcast(kernel, empty((3, 8)), (x, row))


@pytest.mark.parametrize("name", [*MAPS, "copy", "scale"])
def test_the_checker_finds_nothing(name, monkeypatch):
    found = MAPS.get(name) or {"copy": convert.COPY, "scale": arithmetic.SCALE}[name]
    begin_at(monkeypatch, 3, True)
    inputs = [array(numbers(i, shape)) for i, shape in enumerate(((3, 1), (37,)))][: found.inputs]
    out, scalars = empty((3, 37)), (np.float32(2),) * found.scalars
    taken, names = run(launch_broadcast, found.broadcast, out, tuple(inputs), *scalars)
    assert taken
    assert names == [f"{name}_broadcast_wide"]


@linux
def test_on_a_pretended_gpu():
    """Launchers and code as for a GPU, which a machine runs; the last view is not aligned."""
    with fake_gpu(run="machine") as driver:
        for shapes in (((5, 12), (12,)), ((2, 3, 5), (3, 1)), ((7, 9), ()), ((3, 1), (6,))):
            x, y = (numbers(i, shape) for i, shape in enumerate(shapes))
            found = arithmetic.add(array(x, device="cuda"), array(y, device="cuda"))
            assert_same_bits(found.numpy(), x + y)
        out, row = numbers(2, (41,)), numbers(3, (8,))
        view = array(out, device="cuda")[1:].reshape((5, 8))
        assert_same_bits(
            arithmetic.accumulate(view, array(row, device="cuda")).numpy(),
            out[1:].reshape(5, 8) + row,
        )
        assert {name for name, *_ in driver.launches} == {"add_broadcast_wide"}


@pytest.mark.parametrize(("rows", "n"), [(1, 4), (3, 36), (7, 132), (2, 4 * BLOCK + 8)])
def test_glu_gives_the_bits_of_the_scalar_kernel(rows, n, monkeypatch):
    x, dy = numbers(n, (rows, 2 * n)) * 4, numbers(1, (rows, n))
    (y, _), (dx, _) = run(activations.glu, x), run(activations.glu_backward, dy, x)
    monkeypatch.setattr(GLU, "_is_wide", lambda n, *arrays: True)
    found, names = run(activations.glu, x)
    assert names == ["glu_wide"]
    assert_same_bits(found.numpy(), y.numpy())
    found, names = run(activations.glu_backward, dy, x)
    assert names == ["glu_backward_wide"]
    assert_same_bits(found.numpy(), dx.numpy())


@pytest.mark.parametrize(
    ("shape", "slopes"), [((37,), 1), ((3, 9), 9), ((5, 12), 12), ((2, 3, 7, 5), 3), ((1, 4, 8), 4)]
)
@pytest.mark.parametrize("head", [0, 3])
def test_prelu_gives_the_bits_of_the_scalar_kernel(shape, slopes, head, monkeypatch):
    x, dy, weight = numbers(0, shape), numbers(1, shape), numbers(2, (slopes,))
    y, _ = run(prelu_kernels.prelu, x, weight)
    expected, _ = run(prelu_kernels.prelu_backward, dy, x, weight)
    monkeypatch.setattr(prelu_kernels, "_head", lambda *arrays: head)
    begin_at(monkeypatch, head, True)
    found, names = run(prelu_kernels.prelu, x, weight)
    assert names == ["prelu_wide"]
    assert_same_bits(found.numpy(), y.numpy())
    found, names = run(prelu_kernels.prelu_backward, dy, x, weight)
    assert names[0] == "prelu_backward_wide"
    for a, b in zip(found, expected, strict=True):
        assert_same_bits(a.numpy(), b.numpy())


def test_the_gate_knows_every_kernel():
    """What their machine code is to hold is declared, and tested with the other kernels."""
    declared = {k.kernel.__name__: k.expects for k in gpu_kernels()}
    for name in ("glu", "glu_backward", "prelu", "prelu_backward", "scale_broadcast"):
        assert any(text.startswith("LDG.128") for text in declared[f"{name}_wide"])
