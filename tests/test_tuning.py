"""Choices by measurement: with a pretended clock, pretended candidates, and for real on the CPU.

No test asserts which candidate is fast: the clock is given, and where it is the real one only the
results count.
"""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda

import nnlite as nl
from nnlite.errors import ArgumentError, LaunchError
from nnlite.kernels.engine import CPU, tuning
from nnlite.kernels.engine.replay import here
from nnlite.kernels.engine.tuning import Choice, Tuning, override
from nnlite.kernels.engine.tuning.session import MARGIN, difference
from nnlite.kernels.engine.tuning.timing import cpu_seconds
from tests.tuned_op import Op, arrays, tuned

pytestmark = pytest.mark.usefixtures("tuning_folder")


def test_nothing_is_measured_unless_asked_for(tuning_folder):
    op, (x, out) = Op(), arrays()
    assert [op(x, out) for _ in range(3)] == ["usual"] * 3
    assert op.ran == ["usual"] * 3
    assert not tuning_folder.exists()


def test_a_known_problem_is_looked_up_in_a_dict_alone():
    op, (x, out) = Op(), arrays()
    op(x, out)
    op.choice._find = None  # calling it would fail
    assert op(x, out) == "usual"


def test_every_candidate_is_timed_in_each_round_in_turns():
    op, (x, out) = Op(), arrays()
    (outcome,) = tuned(op, x, out, rounds=4).outcomes
    assert all(len(seconds) == 4 for seconds in outcome.seconds.values())
    timed = op.ran[3:-1]
    assert timed[:3] == ["usual", "slow", "fast"]
    assert timed[3:6] == ["slow", "fast", "usual"]


def test_noise_does_not_replace_the_default():
    speeds = {"usual": 1.0, "fast": 1.0 - 0.9 * MARGIN}
    op, (x, out) = Op(("usual", "fast"), speeds), arrays()
    (outcome,) = tuned(op, x, out).outcomes
    assert outcome.chosen == "usual"
    assert "the default" in str(outcome)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("raises", "RuntimeError: out of registers"),
        ("hole", "NaN or infinity where the default has none"),
        (1.0, "differs from the default by 1 "),
        (np.nan, "NaN"),
    ],
)
def test_a_wrong_candidate_is_discarded_and_reported(fault, why):
    op, (x, out) = Op(tolerance=1e-3), arrays()
    op.wrong["fast"] = fault
    found = tuned(op, x, out)
    assert found.outcomes[0].chosen == "usual"
    assert why in found.outcomes[0].discarded['"fast"']
    assert "fast" in str(found)
    assert '"fast"' not in found.outcomes[0].seconds
    assert np.array_equal(out.numpy(), 2 * x.numpy())


def test_rounding_is_allowed_where_the_choice_allows_it():
    op, (x, out) = Op(tolerance=1e-3), arrays()
    op.wrong["fast"] = 1e-3
    assert tuned(op, x, out).outcomes[0].chosen == "fast"
    strict = Op()
    strict.wrong["fast"] = 1e-3
    assert tuned(strict, x, out, again=True).outcomes[0].chosen == "usual"


def test_a_default_that_fails_is_an_error_of_the_launch(tuning_folder):
    op, (x, out) = Op(), arrays()
    op.wrong["usual"] = "raises"
    with pytest.raises(RuntimeError, match="registers"):
        tuned(op, x, out)
    assert not tuning_folder.exists()


def test_updated_arrays_keep_what_they_held():
    total = nl.array(np.ones(4, np.float32), device="cpu")
    choice = Choice("add", lambda d, p: (1, 2), lambda d, p: 1, sources=("json",))
    calls = []

    def run(config):
        calls.append(config)
        total.data[...] += 1.0

    def launch():
        run(choice(CPU, (4,), run, updates=(total,)))

    with Tuning(timer=lambda d: lambda work: work() or 1.0, rounds=3) as found:
        launch()
    assert len(calls) == 2 + 2 * 3 + 1
    assert total.numpy().tolist() == [2.0] * 4
    assert found.outcomes[0].discarded == {}, "each candidate begins with the same items"


def test_neighbours_share_a_choice_as_far_as_it_suits_them():
    op = Op()
    tuned(op, *arrays(5))
    assert op(*arrays(8)) == "fast", "5 and 8 are of one class"
    assert op(*arrays(9)) == "usual"
    op.ways = ("usual", "slow")
    op.choice.forget()
    assert op(*arrays(6)) == "usual", "what is no candidate of this problem is not used"


def test_a_class_is_measured_once_unless_asked_again():
    op = Op()
    with Tuning(timer=op.timer) as found:
        op(*arrays(5))
        op(*arrays(6))
    assert len(found.outcomes) == 1
    assert tuned(op, *arrays(7)).outcomes == []
    assert len(tuned(op, *arrays(7), again=True).outcomes) == 1


