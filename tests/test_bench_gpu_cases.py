"""The command ``bench.gpu`` and its cases, without a GPU: the CPU stands in, with small sizes."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import typer

import nnlite as nl
from bench.gpu import __main__ as command
from bench.gpu import convolutions, products, sample
from bench.gpu.case import OURS, Case, Missing, Result, Side, measure
from bench.gpu.place import Place, StandIn, host, require_close
from nnlite.kernels import FAMILIES
from nnlite.kernels.engine.tuning import choice as choices
from nnlite.testing.fake_gpu import fake_gpu

ENDS = [
    (KeyboardInterrupt, command.INTERRUPTED, "interrupted"),
    (command.OutOfTime, 0, "out of time"),
]


def seven(place, inputs, name, found):
    assert found == 7


@pytest.fixture(autouse=True)
def default_device():
    """The command makes the device that it measures the default one."""
    before = nl.default_device()
    yield
    nl.set_default_device(before)


def run(tmp_path, cases=None, monkeypatch=None, **options):
    """(exit status, what was written) of the command."""
    if cases is not None:
        monkeypatch.setattr(command, "all_cases", lambda: cases)
    out = tmp_path / "gpu.json"
    given = {"minutes": 5.0, "only": "", "rounds": 2, "quick": False, "check": False}
    with pytest.raises(typer.Exit) as exit_:
        command.main(out=out, device="cpu", **{**given, **options})
    return exit_.value.exit_code, json.loads(out.read_text()) if out.exists() else None


def test_without_a_gpu_nothing_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command.nl, "devices", lambda: (nl.device("cpu"),))
    out = tmp_path / "gpu.json"
    with pytest.raises(typer.Exit) as exit_:
        command.main(out=out, device="cuda")
    assert exit_.value.exit_code == command.NO_GPU
    assert "nothing was measured" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(("error", "status", "ended"), ENDS)
def test_an_interrupted_run_writes_what_there_is(tmp_path, monkeypatch, error, status, ended):
    def interrupts(place, inputs):
        raise error

    sides = {OURS: Side(lambda place, inputs: lambda: 7)}
    first = Case("first", "g", sides, lambda p: None, 1.0, "B", seven)
    second = Case("second", "g", {OURS: Side(interrupts)}, lambda p: None, 1.0, "B", seven)
    code, written = run(tmp_path, [first, second, first], monkeypatch)
    assert (code, written["ended"]) == (status, ended)
    assert [r["rounds"] for r in written["results"]] == [2, 0, 0]
    assert [r["note"] for r in written["results"]] == ["", "not finished", command.NOT_RUN]


def test_cases_that_the_time_does_not_reach_are_listed(tmp_path, monkeypatch):
    def slow(place, inputs):
        time.sleep(0.2)
        return lambda: 7

    case = Case("slow", "g", {OURS: Side(slow)}, lambda p: None, 1.0, "B", seven)
    code, written = run(tmp_path, [case] * 3, monkeypatch, minutes=0.003)
    notes = [r["note"] for r in written["results"]]
    assert "not run: the time was up" in notes or written["ended"] == "out of time"
    assert written["machine"]["is_gpu"] is False


def test_the_real_cases_run_on_the_stand_in(tmp_path, capsys):
    """One of every module, on the CPU with small sizes: inputs, launchers and checks are theirs."""
    words = ("matmul float32 4095", "relu", "layer_norm", "column sum", "Adam", "launch")
    for word in words:
        code, written = run(tmp_path, only=word, rounds=1)
        assert (code, written["ended"]) == (0, "complete"), written["results"]
        for r in written["results"]:
            assert r["sides"][OURS]["rounds"] == 1
            assert r["is_gpu"] is False
            assert r["sides"][OURS]["work"] is None
    assert "These are no figures of a GPU" in capsys.readouterr().out
    assert all(goal["met"] is None for goal in written["goals"])
    assert written["machine"]["commit"]
    assert written["machine"]["versions"]["numba"]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("layer", [convolutions.LAYERS[i] for i in (0, 3, 4, 5)], ids=str)
def test_each_pass_of_a_convolution_is_checked(layer, number):
    """Right results pass; a result with one wrong item does not."""
    place = StandIn(nl.device("cpu"))
    case = convolutions.case(layer, number)
    given = case.inputs(place)
    found = case.sides[OURS].make(place, given)().numpy()
    case.check(place, given, OURS, found)
    wrong = found.copy()
    wrong[-1 if number < 2 else 0, 0, 0, 0] += 1.0
    with pytest.raises(AssertionError, match="relative error"):
        case.check(place, given, OURS, wrong)


def test_a_convolution_in_tf32_is_one_on_both_sides(monkeypatch):
    """Precision, algorithm and that of PyTorch are set for the case alone; the bound is of tf32."""
    case, place = convolutions.case(convolutions.LAYERS[2], 0, "tf32"), StandIn(nl.device("cpu"))
    given, asked = case.inputs(place), []

    def torch_on(place, precision):
        asked.append(precision)
        raise Missing("no torch here")

    monkeypatch.setattr(convolutions.peers, "torch_on", torch_on)
    with pytest.raises(Missing):
        case.sides["cuDNN NCHW"].make(place, given)
    assert asked == [case.limit] == ["tf32"]
    case.before()
    seen = nl.get_float32_matmul_precision(), choices._overrides["convolution"]
    case.after()
    assert (*seen, nl.get_float32_matmul_precision()) == ("high", "tf32", "highest")
    found = case.sides[OURS].make(place, given)().numpy()
    case.check(place, given, OURS, found * np.float32(1.0005))
    with pytest.raises(AssertionError, match="relative error"):
        case.check(place, given, OURS, found * np.float32(1.01))


def test_a_product_is_checked_at_its_corners():
    place = StandIn(nl.device("cpu"))
    case = products.case("float32", 4096, 4096, 4096)
    a, b = given = case.inputs(place)
    good = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)
    case.check(place, given, OURS, good)
    for row in (0, -1):
        bad = good.copy()
        bad[row, 0] = np.nan
        with pytest.raises(AssertionError, match="nan"):
            case.check(place, given, OURS, bad)
    with pytest.raises(AssertionError, match="relative error"):
        case.check(place, given, OURS, a @ b * np.float32(1.0001))


def test_a_way_that_no_product_would_take_is_missing():
    """And not another kernel under its name."""
    case = products.case("tf32", 1024, 1024, 1024, way="mma.sync")
    with fake_gpu(gpu="RTX 4090"), pytest.raises(Missing, match="not expected to pay"):
        case.sides[OURS].make(Place(nl.device("cuda")), case.inputs(StandIn(nl.device("cpu"))))


def test_halves_are_rounded_to_nearest_even():
    x = np.float32([1.0, -3.5, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 3e38])
    found = (products.as_halves(x, "bf16").astype(np.uint32) << 16).view(np.float32)
    assert found[:4].tolist() == [1.0, -3.5, 1.0, 1 + 2.0**-6]
    assert abs(found[4] / x[4] - 1) < 2.0**-8
    assert products.as_halves(x[:2], "f16").dtype == np.float16


def test_precision_is_set_for_a_case_alone():
    case = products.case("tf32", 1024, 1024, 1024)
    seen = []
    sides = {OURS: Side(lambda p, g: seen.append(nl.get_float32_matmul_precision()) or (lambda: 0))}
    changed = Case(**{**case.__dict__, "sides": sides, "check": None})
    measure(changed, StandIn(nl.device("cpu")), 1.0, Result("c", "g", "FLOP", rounds_wanted=1))
    assert seen == ["high"]
    assert nl.get_float32_matmul_precision() == "highest"


def test_results_of_all_libraries_are_read():
    x = np.arange(3, dtype=np.float32)
    for made in (x, nl.array(x, device="cpu"), nl.tensor(x, device="cpu")):
        assert np.array_equal(host(made), x)
    require_close(x, x.astype(np.float64), 0.0)
    with pytest.raises(AssertionError, match="shape"):
        require_close(x[:2], x.astype(np.float64), 1.0)


def test_the_sample_launches_every_family(capsys):
    assert {family for family, _ in sample.samples()} == set(FAMILIES)
    sample.main(device="cpu", only="matmul")
    assert "right" in capsys.readouterr().out


def test_a_sample_that_fails_does_not_end_the_others(monkeypatch):
    seen = []

    def fails(spec, device):
        seen.append(spec.name)
        raise ValueError("no")

    monkeypatch.setattr(sample, "run_one", fails)
    with pytest.raises(AssertionError, match=f"^{sample.PER_FAMILY} of {sample.PER_FAMILY} failed"):
        sample.main(device="cpu", only="softmax")
    assert len(seen) == sample.PER_FAMILY


@pytest.mark.parametrize("name", ["relu", "MLP step, batch 64, sgd", "launch of an empty kernel"])
def test_the_way_of_a_gpu_on_a_pretended_one(driver, monkeypatch, name):
    """Ours, by events, graphs and packed launches; peers that need hardware are missing."""
    from nnlite.kernels.engine.gpu import timing

    monkeypatch.setattr(timing, "FLUSH", 1 << 12)
    monkeypatch.setattr(Place, "items", 1 << 14)
    place = Place(nl.device("cuda"))
    (case,) = [c for c in command.all_cases() if c.name == name]
    result = Result(case.name, case.group, case.unit, rounds_wanted=2)
    measure(case, place, 30.0, result)
    assert OURS not in result.errors, result.errors
    assert result.rounds == 2
    if case.group == "training step":
        assert "nnlite eager" in result.peers, "the step is replayed, with the eager one beside it"
    assert not result.stand_in
    assert (result.of_limit(OURS) is None) == (case.limit is None)


def test_a_case_leaves_its_memory_to_the_next():
    with fake_gpu() as driver:
        place, room = Place(nl.device("cuda")), driver.room
        held, freed = nl.zeros(1000), nl.zeros(5000)
        del freed
        place.tidy()
        assert driver.room == room - 4096
        assert held.numpy().tolist() == [0] * 1000


def test_what_breaks_when_it_is_timed_is_said(monkeypatch):
    """Where no side is left, too."""

    def breaks(place, inputs):
        results = iter([7])
        return lambda: next(results)

    monkeypatch.setattr(StandIn, "seconds", lambda self, run: float(run()))
    case = Case("breaks", "g", {OURS: Side(breaks)}, lambda p: None, 1.0, "B", seven)
    result = Result("breaks", "g", "B")
    measure(case, StandIn(nl.device("cpu")), 1.0, result)
    assert "StopIteration" in result.errors[OURS]
    assert result.rounds == 0
