"""Which algorithm computes a convolution on a GPU: by time, precision and memory."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

import nnlite as nl
from nnlite.kernels.conv import algorithm as algorithms
from nnlite.kernels.conv import conv2d, conv_reference, passes, winograd
from nnlite.kernels.conv.algorithm import Problem, candidates, default
from nnlite.kernels.conv.geometry import geometry
from nnlite.kernels.engine import array, default_device
from nnlite.kernels.engine.device import GPUS, Limits
from nnlite.kernels.engine.tuning import override
from nnlite.kernels.matmul import cores
from nnlite.testing.fake_gpu import fake_gpu

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
U = 2.0**-24
B200 = dataclasses.replace(GPUS["H200"], compute_capability=(10, 0))


@dataclasses.dataclass(frozen=True)
class Pretended:
    limits: Limits
    is_cpu: bool = False


def problem(
    kind: str, c: int, factors: str | None = "tf32", stride: int = 1, size: int = 56
) -> Problem:
    g = geometry("test", (3, 3), stride, 1, 1)
    y = (32, c, *g.output((size, size)))
    return Problem(kind, (32, c, size, size), (c, c, 3, 3), y, tuple(vars(g).values()), factors)


def test_choice_needs_a_lower_precision_and_many_channels():
    """And tensor cores that are no faster than float32, as on boards for games."""
    a100, board = Pretended(GPUS["A100"]), Pretended(GPUS["RTX 4090"])
    for kind in ("forward", "input"):
        assert default(board, problem(kind, 256)) == "winograd"
        assert default(board, problem(kind, 256, None)) == "tiled"
        assert default(board, problem(kind, 16)) != "winograd"
        assert default(a100, problem(kind, 256)) == "tf32"
        assert "winograd" in candidates(a100, problem(kind, 256))
        assert "winograd" not in candidates(a100, problem(kind, 256, stride=2))
        assert "winograd" not in candidates(a100, problem(kind, 24))
    assert default(board, problem("weight", 256)) == "tiled"
    assert default(a100, problem("weight", 256, "bf16")) == "bf16"


def test_tensor_cores_are_as_fast_as_for_products(monkeypatch):
    """One table for both: where it says that they are slow, a convolution does without."""
    assert default(Pretended(B200), problem("forward", 256)) == "tf32"
    monkeypatch.setitem(cores.SHARES, (10, 0), 0.05)
    assert default(Pretended(B200), problem("forward", 256)) == "winograd"


@pytest.mark.parametrize(("precision", "factors"), [("highest", None), ("high", "tf32")])
def test_precision_decides(precision, factors):
    before = nl.get_float32_matmul_precision()
    nl.set_float32_matmul_precision(precision)
    try:
        x, g = array(np.ones((1, 16, 5, 5), np.float32)), geometry("test", (3, 3), 1, 1, 1)
        assert passes._problem("forward", x, (16, 16, 3, 3), x, g).factors == factors
    finally:
        nl.set_float32_matmul_precision(before)


@pytest.fixture
def high():
    """Precision with which Winograd is a candidate; what found no memory is forgotten after it."""
    nl.set_float32_matmul_precision("high")
    yield
    nl.set_float32_matmul_precision("highest")
    algorithms._too_large.clear()


@linux
def test_without_room_for_its_copies_another_computes(high, monkeypatch):
    """And computes the same again, without asking once more."""
    rng = np.random.default_rng(4)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((1, 16, 12, 12), (16, 16, 3, 3)))
    wide = [v.astype(np.float64) for v in (x, w)]
    expected, size = conv_reference(*wide), conv_reference(*map(np.abs, wide))
    order = ["winograd", "tiled", "tf32", "small"]
    monkeypatch.setattr(algorithms, "time", lambda name, *_: order.index(name))
    asked, real = [], winograd.forward
    kept = lambda *a: asked.append(1) or real(*a)  # noqa: E731
    monkeypatch.setitem(passes.WIDE["winograd"], "forward", kept)
    with fake_gpu() as driver:
        given = [array(v, device=default_device()) for v in (x, w)]
        driver.room = 16 * 25 * 16 * 4 + 40_000  # one of both copies, and less than the other
        for _ in range(2):
            y = conv2d(*given).numpy()
            assert (np.abs(y - expected) <= 4 * np.sqrt(144) * U * size).all()
    assert [name for name, *_ in driver.launches].count("correlate_tiled") == 2
    assert len(asked) == 1


def test_each_algorithm_is_asked_once_for_memory(high):
    asked = []

    def run(name):
        asked.append(name)
        raise MemoryError

    given = problem("forward", 256), 1, np.dtype(np.float32)
    with fake_gpu(), pytest.raises(MemoryError):
        algorithms.carry_out(*given, default_device(), run, ())
    assert sorted(asked) == ["small", "tf32", "tiled", "winograd"]
    assert asked[0] == "tf32"
    assert asked[-1] == "small"


@linux
def test_an_override_for_which_there_is_no_room_is_refused(high):
    """Another algorithm in its place would be taken for the one that was to be tried."""
    ones = [np.ones(s, np.float32) for s in ((1, 16, 12, 12), (16, 16, 3, 3))]
    with fake_gpu() as driver:
        x, w = (array(v, device=default_device()) for v in ones)
        driver.room = 20_000  # y and less than one of both copies
        said = (
            "convolution: 'winograd', as override says, finds no memory for its copies: GPU: out "
            "of memory: 25,600 bytes asked for, 13,344 are free"
        )
        with override("convolution", "winograd"), pytest.raises(MemoryError, match=said):
            conv2d(x, w)
        driver.room = 1 << 30
        with override("convolution", "winograd"):
            assert conv2d(x, w).numpy().max() == 144
        assert "winograd_image" in [name for name, *_ in driver.launches]


def test_measurements_are_of_the_source_of_all_kernels():
    folder = Path(algorithms.__file__).parent
    made = {path.stem for path in folder.glob("*.py") if "@kernel" in path.read_text()}
    assert len(made) >= 10
    assert made <= set(algorithms.SOURCES)
