"""The ladders: every step right at every size, compiled clean for GPUs, and the command."""

import json
import sys

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError
from nnlite.kernels.engine.resources import resources_of_all
from nnlite.kernels.ladder import LADDERS
from nnlite.learn import climb, traffic
from nnlite.testing.command import fail, succeed

SIZES = {
    "matmul": [(1, 1, 1), (33, 65, 7), (1, 4, 4), (131, 132, 44), (64, 260, 24)],
    "reduce": [(1,), (255,), (257,), (100_003,)],
    "conv": [(1, 1, 1, 1, 1, 1), (2, 3, 9, 3, 8, 33), (1, 3, 65, 3, 9, 7), (1, 3, 2, 2, 5, 4)],
}
CASES = [(name, sizes) for name, all_sizes in SIZES.items() for sizes in all_sizes]
STEPS = [(name, step) for name, ladder in LADDERS.items() for step in ladder.steps]


def capable(step, device):
    return device.is_cpu or device.limits.compute_capability >= step.capability


@pytest.mark.parametrize(("name", "sizes"), CASES)
def test_every_step_is_right(name, sizes, device):
    expected = [step for step in LADDERS[name].steps if capable(step, device)]
    rungs = list(climb(name, sizes=sizes, device=device, rounds=1))
    assert [r.step for r in rungs] == expected
    assert [r.step.name for r in rungs if not r.error <= 1.0] == []
    assert all(r.seconds > 0 and r.rate > 0 for r in rungs)


@pytest.mark.parametrize(("name", "step"), STEPS, ids=lambda x: getattr(x, "name", x))
def test_a_wrong_result_exceeds_the_bound(name, step):
    """The bound is not so wide that one lost term would pass."""
    ladder = LADDERS[name]
    sizes = SIZES[name][1]
    inputs = ladder.draw(np.random.default_rng(1), sizes)
    expected = ladder.reference(*inputs)
    bound = ladder.allowed(step, inputs, sizes)
    inputs[0].reshape(-1)[0] = 0.0
    changed = ladder.reference(*inputs)
    assert (np.abs(changed - expected) > bound).any()


@pytest.mark.parametrize("name", LADDERS)
def test_references_agree_with_plain_loops(name):
    ladder = LADDERS[name]
    sizes = {"matmul": (2, 3, 4), "reduce": (5,), "conv": (2, 2, 2, 3, 4, 5)}[name]
    inputs = [x.astype(np.float64) for x in ladder.draw(np.random.default_rng(2), sizes)]
    if name == "matmul":
        a, b = inputs
        expected = [[sum(a[i, q] * b[q, j] for q in range(4)) for j in range(3)] for i in range(2)]
    elif name == "reduce":
        expected = [sum(inputs[0].tolist())]
    else:
        expected = slow_convolution(*inputs)
    np.testing.assert_allclose(ladder.reference(*inputs), expected, rtol=1e-13)


def slow_convolution(x, w):
    n, channels, rows, columns = x.shape
    filters, _, size, _ = w.shape
    y = np.zeros((n, filters, rows, columns))
    for image, f, i, j in np.ndindex(*y.shape):
        for c, u, v in np.ndindex(channels, size, size):
            r, s = i + u - size // 2, j + v - size // 2
            if 0 <= r < rows and 0 <= s < columns:
                y[image, f, i, j] += x[image, c, r, s] * w[f, c, u, v]
    return y


@pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's compilers come for Linux only")
@pytest.mark.parametrize("name", LADDERS)
def test_compiles_for_a_gpu_without_spills_or_float64(name):
    steps = LADDERS[name].steps
    figures = resources_of_all([(step.kernel, step.signature) for step in steps], "sm_90")
    for step, found in zip(steps, figures, strict=True):
        assert (found.spills, found.stack, found.float64) == (0, 0, 0), step.name