def test_an_override_holds_inside_its_block_alone():
    op = Op()
    with override("way", "slow"):
        assert op(*arrays()) == "slow"
        with override("way", "fast"):
            assert op(*arrays()) == "fast"
        assert op(*arrays()) == "slow"
    assert op(*arrays()) == "usual"
    with override("way", "sideways"), pytest.raises(ArgumentError, match="'sideways' given"):
        op(*arrays())


def test_launchers_that_remember_are_told(monkeypatch):
    told = []
    monkeypatch.setattr(tuning.choice, "_callbacks", [lambda: told.append(1)])
    with Tuning():
        assert len(told) == 1
    assert len(told) == 2
    with override("way", "slow"):
        assert len(told) == 3
    assert len(told) == 4


def test_the_environment_decides(monkeypatch):
    op = Op()
    tuned(op, *arrays())
    for value, expected in (("0", "usual"), ("1", "fast"), ("", "fast")):
        monkeypatch.setenv("NNLITE_TUNE", value)
        op.choice.forget()
        assert op(*arrays()) == expected
    monkeypatch.setenv("NNLITE_TUNE", "yes")
    op.choice.forget()
    with pytest.raises(ArgumentError, match="'yes' given, expected 1"):
        op(*arrays())


def test_a_process_tunes_when_its_environment_says_so(monkeypatch):
    monkeypatch.setenv("NNLITE_TUNE", "1")
    monkeypatch.setattr(tuning.session, "ROUNDS", 2)
    tuning.session.for_the_process.cache_clear()
    op, (x, out) = Op(), arrays()
    op(x, out)
    assert set(op.ran) == {"usual", "slow", "fast"}
    tuning.session.for_the_process.cache_clear()


def test_results_to_check_are_asked_for():
    choice = Choice("blind", lambda d, p: (1, 2), lambda d, p: 1, sources=("json",))
    with Tuning(), pytest.raises(LaunchError, match="blind: no outputs"):
        choice(CPU, 1, lambda config: None)


def test_without_a_way_to_run_nothing_is_measured_or_remembered():
    op, (x, out) = Op(), arrays()
    with Tuning(timer=op.timer) as found:
        assert op.choice(CPU, x.shape) == "usual"
        op(x, out)
    assert len(found.outcomes) == 1


def test_nothing_is_measured_inside_a_capture(monkeypatch):
    op, (x, out) = Op(), arrays()
    with Tuning(timer=op.timer) as found:
        monkeypatch.setattr(here, "recorder", object())
        assert op(x, out) == "usual"
        monkeypatch.setattr(here, "recorder", None)
        assert found.outcomes == []
        assert op(x, out) == "fast", "but after it"


def test_classes():
    problem = (1, 2, 3, 5, 4096, 4097, 0, -3, True, "f4", (7,))
    found = (1, 2, 4, 8, 4096, 8192, 0, -3, True, "f4", (8,))
    assert tuning.powers_of_two(problem) == found
    assert tuning.exactly(problem) == problem


def test_differences():
    one = np.array([1.0, np.inf, np.nan], np.float32)
    assert difference(one, one, 0.0) is None
    assert difference(one, one, 1e-6) is None
    assert difference(one + np.float32(1e-4), one, 1e-3) is None
    assert difference(np.array([1.0, -np.inf, np.nan]), one, 1.0) is not None
    assert difference(np.array([1, 2]), np.array([1, 3]), 1.0) is not None
    assert difference(np.array([1j]), np.array([1.0 + 0j]), 1e-3) is not None


def test_a_real_choice_on_the_cpu(tuning_folder):
    """Blocks of several sizes for one kernel: all right, one of them chosen by the real clock."""

    @nl.kernel
    def double(x, out):
        i = cuda.grid(1)
        if i < x.size:
            out[i] = x[i] + x[i]

    sizes = Choice("block", lambda d, p: (64, 128, 256), lambda d, p: 128, sources=("json",))
    x = nl.array(np.random.default_rng(0).random(1000, dtype=np.float32), device="cpu")

    def launch():
        out = nl.empty(x.shape, device=CPU)
        run = lambda block: double[-(-x.size // block), block](x, out)  # noqa: E731
        run(sizes(CPU, x.shape, run, (out,)))
        return out.numpy()

    found = nl.tune(launch)
    (outcome,) = found.outcomes
    assert outcome.chosen in (64, 128, 256)
    assert outcome.discarded == {}
    assert set(outcome.seconds) == {"64", "128", "256"}
    assert all(s > 0 for seconds in outcome.seconds.values() for s in seconds)
    assert np.array_equal(launch(), 2 * x.numpy())
    assert sizes.stored(CPU, x.shape) == outcome.chosen


def test_the_clock_of_the_cpu_repeats_what_is_short():
    count = []
    assert cpu_seconds(lambda: count.append(1)) > 0
    assert len(count) > 10
