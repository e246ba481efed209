"""Four items to a thread by 128-bit access: the bits of one by one, and the machine code."""

from __future__ import annotations

import functools
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import types

from nnlite.kernels import all_specs, bias
from nnlite.kernels import gpu_kernels as all_gpu_kernels
from nnlite.kernels.activations import launchers
from nnlite.kernels.activations.units import UNITS
from nnlite.kernels.elementwise import arithmetic, convert, mapping
from nnlite.kernels.elementwise.wide import shared_head, threads_of
from nnlite.kernels.engine import array
from nnlite.kernels.engine.lens import checking
from nnlite.kernels.engine.resources import ptx, resources, usages
from nnlite.kernels.update import common
from nnlite.kernels.update.adagrad import adagrad_kernels
from nnlite.kernels.update.adam import adam_kernels
from nnlite.kernels.update.average import average_kernels
from nnlite.kernels.update.clip import clip_kernels
from nnlite.kernels.update.gpu import gpu_kernels
from nnlite.kernels.update.lion import lion_kernels
from nnlite.kernels.update.many import put
from nnlite.kernels.update.rmsprop import rmsprop_kernels
from nnlite.kernels.update.sgd import momentum_kernels, sgd_kernels
from nnlite.testing.machine import Machine

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
FLOAT32 = np.dtype(np.float32)
MAPS = {
    "add": (arithmetic.ADD, ()),
    "gelu": (launchers.GELU["none"][FLOAT32], ()),
    "leaky_relu_backward": (launchers.LEAKY_RELU_BACKWARD, (0.25,)),
    "softplus": (UNITS["softplus"].value[FLOAT32], (2.0, 20.0)),
}
# Kernels, number of arrays, numbers.
UPDATES = {
    "sgd": (sgd_kernels(FLOAT32), 2, (0.1, 0.01)),
    "sgd_momentum": (momentum_kernels(FLOAT32), 3, (0.1, 0.9, 1.0, 0.01, 0.9)),
    "adam": (adam_kernels(FLOAT32, False), 5, (0.1, 0.99, 0.01, 0.1, 0.5, 1e-8, 0.01, 1.0)),
    "amsgrad": (adam_kernels(FLOAT32, True), 5, (0.1, 0.99, 0.01, 0.1, 0.5, 1e-8, 0.0, 0.9)),
    "average": (average_kernels(FLOAT32), 2, (0.25,)),
    "lion": (lion_kernels(FLOAT32), 3, (0.1, 0.9, 0.1, 0.99, 0.01, 0.9)),
    "adagrad": (adagrad_kernels(FLOAT32), 3, (0.1, 1e-8, 0.01)),
    "clip_scale": (clip_kernels(FLOAT32)[0], 2, (0.3,)),
    "clip_value": (clip_kernels(FLOAT32)[1], 1, (0.3,)),
    **{
        f"rmsprop {c} {m}": (rmsprop_kernels(FLOAT32, c, m), 5, (0.1, 0.9, 0.1, 1e-8, 0.01, 0.9))
        for c in (False, True)
        for m in (False, True)
    },
}
SCALARS = (types.uint32, types.float32, types.float32)  # of every wide map
WIDE = {
    found: signature
    for spec in all_specs()
    for found, signature in spec.kernels
    if found.__name__.endswith("_wide")
    and found not in [bias.bias_add_wide, *(pair[0][1] for pair in UPDATES.values())]
}

sizes = st.one_of(st.integers(0, 20), st.integers(1020, 1030))
heads = st.integers(0, 3)
seeds = st.integers(0, 2**32 - 1)


def numbers_of(seed: int, count: int, n: int) -> list[np.ndarray]:
    """Arrays of numbers of all sizes and both signs, with room behind the last item."""
    rng = np.random.default_rng(seed)
    made = [rng.standard_normal(n + 8) * 10.0 ** rng.integers(-3, 2, n + 8) for _ in range(count)]
    return [x.astype(np.float32) for x in made]