@pytest.mark.parametrize(("name", "step"), STEPS, ids=lambda x: getattr(x, "name", x))
def test_a_step_says_what_it_adds(name, step):
    text = sys.modules[step.kernel.py_func.__module__].__doc__
    headings = ["What it does:", "Why it is slow:"] if text.startswith("Step 1") else []
    for heading in (*(headings or ["What changed:", "Why:"]), "On a GPU:"):
        assert heading in text, step.name
    number = LADDERS[name].steps.index(step) + 1
    assert text.startswith(f"Step {number}, ")


@pytest.mark.slow
@pytest.mark.parametrize("name", LADDERS)
def test_the_figures_in_the_texts_are_those_of_the_lens(name):
    """Each step's text gives its own and those of the step before."""
    ladder = LADDERS[name]
    before = None
    all_found = []
    for step in ladder.steps:
        text = " ".join(sys.modules[step.kernel.py_func.__module__].__doc__.split())
        found = traffic(ladder, step)
        sizes = " x ".join(map(str, ladder.sizes["lens"]))
        own = f"{found.sectors:.3g} sectors of global memory, {found.wavefronts:.3g} wavefronts"
        assert f"Lens, at {sizes}: For 32 {ladder.item}: {own} of shared memory" in text
        if before is not None:
            number = ladder.steps.index(step)
            assert f"(step {number}: {before.sectors:.3g} and {before.wavefronts:.3g})" in text
        before = found
        all_found.append(found)
    if name == "matmul":
        matmul_steps_differ(*all_found[:4])


def matmul_steps_differ(naive, coalesced, shared, column):
    """What the texts claim: coalescing, sharing, registers each save traffic."""
    # Per multiply-add of a warp: 32 sectors of a and 1 of b, then 1 and 4, then both shared.
    assert 33 <= naive.sectors < 33.5
    assert 5 <= coalesced.sectors < 5.1
    assert 0.25 < shared.sectors < 0.3
    assert shared.wavefronts > 2 > 1.2 > column.wavefronts > 1.125


def test_wrong_arguments_are_refused():
    for wrong, words in (
        ({"name": "fft"}, "'fft' given, expected one of matmul, reduce, conv"),
        ({"name": "matmul", "sizes": (3, 3)}, "expected 3 numbers above 0: c = a b, sizes m n k"),
        ({"name": "reduce", "sizes": (0,)}, "expected 1 numbers above 0"),
        ({"name": "reduce", "rounds": 0}, "rounds: 0 given"),
    ):
        with pytest.raises(ArgumentError, match=words):
            climb(**wrong)


def test_the_command_prints_a_table_and_draws_a_picture(tmp_path):
    picture = tmp_path / "rates.png"
    output = succeed("ladder", "reduce", "--sizes", "5000", "--plot", picture, "--device", "cpu")
    assert output.count(" right ") == len(LADDERS["reduce"].steps)
    assert "5 single launch" in output
    assert LADDERS["reduce"].steps[3].idea in output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_command_prints_json(monkeypatch):
    # A quarter of the usual numbers: the blocks' own sums weigh four times as much.
    monkeypatch.setitem(LADDERS["reduce"].sizes, "lens", (1 << 18,))
    command = ("ladder", "reduce", "--sizes", "4000", "--json", "--lens")
    found = json.loads(succeed(*command))["reduce"]
    assert all(4 <= step["lens"]["sectors"] < 4.8 for step in found)
    assert [step["right"] for step in found] == [True] * len(found)
    assert all(step["per_second"] > 0 for step in found)


def test_the_command_refuses_in_one_line():
    assert "expected one of matmul" in fail("ladder", "fft")
    assert "'5x5' given, expected whole numbers" in fail("ladder", "conv", "--sizes", "5x5")
    assert "without the name of the ladder" in fail("ladder", "--sizes", "5")


def test_default_sizes_fit_the_formulas():
    for ladder in LADDERS.values():
        assert set(ladder.sizes) == {"cpu", "cuda", "lens"}
        for sizes in ladder.sizes.values():
            assert ladder.items(sizes) * (2 if ladder.unit == "FLOP" else 4) == ladder.work(sizes)
            assert ladder.work(sizes) > 0
            assert ladder.terms(sizes) >= 1
    assert nl.kernels.ladder.LADDERS is LADDERS
