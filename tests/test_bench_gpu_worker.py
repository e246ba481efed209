"""Cases in a process of their own: what becomes of the run when that process hangs or dies.

The process is a small program that speaks as ``bench.gpu.worker`` does, and does what the name of
the case says.
"""

from __future__ import annotations

import sys
import threading
import time
from multiprocessing import Pipe

import pytest

import nnlite as nl
from bench.gpu import preflight, worker
from bench.gpu.case import OURS, Case, Result, Side
from bench.gpu.place import StandIn
from bench.gpu.worker import LEAST_PATIENCE, LOST, Worker

PROGRAM = """
import os, sys, time
from multiprocessing.connection import Connection

link = Connection(int(sys.argv[1]))
link.send(("done", None))
while True:
    name, seconds, rounds = link.recv()
    link.send(("side", "nnlite"))
    link.send(("side", "peer"))
    if name == "hangs":
        time.sleep(100)
    if name == "dies":
        os._exit(7)
    found = {"seconds": {"nnlite": [1.0] * rounds}, "note": f"by {os.getpid()}"}
    link.send(("done", (found, name != "breaks")))
"""


@pytest.fixture
def workers():
    made = Worker([sys.executable, "-c", PROGRAM], patience=1.0)
    yield made
    made.close()


def run(made, name, least=0.0):
    sides = {OURS: Side(lambda place, inputs: None, least=least)}
    case = Case(name, "g", sides, lambda p: None, 1.0, "B")
    result = Result(name, "g", "B", rounds_wanted=4)
    made.measure(case, 0.5, result)
    return result


def test_cases_share_a_process_until_one_breaks_the_gpu(workers):
    first, second, third = (run(workers, name) for name in ("fine", "breaks", "fine"))
    assert first.rounds == second.rounds == third.rounds == 4
    assert second.note == f"{first.note}; {LOST}"
    assert third.note != first.note
    assert not third.errors


def test_a_process_that_dies_costs_one_case(workers):
    result = run(workers, "dies")
    assert result.errors == {"peer": "the process died (exit code 7), at the side peer"}
    assert run(workers, "fine").rounds == 4


def test_a_process_that_hangs_is_ended(workers):
    start = time.monotonic()
    result = run(workers, "hangs")
    assert "no answer for" in result.errors["peer"]
    assert workers.process is None
    assert run(workers, "fine").rounds == 4
    assert time.monotonic() - start < 30
    assert workers.patience == 1.0


def test_after_one_that_hangs_the_next_is_given_up_sooner():
    made, seen = Worker([], patience=100.0), []
    for _ in range(4):
        made._fate(TimeoutError())
        seen.append(round(made.patience))
    assert seen == [33, 11, LEAST_PATIENCE, LEAST_PATIENCE]


def test_a_process_that_does_not_start_is_said():
    made = Worker([sys.executable, "-c", "raise SystemExit(5)"])
    assert "exit code 5" in run(made, "fine").errors[OURS]


def test_what_the_process_does():
    """It measures what it is asked for by name until nobody asks, or until the GPU is lost."""
    place = StandIn(nl.device("cpu"))
    answers = iter((True, False))
    place.answers = lambda: next(answers)
    here, there = Pipe()
    sides = {OURS: Side(lambda place, inputs: lambda: 7), "bad": Side(lambda p, i: 1 / 0)}
    case = Case("seven", "g", sides, lambda p: None, 1.0, "B")
    served = threading.Thread(target=worker.serve, args=(there, place, {"seven": case}))
    served.start()
    told = [here.recv()]
    for _ in range(2):
        here.send(("seven", 1.0, 2))
        while told[-1][0] == worker.SIDE or len(told) < 2 or told[-1][1] is None:
            told.append(here.recv())
        fields, healthy = told[-1][1]
        assert len(fields["seconds"][OURS]) == 2
        assert "ZeroDivisionError" in fields["errors"]["bad"]
        told = [(worker.SIDE, "")]
    served.join(30)
    assert (healthy, served.is_alive()) == (False, False)


def test_a_gpu_that_fails_is_no_error_of_the_run(monkeypatch):
    place = StandIn(nl.device("cpu"))
    assert place.answers()
    monkeypatch.setattr("bench.gpu.place.nl.array", lambda *a, **k: 1 / 0)
    assert not place.answers()


def test_the_look_goes_on_after_what_fails(monkeypatch, capsys):
    def fails():
        raise ValueError("no")

    steps = (("one", fails), ("* peer", fails), ("two", lambda: "fine"))
    monkeypatch.setattr(preflight, "STEPS", steps)
    assert preflight.main() == 1, "peers do not count"
    said = capsys.readouterr().out
    assert "one: FAILED\nTraceback" in said
    assert "ValueError: no" in said
    assert "two: ok fine" in said


def test_the_steps_of_the_look_on_a_pretended_gpu(driver):
    for step in (preflight.memory, preflight.kernel, preflight.graph):
        assert step() == ""