def same_bits(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


@pytest.mark.parametrize("name", MAPS)
@settings(max_examples=15, deadline=None)
@given(n=sizes, head=heads, seed=seeds)
def test_maps_give_the_bits_of_the_scalar_kernel(name, n, head, seed):
    found, scalars = MAPS[name]
    *inputs, ours, theirs = numbers_of(seed, found.inputs + 2, n)
    theirs[:] = ours
    values = [np.float32(x) for x in scalars]
    inputs = [x[:n] for x in inputs]
    blocks = max(1, -(-n // 256))
    found.flat[blocks, 256](*inputs, *values, theirs[:n])
    padded = (*values, mapping.NOTHING, mapping.NOTHING)[:2]
    blocks = max(1, -(-threads_of(n, head) // 256))
    found.wide[blocks, 256](*inputs, ours[:n], np.uint32(head), *padded)
    same_bits(ours, theirs)


@pytest.mark.parametrize("name", UPDATES)
@settings(max_examples=15, deadline=None)
@given(n=sizes, head=heads, seed=seeds)
def test_updates_give_the_bits_of_the_scalar_kernel(name, n, head, seed):
    (scalar, wide), count, numbers = UPDATES[name]
    ours = numbers_of(seed, count, n)
    for x in ours[2:]:
        np.abs(x, out=x)  # second moments among them
    theirs = [x.copy() for x in ours]
    values = [np.float32(x) for x in numbers]
    scalar[max(1, -(-n // 256)), 256](*(x[:n] for x in theirs), *values)
    blocks = max(1, -(-threads_of(n, head) // 256))
    wide[blocks, 256](*(x[:n] for x in ours), np.uint32(head), *values)
    for a, b in zip(ours, theirs):
        same_bits(a, b)


@pytest.mark.parametrize(("n", "c"), [(1, 4), (7, 36), (3, 132), (2, 520)])
def test_bias_gives_the_bits_of_the_scalar_kernel(n, c):
    x, b = (v[:size] for v, size in zip(numbers_of(n, 2, n * c), (n * c, c)))
    given = array(x.reshape(n, c)), array(b)
    y = array(np.zeros((n, c), np.float32))
    bias._launch_wide(*given, y)
    same_bits(y.numpy(), bias.bias_add(*given).numpy())


@linux
@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_bias_is_wide_in_machine_code(arch):
    figures = resources(*bias._WIDE, arch)
    assert (figures.count("LDG.128"), figures.count("STG.128")) == (2, 1)
    assert figures.spills == figures.stack == figures.float64 == 0


@pytest.mark.parametrize("head", [0, 2, None])
def test_the_launchers_take_the_wide_kernel_where_they_can(head, monkeypatch):
    """On the CPU, which never asks, the launch is made as for arrays of a GPU."""
    wide = arithmetic.ADD.wide
    launched = []
    count = functools.partial(launched.append, 1)
    real = type(wide).__getitem__

    def getitem(kernel, configuration):
        if kernel.__name__.endswith("_wide"):
            count()
        return real(kernel, configuration)

    monkeypatch.setattr(type(wide), "__getitem__", getitem)
    monkeypatch.setattr(mapping, "shared_head", lambda *arrays: head)
    x, y = (array(v[:1000]) for v in numbers_of(1, 2, 1000))
    out = array(np.zeros(1000, np.float32))
    assert arithmetic.ADD._launch_wide(out, (x, y)) is (head is not None)
    if head is not None:
        same_bits(out.numpy(), x.numpy() + y.numpy())
        assert arithmetic.SCALE._launch_wide(out, (x, np.float32(3))) is True
        same_bits(out.numpy(), 3 * x.numpy())
        assert convert.FILL._launch_wide(out, (out, np.float32(7))) is True
        assert set(out.numpy()) == {7.0}
    assert len(launched) == (0 if head is None else 3)
    assert arithmetic.add(x, y).numpy()[0] == x.numpy()[0] + y.numpy()[0]
    assert len(launched) == (0 if head is None else 3)  # the CPU keeps the scalar kernel


def pretended(place: int, dtype: str = "float32") -> SimpleNamespace:
    buffer = SimpleNamespace(pointer=1 << 20)
    return SimpleNamespace(buffer=buffer, offset=place, dtype=np.dtype(dtype))


def test_arrays_must_be_float32_and_aligned_alike():
    assert shared_head(pretended(0)) == 0
    assert shared_head(pretended(4), pretended(20)) == 3
    assert shared_head(pretended(24), pretended(8), pretended(40)) == 2
    assert shared_head(pretended(0), pretended(4)) is None
    assert shared_head(pretended(2), pretended(18)) is None
    assert shared_head(pretended(0), pretended(0, "float64")) is None
    assert shared_head(pretended(0, "int32")) is None


def test_an_update_on_a_gpu_takes_the_wide_kernel(monkeypatch):
    found = []

    class Recorder:
        def __init__(self, name):
            self.name = name

        def __getitem__(self, configuration):
            return lambda *arguments: found.append((self.name, configuration, len(arguments)))

    monkeypatch.setattr(common, "shared_head", lambda *arrays: 3)
    lines = [SimpleNamespace(dtype=FLOAT32, device=SimpleNamespace(kind="cuda"))] * 2
    both = Recorder("scalar"), Recorder("wide")
    common.launch(both, 1000, tuple(lines), 0.1, 0.0)
    monkeypatch.setattr(common, "shared_head", lambda *arrays: None)
    common.launch(both, 1000, tuple(lines), 0.1, 0.0)
    assert found == [("wide", (1, 256), 5), ("scalar", (4, 256), 4)]


@pytest.mark.parametrize("wide", WIDE, ids=lambda wide: wide.__name__)
def test_the_checker_finds_nothing(wide):
    lines = [x[:101] for x in numbers_of(2, len(WIDE[wide]) - len(SCALARS), 93)]
    wide.check[1, 64](*lines, np.uint32(3), np.float32(0.5), np.float32(2)).raise_if_errors()


@pytest.mark.parametrize("name", UPDATES)
def test_the_checker_finds_nothing_in_updates(name):
    (_, wide), count, numbers = UPDATES[name]
    arrays = [np.abs(x) for x in numbers_of(3, count, 93)]
    wide.check[1, 64](*arrays, np.uint32(1), *(np.float32(v) for v in numbers)).raise_if_errors()


def test_the_checker_finds_nothing_in_bias():
    x, y = (v[:36].reshape(3, 12) for v in numbers_of(2, 2, 36))
    with checking() as reports:
        bias._launch_wide(array(x), array(x[0].copy()), array(y))
    assert [report.kernel for report in reports] == ["bias_add_wide"]


def test_every_wide_kernel_is_checked_here():
    """Samples of the ops run on a CPU, which keeps the scalar kernels (``test_lens_shipped``)."""
    names = {f.__name__ for spec in all_specs() for f, _ in spec.kernels}
    checked = {f.__name__ for f in (*WIDE, *(pair[0][1] for pair in UPDATES.values()))}
    assert {name for name in names if name.endswith("_wide")} == checked | {"bias_add_wide"}


@linux
def test_the_code_for_a_gpu_adds():
    *inputs, out = numbers_of(4, 3, 69)
    line = types.Array(types.float32, 1, "C")
    signature = (line, line, line, types.uint32, types.float32, types.float32)
    machine = Machine(ptx(arithmetic.ADD.wide, signature, "sm_80"))
    machine.launch((1,), 64, *inputs, out, 0, 0, 0)
    same_bits(out, inputs[0] + inputs[1])


@linux
def test_maps_leave_room_for_many_warps():
    """A quarter of them; that none spills and what they hold is for the compile gate."""
    assert len(WIDE) > 50
    some = list(WIDE.items())[::4]
    for (found, signature), usage in zip(some, usages(some, "sm_90"), strict=True):
        assert signature[-3:] == SCALARS
        assert usage.registers <= 40, found  # 48 warps of 64 and more


def test_the_gate_knows_every_map():
    declared = {k.kernel: k.expects for k in all_gpu_kernels()}
    for found, signature in WIDE.items():
        loads = 0 if found is convert.FILL.wide else len(signature) - len(SCALARS) - 1
        assert declared[found] == (f"LDG.128 == {loads}", "STG.128 == 1", "LDL == 0")


def test_the_gate_knows_every_update():
    """What their machine code is to hold is declared, and tested with the other kernels."""
    declared = {k.kernel for k in gpu_kernels()}
    assert declared >= {pair[0][1] for pair in UPDATES.values()}
    assert all(any("LDG.128" in e for e in k.expects) for k in gpu_kernels() if k.kernel != put)
