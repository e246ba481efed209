"""How ``bench.gpu`` measures, records and judges: with a pretended clock and a pretended device."""

from __future__ import annotations

import json

import pytest

import nnlite as nl
from bench.gpu import __main__ as command
from bench.gpu import goals, limits, machine
from bench.gpu.case import OURS, Case, Missing, Result, Side, measure
from bench.gpu.place import Place
from bench.gpu.plan import LEAST, Budget, rounds_within
from bench.gpu.report import Record, goals_table, remarks, results_table
from nnlite.kernels.engine.device import GPUS, Limits


class Clock:
    """Time passes when something runs."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Fake(Place):
    """A GPU on which a run takes as long as it says, by a clock of its own."""

    def __init__(self):
        super().__init__(nl.device("cpu"), Clock())
        self.cost = 0.0

    def seconds(self, run):
        self.cost = 0.0
        run()
        self.clock.now += self.cost
        return self.cost

    def wall(self, run, repeats):
        return self.seconds(run)

    def synchronize(self):
        pass

    def limit(self, name):
        return None if name is None else 1000.0


def side(seconds, place, work=None, fails=None, result=7, least=0.0):
    """A side that takes so many seconds; or fails when it is made, or from some run on."""
    count = [0]

    def make(where, inputs):
        if isinstance(fails, Exception):
            raise fails

        def run():
            count[0] += 1
            if isinstance(fails, int) and count[0] > fails:
                raise RuntimeError("broken")
            taken = seconds[count[0] % len(seconds)] if isinstance(seconds, tuple) else seconds
            place.cost += taken
            return result

        return run

    return Side(make, work=work, least=least)


def seven(place, inputs, name, found):
    assert found == 7, f"{found} is not seven"


def one(place, seconds=1000.0, rounds=5, **sides):
    """The result of a case with these sides."""
    made = Case("a case", "group", sides, lambda p: None, 100.0, "FLOP", seven, limit="float32")
    result = Result(made.name, made.group, made.unit, rounds_wanted=rounds)
    measure(made, place, seconds, result)
    return result


def test_a_budget_is_divided_anew():
    clock = Clock()
    budget = Budget(100.0, clock)
    assert budget.share([1, 3]) == 25.0
    clock.now = 60.0
    assert budget.share([3]) == 40.0
    clock.now = 170.0
    assert budget.left() == budget.share([1]) == 0.0


@pytest.mark.parametrize(
    ("seconds", "of_one", "rounds"), [(100, 1, 15), (7.5, 1, 7), (0, 1, LEAST), (-5, 1, LEAST)]
)
def test_rounds_fit_the_time(seconds, of_one, rounds):
    assert rounds_within(seconds, of_one) == rounds
    assert rounds_within(seconds, of_one, 1) == 1


def test_ratios_and_shares():
    place = Fake()
    r = one(place, nnlite=side(0.2, place), slow=side(0.4, place), half=side(0.1, place, work=25.0))
    assert r.of_peer("slow") == pytest.approx(2.0)
    assert r.of_peer("half") == pytest.approx(2.0)
    assert r.of_limit(OURS) == pytest.approx(0.5)
    assert (r.rounds, r.note, r.errors, r.missing) == (5, "", {}, {})


def test_a_ratio_is_taken_within_its_round():
    """Both sides slow down in every second round: the ratio stays."""
    place = Fake()
    r = one(place, nnlite=side((0.2, 2.0), place), peer=side((0.4, 4.0), place))
    assert max(r.seconds[OURS]) > 5 * min(r.seconds[OURS])
    assert r.ratios("peer") == pytest.approx([2.0] * 5)


def test_short_runs_are_repeated_and_long_ones_not():
    place = Fake()
    r = one(place, nnlite=side((1e-5, 1e-5, 9e-5), place), peer=side(0.1, place))
    assert r.seconds[OURS] == [1e-5] * 5, "the median of several runs"


def test_fewer_rounds_are_said():
    place = Fake()
    r = one(place, seconds=10.0, rounds=15, nnlite=side(0.5, place), peer=side(0.5, place))
    assert LEAST <= r.rounds < 15
    assert r.note.startswith(f"{r.rounds} rounds instead of 15")
    assert place.clock.now < 13.0


def test_what_fails_is_recorded_and_the_rest_goes_on():
    place = Fake()
    r = one(
        place, nnlite=side(0.1, place), absent=side(0.1, place, fails=Missing("not installed")),
        broken=side(0.1, place, fails=ValueError("no")), late=side(0.1, place, fails=5),
        wrong=side(0.1, place, result=8), never=side(0.1, place, least=1e9), good=side(0.2, place),
    )  # fmt: skip
    assert r.missing["absent"] == "not installed"
    assert "at least 1000000000 s needed" in r.missing["never"]
    assert "ValueError: no (" in r.errors["broken"]
    assert "RuntimeError: broken" in r.errors["late"]
    assert "8 is not seven" in r.errors["wrong"]
    assert r.rounds == 5
    assert r.of_peer("good") == pytest.approx(2.0)
    text = "\n".join(remarks([r]))
    assert "wrong FAILED: AssertionError: 8 is not seven" in text
    assert "absent missing: not installed [a case]" in text
    json.dumps(r.to_json())


@pytest.mark.parametrize("fails", [ValueError("no"), 3])
def test_without_ours_there_are_no_figures(fails):
    place = Fake()
    r = one(place, nnlite=side(0.1, place, fails=fails), peer=side(0.1, place))
    assert OURS in r.errors
    assert r.rounds <= 1
    record = Record({"is_gpu": True}, results=[r])
    assert not record.sound
    json.dumps(record.to_json())


def test_settings_are_put_back_even_if_the_inputs_fail():
    calls = []
    made = Case("c", "g", {}, lambda p: 1 / 0, 1.0, "B", before=lambda: calls.append("before"),
                after=lambda: calls.append("after"))  # fmt: skip
    result = Result("c", "g", "B")
    measure(made, Fake(), 1.0, result)
    assert calls == ["before", "after"]
    assert "ZeroDivisionError" in result.errors[OURS]


def measured(case, peer, ratio, rounds=3):
    """A result in which our rate is so many times the peer's."""
    return Result(case, "g", "FLOP", work={OURS: 1.0, peer: 1.0},
                  seconds={OURS: [1.0] * rounds, peer: [ratio] * rounds})  # fmt: skip


