"""What ``bench.gpu`` reads out of pytest and compute-sanitizer; no test here runs on a GPU.

The samples are written by hand after the documentation of both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

import nnlite as nl
from bench.gpu import correctness
from bench.gpu.correctness import Check, Output, judged_sanitizer, judged_tests, run

PYTEST = """\
16 workers [5 items]
[gw0] [ 20%] PASSED tests/test_a.py::test_one[cuda:0]
[gw1] [ 40%] PASSED tests/test_a.py::test_two[FAILED]
[gw1] [ 60%] SKIPPED tests/test_a.py::test_three
"""
FAILING = """\
collected 2 items
tests/test_a.py::test_one PASSED                [ 50%]
tests/test_a.py::test_two FAILED                [100%]
=========== short test summary info ===========
FAILED tests/test_a.py::test_two - assert 1 == 2
"""
MEMCHECK = """\
========= COMPUTE-SANITIZER
{}34 ops on cuda:0: right
========= ERROR SUMMARY: {} errors
"""
INVALID = "========= Invalid __global__ write of size 4 bytes\n"
RACECHECK = "========= RACECHECK SUMMARY: 2 hazards displayed (2 errors, 0 warnings)\n"


def outcome_of(text, code, quick=False):
    return judged_tests(Check("tests", []), Output(text, code, 12.0), quick)


def sanitized(text, code):
    return judged_sanitizer(Check("memcheck", []), Output(text, code, 12.0))


def test_outcomes_are_counted_by_test():
    check = outcome_of(PYTEST, 0)
    assert check.ok is True
    assert check.counts == {"PASSED": 2, "SKIPPED": 1}
    assert str(check) == "tests: passed (2 passed, 1 skipped)"
    assert "a sample" in str(outcome_of(PYTEST, 0, quick=True))


def test_a_failure_is_counted_once_and_named():
    check = outcome_of(FAILING, 1)
    assert check.ok is False
    assert check.counts == {"PASSED": 1, "FAILED": 1}
    assert check.tail == ["FAILED tests/test_a.py::test_two - assert 1 == 2"]


@pytest.mark.parametrize(("code", "text"), [(0, ""), (4, "no such file"), (2, PYTEST)])
def test_a_suite_that_did_not_run_to_its_end_has_not_passed(code, text):
    assert outcome_of(text, code).ok is False


def test_a_suite_that_was_cut_short_is_neither():
    check = outcome_of(PYTEST, None)
    assert check.ok is None
    assert check.note == "ended after 12 s, 3 of 5"
    assert "not finished" in str(check)
    assert outcome_of(FAILING, None).ok is False, "what failed by then has failed"


def test_the_sanitizers_summary_decides():
    assert sanitized(MEMCHECK.format("", 0), 0).ok is True
    bad = sanitized(MEMCHECK.format(INVALID, 3), correctness.FAULT)
    assert (bad.ok, bad.counts) == (False, {"errors": 3})
    assert INVALID.strip() in bad.tail
    race = sanitized(RACECHECK, correctness.FAULT)
    assert (race.ok, race.counts) == (False, {"errors": 2})


def test_a_sanitizer_without_summary_has_found_nothing_out():
    check = sanitized("========= Error: Device not supported\n", 1)
    assert check.ok is None
    assert "did not run to its end" in check.note
    assert sanitized("", None).ok is None
    failed = sanitized(MEMCHECK.format("", 0) + "AssertionError: 1 of 9 failed\n", 1)
    assert failed.ok is False, "the program itself has failed"
    assert failed.tail[-1] == "AssertionError: 1 of 9 failed"


def test_a_missing_sanitizer_is_said(monkeypatch):
    monkeypatch.setattr(correctness.shutil, "which", lambda name: None)
    check = correctness.sanitizer("racecheck", 1.0, "cuda")
    assert check.ok is None
    assert "not on the path" in str(check)
    assert check.to_json()["note"] == check.note


def test_the_command_of_the_tests(monkeypatch, tmp_path):
    seen = {}

    def pretended(command, seconds, env):
        seen.update(command=command, seconds=seconds, env=env)
        return Output(PYTEST, 0, 1.0)

    monkeypatch.setattr(correctness, "run", pretended)
    log = tmp_path / "log"
    assert correctness.tests(60.0, False, "cuda:0", log).ok is True
    assert seen["command"][-1] == "tests"
    assert seen["env"]["NNLITE_DEVICE"] == "cuda:0"
    assert log.read_text() == PYTEST
    correctness.tests(60.0, True, "cuda:0", log)
    for name in correctness.QUICK:
        assert name in seen["command"]
        assert (correctness.ROOT / name).exists()


def test_a_program_is_ended_with_what_it_had_printed(monkeypatch):
    """Also where it ignores interrupts, as what a shell starts in the background does."""
    monkeypatch.setattr(correctness, "GRACE", 1.0)
    program = "import time; print('begun', flush=True); time.sleep(60)"
    start = time.monotonic()
    done = run([sys.executable, "-c", program], 1.5)
    assert done.code is None
    assert done.text.startswith("begun")
    assert time.monotonic() - start < 30
    assert run([sys.executable, "-c", "print(6); raise SystemExit(5)"], 60).code == 5


@pytest.mark.skipif(len(nl.devices()) > 1, reason="a GPU is present, and this would measure it")
@pytest.mark.parametrize(("part", "code"), [("bench", 3), ("nonsense", 2), ("", 1)])
def test_the_script_for_a_lease(tmp_path, part, code):
    """Without a GPU it says so after a look, and writes no figures."""
    script = correctness.ROOT / "bench" / "gpu" / "lease.sh"
    env = dict(os.environ, OUT=str(tmp_path), PYTHON=sys.executable)
    done = subprocess.run(["bash", script, part], env=env, capture_output=True, text=True)
    assert done.returncode == code, done
    assert not (tmp_path / "gpu.json").exists()
    if part == "bench":
        assert "nothing was measured" in done.stderr
        look = (tmp_path / "bench-look.txt").read_text()
        assert "] driver: FAILED" in look
        assert "] kernel: not tried" in look
