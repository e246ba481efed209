"""Choices where they are used: the matrix product on the CPU, and the command ``nnlite tune``."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError
from nnlite.kernels import elementwise
from nnlite.kernels.elementwise import arithmetic
from nnlite.kernels.engine import CPU, tuning
from nnlite.kernels.engine.tuning import Tuning, override
from nnlite.kernels.matmul import cores, large, launcher, matmul
from nnlite.testing.command import fail, succeed

pytestmark = pytest.mark.usefixtures("tuning_folder", "command_on_the_cpu")
EPS = 2.0**-23


def steady(device):
    """A clock by which all candidates are equally fast."""

    def seconds(run):
        run()
        return 1.0

    return seconds


def operands(m, n, k):
    rng = np.random.default_rng(m + n + k)
    return (rng.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))


def require_product(c, a, b):
    size = np.abs(a).astype(np.float64) @ np.abs(b)
    bound = 4 * np.sqrt(a.shape[1]) * EPS * size
    assert (np.abs(c.numpy() - a.astype(np.float64) @ b) <= bound).all()


def test_a_product_on_the_cpu_is_tuned():
    a, b = operands(70, 65, 33)
    x, y = nl.array(a, device="cpu"), nl.array(b, device="cpu")
    before = matmul(x, y).numpy()
    with Tuning(timer=steady) as found:
        require_product(matmul(x, y), a, b)
        matmul(x, y)
    (outcome,) = found.outcomes
    assert outcome.choice == "matmul tile"
    assert set(outcome.seconds) == {'"rule"', *map(str, launcher.CPU_TILES)}
    assert outcome.discarded == {}
    assert np.array_equal(matmul(x, y).numpy(), before), "the default stays where none is faster"


@pytest.mark.parametrize("tile", launcher.CPU_TILES)
def test_a_tile_can_be_asked_for(tile, monkeypatch):
    a, b = operands(70, 65, 33)
    x, y = nl.array(a, device="cpu"), nl.array(b, device="cpu")
    matmul(x, y)  # what it remembers of this one must not stand in the way
    made = []
    make = launcher.make_matmul
    monkeypatch.setattr(launcher, "make_matmul", lambda *args: made.append(args[1]) or make(*args))
    launcher._plan.cache_clear()
    with override("matmul tile", tile):
        require_product(matmul(x, y), a, b)
    assert made == [tile]
    with override("matmul tile", "large"), pytest.raises(ArgumentError, match="'large' given"):
        matmul(x, y)
    require_product(matmul(x, y), a, b)


def test_slices_of_a_product_are_tuned():
    """The kernel of GPUs with its steps in slices, by the CPU compiler."""
    a, b = operands(40, 36, 300)
    x, y, c = nl.array(a, device="cpu"), nl.array(b, device="cpu"), nl.empty((40, 36), device=CPU)
    bias = nl.zeros(36, device="cpu")

    def product():
        c.copy_from(np.full(c.shape, np.nan, np.float32))
        large.launch(x, y, bias, c, False, False, None)
        require_product(c, a, b)

    with Tuning(timer=steady, rounds=1) as found:
        product()
    (outcome,) = found.outcomes
    assert outcome.choice == "matmul slices"
    assert set(outcome.seconds) == {"0", "1", "2", "4"}
    assert outcome.discarded == {}
    for parts in (1, 4):
        with override("matmul slices", parts):
            product()


def test_the_block_of_wide_kernels_is_tuned_on_a_pretended_gpu(driver):
    host = np.random.default_rng(0).standard_normal(1001, np.float32)
    x = nl.array(host, device="cuda")
    with Tuning(timer=steady, rounds=1) as found:
        y = elementwise.add(x, x)
        arithmetic.ADD(x, x, x)  # in place: its input is restored
    assert np.array_equal(y.numpy(), host + host)
    assert np.array_equal(x.numpy(), host + host)
    (outcome,) = found.outcomes
    assert (outcome.choice, outcome.discarded) == ("wide threads", {})
    assert set(outcome.seconds) == {"128", "256", "512"}
    with override("wide threads", 512):
        assert np.array_equal(elementwise.add(x, x).numpy(), 4 * host)


def test_slices_suit_the_problem():
    for m, n, k in ((4096, 4096, 4096), (128, 128, 1 << 16), (1, 1, 1), (128, 128, 63)):
        counts = large._slice_counts(CPU, (m, n, k, None, True, False))
        assert counts[0] == 1
        assert counts[-1] * m * n < large.ITEMS
        assert counts[-1] == 1 or k // counts[-1] >= 4 * large.DEPTH
    assert large._slice_counts(CPU, (128, 128, 1 << 16, None, True, False))[-1] == 128
    assert cores._instructions(CPU, (512, 512, 512, "tf32", True, False)) == ("mma.sync",)


def test_the_bench_finds_the_choices_that_it_overrides():
    from bench.gpu import convolutions, products
    from nnlite.kernels.conv.algorithm import STYLES

    assert {products.TENSOR_CORES, convolutions.ALGORITHM} <= tuning.names()
    assert {cores.WARPS, cores.WARPGROUPS} == set(products.WAYS)
    assert "winograd" in STYLES


def test_the_command_tunes_lists_and_clears(tuning_folder):
    assert "No choice has been measured yet" in succeed("tune", "--list")
    output = succeed("tune", "48x32x20", "--device", "cpu")
    assert "48x32x20: 1 choices measured" in output
    assert "matmul tile (48, 32, 20, 'f', False, False, None) on cpu: " in output
    assert len(list(tuning_folder.iterdir())) == 1
    assert "Nothing to measure" in succeed("tune", "48x32x20", "--device", "cpu")
    assert "1 choices measured" in succeed("tune", "48x32x20", "--device", "cpu", "--again")
    (path,) = tuning_folder.iterdir()
    listed = succeed("tune", "--list")
    assert "matmul tile" in listed
    assert "yes" in listed
    path.write_text("{}")
    assert "damaged" in succeed("tune", "--list")
    assert "1 stored choices deleted" in succeed("tune", "--clear")
    assert list(tuning_folder.iterdir()) == []


def test_the_command_tunes_a_step_of_a_model():
    output = succeed("tune", "mlp", "--device", "cpu", "--batch-size", "8")
    assert "choices measured" in output
    assert "matmul tile" in output


@pytest.mark.parametrize("target", ["nonsense", "12x12", "0x"])
def test_the_command_refuses_other_targets(target):
    assert f"tune: '{target}' given, expected a product" in fail("tune", target)