def test_goals_are_judged_by_the_lowest_ratio():
    goal = goals.Goal("both", "matmul (a|b)", "cu.*", 0.95, 2)
    a, b = measured("matmul a", "cuBLAS", 0.99), measured("matmul b", "cuBLAS", 0.96)
    assert goal.judged([a, b])["met"] is True
    assert goal.judged([a, measured("matmul b", "cuBLAS", 0.94)])["met"] is False
    assert goal.judged([a])["met"] is None, "the other one may be lower"
    assert goal.judged([measured("matmul a", "cuBLAS", 0.9)])["met"] is False
    assert goal.judged([measured("matmul c", "cuBLAS", 9.0)])["measured"] is None
    a.stand_in = True
    assert goal.judged([a, b])["met"] is None, "the CPU meets no goal"


def test_every_goal_names_cases_and_peers_that_there_are():
    cases = command.all_cases()
    assert len({c.name for c in cases}) == len(cases)
    for goal in goals.GOALS:
        found = [measured(c.name, peer, goal.least) for c in cases for peer in c.sides]
        judged = goal.judged([r for r in found if OURS in r.seconds])
        assert judged["cases_measured"] == goal.cases, goal
        assert judged["met"] is True, goal
    assert goals_table(found).row_count == len(goals.GOALS)


def test_limits_go_by_the_name_of_the_device():
    of = limits.limits_of(Limits("NVIDIA H200", (9, 0), 132, 1, 1.0, 1.0, 0))
    assert of["bandwidth"] == GPUS["H200"].bandwidth * 1e9
    assert of["bf16"] > of["tf32"] > of["float32"]
    unknown = Limits("NVIDIA Something", (9, 0), 1, 1, 500.0, 2.0, 0)
    assert limits.limits_of(unknown) == {"float32": 2e12, "bandwidth": 5e11}
    assert "driver" in limits.source_of(unknown)
    assert set(limits.TENSOR_CORES) == set(GPUS)


def test_the_state_of_the_card_is_read_or_said_to_be_missing(monkeypatch):
    cells = ["NVIDIA X", "1.2", *map(str, range(len(machine.STATE) - 2))]
    found = machine.parsed_state(", ".join(cells) + "\n")
    assert found["name"] == "NVIDIA X"
    assert found["clocks.sm"] == "0"
    assert "missing" in machine.parsed_state("[Insufficient Permissions]")
    assert "missing" in machine.parsed_state("")
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert "not on the path" in machine.state(0)["missing"]


def test_tables_take_any_record():
    place = Fake()
    r = one(place, nnlite=side(0.1, place), peer=side(0.2, place, fails=5))
    assert results_table([r, Result("empty", "g", "B", note="not run")]).row_count >= 2
